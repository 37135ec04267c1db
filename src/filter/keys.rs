//! The keys of authorization servers (RFC 7517): fetched before they are needed, again before they are old, and
//! once more when a token names one that is not there.
//!
//! Each worker has its own. A request that needs keys that are not there waits for them (it is *parked*), and is
//! then taken up again. Old keys stay until there are new ones: a server that is down takes no token away.

use std::rc::Rc;

use log::Level;

use super::back_off::{MAX_RETRY, MIN_INTERVAL, asked_pause, back_off, in_words};
use super::inquiry::{Inquiry, Way};
use super::{CallId, Case, Effect, Filter, NOW_AND_THEN, Source, StreamId};
use crate::config::Config;
use crate::http::{Reply, Unreadable, retry_after};
use crate::introspection::Keys;
use crate::jwt::{JwksEndpoint, KeySet, KeySetError, KeyWarning, UnusableKey};
use crate::metrics::Counter;
use crate::policy::Unavailable;
use crate::provider::{Introspector, Provider, Validator};
use crate::request::RequestView;
use crate::token::{AccessToken, DigestSeed, TokenDigest, UnixMillis};

/// The keys of all providers whose keys are needed.
pub(super) struct KeyRings {
    rings: Vec<KeyRing>,
}

/// The keys of a provider.
struct KeyRing {
    jwks: Rc<JwksEndpoint>,
    validator: Option<Rc<Validator>>,
    introspector: Option<Rc<Introspector>>,
    current: Option<Current>,
    /// How often they have changed.
    generation: u64,
    /// The fetch that is under way, and since when.
    fetch: Option<(CallId, UnixMillis)>,
    /// Whether somebody waits for newer keys than there are.
    is_wanted: bool,
    /// Fetches that have failed since the last that did not.
    failures: u32,
    /// No fetch before this, whoever wants one.
    not_before: UnixMillis,
    /// Until when the server does not want to be asked (`Retry-After`): nobody waits for that.
    paused_until: UnixMillis,
    /// When keys are fetched though nobody waits.
    refresh_at: UnixMillis,
    /// Who waits for the fetch that is under way.
    served: Vec<Wait>,
    /// Who waits for the next one: keys that were asked for before may be older than what names them.
    next: Vec<Wait>,
}

/// Who waits for keys.
#[derive(Clone, Copy)]
enum Wait {
    /// A call, with a signed reply.
    Reply(CallId),
    /// A request.
    Request(StreamId),
    /// A signal.
    Signal(StreamId),
}

/// Keys, and what verdicts that rest on them are found under: other keys, other digests.
struct Current {
    set: KeySet,
    validated: Option<DigestSeed>,
    validated_and_asked: Option<DigestSeed>,
}

/// Why a request cannot be judged with the keys that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeysWanted {
    /// There are none at all.
    Any,
    /// The one that the token names is not there.
    Newer,
}

