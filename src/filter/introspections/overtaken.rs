//! What a withdrawal overtakes: a reply that was on the wire, and a verdict that some streams have yet to be told.

use super::Introspections;
use super::calls::Call;
use super::settlement::{Outcome, Settlement};
use crate::cache::Standing;
use crate::filter::step::Step;
use crate::introspection::ServerFailure;

impl Introspections {
    /// Asks again, for what was said has been withdrawn meanwhile.
    pub(super) fn ask_again(&mut self, mut call: Call, step: &mut Step<'_>) {
        call.overtaken += 1;
        // What was withdrawn so often is not served by asking faster.
        let is_enough = call.overtaken > MAX_OVERTAKEN;
        if is_enough {
            call.tries_left = 0;
        }
        let id = self.calls.reopen(call);
        if is_enough {
            self.no_verdict(id, ServerFailure::Overtaken, None, step);
        } else {
            self.send(id, step);
        }
    }
}

/// Whether what streams are to be told is not true any more: some time passes between two batches.
pub(super) fn is_overtaken(settlement: &Settlement, step: &Step<'_>) -> bool {
    match &settlement.outcome {
        Outcome::Active { claims, asked, .. } if !settlement.call.streams.is_empty() => {
            let withdrawable = settlement.call.withdrawable(claims.view());
            let withdrawals = step.worker.cache.withdrawals();
            !withdrawals.is_current(asked.moment)
                && withdrawals.standing(*asked, &withdrawable) == Standing::Void
        }
        Outcome::Active { .. } | Outcome::Denied(_) | Outcome::NoVerdict(_) => false,
    }
}

/// How often a call is made anew because what it brought had been withdrawn.
pub(in crate::filter) const MAX_OVERTAKEN: u32 = 3;
