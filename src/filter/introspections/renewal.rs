//! Renewal ahead of time: a question like any other that nobody waits for.

use std::time::Duration;

use super::Introspections;
use super::admission::Admitted;
use super::calls::{Asker, Call, trace_headers};
use super::load::{Priority, Room};
use super::share::lease_end;
use crate::cache::{ActiveEntry, Claim};
use crate::filter::event::{Effect, Told};
use crate::filter::fetches::keys::KeyRings;
use crate::filter::inquiry::Inquiry;
use crate::filter::judge::validate::{Invalid, validate};
use crate::filter::step::Step;
use crate::filter::way::{Question, Way};
use crate::policy::{Denial, InvalidToken};
use crate::request::{KeptHeaders, RequestView};
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
        digest: TokenDigest,
        request: &dyn RequestView,
        keys: &KeyRings,
        step: &mut Step<'_>,
    ) {
        if !self.calls.is_asked(&digest) {
            // What comes of it is in the cache; where it is not asked, the verdict ends in its time.
            _ = self.ask_unwaited(inquiry.question(digest), trace_headers(request), keys, step);
        }
    }

    /// Asks a question that no request waits for, unless somebody asks it already.
    ///
    /// # Errors
    ///
    /// Why it is not asked.
    pub(in crate::filter) fn ask_unwaited(
        &mut self,
        question: Question,
        trace: KeptHeaders,
        keys: &KeyRings,
        step: &mut Step<'_>,
    ) -> Result<(), Unasked> {
        let digest = question.digest;
        if self.calls.is_asked(&digest) {
            return Ok(());
        }
        let introspector = question.way.introspector().cloned().ok_or(Unasked::Nobody)?;
        let servers = &mut self.calls.servers;
        if servers.are_held_back(&introspector, step.now) {
            return Err(Unasked::Nobody);
        }
        if servers.room(&introspector, Priority::Known, step.now) != Room::Now {
            return Err(Unasked::NoRoom);
        }
        let validated = match &question.way {
            Way::ValidateAndAsk(validator, _) => {
                let claims = validate(validator, &question.token, true, keys, step);
                Some(claims.map_err(|invalid| match invalid {
                    Invalid::For(Denial::InvalidToken(reason)) => Unasked::Invalid(reason),
                    Invalid::For(_) | Invalid::ByTheseKeys => Unasked::Nobody,
                })?)
            }
            Way::Ask(_) | Way::Validate(_) => None,
        };
        let claim = step.worker.leases.claim(&digest, step.now, lease_end(&introspector, step.now), false);
        if claim != Claim::Ours {
            return Err(Unasked::Nobody);
        }
        let (asker, priority) = (Asker::UsForAll, Priority::Known);
        if self.admit(&introspector, priority, step) != Ok(Admitted::Now) {
            step.release(&digest, Told::NotAsked);
            return Err(Unasked::NoRoom);
        }
        let mut call = Call::new(introspector, question, validated, trace, asker, priority);
        call.is_renewal = true;
        self.calls.open(call);
        step.push(Effect::AskForTurn);
        Ok(())
    }
}

/// Why a question is not asked that no request waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::filter) enum Unasked {
    /// The token is none that is good, as can be told here.
    Invalid(InvalidToken),
    /// By us, now: another worker asks, or the server is left alone.
    Nobody,
    /// As many calls are under way as may be.
    NoRoom,
}
