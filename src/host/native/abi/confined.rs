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

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, clippy::unwrap_used)]

    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::rc::Rc;
    use std::thread;

    use super::*;

    /// What counts as the core does.
    type Counted = (Rc<Cell<u32>>, Rc<Cell<u32>>);

    fn confined() -> Confined<Counted> {
        let make = || {
            let count = Rc::new(Cell::new(0));
            Ok::<_, ()>((Rc::clone(&count), count))
        };
        Confined::new(make).unwrap()
    }

    #[test]
    fn threads_take_turns() {
        let confined = confined();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    (0..1000).for_each(|_| {
                        confined.with(|(count, same)| {
                            let another = Rc::clone(same);
                            another.set(count.get() + 1);
                        });
                    });
                });
            }
        });
        assert_eq!(confined.with(|(count, same)| (count.get(), Rc::strong_count(same))), (4000, 2));
    }

    #[test]
    fn a_panic_under_the_lock_leaves_the_rest_usable() {
        let confined = confined();
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            confined.with(|(count, _)| {
                count.set(1);
                panic!("as a bug would");
            })
        }));
        assert!(panicked.is_err());
        assert_eq!(confined.with(|(count, _)| count.get()), 1);
    }
}
