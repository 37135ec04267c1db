//! A filter without Envoy: workers with a clock that stands still, a map for shared data, and RustCrypto for
//! signatures. Events are given by hand, effects are read.
#![allow(dead_code, unreachable_pub, reason = "each test program uses its part")]

pub mod dpop;
mod grpc;
pub mod issuer;
pub mod log;
mod map;
pub mod mutations;
mod request;
pub mod rustcrypto;
pub mod withdrawing;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};
use phantom_token_filter::cache::Mailbox;
use phantom_token_filter::challenge::Answer;
use phantom_token_filter::config::Config;
use phantom_token_filter::filter::{
    CallId, Description, Effect, Event, Filter, Outcome, Ready, StreamId, Told,
};
use phantom_token_filter::grpc::GrpcCall;
use phantom_token_filter::http::{HttpCall, Reply};
use phantom_token_filter::introspection::{self, Introspection, Keys, Response, ServerFailure};
use phantom_token_filter::jwt::Signatures;
use phantom_token_filter::metrics::{Change, Counter, Gauge};
use phantom_token_filter::token::{TokenDigest, UnixMillis};
use serde_json::{Value, json};

pub use map::Map;
pub use request::{Fate, Request};
use rustcrypto::RustCrypto;

/// When all tests begin.
pub const START: UnixMillis = UnixMillis::from_secs(1_795_377_648);

/// A configuration with one provider `main`, ES256 phantom tokens, and no retries; `patch` is merged into it.
pub fn config(patch: Value) -> Value {
    let mut config = json!({
        "providers": {"main": {"introspection": {
            "cluster": "as", "path": "/introspect", "retries": 0,
            "auth": {"client_secret_basic": {"client_id": "gateway", "client_secret": {"inline": "hush-hush"}}}
        }}},
        "phantom_token": {
            "issuer": "https://gateway.example",
            "signing_keys": [{"kid": "k1", "alg": "ES256", "private_key": {"inline": rustcrypto::es256_pem()}}]
        },
    });
    merge(&mut config, patch);
    config
}

/// RFC 7396, without removal.
pub fn merge(into: &mut Value, patch: Value) {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => {
            for (name, value) in patch {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, patch) => *into = patch,
    }
}

/// Reads a reply that should be JSON.
pub fn parse(reply: &Reply<'_>, now: UnixMillis) -> Result<Introspection, ServerFailure> {
    let keys = Keys { set: None, signatures: &RustCrypto };
    introspection::parse(
        reply,
        &Response::Json { jwt_member: None },
        &phantom_token_filter::claims::ClaimNames::default(),
        keys,
        now,
    )
}

/// One worker of an Envoy.
pub struct Worker {
    pub filter: Filter,
    pub mailbox: Mailbox,
    pub now: UnixMillis,
    pub shared: Map,
    next_stream: u32,
    /// Calls that were sent and not answered.
    pub calls: Vec<(CallId, HttpCall)>,
    /// Calls by gRPC that were sent and not answered, and streams that are open.
    pub grpc: Vec<(CallId, GrpcCall)>,
    /// What was sent on streams after their first message.
    pub sent: Vec<(CallId, Vec<u8>)>,
    /// Streams that were ended.
    pub canceled: Vec<CallId>,
    /// Workers that are to be given a turn.
    pub woken: Vec<Mailbox>,
    /// What became of streams.
    pub fates: Vec<(StreamId, Fate)>,
    pub counters: BTreeMap<Counter, u32>,
    /// What it has said of each, of all providers together.
    pub gauges: BTreeMap<Gauge, i64>,
    pub descriptions: Vec<Description>,
    /// Turns that were asked for and not given.
    pub turns: u32,
    /// What other workers are to be told.
    pub letters: Vec<(Mailbox, TokenDigest, Told)>,
    /// How often a tick is wanted; zero: not at all.
    pub tick: Duration,
    /// When the next comes of those that are wanted; Envoy begins anew to wait for it whenever it is told how often.
    pub next_tick: UnixMillis,
    /// Streams whose body is awaited.
    pub receiving: Vec<StreamId>,
    /// Streams that go on and are watched.
    pub watched: Vec<StreamId>,
    /// Streams that were open and were ended, and how.
    pub ended: Vec<(StreamId, Answer)>,
    /// Whether the first level is left alone.
    pub judges_all: bool,
    /// Requests that were served by the first level.
    pub served_again: u32,
}

