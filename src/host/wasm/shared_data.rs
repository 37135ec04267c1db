//! Envoy's shared data as the cache's memory, and what carries the epoch.

use super::abi::hostcalls::{self, MetricType};
use crate::cache::{self, Version};
use crate::metrics::CACHE_EPOCH;

/// Envoy's shared data, of this VM's `vm_id`.
pub(super) struct SharedData {
    carrier: Carrier,
}

/// What carries the epoch: the same for all VMs that share their data, which the first of them decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carrier {
    /// A gauge among Envoy's statistics: all workers see it, and reading it copies nothing, which makes it ten times
    /// cheaper than a value of shared data. A counter would go back to zero whenever an operator asks the admin interface
    /// for `/reset_counters`, and count again to numbers that verdicts remember.
    Gauge(u32),
    /// A value of shared data: where Envoy keeps no such gauge, or lets us not change or read it.
    Value,
}

impl SharedData {
    /// Finds out what carries the epoch, by trying it.
    ///
    /// # Errors
    ///
    /// If nothing does that others go by.
    pub(super) fn new() -> Result<Self, String> {
        let gauge = working_gauge();
        let decided = hostcalls::get_shared_data(CARRIER).map_err(|_| NO_SHARED_DATA.to_owned())?.0;
        let carrier = match (decided.as_deref(), gauge) {
            (Some(GAUGE), Some(gauge)) => Carrier::Gauge(gauge),
            (Some(GAUGE), None) => return Err(GAUGE_WANTED.to_owned()),
            (Some(_), _) => Carrier::Value,
            (None, gauge) => {
                let (carrier, name) = gauge.map_or((Carrier::Value, VALUE), |it| (Carrier::Gauge(it), GAUGE));
                let is_written = hostcalls::set_shared_data(CARRIER, name, Version::NEVER_SET.0).is_ok();
                let read = hostcalls::get_shared_data(CARRIER).ok().and_then(|(value, _)| value);
                if !is_written || read.as_deref() != Some(name) {
                    return Err(NO_SHARED_DATA.to_owned());
                }
                carrier
            }
        };
        if carrier == Carrier::Value {
            log::warn!("{WITHOUT_GAUGE}");
            // So that it can be swapped from now on; whoever comes later finds it.
            if value().is_none() {
                _ = hostcalls::set_shared_data(EPOCH, &0_u64.to_le_bytes(), Version::NEVER_SET.0);
            }
            value().ok_or_else(|| NO_SHARED_DATA.to_owned())?;
        }
        Ok(Self { carrier })
    }
}

impl cache::SharedData for SharedData {
    fn get(&self, key: &str) -> Option<Vec<u8>> {
        hostcalls::get_shared_data(key).ok()?.0
    }

    fn set(&self, key: &str, value: &[u8]) {
        // Without a compare-and-swap there is no failure to hear of.
        _ = hostcalls::set_shared_data(key, value, Version::NEVER_SET.0);
    }

    fn read(&self, key: &str) -> (Option<Vec<u8>>, Version) {
        let (value, version) = hostcalls::get_shared_data(key).unwrap_or_default();
        (value, Version(version))
    }

    fn replace(&self, key: &str, value: &[u8], version: Version) -> bool {
        hostcalls::set_shared_data(key, value, version.0).is_ok()
    }

    fn epoch(&self) -> Option<u64> {
        match self.carrier {
            Carrier::Gauge(gauge) => hostcalls::get_metric(gauge).ok(),
            Carrier::Value => value().map(|(epoch, _)| epoch),
        }
    }

    fn advance_epoch(&self, by: u64) {
        match self.carrier {
            Carrier::Gauge(gauge) => {
                _ = hostcalls::increment_metric(gauge, i64::try_from(by).unwrap_or(i64::MAX));
            }
            Carrier::Value => advance_value(by),
        }
    }
}

/// The gauge, if what is added to it can be read again. One that Envoy's `stats_matcher` leaves out is always zero.
fn working_gauge() -> Option<u32> {
    let gauge = hostcalls::define_metric(MetricType::Gauge, CACHE_EPOCH).ok()?;
    // Not by what it was before: other workers add to it, too, and an old process that is about to leave.
    hostcalls::increment_metric(gauge, TRIAL).ok()?;
    (hostcalls::get_metric(gauge).ok()? > 0).then_some(gauge)
}

/// The epoch among shared data, and its version.
fn value() -> Option<(u64, u32)> {
    let (value, version) = hostcalls::get_shared_data(EPOCH).ok()?;
    Some((u64::from_le_bytes(value?.try_into().ok()?), version))
}

fn advance_value(by: u64) {
    let mut seen = 0;
    for _ in 0..MAX_TRIES {
        let (epoch, version) = value().unwrap_or_default();
        seen = epoch;
        let next = epoch.wrapping_add(by).to_le_bytes();
        if hostcalls::set_shared_data(EPOCH, &next, version).is_ok() {
            return;
        }
    }
    // Every failed swap is another worker's success. Far from whatever a crowd may write: a withdrawal is not lost.
    let far = seen.wrapping_add(by).wrapping_add(1 << 60).to_le_bytes();
    _ = hostcalls::set_shared_data(EPOCH, &far, Version::NEVER_SET.0);
}

/// Says what carries the epoch.
const CARRIER: &str = "epoch.by";

const GAUGE: &[u8] = b"gauge";

const VALUE: &[u8] = b"value";

const EPOCH: &str = "epoch";

/// As if an entry was taken away.
const TRIAL: i64 = 1;

const MAX_TRIES: u32 = 64;

const NO_SHARED_DATA: &str = "expected a host with shared data, got one without: allowed_capabilities needs \
    proxy_get_shared_data and proxy_set_shared_data";

const GAUGE_WANTED: &str = "expected the gauge 0.phantom_token.epoch, which other filters of this vm_id go by, got none \
    that can be read and changed: allow proxy_define_metric, proxy_get_metric and proxy_increment_metric, or name another \
    vm_id";

const WITHOUT_GAUGE: &str = "the gauge 0.phantom_token.epoch cannot be read and changed: stats_matcher leaves it out, or \
    allowed_capabilities lacks proxy_get_metric or proxy_increment_metric; withdrawals go by shared data instead, which \
    costs every request about 1 µs more";