impl KeyRings {
    /// For the providers whose keys are needed.
    pub(super) fn new(config: &Config) -> Self {
        let ring = |provider: &Provider| {
            Some(KeyRing {
                jwks: Rc::clone(config.needed_keys(provider)?),
                validator: provider.validator.clone(),
                introspector: provider.introspector.clone(),
                current: None,
                generation: 0,
                fetch: None,
                is_wanted: false,
                failures: 0,
                not_before: UnixMillis::from_millis(0),
                paused_until: UnixMillis::from_millis(0),
                refresh_at: UnixMillis::from_millis(0),
                served: Vec::new(),
                next: Vec::new(),
            })
        };
        Self { rings: config.providers.iter().filter_map(ring).collect() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rings.is_empty()
    }

    /// Whether a fetch is due at any moment: nobody has looked for keys yet, or somebody waits for newer ones.
    pub(super) fn are_soon_due(&self) -> bool {
        self.rings.iter().any(|ring| ring.fetch.is_none() && (ring.is_wanted || ring.is_new()))
    }

    /// The digest that a verdict on this token is found under; `None` while there are no keys.
    pub(super) fn digest(&self, inquiry: &Inquiry) -> Option<TokenDigest> {
        let seed = match &inquiry.way {
            Way::Ask(introspector) => &introspector.digest_seed,
            Way::Validate(validator) => self.current(&validator.jwks)?.validated.as_ref()?,
            Way::ValidateAndAsk(validator, _) => {
                self.current(&validator.jwks)?.validated_and_asked.as_ref()?
            }
        };
        Some(seed.digest(&inquiry.token))
    }

    /// Every digest that a verdict on a token of this provider may be found under.
    pub(super) fn digests(&self, provider: &Provider, token: &AccessToken) -> Vec<TokenDigest> {
        let asked = provider.introspector.as_ref().map(|introspector| &introspector.digest_seed);
        let current = provider.validator.as_ref().and_then(|validator| self.current(&validator.jwks));
        let validated = current.and_then(|current| current.validated.as_ref());
        let both = current.and_then(|current| current.validated_and_asked.as_ref());
        [asked, validated, both].into_iter().flatten().map(|seed| seed.digest(token)).collect()
    }

    /// Newer keys are wanted, though nobody waits for them.
    pub(super) fn want(&mut self, jwks: &Rc<JwksEndpoint>) {
        if let Some(ring) = self.ring_mut(jwks) {
            ring.is_wanted = true;
        }
    }

    /// Lets a signal wait for keys. Returns whether there are any to wait for.
    pub(super) fn wait_with_signal(
        &mut self,
        stream: StreamId,
        jwks: &Rc<JwksEndpoint>,
        wanted: KeysWanted,
        now: UnixMillis,
    ) -> bool {
        let ring = self.ring_mut(jwks).filter(|ring| now >= ring.paused_until);
        ring.map(|ring| ring.wait(Wait::Signal(stream), wanted)).is_some()
    }

    /// A number that is another one whenever keys are.
    pub(super) fn generation(&self) -> u64 {
        self.rings.iter().map(|ring| ring.generation).sum()
    }

    /// The keys of a provider, if they are here.
    pub(super) fn set(&self, jwks: &Rc<JwksEndpoint>) -> Option<&KeySet> {
        self.current(jwks).map(|current| &current.set)
    }

    /// Whether the last fetch of a provider's keys failed.
    pub(super) fn are_out_of_reach(&self, jwks: &Rc<JwksEndpoint>) -> bool {
        self.ring(jwks).is_none_or(|ring| ring.failures > 0)
    }

    /// That a provider's keys are not here, and when they are fetched again.
    pub(super) fn unavailable(&self, jwks: &Rc<JwksEndpoint>, now: UnixMillis) -> Unavailable {
        let ring = self.ring(jwks);
        Unavailable::NoKeys { seconds: ring.map_or(1, |ring| retry_after(ring.not_before.since(now))) }
    }

    /// All keys are to be fetched again.
    pub(super) fn clock_set_back(&mut self) {
        let begin = UnixMillis::from_millis(0);
        for ring in &mut self.rings {
            (ring.not_before, ring.paused_until, ring.refresh_at) = (begin, begin, begin);
        }
    }

    fn current(&self, jwks: &Rc<JwksEndpoint>) -> Option<&Current> {
        self.ring(jwks)?.current.as_ref()
    }

    fn ring(&self, jwks: &Rc<JwksEndpoint>) -> Option<&KeyRing> {
        self.rings.iter().find(|ring| Rc::ptr_eq(&ring.jwks, jwks))
    }

    fn ring_mut(&mut self, jwks: &Rc<JwksEndpoint>) -> Option<&mut KeyRing> {
        self.rings.iter_mut().find(|ring| Rc::ptr_eq(&ring.jwks, jwks))
    }

    fn ring_of_fetch(&mut self, id: CallId) -> Option<&mut KeyRing> {
        self.rings.iter_mut().find(|ring| ring.fetch.is_some_and(|(fetch, _)| fetch == id))
    }
}

impl KeyRing {
    fn wait(&mut self, wait: Wait, wanted: KeysWanted) {
        if wanted == KeysWanted::Any && self.fetch.is_some() {
            self.served.push(wait);
        } else {
            self.is_wanted = true;
            self.next.push(wait);
        }
    }

