//! How it stands with the store: what the log is told when that changes, and what follows when it is silent for too long.

use std::time::Duration;

use super::link::{Link, Stage};
use super::lost::Lost;
use crate::filter::part::NOW_AND_THEN;
use crate::filter::step::Step;
use crate::fleet::{Fleet, OnSilence, Standing, TIMEOUT};
use crate::metrics::{Counter, Gauge, Whose};

impl Link {
    /// The store is heard, after so long, and so much was read.
    pub(super) fn say_heard(
        &mut self,
        before: Standing,
        silence: Duration,
        (withdrawals, is_other): (usize, bool),
    ) {
        self.said = None;
        let cluster = &self.fleet.cluster;
        let other = if is_other { "; it is another than before, emptied or restored" } else { "" };
        match before {
            Standing::Unknown => {
                log::info!(
                    "revocation.fleet: cluster {cluster:?} is heard, with {withdrawals} withdrawals{other}"
                );
            }
            Standing::Heard if !is_other => {}
            Standing::Heard | Standing::Lost | Standing::Silent => log::warn!(
                "revocation.fleet: cluster {cluster:?} is heard again, after {silence:?}, with {withdrawals} \
                 withdrawals{other}"
            ),
        }
    }

    /// The store is not heard any more, or not understood: it is read anew, soon.
    pub(super) fn lost(&mut self, why: Lost, step: &mut Step<'_>) {
        let reason = why.reason();
        step.count(Counter::FleetError, Whose::NOBODY.because(reason));
        if why.is_refusal() {
            self.token_was_refused(step);
        }
        self.break_off(step.now.plus(NOW_AND_THEN), step);
        if self.said != Some(reason) {
            self.said = Some(reason);
            log::warn!(
                "revocation.fleet: cluster {:?} is not heard: {why}; it is read anew",
                self.fleet.cluster
            );
        }
        if let (Some(known), Some(shared)) = (&mut self.known, &step.worker.fleet)
            && matches!(known.standing, Standing::Heard | Standing::Unknown)
            && why != Lost::Compacted
        {
            known.standing = Standing::Lost;
            shared.note(known);
        }
    }

    /// Gives up on answers that do not come.
    pub(super) fn look_for_late(&mut self, step: &mut Step<'_>) {
        self.look_for_late_put(step);
        self.look_for_late_authentication(step);
        let is_late = match &self.stage {
            Stage::Apart(_) => false,
            Stage::Reading(under_way, _) => under_way.until <= step.now,
            Stage::Watching(watching) => watching.asked.is_some_and(|asked| step.now.since(asked) > TIMEOUT),
        };
        if is_late {
            self.lost(Lost::NoAnswer, step);
        }
    }

    /// Does what is configured for a store that is silent for too long.
    pub(super) fn look_for_silence(&mut self, step: &mut Step<'_>) {
        let Some(shared) = &step.worker.fleet else { return };
        let (_, waiting) = self.waiting(&shared.outbox);
        step.set(Gauge::FleetWaiting, Whose::NOBODY, waiting as u64);
        let Some(known) = &mut self.known else { return };
        let is_heard = known.standing == Standing::Heard;
        step.set(Gauge::FleetHeard, Whose::NOBODY, u64::from(is_heard));
        if !known.is_silent(&self.fleet, step.now) {
            return;
        }
        let Fleet { cluster, max_silence, on_silence, .. } = &*self.fleet;
        let withdrawals = step.worker.cache.withdrawals();
        if known.standing != Standing::Silent {
            known.standing = Standing::Silent;
            shared.note(known);
            let consequence = on_silence.consequence();
            log::error!(
                "revocation.fleet: cluster {cluster:?} was silent for {max_silence:?}: {consequence}"
            );
            if *on_silence == OnSilence::Refuse {
                withdrawals.look_again();
            }
        }
        step.count(Counter::FleetSilentSeconds, Whose::NOBODY);
        if *on_silence == OnSilence::Ask {
            withdrawals.withdraw_all_until(step.now.minus(*max_silence));
        }
    }
}
