//! What a worker notes of a request that did not simply go on.

use crate::host::fate::Fate;

/// A request that did not simply go on.
pub(super) struct Held {
    /// What became of it so far.
    pub(super) fate: Fate,
    /// The part of a watched request's body that has passed.
    pub(super) passed: Vec<u8>,
    /// Whether the filter has been told of the body.
    pub(super) is_read: bool,
}
