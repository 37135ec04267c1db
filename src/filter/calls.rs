//! Calls to the authorization server: queued, under way, answered, tried again.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::judge::Outcome;
use super::{CallId, Effect, Filter, Inquiry, Source, StreamId, Waiter, is_fresh};
use crate::introspection::{self, Introspection, Reply, ServerFailure};
use crate::metrics::Counter;
use crate::policy::{Policy, Unavailable};
use crate::provider::Provider;
use crate::request::RequestView;
use crate::token::{AccessToken, TokenDigest, UnixMillis};

/// All calls that have no verdict yet.
#[derive(Default)]
pub(super) struct Calls {
    next_id: u64,
    /// By the number of the current try.
    open: BTreeMap<CallId, Call>,
    /// The call that requests for a token may join.
    by_digest: BTreeMap<TokenDigest, CallId>,
    /// Calls that wait for the root's turn to be sent.
    unsent: VecDeque<CallId>,
}

/// A question about one token.
pub(super) struct Call {
    pub(super) provider: Rc<Provider>,
    pub(super) digest: TokenDigest,
    token: AccessToken,
    trace: Vec<(String, String)>,
    /// Streams that asked; some may be gone since.
    pub(super) streams: VecDeque<StreamId>,
    tries_left: u32,
    /// When the current try was sent.
    pub(super) sent: Option<UnixMillis>,
}

impl Calls {
    /// A call that a request under `policy` may join: one whose verdict will be fresh enough for it.
    fn joinable(&mut self, digest: &TokenDigest, policy: &Policy, now: UnixMillis) -> Option<&mut Call> {
        let call = self.open.get_mut(self.by_digest.get(digest)?)?;
        is_fresh(call.sent.unwrap_or(now), policy.cache_ttl, now).then_some(call)
    }

    fn open(&mut self, call: Call) {
        let id = self.new_id();
        self.by_digest.insert(call.digest, id);
        self.open.insert(id, call);
        self.unsent.push_back(id);
    }

    fn new_id(&mut self) -> CallId {
        self.next_id += 1;
        CallId(self.next_id)
    }

    fn under_way(&self, provider: &Rc<Provider>) -> usize {
        self.open.values().filter(|call| Rc::ptr_eq(&call.provider, provider)).count()
    }

    fn close(&mut self, id: CallId) -> Option<Call> {
        let call = self.open.remove(&id)?;
        if self.by_digest.get(&call.digest) == Some(&id) {
            self.by_digest.remove(&call.digest);
        }
        Some(call)
    }
}

impl Filter {
    /// Lets a stream wait for a verdict: of a call that is under way, or of a new one.
    pub(super) fn wait(
        &mut self,
        inquiry: Inquiry,
        token: AccessToken,
        request: &dyn RequestView,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        let Inquiry { stream, policy, provider, digest, removal } = inquiry;
        if self.waiting.len() >= MAX_WAITING {
            return self.deny(stream, Some(&policy), Source::Miss, &Unavailable::TooManyWaiting.into(), effects);
        }
        let source = if let Some(call) = self.calls.joinable(&digest, &policy, now) {
            call.streams.push_back(stream);
            effects.push(Effect::Count(Counter::CacheCoalesced));
            Source::Coalesced
        } else {
            effects.push(Effect::Count(Counter::CacheMiss));
            if self.calls.under_way(&provider) >= provider.introspection.max_concurrent_calls {
                return self.deny(stream, Some(&policy), Source::Miss, &Unavailable::TooManyCalls.into(), effects);
            }
            let (tries_left, trace) = (provider.introspection.retries, trace_headers(request));
            let streams = VecDeque::from([stream]);
            self.calls.open(Call { provider, digest, token, trace, streams, tries_left, sent: None });
            effects.push(Effect::AskForTurn);
            Source::Miss
        };
        self.waiting.insert(stream, Waiter { policy, removal, source });
    }

    /// The root's turn: sends what is unsent, and goes on settling.
    pub(super) fn turn(&mut self, now: UnixMillis, effects: &mut Vec<Effect>) {
        while let Some(id) = self.calls.unsent.pop_front() {
            let is_wanted = |call: &Call| call.streams.iter().any(|stream| self.waiting.contains_key(stream));
            if self.calls.open.get(&id).is_some_and(is_wanted) {
                self.send(id, now, effects);
            } else {
                self.calls.close(id);
            }
        }
        self.settle(now, effects);
    }

