//! One call for all workers: who asks, and what the others do meanwhile. And renewal ahead of time, which is
//! a call like any other that nobody waits for.

use std::rc::Rc;
use std::time::Duration;

use super::ask::Admitted;
use super::calls::{Asker, Call};
use super::inquiry::{Inquiry, Way};
use super::load::Standing;
use super::phantom::OF_SERVER;
use super::settle::Outcome;
use super::{CallId, Effect, Filter, Told, is_fresh};
use crate::cache::{ActiveEntry, Cached, Claim};
use crate::introspection::ServerFailure;
use crate::jwt::Minted;
use crate::policy::{InvalidToken, Unavailable};
use crate::provider::Introspector;
use crate::request::RequestView;
use crate::token::{TokenDigest, UnixMillis};

impl Filter {
    /// Who is to ask about a token that nobody on this worker asks about.
    pub(super) fn asker(
        &self,
        introspector: &Introspector,
        inquiry: &Inquiry,
        digest: &TokenDigest,
        now: UnixMillis,
    ) -> Asker {
        let cache_ttl = inquiry.case.policy.cache_ttl;
        // A request that wants a verdict of its own, or one that is not remembered, has nothing to share.
        if cache_ttl.is_zero() {
            return Asker::Us;
        }
        match self.leases.claim(digest, now, lease_end(introspector, now), true) {
            Claim::Ours => Asker::UsForAll,
            Claim::Theirs { asked, until } if is_fresh(asked, cache_ttl, now) => {
                Asker::Another { asked, until }
            }
            Claim::NotToBeHad | Claim::Theirs { .. } => Asker::Us,
        }
    }

    /// A verdict that another worker got between our look into the cache and our claim.
    pub(super) fn verdict_meanwhile(
        &self,
        inquiry: &Inquiry,
        digest: &TokenDigest,
        now: UnixMillis,
    ) -> Option<Rc<ActiveEntry>> {
        match self.cache.find(digest, now)? {
            Cached::Active(entry) => {
                is_fresh(entry.asked(), inquiry.case.policy.cache_ttl, now).then_some(entry)
            }
            Cached::Inactive { .. } => None,
        }
    }

    /// Gives our lease back and tells who wants to know.
    pub(super) fn release(&self, digest: &TokenDigest, told: Told) -> Vec<Effect> {
        let tell = |mailbox| Effect::Tell(mailbox, *digest, told);
        self.leases.release(digest).into_iter().map(tell).collect()
    }

    /// Another worker has asked about a token that we may wait for.
    pub(super) fn told(
        &mut self,
        digest: &TokenDigest,
        told: Told,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        for id in self.calls.anothers(digest) {
            let outcome =
                match told {
                    Told::Failed { is_outage } => Some(Outcome::NoVerdict(Unavailable::AuthorizationServer(
                        ServerFailure::OtherWorker { is_outage },
                    ))),
                    Told::Verdict => self.remembered(digest, id, now, effects),
                    Told::NotAsked => None,
                };
            match outcome {
                Some(outcome) => {
                    if let Some(call) = self.calls.close(id) {
                        self.tell(call, outcome);
                    }
                }
                // Nobody has asked, or what was said is too long to be remembered, or pushed out already, or
                // withdrawn.
                None => self.take_over(id, now, effects),
            }
        }
    }

    /// Looks whether another worker has let us down: it may have died.
    pub(super) fn take_over_overdue(&mut self, now: UnixMillis, effects: &mut Vec<Effect>) {
        for id in self.calls.overdue(now) {
            self.take_over(id, now, effects);
        }
    }

    /// Whether a verdict is old enough to be renewed while it still serves. Each token has a moment of its own,
    /// so that what began together does not go on together.
    pub(super) fn is_to_be_renewed(&self, entry: &ActiveEntry, inquiry: &Inquiry, now: UnixMillis) -> bool {
        let Some(introspector) = inquiry.way.introspector() else { return false };
        now >= self.renewal_due(entry, inquiry)
            && !self.calls.is_asked(entry.digest())
            && !self.calls.servers.are_held_back(introspector, now)
    }

    /// When a verdict is old enough to be renewed while it still serves.
    pub(super) fn renewal_due(&self, entry: &ActiveEntry, inquiry: &Inquiry) -> UnixMillis {
        let cache = &self.config.cache;
        let ttl = inquiry.case.policy.cache_ttl;
        // What is validated here costs nobody else anything, and so needs no renewal ahead of time.
        if inquiry.way.introspector().is_none() || cache.refresh_ahead <= 0.0 {
            return UnixMillis::MAX;
        }
        let digest = entry.digest();
        #[expect(clippy::cast_precision_loss, reason = "a fraction of about")]
        let fraction = (digest.words()[0] ^ entry.asked().as_millis()) as f64 / u64::MAX as f64;
        let part = cache.refresh_ahead * (1.0 + cache.jitter * fraction);
        entry.asked().plus(Duration::from_secs_f64(ttl.as_secs_f64() * part.clamp(0.0, 1.0)))
    }

