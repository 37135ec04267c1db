//! Callbacks that do not come, because an operator left them out of `allowed_capabilities`. Nothing tells a module which
//! ones will, and none can be tried. So each is doubted until it has come once, and what must have come by way of it is
//! looked for meanwhile: its absence is an error line, and closed or made up for as far as Envoy lets it. Once all have
//! come, this costs nothing any more.

use std::cell::Cell;
use std::time::Duration;

use log::error;

use super::abi::hostcalls;
use super::apply::Worker;
use super::now;
use crate::filter::{CallId, Event};
use crate::token::UnixMillis;

/// `proxy_on_request_headers`: Envoy creates a stream's context when it has its headers for us, so that nothing can come
/// between the two; or else when another filter has answered the request before us, and then there is an answer. What
/// comes without one shows that requests pass us by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// No stream has come yet.
    Untried,
    /// The headers of this one are the next that we should hear of.
    Awaited(u32),
    /// Headers are shown.
    Proven,
    /// They are not: every request is refused when its context is created, for it would pass.
    Missing,
}

/// `proxy_on_request_body`: a request that is to be held back until its body is here passes without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bodies {
    /// No request with a body has come yet.
    Untried,
    /// They are shown.
    Come,
    /// A request was seen to pass: signals are refused.
    Pass,
}

/// The callbacks of a root that are still in doubt.
#[derive(Default)]
pub(super) struct Doubts {
    /// `proxy_on_queue_ready`: a turn was asked for.
    pub(super) turn: Doubt,
    /// `proxy_on_tick`.
    tick: Doubt,
    /// `proxy_on_http_call_response`: calls were sent.
    pub(super) call: Doubt,
    /// `proxy_on_delete`: a stream was answered.
    delete: Doubt,
}

/// Whether a callback comes.
#[derive(Default)]
pub(super) struct Doubt {
    state: Cell<State>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nobody has asked for it.
    #[default]
    Unasked,
    /// It should come by then.
    By(UnixMillis),
    /// It has not come in its time.
    Absent,
    /// It comes.
    Dispelled,
}

impl Doubt {
    /// The callback has come.
    fn dispel(&self) {
        self.state.set(State::Dispelled);
    }

    /// It should come by then; until it has come once, the first time counts.
    fn expect(&self, by: UnixMillis) {
        if self.state.get() == State::Unasked {
            self.state.set(State::By(by));
        }
    }

    /// It is not asked for any more.
    fn withdraw(&self) {
        if let State::By(_) = self.state.get() {
            self.state.set(State::Unasked);
        }
    }

    fn is_dispelled(&self) -> bool {
        self.state.get() == State::Dispelled
    }

    /// Whether it was asked for, and has not come yet.
    fn is_open(&self) -> bool {
        matches!(self.state.get(), State::By(_) | State::Absent)
    }

    /// Whether it should have come and has not. The first time, the log says so, and what follows from it.
    fn is_absent(&self, now: UnixMillis, name: &str, consequence: &str) -> bool {
        match self.state.get() {
            State::By(by) if by <= now => {
                complain(name, consequence);
                self.state.set(State::Absent);
                true
            }
            state => state == State::Absent,
        }
    }
}

impl Worker {
    /// A turn of the root has come. It stands in for ticks that do not.
    pub(super) fn turn(&self) {
        self.dispel(&self.doubts.turn);
        self.root_event(Event::Turn);
        let tick = &self.doubts.tick;
        if !tick.is_dispelled()
            && tick.is_absent(now(), "proxy_on_tick", "what falls due waits for requests that wait")
        {
            self.root_event(Event::Tick);
        }
    }

