//! One step of the filter: what a part is given besides the event, and what it does.

use std::rc::Rc;
use std::time::Duration;

use super::event::{CallId, Effect, StreamId, Told};
use super::passed_by::PassedBy;
use super::worker::Worker;
use crate::cache::{Jwts, Name, Subject};
use crate::grpc::GrpcCall;
use crate::http::HttpCall;
use crate::metrics::{Change, Counter, Gauge, IntrospectionDuration, Whose};
use crate::revocation::sources::WithdrawnJwts;
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

    pub(super) fn count(&mut self, counter: Counter, whose: Whose<'_>) {
        self.effects.push(Effect::Count(self.worker.names.series(counter, whose)));
    }

    /// Something is so much more now, or less.
    pub(super) fn change(&mut self, gauge: Gauge, more: i64) {
        if more != 0 {
            let series = self.worker.names.series(gauge, Whose::NOBODY);
            self.effects.push(Effect::Gauge(series, Change::By(more)));
        }
    }

    /// Something stands at this now.
    pub(super) fn set(&mut self, gauge: Gauge, whose: Whose<'_>, level: u64) {
        self.effects.push(Effect::Gauge(self.worker.names.series(gauge, whose), Change::To(level)));
    }

    /// A try at this provider is over, after so long.
    pub(super) fn took(&mut self, provider: &str, duration: Duration) {
        let series = self.worker.names.series(IntrospectionDuration, Whose::provider(provider));
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.effects.push(Effect::Took(series, millis));
    }

    /// Sends this; only ever in the root's callbacks.
    pub(super) fn call(&mut self, request: HttpCall) -> CallId {
        let id = self.worker.call_ids().next();
        self.effects.push(Effect::Call(id, request));
        id
    }

    /// Calls this by gRPC; only ever in the root's callbacks.
    pub(super) fn grpc(&mut self, request: GrpcCall) -> CallId {
        let id = self.worker.call_ids().next();
        self.effects.push(Effect::Grpc(id, request));
        id
    }

    /// Opens a stream of gRPC; only ever in the root's callbacks.
    pub(super) fn open(&mut self, request: GrpcCall) -> CallId {
        let id = self.worker.call_ids().next();
        self.effects.push(Effect::Open(id, request));
        id
    }

    /// Withdraws, for all workers, before anybody is answered; other Envoys of the fleet are told. `jwts`: which of those
    /// are refused that nobody is asked about, where they are refused at all.
    pub(super) fn withdraw(&mut self, subjects: &[Subject], jwts: Jwts, settle: Duration) {
        let jwts = match self.worker.config.revocation.jwts {
            WithdrawnJwts::Ignore => Jwts::Spared,
            WithdrawnJwts::Refuse => jwts,
        };
        let names = subjects.iter().map(Name::of).map(|name| (name, jwts.issued_until(&name)));
        self.worker.cache.withdrawals().withdraw_names(names.clone(), settle, self.now);
        if let Some(fleet) = self.worker.fleet.as_ref().filter(|_| !subjects.is_empty()) {
            match fleet.tell(names, settle, self.now) {
                Some(by) if by == self.worker.mailbox => self.push(Effect::AskForTurn),
                Some(by) => self.push(Effect::Wake(by)),
                // Nobody speaks with the store yet. Whoever does, looks.
                None => {}
            }
        }
        log::debug!("withdrawn: {subjects:?}");
        self.count(Counter::RevocationReceived, Whose::NOBODY);
    }

    /// Gives our lease back and tells who wants to know.
    pub(super) fn release(&mut self, digest: &TokenDigest, told: Told) {
        let waiting = self.worker.leases.release(digest);
        self.effects.extend(waiting.into_iter().map(|mailbox| Effect::Tell(mailbox, *digest, told)));
    }
}
