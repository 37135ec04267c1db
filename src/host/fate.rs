//! What becomes of a request.

use super::action::Action;

/// What became of the stream whose callback it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::host) enum Fate {
    /// It was answered.
    Answered,
    /// It goes on.
    Forwarded,
    /// It waits for its own body.
    Receiving,
    /// It waits.
    Waiting,
    /// It goes on, and is watched.
    Watched,
}

impl Fate {
    /// Whether more of the request may pass: only of one that was found to pass, and not because nobody holds it.
    pub(in crate::host) fn gate(self) -> Action {
        match self {
            Self::Forwarded | Self::Watched => Action::Continue,
            Self::Receiving => Action::Collect,
            Self::Answered | Self::Waiting => Action::Wait,
        }
    }
}
