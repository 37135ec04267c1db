//! What others have withdrawn is done here.

use std::time::Duration;

use litemap::LiteMap;

use super::link::Link;
use crate::cache::Name;
use crate::filter::step::Step;
use crate::fleet::etcd::Pair;
use crate::fleet::{Envoy, Notice, StoreId};
use crate::metrics::{Counter, Whose};
use crate::revocation::sources::WithdrawnJwts;
use crate::token::UnixMillis;

impl Link {
    /// Does what these say, but for those that were put up to revision `since`, or by ourselves: these are done. Returns the
    /// store's identity, if it is among them.
    pub(super) fn apply(
        &mut self,
        pairs: &[Pair<'_>],
        since: u64,
        us: Envoy,
        step: &mut Step<'_>,
    ) -> Option<StoreId> {
        let store = self.keys.store();
        let mut id = None;
        let refuses = step.worker.config.revocation.jwts == WithdrawnJwts::Refuse;
        let mut by_settle: LiteMap<Duration, Vec<(Name, Option<UnixMillis>)>> = LiteMap::new();
        for pair in pairs {
            if pair.key == store {
                id = StoreId::read(pair.value);
            } else if pair.revision > since {
                match Notice::read(&self.keys, pair.key, pair.value) {
                    Some(notice) if notice.by == us => {}
                    Some(notice) => {
                        let jwts = notice.jwts.filter(|_| refuses);
                        by_settle.entry(notice.settle).or_default().push((notice.name, jwts));
                    }
                    None => self.is_unreadable = true,
                }
            }
        }
        for (settle, names) in by_settle {
            names.iter().for_each(|_| step.count(Counter::FleetApplied, Whose::NOBODY));
            log::debug!("withdrawn by other Envoys: {names:?}");
            step.worker.cache.withdrawals().withdraw_names(names, settle, step.now);
        }
        id
    }

    /// What cannot be read may have withdrawn anything. Once a second at most: whoever can write into the store must not
    /// be able to have every request asked about.
    pub(super) fn look_for_unreadable(&mut self, step: &mut Step<'_>) {
        if std::mem::take(&mut self.is_unreadable) {
            step.count(Counter::FleetError, Whose::NOBODY.because("unreadable"));
            if !std::mem::replace(&mut self.said_unreadable, true) {
                log::error!(
                    "revocation.fleet: keys under {:?} are no withdrawals of this version: everything is withdrawn for \
                     each, at most once a second; does something else use the prefix?",
                    self.fleet.prefix
                );
            }
            self.withdraw_everything(step);
        }
    }

    /// In the place of what cannot be told: no verdict serves that is older. Streams that are open go on, and JWTs that
    /// nobody is asked about: to refuse them would be a ban for all whom nothing was said of.
    pub(super) fn withdraw_everything(&self, step: &Step<'_>) {
        step.worker.cache.withdrawals().withdraw_all_until(step.now);
    }
}
