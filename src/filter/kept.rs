//! What is kept of streams that wait, and how many bytes of clients' that is.

use super::event::StreamId;
use crate::numbered::Numbered;

/// Of each stream, a `T`.
pub(super) struct Kept<T> {
    by_stream: Numbered<StreamId, (T, usize)>,
    bytes: usize,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { by_stream: Numbered::default(), bytes: 0 }
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
        let (value, bytes) = self.by_stream.remove(stream)?;
        self.bytes -= bytes;
        Some(value)
    }

    pub(super) fn get(&self, stream: StreamId) -> Option<&T> {
        self.by_stream.get(stream).map(|(value, _)| value)
    }

    pub(super) fn get_mut(&mut self, stream: StreamId) -> Option<&mut T> {
        self.by_stream.get_mut(stream).map(|(value, _)| value)
    }

    /// All, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (StreamId, &T)> {
        self.by_stream.iter().map(|(stream, (value, _))| (stream, value))
    }

    /// The same, to be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.by_stream.iter_mut().map(|(_, (value, _))| value)
    }

    /// Looks at those that come after a stream, or at all, in order: at most so many. Returns how many there were.
    pub(super) fn look_after(
        &mut self,
        stream: Option<StreamId>,
        most: usize,
        mut look: impl FnMut(StreamId, &mut T),
    ) -> usize {
        self.by_stream.look_after(stream, most, |stream, (value, _)| look(stream, value))
    }

    pub(super) fn contains(&self, stream: StreamId) -> bool {
        self.by_stream.contains(stream)
    }

    pub(super) fn len(&self) -> usize {
        self.by_stream.len()
    }

    /// How many bytes are clients'.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
