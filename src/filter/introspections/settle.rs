//! Telling those who wait what came of a call, so many in a callback as it has room for.

use super::Introspections;
use super::calls::Call;
use super::overtaken::is_overtaken;
use super::settlement::{Outcome, Settlement};
use crate::cache::Vouched;
use crate::filter::batch::Batch;
use crate::filter::case::Waiter;
use crate::filter::judge::{conclude, refuse, without_verdict};
use crate::filter::open_streams::Word;
use crate::filter::step::Step;
use crate::token::TokenDigest;

impl Introspections {
    /// All who wait for a call are to be told what came of it.
    pub(super) fn tell(&mut self, call: Call, outcome: Outcome) {
        self.settlements.push_back(Settlement { call, outcome });
    }

    /// Whether somebody has yet to be told. Whoever leaves it so has asked for a turn.
    pub(in crate::filter) fn are_to_settle(&self) -> bool {
        !self.settlements.is_empty()
    }

    /// Something was said of a token, which its open streams may be asked again about.
    pub(super) fn note_word(&mut self, digest: TokenDigest, word: impl FnOnce() -> Word, step: &Step<'_>) {
        if step.worker.config.rechecks_open_streams() {
            self.words.push((digest, word()));
        }
    }

    /// What was said of tokens since the last time.
    pub(in crate::filter) fn take_words(&mut self) -> Vec<(TokenDigest, Word)> {
        std::mem::take(&mut self.words)
    }

    /// Settles waiting streams, as many as there is room for.
    pub(in crate::filter) fn settle(&mut self, batch: &mut Batch, step: &mut Step<'_>) {
        while let Some(mut settlement) = self.settlements.pop_front() {
            if is_overtaken(&settlement, step) {
                self.ask_again(settlement.call, step);
                continue;
            }
            while let Some(stream) = settlement.call.streams.front() {
                if batch.is_full() {
                    return self.settlements.push_front(settlement);
                }
                // A stream that is gone waits no more.
                if let Some(waiter) = self.waiting.remove(*stream) {
                    settle_one(waiter, &settlement, step);
                    batch.settled();
                }
                settlement.call.streams.pop_front();
            }
            self.note_word(settlement.call.digest, || settlement.outcome.word(), step);
        }
    }
}

fn settle_one(waiter: Waiter, Settlement { call, outcome }: &Settlement, step: &mut Step<'_>) {
    match outcome {
        Outcome::Active { claims, jwt, asked } => {
            let verdict = || call.withdrawable(claims.view());
            let passed_by = waiter.case.passed_by(Vouched::ByServer, asked.at, verdict);
            conclude(waiter.case, claims.view(), jwt.as_ref(), passed_by, step);
        }
        Outcome::Denied(denial) => refuse(&waiter.case, denial, step),
        Outcome::NoVerdict(reason) => without_verdict(waiter, reason, step),
    }
}
