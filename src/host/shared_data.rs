//! Envoy's shared data as the cache's memory.

use proxy_wasm::hostcalls;

use crate::cache;

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
}
