//! Holding calls back from a server whose answers are of no use: it refuses our credentials, or answers with something
//! else than a verdict. It is not down, so nothing older serves in its place; but asking it again for each request only
//! adds to its load and to ours.

use super::breaker::Breaker;
use crate::introspection::{BreakerLimits, ServerFailure};
use crate::token::UnixMillis;

/// What is known of a server's answers, on this worker.
#[derive(Default)]
pub(super) struct Unusable {
    breaker: Breaker,
    last: Option<ServerFailure>,
}

impl Unusable {
    /// What the last call brought, if no call may be made now. Asking this uses up no probe.
    pub(super) fn holds_back(&self, now: UnixMillis) -> Option<&ServerFailure> {
        self.last.as_ref().filter(|_| self.breaker.holds_back(now))
    }

    /// Whether calls are held back, but for one now and then.
    pub(super) fn is_open(&self) -> bool {
        self.breaker.is_open()
    }

    /// A call that is not held back is made.
    pub(super) fn admits(&mut self, now: UnixMillis) {
        self.breaker.admits(now);
    }

    /// The server gave a verdict.
    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// It gave something else. Returns whether calls are held back from now on.
    pub(super) fn failed(
        &mut self,
        failure: &ServerFailure,
        limits: &BreakerLimits,
        now: UnixMillis,
    ) -> bool {
        self.last = Some(failure.clone());
        self.breaker.failed(limits, now)
    }
}
