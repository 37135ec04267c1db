//! Effects into host calls.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::Duration;

use litemap::LiteMap;
use log::error;

use super::abi::Status;
use super::abi::hostcalls::{self, MapType};
use super::doubt::{Bodies, Doubts, PATIENCE};
use super::grpc::OpenCalls;
use super::held::Held;
use super::message::Message;
use super::statistics::Statistics;
use super::{local_reply, now};
use crate::cache::Mailbox;
use crate::challenge::Answer;
use crate::filter::{CallId, Description, Effect, Event, Filter, Outcome, Passage, StreamId};
use crate::host::answer::is_grpc;
use crate::host::description::texts;
use crate::host::fate::Fate;
use crate::http::HttpCall;
use crate::numbered::Numbered;
use crate::request::{HeaderEdit, RequestView};
use crate::token::UnixMillis;

/// What a worker's root context and its streams share.
pub(super) struct Worker {
    /// The root context's number.
    root: u32,
    filter: RefCell<Filter>,
    /// A queue to ourselves: what is put in comes back as a callback of the root, which is a turn.
    mailbox: Mailbox,
    /// The host's numbers of calls under way, and when the host must have told us of each.
    pub(super) calls: RefCell<LiteMap<u32, (CallId, UnixMillis)>>,
    /// Calls and streams by gRPC that are open.
    pub(super) grpc: OpenCalls,
    statistics: Statistics,
    /// Streams that may not go on, and why.
    held: RefCell<Numbered<StreamId, Held>>,
    /// Callbacks that have not come yet.
    pub(super) doubts: Doubts,
    /// How often the filter wants a tick, and how often there is one.
    pub(super) tick: Cell<Duration>,
    pub(super) period: Cell<Duration>,
    /// What is known of bodies of requests.
    pub(super) bodies: Cell<Bodies>,
    /// Whether access logs can still be told something: a host that refuses once refuses always.
    describes: Cell<bool>,
}

/// Whose callback it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Callback {
    /// The root's: a stream must be made the effective context before anything is done to it.
    Root,
    /// A stream's own.
    Stream,
}

impl Worker {
    pub(super) fn new(root: u32, filter: Filter, mailbox: Mailbox) -> Result<Self, Status> {
        let statistics = Statistics::new(filter.names(), &filter.expected_counts())?;
        Ok(Self {
            root,
            filter: RefCell::new(filter),
            mailbox,
            calls: RefCell::default(),
            grpc: OpenCalls::default(),
            statistics,
            held: RefCell::default(),
            doubts: Doubts::default(),
            tick: Cell::new(Duration::ZERO),
            period: Cell::new(Duration::ZERO),
            bodies: Cell::new(Bodies::Untried),
            describes: Cell::new(true),
        })
    }

    /// Takes a request, in its own callback.
    pub(super) fn request(&self, stream: StreamId, request: &dyn RequestView) -> Fate {
        let now = now();
        let outcome = self.filter.borrow_mut().request(stream, request, now);
        match outcome {
            Outcome::Again(ready) => {
                ready.counts.into_iter().for_each(|series| self.statistics.count(series));
                if let Some(description) = &ready.description {
                    self.describe(description);
                }
                self.forward(stream, &ready.passage, Callback::Stream)
            }
            Outcome::Judged(effects) => {
                let mut fate = Fate::Waiting;
                self.carry_out(effects, Callback::Stream, &mut fate);
                fate
            }
        }
    }

    /// Takes an event in a callback of a stream's own; says what became of the stream.
    pub(super) fn stream_event(&self, event: Event<'_>) -> Fate {
        let mut fate = Fate::Waiting;
        self.run(event, Callback::Stream, &mut fate);
        fate
    }

    /// Takes an event in a callback of the root.
    pub(super) fn root_event(&self, event: Event<'_>) {
        self.run(event, Callback::Root, &mut Fate::Waiting);
        // Whatever stream was acted for last, what follows is not for it.
        _ = hostcalls::set_effective_context(self.root);
    }

    /// The call that the host knows by this number; it is answered only once.
    pub(super) fn take_call(&self, token: u32) -> Option<CallId> {
        self.dispel(&self.doubts.call);
        self.calls.borrow_mut().remove(&token).map(|(id, _)| id)
    }

