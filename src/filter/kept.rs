//! What is kept of streams that wait, and how many bytes of clients' that is.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::event::StreamId;

/// Of each stream, a `T`.
pub(super) struct Kept<T> {
    by_stream: BTreeMap<StreamId, (T, usize)>,
    bytes: usize,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { by_stream: BTreeMap::new(), bytes: 0 }
    }
}

impl<T> Kept<T> {
    /// Keeps `value`, in which so many bytes are the client's.
    pub(super) fn insert(&mut self, stream: StreamId, value: T, bytes: usize) {
        self.remove(stream);
        self.bytes += bytes;
        self.by_stream.insert(stream, (value, bytes));
    }

    pub(super) fn remove(&mut self, stream: StreamId) -> Option<T> {
        let (value, bytes) = self.by_stream.remove(&stream)?;
        self.bytes -= bytes;
        Some(value)
    }

    pub(super) fn get(&self, stream: StreamId) -> Option<&T> {
        self.by_stream.get(&stream).map(|(value, _)| value)
    }

    pub(super) fn get_mut(&mut self, stream: StreamId) -> Option<&mut T> {
        self.by_stream.get_mut(&stream).map(|(value, _)| value)
    }

    /// All that come after a bound, in order.
    pub(super) fn after(&mut self, bound: Bound<StreamId>) -> impl Iterator<Item = (StreamId, &mut T)> {
        let kept = self.by_stream.range_mut((bound, Bound::Unbounded));
        kept.map(|(stream, (value, _))| (*stream, value))
    }

    pub(super) fn contains(&self, stream: StreamId) -> bool {
        self.by_stream.contains_key(&stream)
    }

    pub(super) fn len(&self) -> usize {
        self.by_stream.len()
    }

    /// How many bytes are clients'.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
