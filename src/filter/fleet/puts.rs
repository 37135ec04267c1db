//! What is withdrawn here is put for other Envoys: so many at once, under a lease that many share. What cannot be put waits
//! in shared data, and is put when the store is back.

use std::time::Duration;

use litemap::LiteMap;

use super::calls::Doing;
use super::link::Link;
use super::lost::Lost;
use crate::filter::event::CallId;
use crate::filter::part::NOW_AND_THEN;
use crate::filter::step::Step;
use crate::fleet::{Notice, Outbox, Waiting, etcd};
use crate::grpc::GrpcStatus;
use crate::metrics::{Counter, Whose};
use crate::revocation::sources::WithdrawnJwts;

impl Link {
    /// Puts what has yet to be put, if nothing is being put; only in the root's callbacks.
    pub(super) fn put(&mut self, step: &mut Step<'_>) {
        let may = self.is_watching() && self.puts.doing.is_none();
        if !may || self.puts.not_before.is_some_and(|then| step.now < then) {
            return;
        }
        let Some(shared) = &step.worker.fleet else { return };
        let (mut waiting, _) = self.waiting(&shared.outbox);
        let wants_store = self.wants_store();
        if waiting.is_empty() && !wants_store || !self.is_authorized(step) {
            return;
        }
        let now = step.now;
        let (message, doing) = match self.puts.lease.filter(|(_, until)| now < *until) {
            _ if wants_store => {
                let mut id = [0; 16];
                if getrandom::fill(&mut id).is_err() {
                    return;
                }
                (etcd::put_all([(&*self.keys.store(), &id[..])], 0), Doing::Store)
            }
            Some((lease, _)) => {
                let by = shared.envoy();
                // Several slots may have come to stand for all of the same provider: etcd takes no key twice. The last stays.
                waiting.sort_by_key(|it| it.settle);
                let mut pairs: LiteMap<Vec<u8>, Vec<u8>> = LiteMap::new();
                for it in &waiting {
                    let notice = Notice { name: it.name, settle: it.settle, jwts: it.jwts, by };
                    let (key, value) = notice.write(&self.keys);
                    pairs.insert(key, value);
                }
                let pairs = pairs.iter().map(|(key, value)| (&**key, &**value));
                (etcd::put_all(pairs, lease), Doing::Withdrawals(waiting))
            }
            None => {
                // From when it is asked for, it lives for as long as any verdict or JWT from now to the end of its use.
                let withdrawals = step.worker.cache.withdrawals();
                let kept = match step.worker.config.revocation.jwts {
                    WithdrawnJwts::Ignore => withdrawals.retention(),
                    WithdrawnJwts::Refuse => withdrawals.retention().max(withdrawals.refusals_kept()),
                };
                let life = kept.saturating_add(LEASE_IN_USE);
                (etcd::lease_grant(life), Doing::Lease(now.plus(LEASE_IN_USE)))
            }
        };
        let (service, method) = match doing {
            Doing::Lease(_) => (etcd::LEASE, "LeaseGrant"),
            Doing::Store | Doing::Withdrawals(_) => (etcd::KV, "Txn"),
        };
        let under_way = self.call(service, method, message, step);
        self.puts.doing = Some((under_way, doing));
    }

    /// The first that wait, and how many there are. All slots are looked at only if there may be some.
    pub(super) fn waiting(&mut self, outbox: &Outbox) -> (Vec<Waiting>, usize) {
        let mark = outbox.mark();
        if self.puts.empty_at.as_ref() == Some(&mark) {
            return (Vec::new(), 0);
        }
        let (first, count) = outbox.first(MAX_PUT);
        self.puts.empty_at = (count == 0).then_some(mark);
        (first, count)
    }

    /// A call ended. Returns whether it was ours.
    pub(super) fn put_ended(
        &mut self,
        call: CallId,
        answer: Result<Option<&[u8]>, GrpcStatus>,
        step: &mut Step<'_>,
    ) -> bool {
        let Some((_, doing)) = self.puts.doing.take_if(|(under_way, _)| under_way.call == call) else {
            return false;
        };
        match (doing, answer) {
            (_, Err(status)) => self.put_failed(Lost::Closed(status), step),
            (Doing::Lease(until), Ok(message)) => match message.and_then(etcd::lease) {
                Some(lease) => {
                    self.puts.lease = Some((lease, until));
                    self.put(step);
                }
                None => self.put_failed(Lost::Unreadable, step),
            },
            (Doing::Store, Ok(_)) => {
                self.store_was_put();
                self.put(step);
            }
            (Doing::Withdrawals(put), Ok(_)) => {
                if let Some(shared) = &step.worker.fleet {
                    shared.outbox.were_put(&put);
                }
                put.iter().for_each(|_| step.count(Counter::FleetPut, Whose::NOBODY));
                self.puts.failures = 0;
                if std::mem::take(&mut self.puts.are_failing) {
                    log::warn!("revocation.fleet: withdrawals are put again");
                }
                self.put(step);
            }
        }
        true
    }

    fn put_failed(&mut self, why: Lost, step: &mut Step<'_>) {
        self.puts.failures += 1;
        self.puts.not_before = Some(step.now.plus(NOW_AND_THEN));
        // A lease ends with a store that was emptied, or by an operator.
        let has_no_lease = why == Lost::Closed(GrpcStatus::NOT_FOUND);
        if has_no_lease {
            self.puts.lease = None;
        }
        if why.is_refusal() {
            self.token_was_refused(step);
        }
        // A lease or a token that has ended is no trouble yet.
        if (has_no_lease || why.is_refusal()) && self.puts.failures == 1 {
            self.puts.not_before = None;
            return self.put(step);
        }
        self.put_refused(why, step);
    }

    /// Nothing can be put, for a reason that does not pass at once.
    pub(super) fn put_refused(&mut self, why: Lost, step: &mut Step<'_>) {
        step.count(Counter::FleetError, Whose::NOBODY.because(why.reason()));
        // That the store is out of reach, shows by the watch, and is said once.
        if !why.is_unreachable() && !std::mem::replace(&mut self.puts.are_failing, true) {
            log::warn!("revocation.fleet: withdrawals are not put, and wait: {why}");
        }
    }

    /// Gives up on an answer that does not come.
    pub(super) fn look_for_late_put(&mut self, step: &mut Step<'_>) {
        if self.puts.doing.take_if(|(under_way, _)| under_way.until <= step.now).is_some() {
            self.put_failed(Lost::NoAnswer, step);
        }
    }
}

/// Withdrawals that are put at once, of the 128 that etcd takes in one transaction. A watch that catches up may get a
/// thousand of these in one message.
const MAX_PUT: usize = 32;

/// How long withdrawals are put under the same lease. It lives so much longer than it must: fewer leases are cheaper.
const LEASE_IN_USE: Duration = Duration::from_secs(60);
