//! The state machine of one worker: events in, effects out. It does no I/O and reads no clock.
//!
//! A request either gets its answer at once (from the cache, or because it is refused unasked) or waits for
//! a call. Requests for one token share a call. Calls belong to the *root* context, not to the stream that
//! came first: its client may hang up. So a stream that has to wait asks for a turn of the root, and in that
//! turn calls are sent ([`Event::Turn`]). When a call is answered, waiting streams are settled in batches: the
//! host unwinds its stack once per stream that goes on, and too many in one callback overflow it.

mod breaker;
mod calls;
mod judge;
mod share;

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use crate::cache::{ActiveEntry, Cache, Cached, Leases, Mailbox, SharedData};
use crate::challenge::Answer;
use crate::config::Config;
use crate::credentials;
use crate::introspection::{HttpCall, Reply};
use crate::jwt::Signatures;
use crate::metrics::Counter;
use crate::policy::{Authorization, Denial, InvalidToken, Policy, Strategy, Unavailable};
use crate::provider::Provider;
use crate::request::{HeaderEdit, RequestView};
use crate::token::{TokenDigest, UnixMillis};

use calls::Calls;
use judge::Settlement;

/// A request's stream, by the host's number for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId(pub u32);

/// One try of one call; no number is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// What happened.
pub enum Event<'a> {
    /// A call could not be sent, or its answer broke off.
    CallFailed(CallId),
    /// A call was answered.
    Reply(CallId, Reply<'a>),
    /// A request's headers are here.
    RequestHeaders(StreamId, &'a dyn RequestView),
    /// A stream is no more.
    StreamGone(StreamId),
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
        /// Whether another try may help.
        is_transient: bool,
    },
    /// There is one, in the cache unless it is too long.
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
    /// Count this.
    Count(Counter),
    /// Say this of the request in access logs.
    Describe(StreamId, Description),
    /// Pass the request on.
    Forward(StreamId, Vec<HeaderEdit>),
    /// Record how long an answer of the authorization server took, in milliseconds.
    IntrospectionDuration(u64),
    /// Tell another worker what became of a call ([`Event::Told`]).
    Tell(Mailbox, TokenDigest, Told),
    /// Give an [`Event::Tick`] every so often from now on; zero: no more.
    Tick(Duration),
}

/// What access logs can say of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// `forwarded`, or why not.
    pub outcome: &'static str,
    /// The policy that the request fell under.
    pub policy: Option<String>,
    /// Where the verdict came from: `hit`, `negative_hit`, `miss`, `coalesced` or `stale`.
    pub cache: Option<&'static str>,
    /// `client_id` of an active token.
    pub client_id: Option<Vec<u8>>,
    /// `sub` of an active token.
    pub sub: Option<Vec<u8>>,
}

/// The filter of one worker.
pub struct Filter {
    config: Rc<Config>,
    cache: Cache,
    signatures: Rc<dyn Signatures>,
    leases: Leases,
    calls: Calls,
    /// Streams that wait, and for what.
    waiting: BTreeMap<StreamId, Waiter>,
    /// Verdicts that some streams have yet to be told.
    settlements: VecDeque<Settlement>,
}

/// A request that carries a token.
struct Inquiry {
    stream: StreamId,
    policy: Rc<Policy>,
    provider: Rc<Provider>,
    digest: TokenDigest,
    /// What takes the client's token out of the request.
    removal: Vec<HeaderEdit>,
}

/// What is to be done with a waiting stream once there is a verdict.
struct Waiter {
    policy: Rc<Policy>,
    removal: Vec<HeaderEdit>,
    source: Source,
    /// A verdict that is not fresh any more but may serve if no other is to be had.
    stale: Option<Rc<ActiveEntry>>,
}

/// Where the verdict on a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// A call that an earlier request had started.
    Coalesced,
    /// The cache.
    Hit,
    /// A call that this request started.
    Miss,
    /// The cache, which knew that the token is inactive.
    NegativeHit,
    /// There was no need of one.
    None,
    /// The cache, past `cache_ttl`, for the server is down.
    Stale,
}

impl Source {
    /// As access logs have it.
    fn name(self) -> Option<&'static str> {
        match self {
            Self::Coalesced => Some("coalesced"),
            Self::Hit => Some("hit"),
            Self::Miss => Some("miss"),
            Self::NegativeHit => Some("negative_hit"),
            Self::None => None,
            Self::Stale => Some("stale"),
        }
    }
}

impl Filter {
    /// A filter by this configuration, on the worker of this mailbox.
    pub fn new(
        config: Rc<Config>,
        shared: Rc<dyn SharedData>,
        signatures: Rc<dyn Signatures>,
        mailbox: Mailbox,
    ) -> Self {
        let cache =
            Cache::new(Rc::clone(&shared), config.cache.max_entries, config.cache.max_negative_entries);
        let leases = Leases::new(shared, mailbox);
        leases.create();
        Self {
            config,
            cache,
            signatures,
            leases,
            calls: Calls::default(),
            waiting: BTreeMap::new(),
            settlements: VecDeque::new(),
        }
    }

