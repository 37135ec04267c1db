//! What the main thread has yet to do for the workers of a configuration.

use std::mem::take;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::abi::Scheduler;
use super::presence::Presence;
use crate::filter::Told;
use crate::token::TokenDigest;

/// Something for a worker's filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// It begins to work.
    Start,
    /// By another worker: what became of a call. A turn follows.
    Told(TokenDigest, Told),
    /// It asked for a turn.
    Turn,
}

/// Messages in their order, and what wakes the main thread.
///
/// Envoy holds the configuration while it is told to wake the main thread, and may be the last to hold it then: that ends it on
/// the spot. The main thread may hold a shard of it. So what it puts in itself is told when it leaves.
pub(super) struct Inbox {
    messages: Mutex<Vec<(usize, Message)>>,
    scheduler: Scheduler,
    presence: Arc<Presence>,
    /// Whether the main thread has yet to be woken for what it put in itself.
    is_untold: AtomicBool,
}

impl Inbox {
    pub(super) fn new(scheduler: Scheduler, presence: Arc<Presence>) -> Self {
        Self { messages: Mutex::default(), scheduler, presence, is_untold: AtomicBool::new(false) }
    }

    /// Puts in a message for a worker.
    pub(super) fn put(&self, worker: usize, message: Message) {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = messages.is_empty();
        messages.push((worker, message));
        drop(messages);
        if is_first {
            self.wake();
        }
    }

    /// Wakes the main thread, or has it woken when it leaves.
    pub(super) fn wake(&self) {
        if self.presence.is_here() {
            self.is_untold.store(true, Ordering::Relaxed);
        } else {
            self.scheduler.commit(MESSAGES);
        }
    }

    /// The main thread has left, orders perhaps undone.
    pub(super) fn left(&self, are_orders_there: bool) {
        if self.is_untold.swap(false, Ordering::Relaxed) || are_orders_there {
            self.scheduler.commit(MESSAGES);
        }
    }

    /// Takes all messages out.
    pub(super) fn take(&self) -> Vec<(usize, Message)> {
        take(&mut self.messages.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Says that ticks have fallen due.
    pub(super) fn ticks_are_due(&self) {
        self.scheduler.commit(TICKS);
    }
}

/// There are messages, or orders.
pub(super) const MESSAGES: u64 = 0;

/// There are ticks.
pub(super) const TICKS: u64 = 1;
