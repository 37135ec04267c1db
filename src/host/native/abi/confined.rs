//! What is used by one thread at a time, though it was not made for more than one.

#![expect(unsafe_code, reason = "what is moved to another thread is all of what it shares")]

use std::sync::{Mutex, PoisonError};

/// A value that threads use in turns.
///
/// The core counts references without a lock (`Rc`), for a worker is one thread there. Here a worker's filter is used by its
/// own thread and by the main one. That is sound as long as no reference leaves: everything that shares a count with what
/// is inside is inside, too. The bounds see to it: what comes in and what goes out is `Send`, which nothing is that counts
/// so.
pub(in super::super) struct Confined<T>(Mutex<T>);

// SAFETY: see above. `T` is made by what is `Send`, reached under the lock alone, and dropped by whoever has all of it.
unsafe impl<T> Send for Confined<T> {}
// SAFETY: likewise.
unsafe impl<T> Sync for Confined<T> {}

impl<T> Confined<T> {
    /// What `make` makes.
    pub(in super::super) fn new<E: Send>(make: impl FnOnce() -> Result<T, E> + Send) -> Result<Self, E> {
        make().map(|value| Self(Mutex::new(value)))
    }

    /// Uses the value. Whoever panicked with it before has been refused what it was about; the rest goes on.
    pub(in super::super) fn with<R: Send>(&self, act: impl FnOnce(&mut T) -> R + Send) -> R {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
