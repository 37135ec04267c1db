//! The calls to authorization servers that have no verdict yet, and who waits for which.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use super::load::Priority;
use super::servers::Servers;
use crate::cache::{Asked, Moment, ProviderTag, Withdrawable};
use crate::claims::{Claims, ClaimsBuf};
use crate::client::ClientCredentials;
use crate::filter::access_tokens::Showing;
use crate::filter::case::Case;
use crate::filter::clock::is_fresh;
use crate::filter::event::{CallId, StreamId};
use crate::filter::way::Question;
use crate::filter::worker::CallIds;
use crate::http::OwnedReply;
use crate::numbered::Numbered;
use crate::policy::Policy;
use crate::provider::{Introspector, Origin};
use crate::request::{KeptHeaders, RequestView};
use crate::token::{AccessToken, TokenDigest, UnixMillis};

/// All calls that have no verdict yet.
pub(super) struct Calls {
    ids: CallIds,
    /// By the number of the current try.
    open: Numbered<CallId, Call>,
    by_digest: BTreeMap<TokenDigest, About>,
    /// How many of them another worker makes.
    anothers: usize,
    /// Calls that wait for the root's turn to be sent.
    unsent: VecDeque<CallId>,
    /// Calls that wait for an access token of ours.
    without_token: Vec<CallId>,
    pub(super) servers: Servers,
}

/// The calls about one token.
#[derive(Default)]
struct About {
    /// The last one, which requests may join.
    joinable: Option<CallId>,
    /// Those that another worker makes. A later call of our own may have taken their place for those who join, but not for
    /// those who wait.
    anothers: Vec<CallId>,
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
    /// Where it shows an access token of our own.
    pub(super) showing: Showing,
    /// Streams that asked; some may be gone since.
    pub(super) streams: VecDeque<StreamId>,
    /// Changed only where the calls are counted.
    asker: Asker,
    /// Whether it is one of those that are under way.
    is_under_way: bool,
    pub(super) priority: Priority,
    /// Since when it waits until another is over.
    queued: Option<UnixMillis>,
    pub(super) tries_left: u32,
    /// When the current try was sent; of another worker's, when it took the lease.
    pub(super) sent: Option<UnixMillis>,
    /// What was asked for until then is too old for some stream that waits.
    pub(super) wanted_after: UnixMillis,
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
    /// Another worker, which took the lease then and has until then to tell us.
    Another { asked: UnixMillis, until: UnixMillis },
    /// We, for ourselves.
    Us,
    /// We, and tell the others that want to know.
    UsForAll,
}

impl Calls {
    pub(super) fn new(ids: CallIds) -> Self {
        Self {
            ids,
            open: Numbered::default(),
            by_digest: BTreeMap::new(),
            anothers: 0,
            unsent: VecDeque::new(),
            without_token: Vec::new(),
            servers: Servers::default(),
        }
    }

    /// A call that a request under `policy` may join: one whose verdict will be fresh enough for it.
    pub(super) fn joinable(
        &mut self,
        digest: &TokenDigest,
        policy: &Policy,
        now: UnixMillis,
    ) -> Option<&mut Call> {
        let call = self.open.get_mut(self.by_digest.get(digest)?.joinable?)?;
        is_fresh(call.sent.unwrap_or(now), policy.cache_ttl, now).then_some(call)
    }

    pub(super) fn is_asked(&self, digest: &TokenDigest) -> bool {
        self.by_digest.get(digest).is_some_and(|about| about.joinable.is_some())
    }

    /// The calls about `digest` that other workers make.
    pub(super) fn anothers(&self, digest: &TokenDigest) -> Vec<CallId> {
        self.by_digest.get(digest).map(|about| about.anothers.clone()).unwrap_or_default()
    }

    /// Calls that other workers should have told us of by now.
    pub(super) fn overdue(&self, now: UnixMillis) -> Vec<CallId> {
        let is_overdue = |call: &Call| match call.asker {
            // Of a date that lies ahead, nobody can tell when it will have passed: the clock was set back.
            Asker::Another { asked, until } => until <= now || asked.is_from_the_future(now),
            Asker::Us | Asker::UsForAll => false,
        };
        match self.anothers {
            0 => Vec::new(),
            _ => self.open.iter().filter(|(_, call)| is_overdue(call)).map(|(id, _)| id).collect(),
        }
    }

