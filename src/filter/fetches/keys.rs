//! The keys of authorization servers (RFC 7517): fetched before they are needed, again before they are old, and
//! once more when a token names one that is not there.
//!
//! Each worker has its own. A request that needs keys that are not there waits for them (it is *parked*), and is
//! then taken up again. Old keys stay until there are new ones: a server that is down takes no token away.

use std::rc::Rc;

use super::key_ring::{Current, KeyRing};
pub(in crate::filter) use super::key_ring::{KeysWanted, Wait, Woken};
use super::search::Found;
use crate::config::Config;
use crate::filter::event::CallId;
use crate::filter::inquiry::Inquiry;
use crate::filter::part::{Pace, Part};
use crate::filter::step::Step;
use crate::filter::way::Way;
use crate::http::{Reply, retry_after};
use crate::introspection::Keys;
use crate::jwt::{JwksEndpoint, KeySet};
use crate::policy::Unavailable;
use crate::provider::{Introspector, Provider};
use crate::token::{AccessToken, TokenDigest, UnixMillis};

/// The keys of all providers whose keys are needed, and of transmitters of security events that have their own.
pub(in crate::filter) struct KeyRings {
    rings: Vec<KeyRing>,
}

impl KeyRings {
    /// For those whose keys are needed.
    pub(in crate::filter) fn new(config: &Config) -> Self {
        let ring = |provider: &Provider| {
            let jwks = Rc::clone(config.needed_keys(provider)?);
            let (validator, introspector) = (provider.validator.clone(), provider.introspector.clone());
            Some(KeyRing::new(jwks, validator, introspector, config.revocation.jwts))
        };
        let of_transmitters = config.revocation.jwks().filter(|jwks| jwks.transmitter.is_some());
        let of_transmitters =
            of_transmitters.map(|jwks| KeyRing::new(Rc::clone(jwks), None, None, config.revocation.jwts));
        Self { rings: config.providers.iter().filter_map(ring).chain(of_transmitters).collect() }
    }

    /// The digest that a verdict on this token is found under; `None` while there are no keys.
    pub(in crate::filter) fn digest(&self, inquiry: &Inquiry) -> Option<TokenDigest> {
        let seed = match &inquiry.way {
            Way::Ask(introspector) => &introspector.digest_seed,
            Way::Validate(validator) => self.current(&validator.jwks)?.validated.as_ref()?,
            Way::ValidateAndAsk(validator, _) => {
                self.current(&validator.jwks)?.validated_and_asked.as_ref()?
            }
        };
        Some(seed.digest(&inquiry.token))
    }

    /// Every digest that a verdict on a token of this provider may be found under, which is asked as `introspector` says.
    pub(in crate::filter) fn digests(
        &self,
        provider: &Provider,
        introspector: Option<&Rc<Introspector>>,
        token: &AccessToken,
    ) -> Vec<TokenDigest> {
        let asked = introspector.map(|introspector| &introspector.digest_seed);
        let current = provider.validator.as_ref().and_then(|validator| self.current(&validator.jwks));
        let validated = current.and_then(|current| current.validated.as_ref());
        let both = current.and_then(|current| current.validated_and_asked.as_ref());
        [asked, validated, both].into_iter().flatten().map(|seed| seed.digest(token)).collect()
    }

    /// A number that is another one whenever keys are.
    pub(in crate::filter) fn generation(&self) -> u64 {
        self.rings.iter().map(KeyRing::generation).sum()
    }

    /// The keys of a provider, if they are here.
    pub(in crate::filter) fn set(&self, jwks: &Rc<JwksEndpoint>) -> Option<&KeySet> {
        self.current(jwks).map(|current| &current.set)
    }

