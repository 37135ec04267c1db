//! What a withdrawal overtakes: a reply that was on the wire, and a verdict that some streams have yet to be told.

use super::calls::Call;
use super::settle::{Outcome, Settlement};
use super::{Effect, Filter};
use crate::cache::{Asked, ProviderTag, Standing, Withdrawable};
use crate::claims::Claims;
use crate::introspection::ServerFailure;
use crate::token::{TokenDigest, UnixMillis};

impl Call {
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
}

impl Filter {
    /// Whether what streams are to be told is still true: some time passes between two batches.
    pub(super) fn is_overtaken(&self, settlement: &Settlement) -> bool {
        match &settlement.outcome {
            Outcome::Active { claims, asked, .. } if !settlement.call.streams.is_empty() => {
                let withdrawable = settlement.call.withdrawable(claims.view());
                !self.cache.withdrawals().is_current(asked.moment)
                    && self.cache.withdrawals().standing(*asked, &withdrawable) == Standing::Void
            }
            Outcome::Active { .. } | Outcome::Denied(_) | Outcome::NoVerdict(_) => false,
        }
    }

    /// Asks again, for what was said has been withdrawn meanwhile.
    pub(super) fn ask_again(&mut self, mut call: Call, now: UnixMillis, effects: &mut Vec<Effect>) {
        call.overtaken += 1;
        // What was withdrawn so often is not served by asking faster.
        let is_enough = call.overtaken > MAX_OVERTAKEN;
        if is_enough {
            call.tries_left = 0;
        }
        let id = self.calls.reopen(call);
        if is_enough {
            self.no_verdict(id, ServerFailure::Overtaken, None, now, effects);
        } else {
            self.send(id, now, effects);
        }
    }
}

/// How often a call is made anew because what it brought had been withdrawn.
pub(super) const MAX_OVERTAKEN: u32 = 3;
