//! Calls to the authorization server: queued, under way, answered, tried again.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::breaker::Breaker;
use super::inquiry::Inquiry;
use super::judge::Outcome;
use super::{CallId, Case, Effect, Filter, Source, StreamId, Told, Waiter, is_fresh};
use crate::cache::{ActiveEntry, Moment};
use crate::claims::ClaimsBuf;
use crate::http::{OwnedReply, Reply};
use crate::introspection::{self, Introspection, ServerFailure};
use crate::metrics::Counter;
use crate::policy::{Policy, Unavailable};
use crate::provider::{Introspector, Origin};
use crate::request::{KeptHeaders, RequestView};
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
    /// Of each provider, by name.
    breakers: BTreeMap<String, Breaker>,
}

/// A question about one token.
pub(super) struct Call {
    pub(super) introspector: Rc<Introspector>,
    /// How its verdict is judged.
    pub(super) origin: Rc<Origin>,
    pub(super) digest: TokenDigest,
    pub(super) token: AccessToken,
    /// What the token says itself, where it was validated before.
    pub(super) validated: Option<ClaimsBuf>,
    trace: KeptHeaders,
    /// A signed reply that waits for keys.
    held: Option<OwnedReply>,
    has_waited_for_keys: bool,
    /// Streams that asked; some may be gone since.
    pub(super) streams: VecDeque<StreamId>,
    pub(super) asker: Asker,
    pub(super) tries_left: u32,
    /// When the current try was sent, by whomever.
    pub(super) sent: Option<UnixMillis>,
    /// The moment before it was sent, by us.
    pub(super) moment: Moment,
    /// How often what the server said had been withdrawn before it was here.
    pub(super) overtaken: u32,
    /// Whether it is made to renew a verdict, and so even though no stream waits.
    pub(super) is_renewal: bool,
}

/// Who asks the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// Another worker, which has until then to tell us.
    Another { until: UnixMillis },
    /// We, for ourselves.
    Us,
    /// We, and tell the others that want to know.
    UsForAll,
}

impl Calls {
    /// A call that a request under `policy` may join: one whose verdict will be fresh enough for it.
    fn joinable(&mut self, digest: &TokenDigest, policy: &Policy, now: UnixMillis) -> Option<&mut Call> {
        let call = self.open.get_mut(self.by_digest.get(digest)?)?;
        is_fresh(call.sent.unwrap_or(now), policy.cache_ttl, now).then_some(call)
    }

    pub(super) fn is_asked(&self, digest: &TokenDigest) -> bool {
        self.by_digest.contains_key(digest)
    }

    /// The call about `digest` that another worker makes. A later call of our own may have taken its place for
    /// those who join, but not for those who wait.
    pub(super) fn anothers(&self, digest: &TokenDigest) -> Option<CallId> {
        let is_it = |call: &Call| call.digest == *digest && matches!(call.asker, Asker::Another { .. });
        self.open.iter().find(|(_, call)| is_it(call)).map(|(id, _)| *id)
    }

    /// Calls that other workers should have told us of by now.
    pub(super) fn overdue(&self, now: UnixMillis) -> Vec<CallId> {
        let is_overdue = |call: &Call| matches!(call.asker, Asker::Another { until } if until <= now);
        self.open.iter().filter(|(_, call)| is_overdue(call)).map(|(id, _)| *id).collect()
    }

    /// Whether we wait for any other worker.
    pub(super) fn wait_for_others(&self) -> bool {
        self.open.values().any(|call| matches!(call.asker, Asker::Another { .. }))
    }

    pub(super) fn open(&mut self, call: Call) {
        let id = self.new_id();
        self.by_digest.insert(call.digest, id);
        if !matches!(call.asker, Asker::Another { .. }) {
            self.unsent.push_back(id);
        }
        self.open.insert(id, call);
    }

    /// The same call once more, to be sent at once.
    pub(super) fn reopen(&mut self, call: Call) -> CallId {
        let id = self.new_id();
        self.by_digest.insert(call.digest, id);
        self.open.insert(id, call);
        id
    }