    /// Takes one event and says what is to be done, in this order.
    pub fn step(&mut self, now: UnixMillis, event: Event<'_>) -> Vec<Effect> {
        let mut effects = Vec::with_capacity(4);
        match event {
            Event::RequestHeaders(stream, request) => self.request(stream, request, now, &mut effects),
            Event::StreamGone(stream) => _ = self.waiting.remove(&stream),
            // Several may come in one callback, and a turn follows them.
            Event::Told(digest, told) => self.told(&digest, told, now, &mut effects),
            Event::CallFailed(call) => {
                self.call_failed(call, now, &mut effects);
                self.settle(now, &mut effects);
            }
            Event::Reply(call, reply) => {
                self.reply(call, &reply, now, &mut effects);
                self.settle(now, &mut effects);
            }
            Event::Tick => {
                self.tick(now, &mut effects);
                self.settle(now, &mut effects);
            }
            Event::Turn => {
                self.turn(now, &mut effects);
                self.settle(now, &mut effects);
            }
        }
        effects
    }

    /// Whether a stream waits for a verdict; nothing of it may pass until then.
    pub fn is_waiting(&self, stream: StreamId) -> bool {
        self.waiting.contains_key(&stream)
    }

    /// What a stream gets that the host failed to treat as it should: closed on failure.
    pub fn host_failure(&mut self, stream: StreamId) -> Answer {
        self.waiting.remove(&stream);
        self.config.challenge.answer(&Unavailable::Host.into())
    }

    fn request(
        &mut self,
        stream: StreamId,
        request: &dyn RequestView,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        let config = Rc::clone(&self.config);
        if let Some(answer) = config.own_path(request) {
            effects.push(Effect::Answer(stream, answer));
            return;
        }
        let Some(policy) = config.policy_of(request) else {
            return self.deny(stream, None, Source::None, &Unavailable::UnknownPolicy.into(), effects);
        };
        let Strategy::Introspect(provider) = &policy.strategy else {
            return self.forward_unjudged(stream, policy, Vec::new(), effects);
        };
        let token = match credentials::access_token(request, &policy.token_sources) {
            Ok(Some(token)) if provider.token_format.fits(&token) => token,
            Ok(None) if policy.allow_missing => {
                let mut edits = credentials::removal(request, &policy.token_sources);
                edits.push(HeaderEdit::Remove("authorization".to_owned()));
                return self.forward_unjudged(stream, policy, edits, effects);
            }
            refused => {
                let denial = match refused {
                    Ok(Some(_)) => InvalidToken::OtherFormat.into(),
                    Ok(None) => Denial::MissingToken,
                    Err(reason) => reason.into(),
                };
                return self.deny(stream, Some(policy), Source::None, &denial, effects);
            }
        };
        let removal = match policy.authorization {
            Authorization::Original => Vec::new(),
            Authorization::Jwt | Authorization::Remove => {
                credentials::removal(request, &policy.token_sources)
            }
        };
        let digest = provider.digest_seed.digest(&token);
        let (policy, provider) = (Rc::clone(policy), Rc::clone(provider));
        let inquiry = Inquiry { stream, policy, provider, digest, removal };
        let (cache_ttl, negative_ttl) = (inquiry.policy.cache_ttl, config.cache.negative_ttl);
        if let Some(copy) = self.cache.copy(&digest)
            && is_fresh(copy.asked(), cache_ttl, now)
            && !self.is_to_be_renewed(&copy, &inquiry, now)
        {
            return self.hit(inquiry, &copy, now, effects);
        }
        match self.cache.find(&digest) {
            Some(Cached::Active(entry)) if is_fresh(entry.asked(), cache_ttl, now) => {
                if self.is_to_be_renewed(&entry, &inquiry, now) {
                    self.renew(&inquiry, token, request, now, effects);
                }
                self.hit(inquiry, &entry, now, effects);
            }
            Some(Cached::Inactive { asked }) if is_fresh(asked, cache_ttl.min(negative_ttl), now) => {
                effects.push(Effect::Count(Counter::CacheNegativeHit));
                let denial = InvalidToken::Inactive.into();
                self.deny(stream, Some(&inquiry.policy), Source::NegativeHit, &denial, effects);
            }
            Some(Cached::Active(entry)) if self.may_serve_stale(&entry, cache_ttl, now) => {
                if self.calls.is_down(&inquiry.provider) {
                    // No use in waiting: what serves anyway serves now, and the probe is nobody's delay.
                    self.renew(&inquiry, token, request, now, effects);
                    return self.stale(inquiry, entry, now, effects);
                }
                self.wait(inquiry, token, request, Some(entry), now, effects);
            }
            _ => self.wait(inquiry, token, request, None, now, effects),
        }
    }

    /// Whether an entry past `cache_ttl` may serve should there be no other verdict.
    fn may_serve_stale(&self, entry: &ActiveEntry, cache_ttl: Duration, now: UnixMillis) -> bool {
        let limit = self.config.cache.stale_if_error;
        !limit.is_zero()
            && !cache_ttl.is_zero()
            && is_fresh(entry.asked(), cache_ttl.saturating_add(limit), now)
    }
}

/// Whether a verdict that was asked for at `asked` is still fresh under `ttl`. One from the future, which a
/// clock that was set back makes, is not.
fn is_fresh(asked: UnixMillis, ttl: Duration, now: UnixMillis) -> bool {
    now.since(asked) < ttl && asked <= now.plus(MAX_CLOCK_STEP)
}

/// How far the clocks of two workers may differ.
const MAX_CLOCK_STEP: Duration = Duration::from_secs(1);
