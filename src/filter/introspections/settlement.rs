//! What came of a call, for those who wait for it.

use super::calls::Call;
use crate::cache::Asked;
use crate::claims::ClaimsBuf;
use crate::filter::open_streams::Word;
use crate::jwt::Minted;
use crate::policy::{Denial, Unavailable};

/// The outcome of a call, and the streams that have yet to be told.
pub(super) struct Settlement {
    pub(super) call: Call,
    pub(super) outcome: Outcome,
}

/// What all streams of a call are told.
pub(super) enum Outcome {
    /// The token is active; each stream's policy decides.
    Active {
        claims: ClaimsBuf,
        /// For the service behind. `None` if no stream was permitted that wants one, or if it could not be signed.
        jwt: Option<Minted>,
        /// When the call was sent that said so.
        asked: Asked,
    },
    /// Nobody passes.
    Denied(Denial),
    /// There is none: nobody passes but by an older verdict that may serve instead.
    NoVerdict(Unavailable),
}

impl Outcome {
    /// What it says of the token, whoever shows it.
    pub(super) fn word(&self) -> Word {
        match self {
            Self::Active { asked, .. } => Word::Active(asked.at),
            Self::Denied(denial) => Word::Refused(denial.clone()),
            Self::NoVerdict(_) => Word::None,
        }
    }
}