    pub(super) fn new_id(&mut self) -> CallId {
        self.next_id += 1;
        CallId(self.next_id)
    }

    fn under_way(&self, introspector: &Rc<Introspector>) -> usize {
        let is_ours = |call: &&Call| {
            Rc::ptr_eq(&call.introspector, introspector) && !matches!(call.asker, Asker::Another { .. })
        };
        self.open.values().filter(is_ours).count()
    }

    /// Whether calls to this server are held back at the moment.
    pub(super) fn are_held_back(&self, introspector: &Introspector, now: UnixMillis) -> bool {
        self.breakers.get(&introspector.origin.provider).is_some_and(|breaker| breaker.holds_back(now))
    }

    /// Whether this server is taken to be down.
    pub(super) fn is_down(&self, introspector: &Introspector) -> bool {
        self.breakers.get(&introspector.origin.provider).is_some_and(Breaker::is_open)
    }

    pub(super) fn get(&self, id: CallId) -> Option<&Call> {
        self.open.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: CallId) -> Option<&mut Call> {
        self.open.get_mut(&id)
    }

    fn breaker(&mut self, introspector: &Introspector) -> &mut Breaker {
        self.breakers.entry(introspector.origin.provider.clone()).or_default()
    }

    pub(super) fn close(&mut self, id: CallId) -> Option<Call> {
        let call = self.open.remove(&id)?;
        if self.by_digest.get(&call.digest) == Some(&id) {
            self.by_digest.remove(&call.digest);
        }
        Some(call)
    }
}

impl Call {
    pub(super) fn new(
        introspector: &Rc<Introspector>,
        inquiry: &Inquiry,
        digest: TokenDigest,
        validated: Option<ClaimsBuf>,
        request: &dyn RequestView,
        asker: Asker,
    ) -> Self {
        Self {
            introspector: Rc::clone(introspector),
            origin: Rc::clone(&inquiry.case.origin),
            digest,
            token: inquiry.token.clone(),
            validated,
            trace: trace_headers(request),
            held: None,
            has_waited_for_keys: false,
            streams: VecDeque::new(),
            asker,
            tries_left: introspector.endpoint.retries,
            sent: None,
            moment: Moment::NEVER,
            overtaken: 0,
            is_renewal: false,
        }
    }
}

impl Filter {
    /// Lets a stream wait for a verdict: of a call that is under way, or of a new one. `validated` is what the
    /// token says itself, where it is a JWT that was validated before.
    #[expect(clippy::too_many_arguments, reason = "all that a call consists of")]
    pub(super) fn wait(
        &mut self,
        mut inquiry: Inquiry,
        digest: TokenDigest,
        validated: Option<ClaimsBuf>,
        request: &dyn RequestView,
        stale: Option<Rc<ActiveEntry>>,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        inquiry.case.source = Source::Miss;
        let Some(introspector) = inquiry.way.introspector().cloned() else {
            // A way without a server to ask does not lead here; nobody passes by mistake.
            return self.refuse(&inquiry.case, &Unavailable::Host.into(), effects);
        };
        if self.is_full() {
            return self.refuse(&inquiry.case, &Unavailable::TooManyWaiting.into(), effects);
        }
        if let Some(call) = self.calls.joinable(&digest, &inquiry.case.policy, now) {
            call.streams.push_back(inquiry.case.stream);
            return self.wait_in(Source::Coalesced, inquiry.case, stale, effects);
        }
        let asker = self.asker(&introspector, &inquiry, &digest, now);
        if asker == Asker::UsForAll
            && let Some(entry) = self.verdict_meanwhile(&inquiry, &digest, now)
        {
            effects.extend(self.release(&digest, Told::Verdict));
            return self.hit(inquiry.case, &entry, now, effects);
        }
        let is_anothers = matches!(asker, Asker::Another { .. });
        if !is_anothers && let Err(reason) = self.admit(&introspector, now) {
            effects.push(Effect::Count(Counter::CacheMiss));
            if asker == Asker::UsForAll {
                effects.extend(self.release(&digest, Told::Failed { is_transient: true }));
            }
            let waiter = Waiter { case: inquiry.case, stale };
            return self.settle_without_verdict(waiter, &reason, now, effects);
        }
        let mut call = Call::new(&introspector, &inquiry, digest, validated, request, asker);
        let case = inquiry.case;
        call.streams.push_back(case.stream);
        call.sent = is_anothers.then_some(now);
        self.calls.open(call);
        if is_anothers {
            self.wait_in(Source::Coalesced, case, stale, effects);
            self.set_tick(effects);
        } else {
            effects.push(Effect::AskForTurn);
            self.wait_in(Source::Miss, case, stale, effects);
        }
    }