    /// Whether nothing better is to be expected at once: the server has just failed, or does not want to be asked.
    fn is_hopeless(&self, wanted: KeysWanted, now: UnixMillis) -> bool {
        let has_just_failed = wanted == KeysWanted::Any && self.failures > 0 && now < self.not_before;
        has_just_failed || now < self.paused_until
    }

    fn is_new(&self) -> bool {
        self.current.is_none() && self.failures == 0
    }

    fn is_due(&self, now: UnixMillis) -> bool {
        self.fetch.is_none() && now >= self.not_before && (self.is_wanted || now >= self.refresh_at)
    }

    /// Takes over the keys of a reply. Returns whether they are others than before.
    fn load(&mut self, reply: &Reply<'_>) -> Result<bool, FetchFailure> {
        if reply.status != 200 {
            return Err(FetchFailure::Status(reply.status));
        }
        let body = reply.text().map_err(FetchFailure::Unreadable)?;
        let (mut set, warnings) = KeySet::parse(body).map_err(FetchFailure::NotAKeySet)?;
        if !self.jwks.is_pss_named {
            set = set.without_unnamed_pss();
        }
        let is_new =
            self.current.as_ref().is_none_or(|current| current.set.fingerprint() != set.fingerprint());
        if is_new {
            for warning in warnings {
                let is_usual =
                    matches!(warning, KeyWarning::Skipped { reason: UnusableKey::ForEncryption, .. });
                let level = if is_usual { Level::Debug } else { Level::Warn };
                log::log!(level, "provider {:?}: jwks: {warning}", self.jwks.provider);
            }
            let seed = |parts: &[&[u8; 32]]| DigestSeed::combining(parts);
            let keys = set.fingerprint();
            let validated = self.validator.as_ref().map(|it| seed(&[&it.fingerprint, &keys]));
            let both = self.validator.as_ref().zip(self.introspector.as_ref());
            let validated_and_asked = both.map(|(v, i)| seed(&[&v.fingerprint, &i.fingerprint, &keys]));
            self.current = Some(Current { set, validated, validated_and_asked });
            self.generation += 1;
        }
        Ok(is_new)
    }
}

/// Why a fetch brought no keys.
#[derive(Debug)]
enum FetchFailure {
    NoAnswer,
    NotAKeySet(KeySetError),
    Status(u16),
    Unreadable(Unreadable),
}

impl std::fmt::Display for FetchFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoAnswer => f.write_str("no answer"),
            Self::NotAKeySet(reason) => reason.fmt(f),
            Self::Status(status) => write!(f, "expected status 200, got {status}"),
            Self::Unreadable(reason) => reason.fmt(f),
        }
    }
}