    /// What a signed reply is verified with.
    pub(in crate::filter) fn of_replies<'k>(
        &'k self,
        introspector: &Introspector,
        step: &'k Step<'_>,
    ) -> Keys<'k> {
        let signed = introspector.endpoint.response.signed();
        let set = signed.and_then(|signed| self.set(&signed.jwks));
        Keys { set, signatures: step.worker.signatures() }
    }

    /// Discovery has found what was not known of a provider.
    pub(in crate::filter) fn found(&mut self, provider: &str, found: &Found) {
        for ring in self.rings.iter_mut().filter(|ring| ring.jwks.is_of_provider(provider)) {
            found.jwks.iter().for_each(|target| ring.locate(target));
            found.introspector.iter().for_each(|introspector| ring.ask_at(introspector));
        }
    }

    /// Discovery has found nothing of a provider. Returns who waits for its keys no more.
    pub(in crate::filter) fn not_found(&mut self, provider: &str) -> Vec<Woken> {
        let rings = self.rings.iter_mut().filter(|ring| ring.jwks.is_of_provider(provider));
        rings.flat_map(KeyRing::lose).collect()
    }

    /// Which provider's keys a call fetches.
    pub(in crate::filter) fn fetched(&self, call: CallId) -> Option<&str> {
        let ring = self.rings.iter().find(|ring| ring.schedule().is(call))?;
        ring.jwks.transmitter.is_none().then_some(&*ring.jwks.provider)
    }

    /// Whether the last fetch of a provider's keys failed, or it is not to be found out where they are.
    pub(in crate::filter) fn are_out_of_reach(&self, jwks: &Rc<JwksEndpoint>) -> bool {
        self.ring(jwks).is_none_or(|ring| ring.is_lost() || ring.schedule().has_failed())
    }

    /// That a provider's keys are not here, and when they are fetched again.
    pub(in crate::filter) fn unavailable(&self, jwks: &Rc<JwksEndpoint>, now: UnixMillis) -> Unavailable {
        let ring = self.ring(jwks);
        let seconds = ring.map_or(1, |ring| retry_after(ring.schedule().not_before().since(now)));
        Unavailable::NoKeys { seconds }
    }

    /// Newer keys are wanted, though nobody waits for them.
    pub(in crate::filter) fn want(&mut self, jwks: &Rc<JwksEndpoint>) {
        if let Some(ring) = self.ring_mut(jwks) {
            ring.want();
        }
    }

    /// Lets a request wait for keys, but only once.
    ///
    /// # Errors
    ///
    /// Why it is no use.
    pub(in crate::filter) fn wait_with_request(
        &mut self,
        inquiry: &Inquiry,
        wanted: KeysWanted,
        now: UnixMillis,
    ) -> Result<(), Unavailable> {
        let jwks = inquiry.way.jwks().ok_or(Unavailable::NoKeys { seconds: 1 })?;
        let no_keys = self.unavailable(jwks, now);
        match self.ring_mut(jwks) {
            None => Err(no_keys),
            Some(ring) if inquiry.has_waited_for_keys || ring.is_hopeless(wanted, now) => Err(no_keys),
            // Tokens that name keys at random must not fill all the room.
            Some(ring) if wanted == KeysWanted::Newer && ring.waiting_for_newer() >= MAX_PARKED_FOR_NEWER => {
                Err(Unavailable::TooManyWaiting)
            }
            Some(ring) => {
                ring.wait(Wait::Request(inquiry.case.stream), wanted);
                Ok(())
            }
        }
    }

    /// Lets a signal, or a signed reply, wait for keys. Returns whether there are any to wait for.
    pub(in crate::filter) fn wait(
        &mut self,
        wait: Wait,
        jwks: &Rc<JwksEndpoint>,
        wanted: KeysWanted,
        now: UnixMillis,
    ) -> bool {
        let ring = self.ring_mut(jwks).filter(|ring| !ring.is_lost() && !ring.schedule().is_paused(now));
        ring.map(|ring| ring.wait(wait, wanted)).is_some()
    }

    /// Sends the fetches whose time has come; only in the root's callbacks.
    pub(in crate::filter) fn fetch(&mut self, step: &mut Step<'_>) {
        self.rings.iter_mut().for_each(|ring| ring.fetch(step));
    }

    /// A call ended. Returns who waits no more, if it was a fetch.
    pub(in crate::filter) fn ended(
        &mut self,
        call: CallId,
        reply: Option<&Reply<'_>>,
        step: &mut Step<'_>,
    ) -> Option<Vec<Woken>> {
        self.rings.iter_mut().find_map(|ring| ring.ended(call, reply, step))
    }

    fn current(&self, jwks: &Rc<JwksEndpoint>) -> Option<&Current> {
        self.ring(jwks)?.current()
    }

    fn ring(&self, jwks: &Rc<JwksEndpoint>) -> Option<&KeyRing> {
        self.rings.iter().find(|ring| Rc::ptr_eq(&ring.jwks, jwks))
    }

    fn ring_mut(&mut self, jwks: &Rc<JwksEndpoint>) -> Option<&mut KeyRing> {
        self.rings.iter_mut().find(|ring| Rc::ptr_eq(&ring.jwks, jwks))
    }
}

impl Part for KeyRings {
    fn tick(&mut self, step: &mut Step<'_>) {
        self.fetch(step);
    }

    fn pace(&self) -> Pace {
        // Nobody has looked for keys yet, or somebody waits for newer ones.
        match self.rings.iter().any(KeyRing::is_awaited) {
            true => Pace::Soon,
            false if self.rings.is_empty() => Pace::Idle,
            false => Pace::NowAndThen,
        }
    }

    fn clock_set_back(&mut self, _: UnixMillis) {
        self.rings.iter_mut().for_each(KeyRing::clock_set_back);
    }
}

/// Requests that may wait for a key that is not there, per provider.
const MAX_PARKED_FOR_NEWER: usize = 1024;
