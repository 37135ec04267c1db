//! One step of the filter: what a part is given besides the event, and what it does.

use std::rc::Rc;
use std::time::Duration;

use super::event::{CallId, Effect, StreamId, Told};
use super::passed_by::PassedBy;
use super::worker::Worker;
use crate::cache::Subject;
use crate::http::HttpCall;
use crate::metrics::Counter;
use crate::token::{TokenDigest, UnixMillis};

/// A step under way.
pub(super) struct Step<'w> {
    pub(super) now: UnixMillis,
    pub(super) worker: &'w Worker,
    /// What is to be done, in this order.
    pub(super) effects: Vec<Effect>,
    /// Requests that are passed on, as far as they are watched.
    pub(super) passed: Vec<(StreamId, Rc<PassedBy>)>,
}

impl<'w> Step<'w> {
    pub(super) fn new(worker: &'w Worker, now: UnixMillis) -> Self {
        Self { now, worker, effects: Vec::with_capacity(4), passed: Vec::new() }
    }

    pub(super) fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub(super) fn count(&mut self, counter: Counter) {
        self.effects.push(Effect::Count(counter));
    }

    /// Sends this; only ever in the root's callbacks.
    pub(super) fn call(&mut self, request: HttpCall) -> CallId {
        let id = self.worker.call_ids().next();
        self.effects.push(Effect::Call(id, request));
        id
    }

    /// Withdraws, for all workers, before anybody is answered.
    pub(super) fn withdraw(&mut self, subjects: &[Subject], settle: Duration) {
        self.worker.cache.withdrawals().withdraw(subjects, settle, self.now);
        log::debug!("withdrawn: {subjects:?}");
        self.count(Counter::RevocationReceived);
    }

    /// Gives our lease back and tells who wants to know.
    pub(super) fn release(&mut self, digest: &TokenDigest, told: Told) {
        let waiting = self.worker.leases.release(digest);
        self.effects.extend(waiting.into_iter().map(|mailbox| Effect::Tell(mailbox, *digest, told)));
    }
}
