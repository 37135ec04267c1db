//! Callbacks that do not come, because an operator left them out of `allowed_capabilities`. Nothing tells a module which
//! ones will, and none can be tried. So each is doubted until it has come once, and what must have come by way of it is
//! looked for meanwhile: its absence is an error line, and closed or made up for as far as Envoy lets it. Once all have
//! come, this costs nothing any more.

use std::time::Duration;

use super::abi::hostcalls;
use super::apply::Worker;
use super::doubt::{Bodies, Doubt, Doubts, PATIENCE, complain};
use super::now;
use crate::filter::{CallId, Event};
use crate::token::UnixMillis;

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

/// How often ticks look for callbacks that have not come yet.
const LOOK: Duration = Duration::from_millis(250);