impl Worker {
    pub fn new(config: Value) -> Self {
        Self::sharing(config, Map::default())
    }

    /// A worker of the same Envoy as others with this map.
    pub fn sharing(config: Value, shared: Map) -> Self {
        Self::signing(config, shared, Rc::new(RustCrypto))
    }

    pub fn signing(config: Value, shared: Map, signatures: Rc<dyn Signatures>) -> Self {
        let config = Config::parse(config.to_string().as_bytes(), &|_| None).unwrap();
        let mailbox = shared.new_mailbox();
        Self {
            mailbox,
            filter: Filter::new(Rc::new(config), Rc::new(shared.clone()), signatures, mailbox),
            now: START,
            shared,
            next_stream: 0,
            calls: Vec::new(),
            grpc: Vec::new(),
            sent: Vec::new(),
            canceled: Vec::new(),
            woken: Vec::new(),
            fates: Vec::new(),
            counters: BTreeMap::new(),
            gauges: BTreeMap::new(),
            descriptions: Vec::new(),
            turns: 0,
            letters: Vec::new(),
            tick: Duration::ZERO,
            next_tick: UnixMillis::MAX,
            receiving: Vec::new(),
            watched: Vec::new(),
            ended: Vec::new(),
            judges_all: false,
            served_again: 0,
        }
    }

    /// The filter begins to work, and gets its first tick.
    pub fn start(&mut self) -> &mut Self {
        self.step(Event::Start);
        self.give_tick()
    }

    /// The paths of the calls that were sent and not answered.
    pub fn called(&self) -> Vec<&str> {
        let headers = self.calls.iter().flat_map(|(_, call)| &call.headers);
        headers.filter(|(name, _)| name == ":path").map(|(_, path)| path.as_str()).collect()
    }

    pub fn pass(&mut self, time: Duration) -> &mut Self {
        self.now = self.now.plus(time);
        self
    }

    /// A request comes in; nothing else happens.
    pub fn receive(&mut self, request: &Request) -> StreamId {
        self.next_stream += 1;
        let stream = StreamId(self.next_stream);
        if self.judges_all {
            self.filter.forget();
        }
        match self.filter.request(stream, request, self.now) {
            Outcome::Again(ready) => self.serve_again(stream, &ready),
            Outcome::Judged(effects) => self.carry_out(effects, true),
        }
        stream
    }

    fn serve_again(&mut self, stream: StreamId, ready: &Ready) {
        self.served_again += 1;
        for series in ready.counts {
            *self.counters.entry(series.metric).or_default() += 1;
        }
        self.descriptions.extend(ready.description.as_deref().cloned());
        self.fates.push((stream, Fate::Forwarded(ready.passage.edits().clone())));
    }

    /// The root gets all the turns that it asked for.
    pub fn give_turns(&mut self) -> &mut Self {
        while self.turns > 0 {
            self.give_turn();
        }
        self
    }

    /// The root gets one of the turns that it asked for.
    pub fn give_turn(&mut self) {
        self.turns -= 1;
        self.step(Event::Turn);
    }

    /// The oldest open call is answered with this JSON, and all that follows from it happens.
    pub fn answer(&mut self, body: &Value) -> &mut Self {
        self.answer_with(200, "application/json", body.to_string().as_bytes())
    }

    pub fn answer_with(&mut self, status: u16, content_type: &str, body: &[u8]) -> &mut Self {
        self.give_turns();
        let (id, _) = self.calls.remove(0);
        self.reply(id, status, content_type, body);
        self.give_turns()
    }

    pub fn reply(&mut self, id: CallId, status: u16, content_type: &str, body: &[u8]) {
        let body = (body.len() <= Reply::MAX_BODY_BYTES).then_some(body);
        let reply = Reply {
            status,
            content_type: content_type.as_bytes(),
            from_envoy: false,
            body,
            ..Reply::default()
        };
        self.step(Event::Reply(id, reply));
    }

