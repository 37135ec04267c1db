//! The keys of one authorization server, and who waits for newer ones.

use std::rc::Rc;
use std::time::Duration;

use log::Level;

use super::back_off::in_words;
use super::schedule::{Pauses, Schedule};
use crate::filter::event::{CallId, StreamId};
use crate::filter::part::NOW_AND_THEN;
use crate::filter::step::Step;
use crate::http::{Reply, Unreadable};
use crate::jwt::{JwksEndpoint, KeySet, KeySetError, KeyWarning, UnusableKey};
use crate::metrics::{Counter, Gauge, Whose};
use crate::provider::{Introspector, Validator};
use crate::revocation::sources::WithdrawnJwts;
use crate::target::Target;
use crate::token::{DigestSeed, UnixMillis};

/// The keys of a provider.
pub(super) struct KeyRing {
    pub(super) jwks: Rc<JwksEndpoint>,
    place: Place,
    validator: Option<Rc<Validator>>,
    introspector: Option<Rc<Introspector>>,
    /// What becomes of its JWTs when they are withdrawn: a verdict that came about otherwise is another.
    jwts: WithdrawnJwts,
    current: Option<Current>,
    /// How often they have changed.
    generation: u64,
    schedule: Schedule,
    /// Who waits for the fetch that is under way.
    served: Vec<Wait>,
    /// Who waits for the next one: keys that were asked for before may be older than what names them.
    next: Vec<Wait>,
}

/// Where keys are fetched.
enum Place {
    At(Target),
    /// Discovery has not found that yet.
    Sought,
    /// Nor will it before it looks again.
    Lost,
}

/// Who waits for keys.
#[derive(Clone, Copy)]
pub(in crate::filter) enum Wait {
    /// A call, with a signed reply.
    Reply(CallId),
    /// A request.
    Request(StreamId),
    /// A signal.
    Signal(StreamId),
}

/// Somebody who waits for keys no more.
pub(in crate::filter) struct Woken {
    pub(in crate::filter) wait: Wait,
    /// Whether keys were fetched for its sake: then there is no other fetch.
    pub(in crate::filter) was_served: bool,
}

/// Keys, and what verdicts that rest on them are found under: other keys, other digests.
pub(super) struct Current {
    pub(super) set: KeySet,
    pub(super) validated: Option<DigestSeed>,
    pub(super) validated_and_asked: Option<DigestSeed>,
}

/// Why a request cannot be judged with the keys that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::filter) enum KeysWanted {
    /// There are none at all.
    Any,
    /// The one that the token names is not there.
    Newer,
}

impl KeyRing {
    pub(super) fn new(
        jwks: Rc<JwksEndpoint>,
        validator: Option<Rc<Validator>>,
        introspector: Option<Rc<Introspector>>,
        jwts: WithdrawnJwts,
    ) -> Self {
        let mut schedule = Schedule::new();
        schedule.want();
        let place = jwks.whereabouts.written().cloned().map_or(Place::Sought, Place::At);
        Self {
            jwks,
            place,
            validator,
            introspector,
            jwts,
            current: None,
            generation: 0,
            schedule,
            served: Vec::new(),
            next: Vec::new(),
        }
    }