    /// Asks for a callback of the root.
    pub(super) fn ask_for_turn(&self) {
        // Only a queue that is not there refuses, and it was registered at the start.
        if hostcalls::enqueue_shared_queue(self.mailbox.0, &Message::Turn.write()).is_err() {
            error!("the filter's own queue is gone; waiting requests end by their stream's timeout");
        }
        self.doubt(&self.doubts.turn, PATIENCE);
    }

    pub(super) fn is_waiting(&self, stream: StreamId) -> bool {
        self.filter.borrow().is_waiting(stream)
    }

    pub(super) fn closed(&self, stream: StreamId) {
        self.filter.borrow_mut().closed(stream);
    }

    pub(super) fn awaits_body(&self, stream: StreamId) -> bool {
        self.filter.borrow().awaits_body(stream)
    }

    /// Notes a stream that did not simply go on.
    pub(super) fn hold(&self, stream: StreamId, held: Held) {
        if held.fate == Fate::Answered {
            self.expect_delete();
        }
        self.held.borrow_mut().insert(stream, held);
    }

    /// What became of a stream that waited.
    fn became(&self, stream: StreamId, fate: Fate) {
        if let Some(held) = self.held.borrow_mut().get_mut(stream) {
            held.fate = fate;
            if fate == Fate::Answered {
                self.expect_delete();
            }
        }
    }

    /// What is noted of a stream.
    pub(super) fn held<T>(&self, stream: StreamId, read: impl FnOnce(&Held) -> T) -> Option<T> {
        self.held.borrow().get(stream).map(read)
    }

    /// Changes what is noted of streams.
    pub(super) fn each_held(&self, mut act: impl FnMut(StreamId, &mut Held)) {
        self.held.borrow_mut().iter_mut().for_each(|(stream, held)| act(stream, held));
    }

    /// Forgets a stream.
    pub(super) fn let_go(&self, stream: StreamId) -> Option<Held> {
        self.held.borrow_mut().remove(stream)
    }

    /// Refuses the stream of this callback, which the filter did not treat as it should.
    pub(super) fn fail(&self, stream: StreamId) -> Fate {
        end(&self.filter.borrow_mut().host_failure(stream));
        Fate::Answered
    }

    /// Takes out of the trailers of this callback's request what no client has a say in.
    pub(super) fn clear_trailers(&self) {
        for name in self.filter.borrow().kept_from_trailers() {
            _ = hostcalls::remove_map_value(MapType::RequestTrailers, name);
        }
    }

    pub(super) fn mailbox(&self) -> Mailbox {
        self.mailbox
    }

    fn run(&self, event: Event<'_>, callback: Callback, fate: &mut Fate) {
        self.carry_out(self.step(event), callback, fate);
    }

