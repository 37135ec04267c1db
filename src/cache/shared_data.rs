//! The memory that all workers of an Envoy share.

/// A map that all workers share: in Envoy its shared data, elsewhere a [`Memory`](super::Memory).
pub trait SharedData {
    /// The value under `key`, if there is one.
    fn get(&self, key: &str) -> Option<Vec<u8>>;

    /// Puts `value` under `key`.
    fn set(&self, key: &str, value: &[u8]);

    /// The value under `key` and the version that [`SharedData::replace`] wants to see again.
    fn read(&self, key: &str) -> (Option<Vec<u8>>, Version);

    /// Puts `value` under `key` if nobody has since the version was read. Returns whether it did. A key that was
    /// never set cannot be guarded: there it always does.
    fn replace(&self, key: &str, value: &[u8], version: Version) -> bool;

    /// A number that all workers see, cheap to read. `None` if it cannot be read.
    fn epoch(&self) -> Option<u64>;

    /// Adds to [`SharedData::epoch`] for all workers; it may wrap around.
    fn advance_epoch(&self, by: u64);
}

/// A version of a value in shared data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(pub u32);

impl Version {
    /// Of a key that has no value and never had.
    pub const NEVER_SET: Self = Self(0);
}
