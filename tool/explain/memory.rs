//! Envoy's shared data, for one worker and one request.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use phantom_token_filter::cache::{SharedData, Version};

/// Values with the version that set them.
#[derive(Default)]
pub(super) struct Memory {
    values: RefCell<HashMap<String, (Vec<u8>, u32)>>,
    version: Cell<u32>,
    epoch: Cell<u64>,
}

impl SharedData for Memory {
    fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.read(key).0
    }

    fn set(&self, key: &str, value: &[u8]) {
        self.version.set(self.version.get() + 1);
        self.values.borrow_mut().insert(key.to_owned(), (value.to_vec(), self.version.get()));
    }

    fn read(&self, key: &str) -> (Option<Vec<u8>>, Version) {
        let value = self.values.borrow().get(key).cloned();
        value.map_or((None, Version::NEVER_SET), |(value, version)| (Some(value), Version(version)))
    }

    fn replace(&self, key: &str, value: &[u8], version: Version) -> bool {
        let is_same = version == Version::NEVER_SET || self.read(key).1 == version;
        if is_same {
            self.set(key, value);
        }
        is_same
    }

    fn epoch(&self) -> Option<u64> {
        Some(self.epoch.get())
    }

    fn advance_epoch(&self, by: u64) {
        self.epoch.set(self.epoch.get().wrapping_add(by));
    }
}
