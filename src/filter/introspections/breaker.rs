//! Holding calls back from a server that fails, so that it is not kept down, and finding out when it is back.
//!
//! After so many failures in a row, calls are held back until the server answers again. One call now and then goes
//! through as a probe: twenty times in a span that is short at first and doubles, as long as probes fail, up to
//! `max_hold`.

use std::time::Duration;

use crate::introspection::BreakerLimits;
use crate::token::UnixMillis;

/// What is known of a server's health, on this worker.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Breaker {
    /// Failures since the last answer that was none.
    failures: u32,
    hold: Option<Hold>,
    /// Until when the server asked not to be asked (`Retry-After`).
    paused_until: Option<UnixMillis>,
}

#[derive(Clone, Copy, Debug)]
struct Hold {
    length: Duration,
    until: UnixMillis,
    next_probe: UnixMillis,
}

impl Breaker {
    /// Whether a call may be made now. A call that may is counted on to be made.
    pub(super) fn admits(&mut self, now: UnixMillis) -> bool {
        let is_admitted = !self.holds_back(now);
        if let Some(hold) = self.hold.as_mut().filter(|_| is_admitted) {
            // A probe. Until it is answered, others are as much in doubt as it is.
            hold.next_probe = now.plus(hold.probe_interval());
        }
        is_admitted
    }

    /// Whether no call may be made now. Unlike [`Breaker::admits`], asking this uses up no probe.
    pub(super) fn holds_back(&self, now: UnixMillis) -> bool {
        self.pause(now).is_some() || self.hold.is_some_and(|hold| now < hold.next_probe)
    }

    /// How long the server has asked not to be asked, from now on.
    pub(super) fn pause(&self, now: UnixMillis) -> Option<Duration> {
        self.paused_until.filter(|until| now < *until).map(|until| until.since(now))
    }

    /// The server asked not to be asked until then.
    pub(super) fn pause_until(&mut self, until: UnixMillis) {
        self.paused_until = self.paused_until.max(Some(until));
    }

    /// Whether calls are held back after failures in a row.
    pub(super) fn is_open(&self) -> bool {
        self.hold.is_some()
    }

    /// The server is still taken to be down, but the next call is a probe, and a failure begins the next hold.
    pub(super) fn clock_set_back(&mut self) {
        self.paused_until = None;
        if let Some(hold) = &mut self.hold {
            (hold.until, hold.next_probe) = (UnixMillis::from_millis(0), UnixMillis::from_millis(0));
        }
    }

    /// The server answered: it is up.
    pub(super) fn succeeded(&mut self) {
        // What it asked for still holds: an answer to an earlier question takes nothing back.
        *self = Self { paused_until: self.paused_until, ..Self::default() };
    }

    /// The server did not answer, or said that it cannot. Returns whether that begins a hold, or another one.
    pub(super) fn failed(&mut self, limits: &BreakerLimits, now: UnixMillis) -> bool {
        self.failures = self.failures.saturating_add(1);
        let is_within_hold = self.hold.is_some_and(|hold| now < hold.until);
        if self.failures < limits.failures || is_within_hold {
            return false;
        }
        let length = self.hold.map_or(FIRST_HOLD, |hold| hold.length * 2).min(limits.max_hold);
        let mut hold = Hold { length, until: now.plus(length), next_probe: now };
        hold.next_probe = now.plus(hold.probe_interval());
        self.hold = Some(hold);
        true
    }
}

impl Hold {
    fn probe_interval(&self) -> Duration {
        (self.length / PROBES_PER_HOLD).max(MIN_PROBE_INTERVAL)
    }
}

const FIRST_HOLD: Duration = Duration::from_millis(100);

/// With the default `max_hold` of 10 s, a server that is back is found within half a second.
const PROBES_PER_HOLD: u32 = 20;

const MIN_PROBE_INTERVAL: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    const START: UnixMillis = UnixMillis::from_secs(1_000);
    const LIMITS: BreakerLimits = BreakerLimits { failures: 3, max_hold: Duration::from_secs(10) };

    fn at(millis: u64) -> UnixMillis {
        START.plus(Duration::from_millis(millis))
    }

    #[test]
    fn a_few_failures_hold_calls_back_and_probes_go_through() {
        let mut breaker = Breaker::default();
        assert!(!breaker.failed(&LIMITS, START) && !breaker.failed(&LIMITS, START));
        assert!(breaker.admits(START));
        assert!(breaker.failed(&LIMITS, START));
        assert!(!breaker.admits(at(49)));
        assert!(breaker.admits(at(50)) && !breaker.admits(at(50)), "one probe at a time");
        assert!(breaker.admits(at(100)) && !breaker.admits(at(101)), "not even when the hold is over");
    }

    #[test]
    fn an_answer_in_between_starts_the_count_anew() {
        let mut breaker = Breaker::default();
        for _ in 0..10 {
            assert!(!breaker.failed(&LIMITS, START) && !breaker.failed(&LIMITS, START));
            breaker.succeeded();
        }
        assert!(breaker.admits(START));
    }

    #[test]
    fn holds_grow_up_to_their_limit_and_a_server_that_is_back_is_soon_found() {
        let mut breaker = Breaker::default();
        let mut now = START;
        let mut holds = 0;
        // Thirty seconds of failure, with a call every 10 ms.
        while now < at(30_000) {
            if breaker.admits(now) && breaker.failed(&LIMITS, now) {
                holds += 1;
            }
            now = now.plus(Duration::from_millis(10));
        }
        assert!((7..=10).contains(&holds), "{holds}");
        let waited =
            (0..).step_by(10).find(|millis| breaker.admits(now.plus(Duration::from_millis(*millis))));
        assert!(waited.unwrap() <= 500, "{waited:?}");
    }
}
