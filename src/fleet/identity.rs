//! Who is who in a fleet: numbers made up, which say nothing.

/// An Envoy, to others of its fleet: a number made up when it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envoy(pub [u8; 8]);

/// A store, by what the first Envoy put into it: another one after it was emptied or restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreId(pub [u8; 16]);

impl StoreId {
    /// As the store has it.
    pub fn read(value: &[u8]) -> Option<Self> {
        value.try_into().ok().map(Self)
    }
}