    /// A tick has come. It stands in for turns and answers of calls that do not.
    pub(super) fn tick(&self) {
        self.doubts.tick.dispel();
        self.free_bodies();
        let now = now();
        if self.doubts.call.is_absent(now, "proxy_on_http_call_response", "no call is ever answered") {
            let is_over = |(_, (_, until)): &(&u32, &(CallId, UnixMillis))| *until <= now;
            let over: Vec<u32> =
                self.calls.borrow().iter().filter(is_over).map(|(token, _)| *token).collect();
            for token in over {
                let call = self.calls.borrow_mut().remove(&token);
                if let Some((id, _)) = call {
                    self.root_event(Event::NotSent(id));
                }
            }
        }
        if self.doubts.turn.is_absent(now, "proxy_on_queue_ready", "requests wait for the next tick") {
            self.root_event(Event::Turn);
        }
        self.root_event(Event::Tick);
    }

    /// A callback should come within this time; until it has come once, ticks look for it. When it is late.
    pub(super) fn doubt(&self, doubt: &Doubt, within: Duration) -> UnixMillis {
        if doubt.is_dispelled() {
            return UnixMillis::MAX;
        }
        let by = now().plus(within);
        doubt.expect(by);
        self.set_tick();
        by
    }

    /// A callback has come.
    pub(super) fn dispel(&self, doubt: &Doubt) {
        if !doubt.is_dispelled() {
            doubt.dispel();
            self.set_tick();
        }
    }

    /// Has ticks come as often as the filter wants them, and as it takes to find out what is left out.
    pub(super) fn set_tick(&self) {
        let Doubts { turn, tick, call, .. } = &self.doubts;
        let mut period = self.tick.get();
        if (turn.is_open() || call.is_open()) && (period.is_zero() || period > LOOK) {
            period = LOOK;
        }
        // Asking again for what there is would put it off.
        if period == self.period.replace(period) {
            return;
        }
        _ = hostcalls::set_tick_period(period);
        tick.withdraw();
        if !period.is_zero() {
            tick.expect(now().plus(period + PATIENCE));
        }
    }

    /// A stream was answered, which ends it.
    pub(super) fn expect_delete(&self) {
        let delete = &self.doubts.delete;
        if !delete.is_dispelled() {
            let now = now();
            delete.expect(now.plus(PATIENCE));
            delete.is_absent(now, "proxy_on_delete", "requests are never forgotten, and memory grows");
        }
    }

    /// A stream is gone.
    pub(super) fn deleted(&self) {
        self.doubts.delete.dispel();
    }

    /// A request is gone that was held back until its body is here, and never was. Did it pass? Until a body has come
    /// once, such requests have no route.
    pub(super) fn look_for_body(&self) {
        let has_passed = is_without_route() || is_from_upstream();
        if has_passed && self.bodies.replace(Bodies::Pass) != Bodies::Pass {
            complain(
                "proxy_on_request_body",
                "signals are refused, for they would pass instead of being read",
            );
        }
    }
}

/// Whether the effective context's stream has an answer, whoever gave it. Such a stream must not be given another.
pub(super) fn is_answered() -> bool {
    let code = hostcalls::get_property(&["response", "code"]).ok().flatten();
    code.is_some_and(|code| code.iter().any(|byte| *byte != 0))
}

/// Whether the effective context's stream was answered by Envoy's router, which had no route for it.
fn is_without_route() -> bool {
    let details = hostcalls::get_property(&["response", "code_details"]).ok().flatten();
    details.is_some_and(|details| details == b"route_not_found")
}

/// Whether the effective context's stream was answered by the service.
pub(super) fn is_from_upstream() -> bool {
    let details = hostcalls::get_property(&["response", "code_details"]).ok().flatten();
    details.is_some_and(|details| details == b"via_upstream")
}

/// Says in the log what is left out.
pub(super) fn complain(name: &str, consequence: &str) {
    error!("allowed_capabilities: expected {name} among them, got none: {consequence}");
}

/// How late a callback may be: a worker may have much to do.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// How often ticks look for callbacks that have not come yet.
const LOOK: Duration = Duration::from_millis(250);