    fn carry_out(&self, effects: Vec<Effect>, callback: Callback, fate: &mut Fate) {
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Answer(stream, answer) => {
                    *fate = Fate::Answered;
                    self.became(stream, Fate::Answered);
                    if self.reach(stream, callback) {
                        end(&answer);
                    }
                }
                Effect::End(stream, answer) => {
                    if self.reach(stream, callback) {
                        // Whatever comes of it: there is no second try, and nothing more of it passes.
                        self.hold(stream, Held { fate: Fate::Answered, passed: Vec::new(), is_read: true });
                        end(&answer);
                    }
                }
                Effect::AskForTurn => self.ask_for_turn(),
                Effect::Call(id, call) => {
                    if let Some(failed) = self.dispatch(id, &call) {
                        effects.extend(self.step(failed));
                    }
                }
                Effect::Cancel(id) => self.grpc.cancel(id),
                Effect::Grpc(id, call) => {
                    effects.extend(self.grpc.call(id, &call).into_iter().flat_map(|it| self.step(it)))
                }
                Effect::Open(id, call) => {
                    effects.extend(self.grpc.open(id, &call).into_iter().flat_map(|it| self.step(it)))
                }
                Effect::Send(id, message) => self.grpc.send(id, &message),
                Effect::Count(series) => self.statistics.count(series),
                Effect::Describe(stream, description) => {
                    if self.reach(stream, callback) {
                        self.describe(&description);
                    }
                }
                Effect::Forward(stream, passage) => {
                    if self.reach(stream, callback) {
                        let forwarded = self.forward(stream, &passage, callback);
                        self.became(stream, forwarded);
                        *fate = match (forwarded, *fate) {
                            (Fate::Forwarded, Fate::Watched) => Fate::Watched,
                            (forwarded, _) => forwarded,
                        };
                    }
                }
                // Both only in the stream's own callback.
                Effect::Receive(_) => *fate = Fate::Receiving,
                Effect::Watch(_) => *fate = Fate::Watched,
                Effect::Gauge(series, change) => self.statistics.change(series, change),
                Effect::Took(series, millis) => self.statistics.took(series, millis),
                // A worker that is no more needs no telling.
                Effect::Tell(mailbox, digest, told) => {
                    _ = hostcalls::enqueue_shared_queue(mailbox.0, &Message::Told(digest, told).write());
                }
                Effect::Wake(mailbox) => {
                    _ = hostcalls::enqueue_shared_queue(mailbox.0, &Message::Turn.write());
                }
                Effect::Tick(period) => {
                    self.tick.set(period);
                    self.set_tick();
                }
            }
        }
    }

    /// No borrow outlives the step: host calls may come back to us.
    fn step(&self, event: Event<'_>) -> Vec<Effect> {
        let now = now();
        self.filter.borrow_mut().step(now, event)
    }

    /// Makes `stream` the one that host calls act on. One that is gone is not reached, and the previous one would
    /// stay in force: nothing may be done then.
    fn reach(&self, stream: StreamId, callback: Callback) -> bool {
        callback == Callback::Stream || hostcalls::set_effective_context(stream.0).is_ok()
    }

    fn forward(&self, stream: StreamId, passage: &Passage, callback: Callback) -> Fate {
        let edited = passage.edits().iter().try_for_each(|edit| match edit {
            HeaderEdit::Remove(name) => hostcalls::remove_map_value(MapType::Request, name),
            HeaderEdit::Set(name, value) => hostcalls::set_map_value_bytes(MapType::Request, name, value),
        });
        let resumed = edited.and_then(|()| match callback {
            Callback::Root => hostcalls::resume_http_request(),
            Callback::Stream => Ok(()),
        });
        match resumed {
            Ok(()) => Fate::Forwarded,
            Err(_) => {
                // Half-edited headers must not go on.
                self.fail(stream)
            }
        }
    }

    /// Sends a call; gives back the event if that fails at once.
    fn dispatch(&self, id: CallId, call: &HttpCall) -> Option<Event<'static>> {
        let headers: Vec<(&str, &str)> =
            call.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        match hostcalls::dispatch_http_call(&call.cluster, &headers, &call.body, call.timeout) {
            Ok(token) => {
                let until = self.doubt(&self.doubts.call, call.timeout + PATIENCE);
                self.calls.borrow_mut().insert(token, (id, until));
                None
            }
            Err(Status::BadArgument) => {
                error!(
                    "cluster {:?}: expected a cluster that Envoy knows, got none of that name",
                    call.cluster
                );
                Some(Event::NotSent(id))
            }
            Err(_) => Some(Event::NotSent(id)),
        }
    }

    fn describe(&self, description: &Description) {
        if !self.describes.get() {
            return;
        }
        for (name, text) in texts(description) {
            // Envoy puts its own prefix before it.
            let name = name.strip_prefix("wasm.").unwrap_or(name);
            if hostcalls::set_property(name, &text).is_err() {
                self.describes.set(false);
            }
        }
    }
}

/// Ends the request of the effective context.
fn end(answer: &Answer) {
    let content_type = hostcalls::get_map_value(MapType::Request, "content-type").ok().flatten();
    let is_grpc = content_type.is_some_and(|value| is_grpc(value.as_bytes()));
    if local_reply::send(answer, is_grpc).is_err() {
        error!("Envoy took no local reply; the request ends by its stream's timeout");
    }
}
