//! Renewal ahead of time: a question like any other that nobody waits for.

use std::time::Duration;

use super::Introspections;
use super::admission::Admitted;
use super::calls::{Asker, Call};
use super::load::Priority;
use super::share::lease_end;
use crate::cache::{ActiveEntry, Claim};
use crate::filter::event::{Effect, Told};
use crate::filter::fetches::keys::KeyRings;
use crate::filter::inquiry::{Inquiry, Way};
use crate::filter::judge::validate::validate;
use crate::filter::step::Step;
use crate::request::RequestView;
use crate::token::{TokenDigest, UnixMillis};

/// When a verdict is old enough to be renewed while it still serves. Each token has a moment of its own, so that what
/// began together does not go on together.
pub(in crate::filter) fn renewal_due(entry: &ActiveEntry, inquiry: &Inquiry, step: &Step<'_>) -> UnixMillis {
    let cache = &step.worker.config.cache;
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

impl Introspections {
    /// Asks again about a token whose verdict still serves, unless another worker does.
    pub(in crate::filter) fn renew(
        &mut self,
        inquiry: &Inquiry,
        digest: &TokenDigest,
        request: &dyn RequestView,
        keys: &KeyRings,
        step: &mut Step<'_>,
    ) {
        let Some(introspector) = inquiry.way.introspector() else { return };
        if self.calls.is_asked(digest) || self.calls.servers.are_held_back(introspector, step.now) {
            return;
        }
        let validated = match &inquiry.way {
            Way::ValidateAndAsk(validator, _) => match validate(validator, inquiry, keys, step) {
                Ok(claims) => Some(claims),
                // It ends with the verdict that there is.
                Err(_) => return,
            },
            Way::Ask(_) | Way::Validate(_) => None,
        };
        let claim = step.worker.leases.claim(digest, step.now, lease_end(introspector, step.now), false);
        if claim != Claim::Ours {
            return;
        }
        if self.admit(introspector, Priority::Known, step) != Ok(Admitted::Now) {
            return step.release(digest, Told::NotAsked);
        }
        let (asker, priority) = (Asker::UsForAll, Priority::Known);
        let mut call = Call::new(introspector, inquiry, *digest, validated, request, asker, priority);
        call.is_renewal = true;
        self.calls.open(call);
        step.push(Effect::AskForTurn);
    }
}
