//! What all parts of the filter have in common. Each owns its state, and nobody else changes it; what one part has to tell
//! another goes by way of the [router](super::Filter).

use std::time::Duration;

use super::event::StreamId;
use super::step::Step;
use crate::token::UnixMillis;

/// A part of the filter.
pub(super) trait Part {
    /// Time has passed: does what is due.
    fn tick(&mut self, step: &mut Step<'_>);

    /// How soon it wants to look again.
    fn pace(&self) -> Pace;

    /// Whether a stream waits here; nothing of it may pass until then.
    fn holds(&self, _: StreamId) -> bool {
        false
    }

    /// A stream waits for nothing here any more.
    fn forget(&mut self, _: StreamId) {}

    /// The clock was set back to `now`: what falls due is too far off.
    fn clock_set_back(&mut self, now: UnixMillis);
}

/// How often the filter looks whether something is due; the most frequent of all parts' counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pace {
    /// For the clock alone.
    Idle,
    /// Something is fetched now and then, or may be given up.
    NowAndThen,
    /// What other workers do is to be seen soon.
    Watchful,
    /// Something may fall due at any moment.
    Soon,
}

impl Pace {
    /// The time between two ticks.
    pub(super) fn interval(self) -> Duration {
        match self {
            Self::Idle => IDLE,
            Self::NowAndThen => NOW_AND_THEN,
            Self::Watchful => Duration::from_millis(250),
            Self::Soon => Duration::from_millis(50),
        }
    }
}

/// How often a worker looks at the clock that has nothing else to do. So much longer than it should may a verdict serve
/// after the clock was set back by less.
const IDLE: Duration = Duration::from_secs(10);

/// What is due comes up to so much later than it should.
pub(super) const NOW_AND_THEN: Duration = Duration::from_secs(1);
