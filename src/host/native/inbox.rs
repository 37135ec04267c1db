//! What the main thread has yet to do for the workers of a configuration.

use std::mem::take;
use std::sync::{Mutex, PoisonError};

use super::abi::Scheduler;
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
pub(super) struct Inbox {
    messages: Mutex<Vec<(usize, Message)>>,
    scheduler: Scheduler,
}

impl Inbox {
    pub(super) fn new(scheduler: Scheduler) -> Self {
        Self { messages: Mutex::default(), scheduler }
    }

    /// Puts in a message for a worker.
    pub(super) fn put(&self, worker: usize, message: Message) {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = messages.is_empty();
        messages.push((worker, message));
        drop(messages);
        if is_first {
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

    /// Says that streams are to end.
    pub(super) fn streams_are_to_end(&self) {
        self.scheduler.commit(ENDS);
    }
}

/// There are messages.
pub(super) const MESSAGES: u64 = 0;

/// There are ticks.
pub(super) const TICKS: u64 = 1;

/// There are streams to end.
pub(super) const ENDS: u64 = 2;