    /// The open call to this path is answered with a status and `Retry-After`.
    pub fn ask_for_a_pause(&mut self, path: &str, status: u16, retry_after: &str) -> &mut Self {
        self.give_turns();
        let place = self.called().iter().position(|called| *called == path).expect(path);
        let (id, _) = self.calls.remove(place);
        let retry_after = retry_after.as_bytes();
        self.step(Event::Reply(id, Reply { status, retry_after, body: Some(b""), ..Reply::default() }));
        self.give_turns()
    }

    /// The oldest open call is answered with this body in a content coding.
    pub fn answer_coded(&mut self, content_encoding: &str, body: &[u8]) -> &mut Self {
        self.give_turns();
        let (id, _) = self.calls.remove(0);
        let reply = Reply {
            status: 200,
            content_type: b"application/json",
            content_encoding: content_encoding.as_bytes(),
            body: Some(body),
            ..Reply::default()
        };
        self.step(Event::Reply(id, reply));
        self.give_turns()
    }

    /// The oldest open call fails, and all that follows from it happens.
    pub fn fail_call(&mut self) -> &mut Self {
        self.give_turns();
        let (id, _) = self.calls.remove(0);
        self.step(Event::CallFailed(id));
        self.give_turns()
    }

    /// The host refuses all calls, each while it is sent, so all in one callback. How many streams it settled.
    pub fn refuse_calls(&mut self) -> usize {
        let before = self.fates.len();
        while !self.calls.is_empty() {
            let (id, _) = self.calls.remove(0);
            self.step(Event::NotSent(id));
        }
        self.fates.len() - before
    }

    /// A turn that another worker asked for.
    pub fn wake(&mut self) -> &mut Self {
        self.step(Event::Turn);
        self.give_turns()
    }

    /// What the others have put into our mailbox.
    pub fn read_letters(&mut self, from: &mut Self) -> &mut Self {
        let (ours, others): (Vec<_>, Vec<_>) =
            from.letters.drain(..).partition(|(mailbox, ..)| *mailbox == self.mailbox);
        from.letters = others;
        for (_, digest, told) in ours {
            self.step(Event::Told(digest, told));
        }
        self.step(Event::Turn);
        self.give_turns()
    }

    /// The body of a request is here.
    pub fn body(&mut self, stream: StreamId, body: &[u8]) -> &mut Self {
        self.step(Event::Body(stream, Some(body)));
        self.give_turns()
    }

    /// The body of a request is too long.
    pub fn no_body(&mut self, stream: StreamId) -> &mut Self {
        self.step(Event::Body(stream, None));
        self.give_turns()
    }

    /// A request with a body comes in; what becomes of it.
    pub fn post(&mut self, request: &Request, body: &[u8]) -> StreamId {
        let stream = self.receive(request);
        if self.receiving.contains(&stream) || self.watched.contains(&stream) {
            self.body(stream, body);
        }
        stream
    }

    /// The server has answered a request that went on.
    pub fn answered(&mut self, stream: StreamId, status: u16) {
        self.step(Event::Answered(stream, status));
    }

    pub fn give_tick(&mut self) -> &mut Self {
        self.next_tick = self.now.plus(self.tick);
        self.step(Event::Tick);
        self.give_turns()
    }

    /// Another configuration is in this one's place.
    pub fn end(&mut self) {
        self.step(Event::End);
    }

    pub fn hang_up(&mut self, stream: StreamId) {
        self.step(Event::StreamGone(stream));
    }

    /// A request comes in, a call for it (if there is one) is answered; what becomes of it.
    pub fn call(&mut self, request: &Request, body: &Value) -> Fate {
        let stream = self.receive(request);
        self.give_turns();
        if !self.calls.is_empty() {
            self.answer(body);
        }
        self.fate(stream)
    }

    /// What became of a stream, which must have become something.
    pub fn fate(&self, stream: StreamId) -> Fate {
        self.fates
            .iter()
            .find(|(of, _)| *of == stream)
            .map(|(_, fate)| fate.clone())
            .expect("the stream still waits")
    }

