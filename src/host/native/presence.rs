//! Whether the main thread is at work for a configuration, and whether that has ended.
//!
//! Envoy lets a configuration go on whatever thread is the last to have it: that of a worker whose request began before the
//! configuration was replaced, say. The main thread may be at work for it just then. So an end waits until it has left, and
//! it does not enter again.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

/// Of a configuration that was made on this thread, which is Envoy's main one.
pub(super) struct Presence {
    main_thread: ThreadId,
    /// Held by the main thread while it is there, and by whoever ends the configuration.
    place: Mutex<()>,
    /// How often the main thread has entered: what it does there may bring it back at once. Only that thread changes it.
    depth: AtomicU32,
    has_ended: AtomicBool,
}

/// The main thread is there.
pub(super) struct Stay<'p> {
    presence: &'p Presence,
    /// Of the outermost.
    place: Option<MutexGuard<'p, ()>>,
}

impl Presence {
    pub(super) fn new() -> Self {
        let main_thread = thread::current().id();
        Self {
            main_thread,
            place: Mutex::default(),
            depth: AtomicU32::new(0),
            has_ended: AtomicBool::new(false),
        }
    }

    /// The main thread enters, unless the configuration has ended. No other thread may.
    pub(super) fn enter(&self) -> Option<Stay<'_>> {
        if !self.is_main_thread() {
            return None;
        }
        let place = (self.depth.load(Ordering::Relaxed) == 0).then(|| self.wait());
        if self.has_ended() {
            return None;
        }
        self.depth.fetch_add(1, Ordering::Relaxed);
        Some(Stay { presence: self, place })
    }

    /// The configuration ends. The main thread is not there while what this gives is held, or it is who ends it.
    pub(super) fn end(&self) -> Option<MutexGuard<'_, ()>> {
        self.has_ended.store(true, Ordering::SeqCst);
        (!self.is_here()).then(|| self.wait())
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::SeqCst)
    }

    fn is_main_thread(&self) -> bool {
        thread::current().id() == self.main_thread
    }

    /// Whether the main thread is there, and this is it.
    pub(super) fn is_here(&self) -> bool {
        self.is_main_thread() && self.depth.load(Ordering::Relaxed) > 0
    }

    fn wait(&self) -> MutexGuard<'_, ()> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stay<'_> {
    /// Whether it leaves when this ends.
    pub(super) fn is_outermost(&self) -> bool {
        self.place.is_some()
    }
}

impl Drop for Stay<'_> {
    fn drop(&mut self) {
        self.presence.depth.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_end_waits_until_the_main_thread_has_left() {
        let presence = Presence::new();
        let (ended, end) = mpsc::channel();
        thread::scope(|scope| {
            let outermost = presence.enter();
            assert!(outermost.as_ref().is_some_and(Stay::is_outermost));
            scope.spawn(|| {
                drop(presence.end());
                _ = ended.send(());
            });
            while !presence.has_ended() {
                thread::yield_now();
            }
            assert!(end.recv_timeout(Duration::from_millis(20)).is_err(), "it is still there");
            assert!(presence.enter().is_none(), "though what is done there comes back");
            drop(outermost);
            assert!(end.recv_timeout(Duration::from_secs(20)).is_ok());
        });
        assert!(presence.enter().is_none());
    }

    #[test]
    fn what_comes_back_at_once_is_within() {
        let presence = Presence::new();
        let outermost = presence.enter();
        let within = presence.enter();
        assert_eq!(
            [&outermost, &within].map(|it| it.as_ref().map(Stay::is_outermost)),
            [Some(true), Some(false)]
        );
        assert!(presence.end().is_none(), "whoever ends it from within waits for nobody");
        drop((within, outermost));
        assert!(presence.end().is_some());
    }

    #[test]
    fn no_other_thread_enters() {
        let presence = Presence::new();
        thread::scope(|scope| _ = scope.spawn(|| assert!(presence.enter().is_none())).join());
    }
}