    pub(super) fn current(&self) -> Option<&Current> {
        self.current.as_ref()
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// When these are fetched.
    pub(super) fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Discovery has found where they are. What is here stays until they are fetched from there.
    pub(super) fn locate(&mut self, target: &Target) {
        if !matches!(&self.place, Place::At(place) if place == target) {
            self.place = Place::At(target.clone());
            self.schedule.start_over();
            self.next.append(&mut self.served);
        }
    }

    /// Discovery has not found where they are. Returns who waits no more.
    pub(super) fn lose(&mut self) -> Vec<Woken> {
        match self.place {
            Place::At(_) => Vec::new(),
            Place::Sought | Place::Lost => {
                self.place = Place::Lost;
                std::mem::take(&mut self.next)
                    .into_iter()
                    .map(|wait| Woken { wait, was_served: true })
                    .collect()
            }
        }
    }

    /// The server is asked as this one says.
    pub(super) fn ask_at(&mut self, introspector: &Rc<Introspector>) {
        self.introspector = Some(Rc::clone(introspector));
        self.current = self.current.take().map(|current| self.with_seeds(current.set));
    }

    /// Whether nobody knows where they are, and nobody is about to.
    pub(super) fn is_lost(&self) -> bool {
        matches!(self.place, Place::Lost)
    }

    /// Whether somebody waits for a fetch to begin, and it can.
    pub(super) fn is_awaited(&self) -> bool {
        matches!(self.place, Place::At(_)) && self.schedule.is_awaited()
    }

    /// Newer keys are wanted, though nobody waits for them.
    pub(super) fn want(&mut self) {
        self.schedule.want();
    }

    pub(super) fn wait(&mut self, wait: Wait, wanted: KeysWanted) {
        if wanted == KeysWanted::Any && self.schedule.is_under_way() {
            self.served.push(wait);
        } else {
            self.schedule.want();
            self.next.push(wait);
        }
    }

    /// How many wait for newer keys than there are.
    pub(super) fn waiting_for_newer(&self) -> usize {
        self.next.len()
    }

    /// Whether nothing better is to be expected at once: the server has just failed, or does not want to be asked.
    pub(super) fn is_hopeless(&self, wanted: KeysWanted, now: UnixMillis) -> bool {
        let has_just_failed =
            wanted == KeysWanted::Any && self.schedule.has_failed() && now < self.schedule.not_before();
        has_just_failed || self.schedule.is_paused(now)
    }

    /// Sends a fetch, if it is time.
    pub(super) fn fetch(&mut self, step: &mut Step<'_>) {
        if let Place::At(target) = &self.place
            && self.schedule.is_due(step.now)
        {
            let call = step.call(self.jwks.request(target));
            self.schedule.begin(call, self.pauses(), step.now);
            self.served = std::mem::take(&mut self.next);
        }
    }

    /// A call ended. Returns who waits no more, if it was the fetch.
    pub(super) fn ended(
        &mut self,
        call: CallId,
        reply: Option<&Reply<'_>>,
        step: &mut Step<'_>,
    ) -> Option<Vec<Woken>> {
        let sent = self.schedule.ended(call)?;
        match reply.map_or(Err(FetchFailure::NoAnswer), |reply| self.load(reply)) {
            Ok(is_new) => {
                log::debug!("{}: jwks fetched, new: {is_new}", self.jwks.owner());
                // The tick that it is for comes up to a whole one later.
                let age = self.jwks.refresh_interval.mul_f64(REFRESH_AHEAD).saturating_sub(NOW_AND_THEN);
                self.schedule.succeeded(sent.plus(age));
                let whose = Whose::provider(&self.jwks.provider);
                step.count(Counter::JwksRefreshed, whose);
                // Two would say now the one, now the other.
                if self.jwks.transmitter.is_none() {
                    step.set(Gauge::JwksFetched, whose, step.now.as_secs());
                }
            }
            Err(reason) => {
                let asked = self.schedule.failed(self.pauses(), reply, step.now);
                let seen = Reply::behind(reply);
                let called = match &self.place {
                    Place::At(target) => target.called("GET"),
                    Place::Sought | Place::Lost => String::new(),
                };
                log::warn!(
                    "{}: jwks: no keys fetched: {reason}; {called}{seen}{}",
                    self.jwks.owner(),
                    in_words(asked)
                );
                step.count(Counter::JwksError, Whose::provider(&self.jwks.provider));
            }
        }
        self.schedule.is_not_wanted();
        let served =
            std::mem::take(&mut self.served).into_iter().map(|wait| Woken { wait, was_served: true });
        let next = std::mem::take(&mut self.next).into_iter().map(|wait| Woken { wait, was_served: false });
        Some(served.chain(next).collect())
    }

    pub(super) fn clock_set_back(&mut self) {
        self.schedule.clock_set_back();
    }

    fn pauses(&self) -> Pauses {
        Pauses { longest: MAX_RETRY.min(self.jwks.refresh_interval), ..PAUSES }
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
                log::log!(level, "{}: jwks: {warning}", self.jwks.owner());
            }
            self.current = Some(self.with_seeds(set));
            self.generation += 1;
        }
        Ok(is_new)
    }

    fn with_seeds(&self, set: KeySet) -> Current {
        let seed = |parts: &[&[u8; 32]]| DigestSeed::combining(parts);
        let keys = set.fingerprint();
        let jwts = [self.jwts as u8; 32];
        let validated = self.validator.as_ref().map(|it| seed(&[&it.fingerprint, &keys, &jwts]));
        let both = self.validator.as_ref().zip(self.introspector.as_ref());
        let validated_and_asked = both.map(|(v, i)| seed(&[&v.fingerprint, &i.fingerprint, &keys]));
        Current { set, validated, validated_and_asked }
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

/// After which part of `refresh_interval` keys are fetched again, so that they are here before it is over.
const REFRESH_AHEAD: f64 = 0.75;

/// Whatever tokens name, fetches of one provider's keys are at least a second apart.
const PAUSES: Pauses =
    Pauses { least: Duration::from_secs(1), first: Duration::from_secs(1), longest: MAX_RETRY };

/// A fetch that failed is tried again after this at the latest.
const MAX_RETRY: Duration = Duration::from_secs(30);
