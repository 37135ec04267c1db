//! Telling those who wait what came of a call: in batches, for too many streams that go on in one callback overflow the
//! host's stack.

use super::calls::Call;
use super::{Case, Effect, Filter, Source, Waiter};
use crate::cache::Asked;
use crate::claims::ClaimsBuf;
use crate::jwt::Minted;
use crate::metrics::Counter;
use crate::policy::{Denial, Unavailable};
use crate::token::UnixMillis;

/// The outcome of a call, and the streams that have yet to be told.
pub(super) struct Settlement {
    pub(super) call: Call,
    pub(super) outcome: Outcome,
}

/// What all streams of a call are told.
pub(super) enum Outcome {
    /// The token is active; each stream's policy decides.
    Active {
        claims: ClaimsBuf,
        /// For the service behind. `None` if no stream was permitted that wants one, or if it could not be signed.
        jwt: Option<Minted>,
        /// When the call was sent that said so.
        asked: Asked,
    },
    /// Nobody passes.
    Denied(Denial),
    /// There is none: nobody passes but by an older verdict that may serve instead.
    NoVerdict(Unavailable),
}

impl Filter {
    /// All who wait for a call are to be told what came of it.
    pub(super) fn tell(&mut self, call: Call, outcome: Outcome) {
        self.settlements.push_back(Settlement { call, outcome });
    }

    /// Whether somebody waits no more and has yet to be told. Whoever leaves it so has asked for a turn.
    pub(super) fn is_to_settle(&self) -> bool {
        !self.settlements.is_empty()
            || self.parking.has_ready()
            || self.signals.have_ready()
            || self.deferred.have_done()
    }

    /// Settles waiting streams, as many as the callback has room for besides those that it has settled already; asks
    /// for another turn if some are left. No callback may do this twice.
    pub(super) fn settle(&mut self, now: UnixMillis, effects: &mut Vec<Effect>) {
        let is_settled = |effect: &&Effect| matches!(effect, Effect::Answer(..) | Effect::Forward(..));
        let mut batch = effects.iter().filter(is_settled).count();
        while let Some(mut settlement) = self.settlements.pop_front() {
            if self.is_overtaken(&settlement) {
                self.ask_again(settlement.call, now, effects);
                continue;
            }
            while let Some(stream) = settlement.call.streams.pop_front() {
                // A stream that is gone waits no more.
                let Some(waiter) = self.waiting.remove(stream) else { continue };
                self.settle_one(waiter, &settlement, now, effects);
                batch += 1;
                if batch >= MAX_BATCH {
                    self.settlements.push_front(settlement);
                    effects.push(Effect::AskForTurn);
                    return;
                }
            }
        }
        let mut taken_up = 0;
        while self.unpark_one(now, effects)
            || self.unpark_signal(now, effects)
            || self.refuse_given_up(effects)
            || self.answer_done(effects)
        {
            batch += 1;
            taken_up += 1;
            if batch >= MAX_BATCH || taken_up == MAX_TAKEN_UP {
                effects.push(Effect::AskForTurn);
                return;
            }
        }
    }

    fn settle_one(
        &self,
        waiter: Waiter,
        settlement: &Settlement,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        match &settlement.outcome {
            Outcome::Active { claims, jwt, .. } => {
                self.conclude(waiter.case, claims.view(), jwt.as_ref(), now, effects);
            }
            Outcome::Denied(denial) => self.refuse(&waiter.case, denial, effects),
            Outcome::NoVerdict(reason) => self.settle_without_verdict(waiter, reason, now, effects),
        }
    }

    /// Settles a stream that gets no verdict: by an older one where that is allowed and the server is down.
    pub(super) fn settle_without_verdict(
        &self,
        waiter: Waiter,
        reason: &Unavailable,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        let Waiter { case, stale } = waiter;
        match stale.filter(|entry| reason.is_outage() && self.cache.holds(entry, now)) {
            Some(entry) => {
                effects.push(Effect::Count(Counter::CacheStale));
                self.serve(Case { source: Source::Stale, ..case }, &entry, now, effects);
            }
            None => self.refuse(&case, &reason.clone().into(), effects),
        }
    }
}

/// Streams settled in one callback; far below the 300 that overflow V8's stack.
const MAX_BATCH: usize = 32;

/// Of these, those that come with a signature to verify: with the two tries that RSASSA-PSS has, a callback takes
/// tens of milliseconds at most, and not a second.
const MAX_TAKEN_UP: usize = 8;
