//! What happens to a worker, and what it does: the language that the state machine and the host layer speak.

use std::time::Duration;

use super::judge::Passage;
use crate::cache::Mailbox;
use crate::challenge::Answer;
use crate::grpc::{GrpcCall, GrpcStatus};
use crate::http::{HttpCall, Reply};
use crate::metrics::{Change, Counter, Gauge, IntrospectionDuration, Series};
use crate::request::RequestView;
use crate::revocation::revocation_endpoint::RevocationRequest;
use crate::token::TokenDigest;

/// A request's stream, by the host's number for it. No other has that number after it: a call may bring an answer for one that is
/// gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId(pub u32);

impl From<StreamId> for u64 {
    fn from(StreamId(number): StreamId) -> Self {
        number.into()
    }
}

/// One try of one call; no number is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallId(pub u64);

impl From<CallId> for u64 {
    fn from(CallId(number): CallId) -> Self {
        number
    }
}

/// What happened.
pub enum Event<'a> {
    /// A request that [`Effect::Watch`] is about was answered, with this status.
    Answered(StreamId, u16),
    /// The whole body of a request that [`Effect::Receive`] or [`Effect::Watch`] is about; `None` if it is longer
    /// than [`MAX_BODY_BYTES`].
    Body(StreamId, Option<&'a [u8]>),
    /// The answer to a call broke off.
    CallFailed(CallId),
    /// The filter ends: another configuration is in its place. Requests that wait are no more by then.
    End,
    /// A call by gRPC, or a stream, has ended without an answer that is still to come; also one that could not be sent.
    GrpcClosed(CallId, GrpcStatus),
    /// The answer to a call by gRPC, or the next message of a stream; `None` if it is longer than
    /// [`GrpcCall::MAX_MESSAGE_BYTES`].
    GrpcMessage(CallId, Option<&'a [u8]>),
    /// A call could not be sent: the host refused it, in the callback that was to send it.
    NotSent(CallId),
    /// A call was answered.
    Reply(CallId, Reply<'a>),
    /// A request's headers are here.
    RequestHeaders(StreamId, &'a dyn RequestView),
    /// A stream is no more.
    StreamGone(StreamId),
    /// The filter begins to work.
    Start,
    /// Time has passed: one of the periods that [`Effect::Tick`] asked for.
    Tick,
    /// Another worker has asked about a token that we wait for. A [`Event::Turn`] follows in the same callback.
    Told(TokenDigest, Told),
    /// The root context has its turn, as asked for by [`Effect::AskForTurn`].
    Turn,
}

/// What became of a call that several workers waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// There is no verdict.
    Failed {
        /// Whether for an outage of the server's.
        is_outage: bool,
    },
    /// Nobody has asked: who waits looks for itself, and asks.
    NotAsked,
    /// The server was asked and said one, which is in the cache unless it is too long.
    Verdict,
}

/// What is to be done. A stream that no effect of [`Event::RequestHeaders`] names has to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// End the request here.
    Answer(StreamId, Answer),
    /// Give the root context a turn, in a callback of its own.
    AskForTurn,
    /// Send this; only ever in the root's turn.
    Call(CallId, HttpCall),
    /// End a stream of gRPC; nothing more is heard of it.
    Cancel(CallId),
    /// Count this.
    Count(Series<Counter>),
    /// Say this of the request in access logs.
    Describe(StreamId, Description),
    /// Pass the request on.
    Forward(StreamId, Passage),
    /// Change this.
    Gauge(Series<Gauge>, Change),
    /// Call this by gRPC; only ever in the root's callbacks.
    Grpc(CallId, GrpcCall),
    /// Open a stream of gRPC with its first message; only ever in the root's callbacks.
    Open(CallId, GrpcCall),
    /// Read the request's body ([`Event::Body`]), and let nothing of the request pass.
    Receive(StreamId),
    /// Send another message on a stream of gRPC.
    Send(CallId, Vec<u8>),
    /// Record how long an answer of the authorization server took, in milliseconds.
    Took(Series<IntrospectionDuration>, u64),
    /// End a request that was passed on, wherever it is by now; never twice.
    End(StreamId, Answer),
    /// Tell another worker what became of a call ([`Event::Told`]).
    Tell(Mailbox, TokenDigest, Told),
    /// Give an [`Event::Tick`] every so often from now on; zero: no more.
    Tick(Duration),
    /// Give another worker a turn: there is something in shared data for it.
    Wake(Mailbox),
    /// Read the request's body ([`Event::Body`]) and the status of its answer ([`Event::Answered`]) as they pass.
    Watch(StreamId),
}

/// Longest body of a request that is read: 64 KiB.
pub const MAX_BODY_BYTES: usize = RevocationRequest::MAX_BODY_BYTES;

/// What access logs can say of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// `forwarded`, or why not.
    pub outcome: &'static str,
    /// The policy that the request fell under.
    pub policy: Option<String>,
    /// Where the verdict came from: `hit`, `negative_hit`, `miss`, `coalesced` or `stale`.
    pub cache: Option<&'static str>,
    /// The provider that the token went to, or whose keys it was validated with.
    pub provider: Option<String>,
    /// What stands for the token in the log, too.
    pub token: Option<TokenDigest>,
    /// `client_id` of an active token.
    pub client_id: Option<Vec<u8>>,
    /// `sub` of an active token, of a request that passes.
    pub sub: Option<Vec<u8>>,
}