    pub fn is_waiting(&self, stream: StreamId) -> bool {
        !self.fates.iter().any(|(of, _)| *of == stream) && self.filter.is_waiting(stream)
    }

    /// What a gauge stands at by this worker's doing, if it has said so.
    pub fn level(&self, gauge: Gauge) -> Option<i64> {
        self.gauges.get(&gauge).copied()
    }

    pub fn count(&self, counter: Counter) -> u32 {
        self.counters.get(&counter).copied().unwrap_or(0)
    }

    /// How many of the effects of the last step ended a wait.
    fn step(&mut self, event: Event<'_>) {
        let is_stream_event = matches!(event, Event::RequestHeaders(..) | Event::StreamGone(_));
        let effects = self.filter.step(self.now, event);
        self.carry_out(effects, is_stream_event);
    }

    fn carry_out(&mut self, effects: Vec<Effect>, is_stream_event: bool) {
        let settled = effects
            .iter()
            .filter(|effect| matches!(effect, Effect::Answer(..) | Effect::End(..) | Effect::Forward(..)));
        assert!(settled.count() <= 32, "more streams in one callback than V8's stack takes");
        for effect in effects {
            match effect {
                Effect::Answer(stream, answer) => self.fates.push((stream, Fate::Answered(answer))),
                Effect::End(stream, answer) => {
                    let is_again = self.ended.iter().any(|(other, _)| *other == stream);
                    assert!(!is_again, "a second ending takes Envoy down");
                    self.ended.push((stream, answer));
                }
                Effect::AskForTurn => self.turns += 1,
                Effect::Call(id, call) => {
                    assert!(!is_stream_event, "a call that a stream sends is lost with it");
                    self.calls.push((id, call));
                }
                Effect::Grpc(id, call) | Effect::Open(id, call) => {
                    assert!(!is_stream_event, "a call that a stream sends is lost with it");
                    self.grpc.push((id, call));
                }
                Effect::Send(id, message) => self.sent.push((id, message)),
                Effect::Cancel(id) => {
                    self.canceled.push(id);
                    self.grpc.retain(|(open, _)| *open != id);
                }
                Effect::Wake(mailbox) => self.woken.push(mailbox),
                Effect::Count(series) => *self.counters.entry(series.metric).or_default() += 1,
                Effect::Describe(_, description) => self.descriptions.push(description),
                Effect::Forward(stream, passage) => {
                    self.fates.push((stream, Fate::Forwarded(passage.edits().clone())));
                }
                Effect::Took(..) => {}
                Effect::Gauge(series, change) => {
                    let level = self.gauges.entry(series.metric).or_default();
                    match change {
                        Change::By(more) => *level += more,
                        Change::To(now) => *level = i64::try_from(now).unwrap(),
                    }
                }
                Effect::Receive(stream) => self.receiving.push(stream),
                Effect::Watch(stream) => self.watched.push(stream),
                Effect::Tell(mailbox, digest, told) => self.letters.push((mailbox, digest, told)),
                Effect::Tick(period) => {
                    self.tick = period;
                    self.next_tick = self.now.plus(period);
                }
            }
        }
    }
}

/// A worker whose token `tok` was found active at the start, under a `cache_ttl` of 100 s.
pub fn after_first_call(patch: Value) -> Worker {
    let mut full = json!({"policies": {"default": {"cache_ttl": "100s"}}, "cache": {"jitter": 0}});
    merge(&mut full, patch);
    let mut worker = Worker::new(config(full));
    worker.call(&Request::bearer("tok"), &active());
    worker
}

/// A part of a JWT: 0 the header, 1 the claims.
pub fn part(jwt: &str, index: usize) -> Value {
    let part = jwt.split('.').nth(index).unwrap();
    serde_json::from_slice(&Base64UrlUnpadded::decode_vec(part).unwrap()).unwrap()
}

/// An active token's introspection, ending ten minutes after the start.
pub fn active() -> Value {
    json!({"active": true, "sub": "alice", "client_id": "app", "scope": "read write", "aud": "https://api.example",
           "token_type": "Bearer", "exp": START.as_secs() + 600})
}

pub fn inactive() -> Value {
    json!({"active": false})
}
