//! The epoch: one number that all workers see, cheap to read, which changes with whatever makes copies worthless.
//!
//! ```text
//! withdrawals, 40 bits · entries taken away, 24 bits
//! ```
//! Copies of entries live within one epoch. Entries in shared data live on when others are taken away: they look at the
//! upper part alone. A carry from the lower part costs a look that was not needed, once in 16 million times.

use super::SharedData;

/// Makes copies worthless.
pub(super) fn took_away(shared: &dyn SharedData) {
    shared.advance_epoch(1);
}

/// Makes copies worthless, and entries that were not looked at since.
///
/// The step is random: a number that comes back (statistics of an Envoy that is restarted hot are those of two
/// processes added up, until the old one leaves) must not be one that entries remember.
pub(super) fn withdrew(shared: &dyn SharedData) {
    // Without randomness it is a step all the same.
    let step = u64::from(getrandom::u32().unwrap_or_default() & (MAX_STEP - 1)) + 1;
    shared.advance_epoch(step << TAKEN_AWAY_BITS);
}

/// When something was looked at, on a clock that ticks with every withdrawal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(Option<u64>);

impl Moment {
    /// No moment at all: what was looked at then counts as not looked at.
    pub const NEVER: Self = Self(None);

    pub(super) fn of(epoch: Option<u64>) -> Self {
        Self(epoch.map(|epoch| epoch >> TAKEN_AWAY_BITS))
    }

    /// Whether nothing was withdrawn between the two.
    pub(super) fn is(self, other: Self) -> bool {
        self.0.is_some() && self == other
    }

    pub(super) fn to_bytes(self) -> [u8; 8] {
        self.0.unwrap_or(NEVER).to_le_bytes()
    }

    pub(super) fn from_bytes(moment: u64) -> Self {
        Self((moment != NEVER).then_some(moment))
    }
}

const TAKEN_AWAY_BITS: u32 = 24;

const MAX_STEP: u32 = 1 << 30;

/// More than 40 bits hold.
const NEVER: u64 = u64::MAX;
