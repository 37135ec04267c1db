//! Withdrawals that others can bring about as often as they like: each subject's at most once in a span. What comes
//! within the span of an earlier one is not lost: one more, at its end, stands for all of it. A filter that ends before
//! does it then. Of JWTs that nobody is asked about they refuse none. Who is answered by us is answered once it is done.

use std::time::Duration;

use litemap::LiteMap;

use crate::cache::{Jwts, ProviderTag, Subject, Which};
use crate::filter::event::StreamId;
use crate::filter::step::Step;
use crate::token::UnixMillis;

/// Withdrawals that are still to come.
#[derive(Default)]
pub(super) struct Deferred {
    withdrawals: Vec<Deferral>,
    /// Logouts that wait for one of them, which is done then.
    waiting: LiteMap<StreamId, UnixMillis>,
    /// Those of them that wait no more.
    done: LiteMap<StreamId, ()>,
}

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
        self.withdrawals.is_empty() && self.waiting.is_empty()
    }

    /// What is to come comes now: nobody knows any more for how long it was put off.
    pub(super) fn clock_set_back(&mut self) {
        let begin = UnixMillis::from_millis(0);
        self.withdrawals.iter_mut().for_each(|it| it.due = begin);
        self.waiting.iter_mut().for_each(|(_, due)| *due = begin);
    }

    /// Whether one more may wait.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < MAX_WAITING
    }

    /// Lets a logout wait for what is done at `due`.
    pub(super) fn answer_when_done(&mut self, stream: StreamId, due: UnixMillis) {
        self.waiting.insert(stream, due);
    }

    /// Whether a logout waits for its answer here.
    pub(super) fn holds(&self, stream: StreamId) -> bool {
        self.waiting.contains_key(&stream) || self.done.contains_key(&stream)
    }

    /// Whether some wait no more.
    pub(super) fn have_done(&self) -> bool {
        !self.done.is_empty()
    }

    /// A stream waits for nothing here any more.
    pub(super) fn forget(&mut self, stream: StreamId) {
        self.waiting.remove(&stream);
        self.done.remove(&stream);
    }

    /// What was put off until `now` is done.
    fn are_done(&mut self, now: UnixMillis) {
        let Self { waiting, done, .. } = self;
        waiting.retain(|stream, due| {
            let is_done = *due <= now;
            if is_done {
                done.insert(*stream, ());
            }
            !is_done
        });
    }

    /// The next of those that wait no more.
    pub(super) fn pop_done(&mut self) -> Option<StreamId> {
        take_first(&mut self.done).map(|(stream, ())| stream)
    }

    fn add(&mut self, deferral: Deferral, provider: ProviderTag) {
        if let Some(same) = self.withdrawals.iter_mut().find(|other| other.subject == deferral.subject) {
            same.asked = deferral.asked;
            same.settle = same.settle.max(deferral.settle);
        } else if self.withdrawals.len() < MAX_DEFERRED {
            self.withdrawals.push(deferral);
        } else {
            // One that stands for all of this provider's, so that none is lost.
            let mut all = Deferral { subject: Subject::Of(provider, Which::All), ..deferral };
            self.withdrawals.retain(|other| {
                let is_his = matches!(&other.subject, Subject::Of(of, _) if *of == provider);
                if is_his {
                    all.due = all.due.min(other.due);
                    all.settle = all.settle.max(other.settle);
                }
                !is_his
            });
            self.withdrawals.push(all);
        }
    }
}

impl Deferred {
    /// Withdraws, unless the same was withdrawn within `span` before: then at its end, which is returned.
    pub(super) fn withdraw_at_most_every(
        &mut self,
        span: Duration,
        (provider, which): (ProviderTag, Which),
        settle: Duration,
        step: &mut Step<'_>,
    ) -> Option<UnixMillis> {
        let subject = Subject::Of(provider, which);
        match step.worker.cache.withdrawals().since(&subject) {
            // A later one is of a clock that was set back.
            Some(last) if last <= step.now && step.now.since(last) < span => {
                let due = last.plus(span);
                self.add(Deferral { subject, asked: step.now, due, settle }, provider);
                Some(due)
            }
            _ => {
                step.withdraw(&[subject], Jwts::Spared, settle);
                None
            }
        }
    }

    /// Withdraws what is due, unless another worker has meanwhile.
    pub(super) fn withdraw_due(&mut self, step: &mut Step<'_>) {
        let (due, later) =
            std::mem::take(&mut self.withdrawals).into_iter().partition(|it| it.due <= step.now);
        self.withdrawals = later;
        withdraw_now(due, step);
        self.are_done(step.now);
    }

    /// Withdraws what is still to come: nobody will be there to do it.
    pub(super) fn withdraw_all(&mut self, step: &mut Step<'_>) {
        withdraw_now(std::mem::take(&mut self.withdrawals), step);
    }
}

/// Takes the stream that came first.
pub(super) fn take_first<T>(streams: &mut LiteMap<StreamId, T>) -> Option<(StreamId, T)> {
    let stream = *streams.first()?.0;
    Some((stream, streams.remove(&stream)?))
}

fn withdraw_now(deferred: Vec<Deferral>, step: &mut Step<'_>) {
    for Deferral { subject, asked, settle, .. } in deferred {
        if step.worker.cache.withdrawals().since(&subject).is_none_or(|last| last < asked) {
            step.withdraw(&[subject], Jwts::Spared, settle);
        }
    }
}

/// Logouts that wait at once, per worker.
const MAX_WAITING: usize = 256;

/// Subjects whose withdrawal is still to come, per worker.
const MAX_DEFERRED: usize = 256;
