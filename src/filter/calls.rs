//! The calls to authorization servers that have no verdict yet, and who waits for which.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::breaker::Breaker;
use super::inquiry::Inquiry;
use super::unusable::Unusable;
use super::{CallId, StreamId, is_fresh};
use crate::cache::Moment;
use crate::claims::ClaimsBuf;
use crate::http::OwnedReply;
use crate::policy::Policy;
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
    /// Of each provider, by name.
    unusable: BTreeMap<String, Unusable>,
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
    pub(super) trace: KeptHeaders,
    /// A signed reply that waits for keys.
    pub(super) held: Option<OwnedReply>,
    pub(super) has_waited_for_keys: bool,
    /// What the server said of an error, for the log.
    pub(super) error: Option<String>,
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
    pub(super) fn joinable(
        &mut self,
        digest: &TokenDigest,
        policy: &Policy,
        now: UnixMillis,
    ) -> Option<&mut Call> {
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

    pub(super) fn under_way(&self, introspector: &Rc<Introspector>) -> usize {
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

    /// A call that is to be sent.
    pub(super) fn take_unsent(&mut self) -> Option<CallId> {
        self.unsent.pop_front()
    }

    pub(super) fn get(&self, id: CallId) -> Option<&Call> {
        self.open.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: CallId) -> Option<&mut Call> {
        self.open.get_mut(&id)
    }

    pub(super) fn breaker(&mut self, introspector: &Introspector) -> &mut Breaker {
        self.breakers.entry(introspector.origin.provider.clone()).or_default()
    }

    pub(super) fn unusable(&mut self, introspector: &Introspector) -> &mut Unusable {
        self.unusable.entry(introspector.origin.provider.clone()).or_default()
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
            error: None,
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

/// Headers that let the authorization server's logs and traces be connected with the request.
pub(super) fn trace_headers(request: &dyn RequestView) -> KeptHeaders {
    let header = |name: &str| {
        let value = String::from_utf8(request.header(name)?.into_owned()).ok()?;
        (value.len() <= MAX_TRACE_BYTES && value.bytes().all(|byte| matches!(byte, b' '..=b'~')))
            .then(|| (name.to_owned(), value))
    };
    KeptHeaders(["x-request-id", "traceparent", "tracestate"].into_iter().filter_map(header).collect())
}

const MAX_TRACE_BYTES: usize = 512;
