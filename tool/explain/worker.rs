//! A worker of the filter itself, driven through one request.

use std::collections::VecDeque;
use std::rc::Rc;

use phantom_token_filter::cache::{Mailbox, Memory};
use phantom_token_filter::challenge::Answer;
use phantom_token_filter::config::Config;
use phantom_token_filter::filter::{CallId, Effect, Event, Filter, Passage, StreamId};
use phantom_token_filter::http::{HttpCall, Reply};
use phantom_token_filter::token::UnixMillis;

use super::request::Request;
use super::server::Server;
use phantom_token_filter::jwt::RustCrypto;

/// What became of the request.
pub(super) enum Fate {
    Answered(Answer),
    Forwarded(Passage),
    /// It is a signal, whose body is read.
    Received,
    /// It waits for the answer to these calls.
    Waits(Vec<HttpCall>),
}

/// What happened on the way.
pub(super) struct Course {
    pub(super) fate: Fate,
    /// The calls that were answered, in their order.
    pub(super) calls: Vec<HttpCall>,
    /// The reason in one word, as access logs have it.
    pub(super) outcome: Option<&'static str>,
}

/// Takes a request through the filter. Calls are answered by `server`, if there is one.
pub(super) fn course(
    config: &Rc<Config>,
    request: &Request,
    server: Option<&Server>,
    now: UnixMillis,
) -> Course {
    let filter = Filter::new(Rc::clone(config), Rc::new(Memory::default()), Rc::new(RustCrypto), Mailbox(1));
    let mut worker = Worker { filter, now, calls: VecDeque::new(), turns: 0, fate: None, outcome: None };
    worker.step(Event::RequestHeaders(STREAM, request));
    let mut answered = Vec::new();
    // Each call leads to a few turns at most.
    for _ in 0..MAX_STEPS {
        if worker.turns > 0 {
            worker.turns -= 1;
            worker.step(Event::Turn);
            continue;
        }
        let next = worker.calls.front().and_then(|(id, call)| {
            let (content_type, body) = server?.answer(config, call)?;
            Some((*id, content_type, body))
        });
        let Some((id, content_type, body)) = next else { break };
        answered.extend(worker.calls.pop_front().map(|(_, call)| call));
        let content_type = content_type.as_bytes();
        worker.step(Event::Reply(
            id,
            Reply { status: 200, content_type, body: Some(&body), ..Reply::default() },
        ));
    }
    let waits = || Fate::Waits(worker.calls.iter().map(|(_, call)| call.clone()).collect());
    Course { fate: worker.fate.take().unwrap_or_else(waits), calls: answered, outcome: worker.outcome }
}

struct Worker {
    filter: Filter,
    now: UnixMillis,
    calls: VecDeque<(CallId, HttpCall)>,
    turns: u32,
    fate: Option<Fate>,
    outcome: Option<&'static str>,
}

impl Worker {
    fn step(&mut self, event: Event<'_>) {
        for effect in self.filter.step(self.now, event) {
            match effect {
                Effect::Answer(_, answer) => self.fate = Some(Fate::Answered(answer)),
                Effect::Forward(_, passage) => self.fate = Some(Fate::Forwarded(passage)),
                Effect::Receive(_) => self.fate = Some(Fate::Received),
                Effect::AskForTurn => self.turns += 1,
                Effect::Call(id, call) => self.calls.push_back((id, call)),
                Effect::Describe(_, description) => self.outcome = Some(description.outcome),
                Effect::Count(_)
                | Effect::Took(..)
                | Effect::Gauge(..)
                | Effect::End(..)
                | Effect::Tell(..)
                | Effect::Tick(_)
                | Effect::Watch(_)
                | Effect::Cancel(_)
                | Effect::Grpc(..)
                | Effect::Open(..)
                | Effect::Send(..)
                | Effect::Wake(_) => {}
            }
        }
    }
}

const STREAM: StreamId = StreamId(1);

const MAX_STEPS: usize = 100;
