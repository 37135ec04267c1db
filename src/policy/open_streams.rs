//! What becomes of requests that were passed on and are still open: downloads, event streams, WebSockets, gRPC calls.

use std::time::Duration;

/// When a stream ends that is still open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenStreams {
    /// When what its verdict says is withdrawn.
    pub on_revocation: bool,
    /// When its token ends.
    pub on_expiry: bool,
    /// When the server, asked again so often, calls its token inactive; zero: it is not asked.
    pub recheck: Duration,
}

impl OpenStreams {
    /// Whether anything ends them before their time.
    pub fn are_watched(self) -> bool {
        self.on_revocation || self.on_expiry || !self.recheck.is_zero()
    }
}
