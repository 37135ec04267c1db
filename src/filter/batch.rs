//! How many streams one callback settles: the host unwinds its stack once per stream that goes on, and too many overflow it.

use super::event::Effect;

/// What a callback has settled so far.
pub(super) struct Batch {
    settled: usize,
    taken_up: usize,
}

impl Batch {
    /// The rest of a callback that did this already.
    pub(super) fn after(effects: &[Effect]) -> Self {
        let is_settled =
            |effect: &&Effect| matches!(effect, Effect::Answer(..) | Effect::End(..) | Effect::Forward(..));
        Self { settled: effects.iter().filter(is_settled).count(), taken_up: 0 }
    }

    /// Whether no more streams may be settled.
    pub(super) fn is_full(&self) -> bool {
        self.settled >= MAX_SETTLED || self.taken_up >= MAX_TAKEN_UP
    }

    /// One more was settled.
    pub(super) fn settled(&mut self) {
        self.settled += 1;
    }

    /// One more was taken up that had waited for something else than a verdict.
    pub(super) fn taken_up(&mut self) {
        self.settled += 1;
        self.taken_up += 1;
    }
}

/// Streams settled in one callback; far below the 300 that overflow V8's stack.
const MAX_SETTLED: usize = 32;

/// Of these, those that come with a signature to verify: with the two tries that RSASSA-PSS has, a callback takes
/// tens of milliseconds at most, and not a second.
const MAX_TAKEN_UP: usize = 8;