    fn wait_in(
        &mut self,
        source: Source,
        case: Case,
        stale: Option<Rc<ActiveEntry>>,
        effects: &mut Vec<Effect>,
    ) {
        let is_coalesced = source == Source::Coalesced;
        effects.push(Effect::Count(if is_coalesced { Counter::CacheCoalesced } else { Counter::CacheMiss }));
        self.waiting.insert(case.stream, Waiter { case: Case { source, ..case }, stale });
    }

    /// Whether no more requests may wait.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() + self.keys.parked_count() >= MAX_WAITING
    }

    /// Whether a call to this server may be made now.
    pub(super) fn admit(
        &mut self,
        introspector: &Rc<Introspector>,
        now: UnixMillis,
    ) -> Result<(), Unavailable> {
        if self.calls.under_way(introspector) >= introspector.endpoint.max_concurrent_calls {
            return Err(Unavailable::TooManyCalls);
        }
        let is_admitted = self.calls.breaker(introspector).admits(now);
        is_admitted.then_some(()).ok_or(Unavailable::AuthorizationServer(ServerFailure::HeldBack))
    }

    /// The root's turn: sends what is unsent.
    pub(super) fn turn(&mut self, now: UnixMillis, effects: &mut Vec<Effect>) {
        while let Some(id) = self.calls.unsent.pop_front() {
            let is_wanted = |call: &Call| {
                call.is_renewal || call.streams.iter().any(|stream| self.waiting.contains_key(stream))
            };
            if self.calls.open.get(&id).is_some_and(is_wanted) {
                self.send(id, now, effects);
            } else if let Some(call) = self.calls.close(id)
                && call.asker == Asker::UsForAll
            {
                // Whoever else waits for this one asks for itself.
                effects.extend(self.release(&call.digest, Told::Verdict));
            }
        }
    }

    pub(super) fn send(&mut self, id: CallId, now: UnixMillis, effects: &mut Vec<Effect>) {
        let Some(call) = self.calls.open.get_mut(&id) else { return };
        call.sent = Some(now);
        call.moment = self.cache.withdrawals().moment();
        let endpoint = &call.introspector.endpoint;
        match endpoint.request(&call.token, &call.trace.0, self.signatures.as_ref(), now) {
            Ok(request) => effects.push(Effect::Call(id, request)),
            Err(reason) => {
                log::error!("provider {:?}: no introspection: {reason}", call.origin.provider);
                self.no_verdict(id, ServerFailure::NotSigned, now, effects);
            }
        }
    }

    pub(super) fn reply(
        &mut self,
        id: CallId,
        reply: &Reply<'_>,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        let Some(sent) = self.calls.open.get(&id).and_then(|call| call.sent) else { return };
        let duration = u64::try_from(now.since(sent).as_millis()).unwrap_or(u64::MAX);
        effects.push(Effect::IntrospectionDuration(duration));
        self.read_reply(id, reply, now, effects);
    }

    /// Reads a signed reply that has waited for keys; `is_last`: they were fetched for its sake.
    pub(super) fn read_held_reply(
        &mut self,
        id: CallId,
        is_last: bool,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        let Some(call) = self.calls.open.get_mut(&id) else { return };
        call.has_waited_for_keys |= is_last;
        if let Some(reply) = call.held.take() {
            self.read_reply(id, &reply.view(), now, effects);
        }
    }

    fn read_reply(&mut self, id: CallId, reply: &Reply<'_>, now: UnixMillis, effects: &mut Vec<Effect>) {
        let Some(call) = self.calls.open.get(&id) else { return };
        let (introspector, has_waited) = (Rc::clone(&call.introspector), call.has_waited_for_keys);
        let keys = self.keys_for(&introspector);
        match introspection::parse(reply, &introspector.endpoint.response, keys, now) {
            Ok(verdict) => {
                effects.push(Effect::Count(match verdict {
                    Introspection::Active { .. } => Counter::IntrospectionActive,
                    Introspection::Inactive => Counter::IntrospectionInactive,
                }));
                if let Some(call) = self.calls.close(id) {
                    self.calls.breaker(&introspector).succeeded();
                    self.verdict(call, verdict, now, effects);
                }
            }
            Err(ServerFailure::UnknownKey) if !has_waited && self.hold_for_keys(id, &introspector) => {
                if let Some(call) = self.calls.open.get_mut(&id) {
                    call.held = Some(reply.to_owned());
                }
                self.fetch_keys(now, effects);
            }
            Err(failure) => self.no_verdict(id, failure, now, effects),
        }
    }

    /// A call that could not be sent or whose answer broke off, which a timeout does, too.
    pub(super) fn call_failed(&mut self, id: CallId, now: UnixMillis, effects: &mut Vec<Effect>) {
        let Some(call) = self.calls.open.get(&id) else { return };
        let timeout = call.introspector.endpoint.timeout;
        let timed_out = call.sent.is_some_and(|sent| now.since(sent) >= timeout);
        let failure = if timed_out { ServerFailure::Timeout } else { ServerFailure::Unreachable };
        self.no_verdict(id, failure, now, effects);
    }

    /// Tries again where that may help, otherwise tells all who wait.
    pub(super) fn no_verdict(
        &mut self,
        id: CallId,
        failure: ServerFailure,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        effects.push(Effect::Count(match failure {
            ServerFailure::Timeout => Counter::IntrospectionTimeout,
            _ => Counter::IntrospectionError,
        }));
        let Some(mut call) = self.calls.close(id) else { return };
        let introspector = Rc::clone(&call.introspector);
        let Introspector { origin, endpoint, .. } = &*introspector;
        let name = &origin.provider;
        if failure.is_transient() && call.tries_left > 0 {
            log::debug!(
                "provider {name:?}: introspection of {} failed, trying again: {failure}",
                call.digest
            );
            call.tries_left -= 1;
            // A new number: a late answer to the old try must not be taken for the new one's.
            let id = self.calls.reopen(call);
            return self.send(id, now, effects);
        }
        let breaker = self.calls.breaker(&introspector);
        if !failure.is_transient() {
            // An answer, if not a good one: it does not call for fewer questions.
            breaker.succeeded();
        } else if breaker.failed(&endpoint.breaker, now) {
            log::warn!("provider {name:?}: calls are held back after failures in a row, the last: {failure}");
        }
        if let ServerFailure::CredentialsRefused { .. } = failure {
            log::error!("provider {name:?}: introspection of {} failed: {failure}", call.digest);
        } else {
            log::warn!("provider {name:?}: introspection of {} failed: {failure}", call.digest);
        }
        if call.asker == Asker::UsForAll {
            effects.extend(self.release(&call.digest, Told::Failed { is_transient: failure.is_transient() }));
        }
        self.tell(call, Outcome::NoVerdict(Unavailable::AuthorizationServer(failure)));
    }
}

/// Headers that let the authorization server's logs and traces be connected with the request.
pub(super) fn trace_headers(request: &dyn RequestView) -> KeptHeaders {
    let header = |name: &str| {
        let value = String::from_utf8(request.header(name)?.into_owned()).ok()?;
        (value.len() <= MAX_TRACE_BYTES && value.bytes().all(|byte| matches!(byte, b' '..=b'~')))
            .then(|| (name.to_owned(), value))
    };
    KeptHeaders(["x-request-id", "traceparent", "tracestate"].into_iter().filter_map(header).collect())
}

/// Streams that may wait at once, per worker: bounds what a flood of new tokens can hold.
const MAX_WAITING: usize = 16_384;

const MAX_TRACE_BYTES: usize = 512;
