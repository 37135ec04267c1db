//! Envoy's shared data as the cache's memory.

use proxy_wasm::hostcalls;

use crate::cache::{self, Version};

/// Envoy's shared data, of this VM's `vm_id`.
pub(super) struct SharedData;

impl cache::SharedData for SharedData {
    fn get(&self, key: &str) -> Option<Vec<u8>> {
        hostcalls::get_shared_data(key).ok()?.0
    }

    fn set(&self, key: &str, value: &[u8]) {
        // Without a compare-and-swap there is no failure to hear of.
        _ = hostcalls::set_shared_data(key, Some(value), None);
    }

    fn read(&self, key: &str) -> (Option<Vec<u8>>, Version) {
        let (value, cas) = hostcalls::get_shared_data(key).unwrap_or_default();
        (value, cas.map_or(Version::NEVER_SET, Version))
    }

    fn replace(&self, key: &str, value: &[u8], version: Version) -> bool {
        hostcalls::set_shared_data(key, Some(value), Some(version.0)).is_ok()
    }
}
