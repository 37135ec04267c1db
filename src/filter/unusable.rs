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
    /// Whether a call may be made now; if not, what the last one brought.
    pub(super) fn admits(&mut self, now: UnixMillis) -> Result<(), ServerFailure> {
        match &self.last {
            Some(last) if !self.breaker.admits(now) => Err(last.clone()),
            _ => Ok(()),
        }
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
