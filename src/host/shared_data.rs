//! Envoy's shared data as the cache's memory.

use super::abi::hostcalls::{self, MetricType, Status};
use crate::cache::{self, Version};
use crate::metrics::CACHE_EPOCH;

/// Envoy's shared data, of this VM's `vm_id`.
///
/// The epoch is a gauge among Envoy's statistics: all workers see it, and reading it copies nothing, which makes
/// it ten times cheaper than a value of shared data. A counter would go back to zero whenever an operator asks
/// the admin interface for `/reset_counters`, and count again to numbers that verdicts remember.
pub(super) struct SharedData {
    epoch: u32,
}

impl SharedData {
    pub(super) fn new() -> Result<Self, Status> {
        Ok(Self { epoch: hostcalls::define_metric(MetricType::Gauge, CACHE_EPOCH)? })
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
        hostcalls::get_metric(self.epoch).ok()
    }

    fn advance_epoch(&self, by: u64) {
        _ = hostcalls::increment_metric(self.epoch, i64::try_from(by).unwrap_or(i64::MAX));
    }
}
