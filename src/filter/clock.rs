//! The wall clock, set back by an operator or by whoever tells the machine the time.
//!
//! It is the only clock there is: another one would be a host call more for each request. Everything that falls due on a
//! worker is dated by what the worker has seen of it. So when it shows an earlier time than it has shown before, what
//! falls due is too far off, and verdicts look younger than they are: the first is forgotten, and the second are
//! withdrawn, for all workers. Workers that have nothing to do look at the clock now and then ([`IDLE`]).

use std::time::Duration;

use super::Filter;
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
    fn show(&mut self, now: UnixMillis) -> Option<UnixMillis> {
        if !self.latest.is_from_the_future(now) {
            self.latest = self.latest.max(now);
            return None;
        }
        Some(std::mem::replace(&mut self.latest, now))
    }
}

impl Filter {
    /// To be called before anything else is done at this time.
    pub(super) fn look_at_clock(&mut self, now: UnixMillis) {
        let Some(latest) = self.clock.show(now) else { return };
        log::warn!("the clock was set back by {:?}: all verdicts are asked for anew", latest.since(now));
        self.cache.withdrawals().withdraw_all_until(latest);
        self.calls.servers.clock_set_back();
        self.keys.clock_set_back();
        self.status_lists.clock_set_back();
        self.polling.clock_set_back();
        self.deferred.clock_set_back();
    }
}

/// How often a worker looks at the clock that has nothing else to do. So much longer than it should may a verdict serve
/// after the clock was set back by less.
pub(super) const IDLE: Duration = Duration::from_secs(10);

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
