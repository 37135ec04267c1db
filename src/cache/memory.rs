//! The memory of workers of a process that is no Envoy: the operator's tool, tests and fuzz targets.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use super::shared_data::{SharedData, Version};

/// Values with the version that set them. A clone is the same memory.
#[derive(Clone, Default)]
pub struct Memory {
    values: Rc<RefCell<HashMap<String, Versioned>>>,
    version: Rc<Cell<u32>>,
    epoch: Rc<Cell<u64>>,
}

/// A value and the version that set it.
type Versioned = (Vec<u8>, u32);

impl Memory {
    /// Looks at every key and its value, in no order.
    pub fn for_each(&self, mut look: impl FnMut(&str, &[u8])) {
        self.values.borrow().iter().for_each(|(key, (value, _))| look(key, value));
    }

    /// All keys and values, in bytes.
    pub fn size(&self) -> usize {
        let mut size = 0;
        self.for_each(|key, value| size += key.len() + value.len());
        size
    }
}

impl SharedData for Memory {
    fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.read(key).0
    }

    fn set(&self, key: &str, value: &[u8]) {
        self.version.set(self.version.get().wrapping_add(1));
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
