//! Which callbacks have been seen to come.

use std::cell::Cell;
use std::time::Duration;

use log::error;

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
    pub(super) tick: Doubt,
    /// `proxy_on_http_call_response`: calls were sent.
    pub(super) call: Doubt,
    /// `proxy_on_delete`: a stream was answered.
    pub(super) delete: Doubt,
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
    pub(super) fn dispel(&self) {
        self.state.set(State::Dispelled);
    }

    /// It should come by then; until it has come once, the first time counts.
    pub(super) fn expect(&self, by: UnixMillis) {
        if self.state.get() == State::Unasked {
            self.state.set(State::By(by));
        }
    }

    /// It is not asked for any more.
    pub(super) fn withdraw(&self) {
        if let State::By(_) = self.state.get() {
            self.state.set(State::Unasked);
        }
    }

    pub(super) fn is_dispelled(&self) -> bool {
        self.state.get() == State::Dispelled
    }

    /// Whether it was asked for, and has not come yet.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state.get(), State::By(_) | State::Absent)
    }

    /// Whether it should have come and has not. The first time, the log says so, and what follows from it.
    pub(super) fn is_absent(&self, now: UnixMillis, name: &str, consequence: &str) -> bool {
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

/// Says in the log what is left out.
pub(super) fn complain(name: &str, consequence: &str) {
    error!("allowed_capabilities: expected {name} among them, got none: {consequence}");
}

/// How late a callback may be: a worker may have much to do.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