    /// Whether we wait for any other worker.
    pub(super) fn wait_for_others(&self) -> bool {
        self.anothers != 0
    }

    /// A new call: another worker's, or one to be sent in the root's turn.
    pub(super) fn open(&mut self, call: Call) {
        let is_ours = call.is_ours();
        let id = self.insert(call);
        if is_ours {
            self.begin(id);
            self.unsent.push_back(id);
        }
    }

    /// A new call of ours that is sent once another is over.
    pub(super) fn open_later(&mut self, call: Call, now: UnixMillis) {
        let id = self.insert(call);
        self.enqueue(id, now);
    }

    /// The same call once more, to be sent at once, by us.
    pub(super) fn reopen(&mut self, mut call: Call) -> CallId {
        if !call.is_ours() {
            call.asker = Asker::Us;
        }
        let id = self.insert(call);
        self.begin(id);
        id
    }

    /// Another worker's call is ours from now on, or yet another's.
    pub(super) fn hand_over(&mut self, id: CallId, asker: Asker) {
        let Some(call) = self.open.get_mut(id) else { return };
        call.asker = asker;
        if call.is_ours() {
            let digest = call.digest;
            self.is_no_more_anothers(&digest, id);
        }
    }

    /// A call of ours is under way.
    pub(super) fn begin(&mut self, id: CallId) {
        if let Some(call) = self.open.get_mut(id).filter(|call| !call.is_under_way) {
            call.is_under_way = true;
            self.servers.begun(&call.introspector);
        }
    }

    /// A call of ours waits until another is over.
    pub(super) fn enqueue(&mut self, id: CallId, now: UnixMillis) {
        if let Some(call) = self.open.get_mut(id) {
            call.queued = Some(now);
            self.servers.enqueue(&call.introspector, call.priority, id);
        }
    }

    /// Lets those go on that there is a place for now. Returns whether there are any: to be sent in the root's turn.
    pub(super) fn begin_queued(&mut self, introspector: &Introspector, now: UnixMillis) -> bool {
        let mut is_any = false;
        // A probe is used up by a call, and not by looking for one.
        while self.servers.withheld(introspector, now).is_none() {
            let Self { servers, open, .. } = self;
            // One that was closed meanwhile is no more.
            let Some(id) = servers.next(introspector, |id| open.contains(id)) else { break };
            servers.admits(introspector, now);
            self.begin(id);
            self.unsent.push_back(id);
            is_any = true;
        }
        is_any
    }

    /// Those that have waited in vain: too long, or for a server that calls are held back from.
    pub(super) fn give_up_queued(&mut self, introspector: &Introspector, now: UnixMillis) -> Vec<CallId> {
        let Self { servers, open, .. } = self;
        let is_held_back = servers.withheld(introspector, now).is_some();
        servers.give_up(introspector, |id| {
            open.get(id).is_none_or(|call| {
                is_held_back || call.queued.is_none_or(|since| !is_fresh(since, MAX_QUEUED, now))
            })
        })
    }

    fn insert(&mut self, call: Call) -> CallId {
        let id = self.ids.next();
        let about = self.by_digest.entry(call.digest).or_default();
        about.joinable = Some(id);
        if !call.is_ours() {
            about.anothers.push(id);
            self.anothers += 1;
        }
        self.open.insert(id, call);
        id
    }

    /// A call that is to be sent.
    pub(super) fn take_unsent(&mut self) -> Option<CallId> {
        self.unsent.pop_front()
    }

    /// A call waits for an access token.
    pub(super) fn wait_for_token(&mut self, id: CallId) {
        self.without_token.push(id);
    }

    /// Those that wait for an access token by these credentials no more.
    pub(super) fn take_without_token(&mut self, credentials: &Rc<ClientCredentials>) -> Vec<CallId> {
        let Self { open, without_token, .. } = self;
        let is_it = |id: &mut CallId| {
            // One that was closed meanwhile waits for nothing.
            let call = open.get(*id);
            call.is_none_or(|call| {
                call.introspector.endpoint.client_credentials().is_some_and(|it| Rc::ptr_eq(it, credentials))
            })
        };
        without_token.extract_if(.., is_it).collect()
    }