    fn send(&mut self, id: CallId, now: UnixMillis, effects: &mut Vec<Effect>) {
        let Some(call) = self.calls.open.get_mut(&id) else { return };
        call.sent = Some(now);
        match call.provider.introspection.request(&call.token, &call.trace, self.signatures.as_ref(), now) {
            Ok(request) => effects.push(Effect::Call(id, request)),
            Err(reason) => {
                log::error!("provider {:?}: no introspection: {reason}", call.provider.name);
                self.no_verdict(id, ServerFailure::NotSigned, now, effects);
            }
        }
    }

    pub(super) fn reply(&mut self, id: CallId, reply: &Reply<'_>, now: UnixMillis, effects: &mut Vec<Effect>) {
        let Some(sent) = self.calls.open.get(&id).and_then(|call| call.sent) else { return };
        let duration = u64::try_from(now.since(sent).as_millis()).unwrap_or(u64::MAX);
        effects.push(Effect::IntrospectionDuration(duration));
        match introspection::parse(reply, now) {
            Ok(verdict) => {
                effects.push(Effect::Count(match verdict {
                    Introspection::Active(_) => Counter::IntrospectionActive,
                    Introspection::Inactive => Counter::IntrospectionInactive,
                }));
                if let Some(call) = self.calls.close(id) {
                    self.verdict(call, verdict, now, effects);
                }
            }
            Err(failure) => self.no_verdict(id, failure, now, effects),
        }
    }

    /// A call that could not be sent or whose answer broke off, which a timeout does, too.
    pub(super) fn call_failed(&mut self, id: CallId, now: UnixMillis, effects: &mut Vec<Effect>) {
        let Some(call) = self.calls.open.get(&id) else { return };
        let timed_out = call.sent.is_some_and(|sent| now.since(sent) >= call.provider.introspection.timeout);
        let failure = if timed_out { ServerFailure::Timeout } else { ServerFailure::Unreachable };
        self.no_verdict(id, failure, now, effects);
    }

    /// Tries again where that may help, otherwise tells all who wait.
    fn no_verdict(&mut self, id: CallId, failure: ServerFailure, now: UnixMillis, effects: &mut Vec<Effect>) {
        effects.push(Effect::Count(match failure {
            ServerFailure::Timeout => Counter::IntrospectionTimeout,
            _ => Counter::IntrospectionError,
        }));
        let Some(mut call) = self.calls.close(id) else { return };
        let name = &call.provider.name;
        if failure.is_transient() && call.tries_left > 0 {
            log::debug!("provider {name:?}: introspection of {} failed, trying again: {failure}", call.digest);
            call.tries_left -= 1;
            // A new number: a late answer to the old try must not be taken for the new one's.
            let id = self.calls.new_id();
            self.calls.by_digest.insert(call.digest, id);
            self.calls.open.insert(id, call);
            return self.send(id, now, effects);
        }
        if let ServerFailure::CredentialsRefused { .. } = failure {
            log::error!("provider {name:?}: introspection of {} failed: {failure}", call.digest);
        } else {
            log::warn!("provider {name:?}: introspection of {} failed: {failure}", call.digest);
        }
        self.tell(call, Outcome::Denied(Unavailable::AuthorizationServer(failure).into()), now, effects);
    }
}

/// Headers that let the authorization server's logs and traces be connected with the request.
fn trace_headers(request: &dyn RequestView) -> Vec<(String, String)> {
    let header = |name: &str| {
        let value = String::from_utf8(request.header(name)?).ok()?;
        (value.len() <= MAX_TRACE_BYTES && value.bytes().all(|byte| matches!(byte, b' '..=b'~')))
            .then(|| (name.to_owned(), value))
    };
    ["x-request-id", "traceparent", "tracestate"].into_iter().filter_map(header).collect()
}

/// Streams that may wait at once, per worker: bounds what a flood of new tokens can hold.
pub(super) const MAX_WAITING: usize = 16_384;

const MAX_TRACE_BYTES: usize = 512;
