//! The wall clock, set back by an operator or by whoever tells the machine the time.
//!
//! It is the only clock there is: another one would be a host call more for each request. Everything that falls due on a
//! worker is dated by what the worker has seen of it. So when it shows an earlier time than it has shown before, what
//! falls due is too far off, and verdicts look younger than they are: the first is forgotten, and the second are
//! withdrawn, for all workers. Workers that have nothing to do look at the clock now and
//! then ([`Pace::Idle`](super::part::Pace::Idle)).

use std::time::Duration;

use crate::token::UnixMillis;

/// What a worker has seen of the clock.
#[derive(Debug)]
pub(super) struct Clock {
    latest: UnixMillis,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self { latest: UnixMillis::from_millis(0) }
    }

    /// Takes note of the time. If the clock was set back: what it had shown before. By how little that counts, the
    /// clocks of two processors may differ.
    pub(super) fn show(&mut self, now: UnixMillis) -> Option<UnixMillis> {
        if !self.latest.is_from_the_future(now) {
            self.latest = self.latest.max(now);
            return None;
        }
        Some(std::mem::replace(&mut self.latest, now))
    }
}

/// Whether a verdict that was asked for at `asked` is still fresh under `ttl`. One from the future, which a
/// clock that was set back makes, is not.
pub(super) fn is_fresh(asked: UnixMillis, ttl: Duration, now: UnixMillis) -> bool {
    now.since(asked) < ttl && !asked.is_from_the_future(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_steps_back_are_noticed_when_they_add_up_and_steps_ahead_are_none() {
        let at = UnixMillis::from_millis;
        let mut clock = Clock::new();
        for millis in [10_000, 9_500, 20_000, 3_600_000, 3_599_400] {
            assert_eq!(clock.show(at(millis)), None, "{millis}");
        }
        assert_eq!(clock.show(at(3_598_900)), Some(at(3_600_000)));
        assert_eq!(clock.show(at(3_598_900)), None, "once");
    }
}
