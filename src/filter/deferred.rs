//! Withdrawals that others can bring about as often as they like: each subject's at most once in a span. What comes
//! within the span of an earlier one is not lost: one more, at its end, stands for all of it.

use std::time::Duration;

use super::{Effect, Filter};
use crate::cache::{ProviderTag, Subject, Which};
use crate::token::UnixMillis;

/// Withdrawals that are still to come.
#[derive(Default)]
pub(super) struct Deferred(Vec<Deferral>);

struct Deferral {
    subject: Subject,
    /// When the last one was asked for.
    asked: UnixMillis,
    due: UnixMillis,
    /// How long verdicts are not remembered after it.
    settle: Duration,
}

impl Deferred {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is to come comes now: nobody knows any more for how long it was put off.
    pub(super) fn clock_set_back(&mut self) {
        self.0.iter_mut().for_each(|it| it.due = UnixMillis::from_millis(0));
    }

    fn add(&mut self, deferral: Deferral, provider: ProviderTag) {
        if let Some(same) = self.0.iter_mut().find(|other| other.subject == deferral.subject) {
            same.asked = deferral.asked;
            same.settle = same.settle.max(deferral.settle);
        } else if self.0.len() < MAX_DEFERRED {
            self.0.push(deferral);
        } else {
            // One that stands for all of this provider's, so that none is lost.
            let mut all = Deferral { subject: Subject::Of(provider, Which::All), ..deferral };
            self.0.retain(|other| {
                let is_his = matches!(&other.subject, Subject::Of(of, _) if *of == provider);
                if is_his {
                    all.due = all.due.min(other.due);
                    all.settle = all.settle.max(other.settle);
                }
                !is_his
            });
            self.0.push(all);
        }
    }
}

impl Filter {
    /// Withdraws, unless the same was withdrawn within `span` before: then at its end.
    pub(super) fn withdraw_at_most_every(
        &mut self,
        span: Duration,
        (provider, which): (ProviderTag, Which),
        settle: Duration,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        let subject = Subject::Of(provider, which);
        match self.cache.withdrawals().since(&subject) {
            // A later one is of a clock that was set back.
            Some(last) if last <= now && now.since(last) < span => {
                let deferral = Deferral { subject, asked: now, due: last.plus(span), settle };
                self.deferred.add(deferral, provider);
                self.set_tick(effects);
            }
            _ => self.withdraw(&[subject], settle, now, effects),
        }
    }

    /// Withdraws what is due, unless another worker has meanwhile.
    pub(super) fn withdraw_deferred(&mut self, now: UnixMillis, effects: &mut Vec<Effect>) {
        let (due, later) = std::mem::take(&mut self.deferred.0).into_iter().partition(|it| it.due <= now);
        self.deferred.0 = later;
        for Deferral { subject, asked, settle, .. } in due {
            if self.cache.withdrawals().since(&subject).is_none_or(|last| last < asked) {
                self.withdraw(&[subject], settle, now, effects);
            }
        }
    }
}

/// Subjects whose withdrawal is still to come, per worker.
const MAX_DEFERRED: usize = 256;