    /// Asks again about a token whose verdict still serves, unless another worker does.
    pub(super) fn renew(
        &mut self,
        inquiry: &Inquiry,
        digest: &TokenDigest,
        request: &dyn RequestView,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        let Some(introspector) = inquiry.way.introspector() else { return };
        if self.calls.is_asked(digest) || self.calls.servers.are_held_back(introspector, now) {
            return;
        }
        let validated = match &inquiry.way {
            Way::ValidateAndAsk(validator, _) => match self.validate(validator, inquiry, now) {
                Ok(claims) => Some(claims),
                // It ends with the verdict that there is.
                Err(_) => return,
            },
            Way::Ask(_) | Way::Validate(_) => None,
        };
        let claim = self.leases.claim(digest, now, lease_end(introspector, now), false);
        if claim != Claim::Ours {
            return;
        }
        if self.admit(introspector, Standing::Known, now) != Ok(Admitted::Now) {
            effects.extend(self.release(digest, Told::NotAsked));
            return;
        }
        let (asker, standing) = (Asker::UsForAll, Standing::Known);
        let mut call = Call::new(introspector, inquiry, *digest, validated, request, asker, standing);
        call.is_renewal = true;
        self.calls.open(call);
        effects.push(Effect::AskForTurn);
    }

    /// The outcome of another worker's call by what the cache says, if that is fresh enough for all who wait: the
    /// other worker may go by other policies, and not have asked at all.
    fn remembered(
        &mut self,
        digest: &TokenDigest,
        id: CallId,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) -> Option<Outcome> {
        let call = self.calls.get(id)?;
        match self.cache.find(digest, now).filter(|it| call.is_served_by(it.asked(), now))? {
            // Not one that was too old for us when we came: it serves for a shorter time.
            Cached::Inactive { asked, refused } => {
                (Some(asked) >= call.sent).then(|| Outcome::Denied(InvalidToken::from(refused).into()))
            }
            Cached::Active(entry) => {
                let claims = entry.to_claims();
                let jwt = match self.remembered_jwt(&entry) {
                    Some(jwt) => Some(jwt),
                    // Nobody on the other worker was permitted, or wanted one.
                    None => self.mint_for_call(call, claims.view(), now, effects),
                };
                Some(Outcome::Active { claims, jwt, asked: entry.asked_when() })
            }
        }
    }

    /// The JWT for the service behind that lies beside a verdict.
    fn remembered_jwt(&self, entry: &ActiveEntry) -> Option<Minted> {
        entry.minted(OF_SERVER).or_else(|| entry.minted(self.config.phantom_token.as_ref()?.id))
    }

    /// Makes another worker's call our own.
    fn take_over(&mut self, id: CallId, now: UnixMillis, effects: &mut Vec<Effect>) {
        let Some(call) = self.calls.get_mut(id) else { return };
        let (digest, introspector) = (call.digest, Rc::clone(&call.introspector));
        let asker = match self.leases.claim(&digest, now, lease_end(&introspector, now), true) {
            Claim::Ours => Asker::UsForAll,
            Claim::Theirs { asked, until } => Asker::Another { asked, until },
            Claim::NotToBeHad => Asker::Us,
        };
        let standing = call.standing;
        if let Asker::Another { asked, .. } = asker {
            call.sent = Some(asked);
        }
        self.calls.hand_over(id, asker);
        if let Asker::Another { .. } = asker {
            return;
        }
        // Whoever was quicker to take over may have asked and given the lease back.
        if let Some(outcome) = self.remembered(&digest, id, now, effects) {
            if asker == Asker::UsForAll {
                effects.extend(self.release(&digest, Told::NotAsked));
            }
            if let Some(call) = self.calls.close(id) {
                self.tell(call, outcome);
            }
            return;
        }
        match self.admit(&introspector, standing, now) {
            Ok(Admitted::Now) => {
                self.calls.begin(id);
                self.send(id, now, effects);
            }
            Ok(Admitted::Later) => self.calls.enqueue(id, now),
            Err(reason) => {
                if asker == Asker::UsForAll {
                    effects.extend(self.release(&digest, Told::NotAsked));
                }
                if let Some(call) = self.calls.close(id) {
                    self.tell(call, Outcome::NoVerdict(reason));
                }
            }
        }
    }
}

/// When a lease that begins now ends at the latest: a little after the last try has timed out.
fn lease_end(introspector: &Introspector, now: UnixMillis) -> UnixMillis {
    now.plus(introspector.endpoint.longest()).plus(LEASE_SLACK)
}

const LEASE_SLACK: Duration = Duration::from_millis(250);