    /// A call goes on that was not sent yet.
    pub(super) fn send_later(&mut self, id: CallId) {
        self.unsent.push_back(id);
    }

    pub(super) fn get(&self, id: CallId) -> Option<&Call> {
        self.open.get(id)
    }

    pub(super) fn get_mut(&mut self, id: CallId) -> Option<&mut Call> {
        self.open.get_mut(id)
    }

    pub(super) fn close(&mut self, id: CallId) -> Option<Call> {
        let mut call = self.open.remove(id)?;
        if std::mem::take(&mut call.is_under_way) {
            self.servers.over(&call.introspector);
        }
        self.is_no_more_anothers(&call.digest, id);
        if let Some(about) = self.by_digest.get_mut(&call.digest) {
            about.joinable.take_if(|joinable| *joinable == id);
            if about.joinable.is_none() && about.anothers.is_empty() {
                self.by_digest.remove(&call.digest);
            }
        }
        Some(call)
    }

    fn is_no_more_anothers(&mut self, digest: &TokenDigest, id: CallId) {
        let Some(about) = self.by_digest.get_mut(digest) else { return };
        if let Some(place) = about.anothers.iter().position(|other| *other == id) {
            about.anothers.remove(place);
            self.anothers -= 1;
        }
    }
}

impl Call {
    /// Lets a stream wait for the verdict.
    pub(super) fn join(&mut self, case: &Case, now: UnixMillis) {
        self.streams.push_back(case.stream);
        self.wanted_after = self.wanted_after.max(now.minus(case.policy.cache_ttl));
    }

    /// Whether a verdict that was asked for at `asked` is fresh enough for all who wait, as of when each came.
    pub(super) fn is_served_by(&self, asked: UnixMillis, now: UnixMillis) -> bool {
        asked > self.wanted_after && !asked.is_from_the_future(now)
    }

    pub(super) fn new(
        introspector: Rc<Introspector>,
        Question { token, digest, origin, .. }: Question,
        validated: Option<ClaimsBuf>,
        trace: KeptHeaders,
        asker: Asker,
        priority: Priority,
    ) -> Self {
        let tries_left = introspector.endpoint.retries;
        Self {
            introspector,
            origin,
            digest,
            token,
            validated,
            trace,
            held: None,
            has_waited_for_keys: false,
            showing: Showing::default(),
            streams: VecDeque::new(),
            asker,
            is_under_way: false,
            priority,
            queued: None,
            tries_left,
            sent: None,
            wanted_after: UnixMillis::from_millis(0),
            moment: Moment::NEVER,
            overtaken: 0,
            is_renewal: false,
        }
    }

    /// When the current try was sent.
    pub(super) fn asked(&self, now: UnixMillis) -> Asked {
        Asked { at: self.sent.unwrap_or(now), moment: self.moment }
    }

    /// What a verdict on this token may be withdrawn by.
    pub(super) fn withdrawable<'a>(&self, claims: Claims<'a>) -> Withdrawable<'a> {
        Withdrawable {
            token: TokenDigest::of(&self.token),
            provider: ProviderTag::new(self.origin.identity()),
            claims,
        }
    }

    pub(super) fn asker(&self) -> Asker {
        self.asker
    }

    fn is_ours(&self) -> bool {
        !matches!(self.asker, Asker::Another { .. })
    }
}

/// Headers that let the authorization server's logs and traces be connected with the request.
pub(in crate::filter) fn trace_headers(request: &dyn RequestView) -> KeptHeaders {
    let header = |name: &str| {
        let value = String::from_utf8(request.header(name)?.into_owned()).ok()?;
        (value.len() <= MAX_TRACE_BYTES && value.bytes().all(|byte| matches!(byte, b' '..=b'~')))
            .then(|| (name.to_owned(), value))
    };
    KeptHeaders(["x-request-id", "traceparent", "tracestate"].into_iter().filter_map(header).collect())
}

const MAX_TRACE_BYTES: usize = 512;

/// How long a call waits until another is over.
pub(super) const MAX_QUEUED: Duration = Duration::from_millis(500);