impl Filter {
    /// What a signed reply is verified with.
    pub(super) fn keys_for<'f>(&'f self, introspector: &Introspector) -> Keys<'f> {
        let signed = introspector.endpoint.response.signed();
        let set = signed.and_then(|signed| self.keys.set(&signed.jwks));
        Keys { set, signatures: self.signatures.as_ref() }
    }

    /// Lets a request wait for keys, but only once.
    pub(super) fn park(
        &mut self,
        inquiry: Inquiry,
        wanted: KeysWanted,
        request: &dyn RequestView,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        let is_full = self.is_full();
        let jwks = inquiry.way.jwks().cloned();
        let no_keys = jwks.as_ref().map(|jwks| self.keys.unavailable(jwks, now));
        let refusal = match jwks.and_then(|jwks| self.keys.ring_mut(&jwks)) {
            _ if is_full => Some(Unavailable::TooManyWaiting),
            Some(ring) if inquiry.has_waited_for_keys || ring.is_hopeless(wanted, now) => no_keys,
            // Tokens that name keys at random must not fill all the room.
            Some(ring) if wanted == KeysWanted::Newer && ring.next.len() >= MAX_PARKED_FOR_NEWER => {
                Some(Unavailable::TooManyWaiting)
            }
            Some(ring) => {
                ring.wait(Wait::Request(inquiry.case.stream), wanted);
                None
            }
            None => Some(Unavailable::NoKeys { seconds: 1 }),
        };
        if let Some(reason) = refusal {
            effects.push(Effect::Count(Counter::CacheMiss));
            return self.refuse(&Case { source: Source::Miss, ..inquiry.case }, &reason.into(), effects);
        }
        self.park_aside(inquiry, request, effects);
    }

    /// Lets a signed reply wait for keys. Returns whether there are any to wait for.
    pub(super) fn hold_for_keys(&mut self, id: CallId, introspector: &Introspector, now: UnixMillis) -> bool {
        let ring = introspector.endpoint.response.signed().and_then(|it| self.keys.ring_mut(&it.jwks));
        let Some(ring) = ring.filter(|ring| now >= ring.paused_until) else { return false };
        let wanted = if ring.current.is_some() { KeysWanted::Newer } else { KeysWanted::Any };
        ring.wait(Wait::Reply(id), wanted);
        true
    }

    /// Sends the fetches whose time has come; only in the root's callbacks.
    pub(super) fn fetch_keys(&mut self, now: UnixMillis, effects: &mut Vec<Effect>) {
        for ring in self.keys.rings.iter_mut().filter(|ring| ring.is_due(now)) {
            let id = self.calls.new_id();
            ring.fetch = Some((id, now));
            ring.is_wanted = false;
            ring.served = std::mem::take(&mut ring.next);
            ring.not_before = now.plus(MIN_INTERVAL);
            effects.push(Effect::Call(id, ring.jwks.request()));
        }
    }

    /// A fetch was answered. Returns whether it was one.
    pub(super) fn keys_reply(
        &mut self,
        id: CallId,
        reply: Option<&Reply<'_>>,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let Some(ring) = self.keys.ring_of_fetch(id) else { return false };
        let sent = ring.fetch.take().map_or(now, |(_, sent)| sent);
        match reply.map_or(Err(FetchFailure::NoAnswer), |reply| ring.load(reply)) {
            Ok(is_new) => {
                log::debug!("provider {:?}: jwks fetched, new: {is_new}", ring.jwks.provider);
                ring.failures = 0;
                // The tick that it is for comes up to a whole one later.
                let age = ring.jwks.refresh_interval.mul_f64(REFRESH_AHEAD).saturating_sub(NOW_AND_THEN);
                ring.refresh_at = sent.plus(age);
                effects.push(Effect::Count(Counter::JwksRefreshed));
            }
            Err(reason) => {
                let called = ring.jwks.called();
                let asked = asked_pause(reply, MAX_RETRY, now);
                let seen = reply.map(|reply| ["; ", &reply.seen()].concat()).unwrap_or_default();
                log::warn!(
                    "provider {:?}: jwks: no keys fetched: {reason}; {called}{seen}{}",
                    ring.jwks.provider,
                    in_words(asked)
                );
                ring.failures = ring.failures.saturating_add(1);
                let pause = back_off(MIN_INTERVAL, MAX_RETRY, ring.failures);
                ring.refresh_at = now.plus(pause.min(ring.jwks.refresh_interval).max(asked));
                ring.not_before = now.plus(MIN_INTERVAL.max(asked));
                ring.paused_until = now.plus(asked);
                effects.push(Effect::Count(Counter::JwksError));
            }
        }
        let (served, next) = (std::mem::take(&mut ring.served), std::mem::take(&mut ring.next));
        ring.is_wanted = false;
        for (wait, was_served) in
            served.into_iter().map(|it| (it, true)).chain(next.into_iter().map(|it| (it, false)))
        {
            match wait {
                Wait::Reply(id) => self.read_held_reply(id, was_served, now, effects),
                Wait::Signal(stream) => self.signals.keys_came(stream, was_served),
                Wait::Request(stream) => {
                    if let Some(inquiry) = self.parking.get_mut(stream) {
                        inquiry.has_waited_for_keys |= was_served;
                        self.parking.take_up(stream);
                    }
                }
            }
        }
        true
    }
}

/// After which part of `refresh_interval` keys are fetched again, so that they are here before it is over.
const REFRESH_AHEAD: f64 = 0.75;

/// Requests that may wait for a key that is not there, per provider.
const MAX_PARKED_FOR_NEWER: usize = 1024;
