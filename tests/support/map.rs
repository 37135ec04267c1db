//! Envoy's shared data, for workers without an Envoy.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use phantom_token_filter::cache::{Mailbox, SharedData, Version};

/// Envoy's shared data, as far as it matters: values with the version that set them.
#[derive(Clone, Default)]
pub struct Map {
    values: Rc<RefCell<HashMap<String, Versioned>>>,
    version: Rc<Cell<u32>>,
    epoch: Rc<Cell<u64>>,
    mailboxes: Rc<Cell<u32>>,
    reads: Rc<Cell<usize>>,
}

/// A value and the version that set it.
type Versioned = (Vec<u8>, u32);

impl Map {
    pub fn new_mailbox(&self) -> Mailbox {
        self.mailboxes.set(self.mailboxes.get() + 1);
        Mailbox(self.mailboxes.get())
    }

    /// The verdicts that are remembered.
    pub fn verdicts(&self) -> usize {
        self.values
            .borrow()
            .iter()
            .filter(|(key, (value, _))| key.starts_with(['p', 'n']) && !value.is_empty())
            .count()
    }

    /// How many values were read.
    pub fn reads(&self) -> usize {
        self.reads.get()
    }

    /// All keys and values, in bytes.
    pub fn size(&self) -> usize {
        self.values.borrow().iter().map(|(key, (value, _))| key.len() + value.len()).sum()
    }

    /// Whether this is a part of any key or value.
    pub fn contains(&self, part: &[u8]) -> bool {
        let is_in = |bytes: &[u8]| bytes.windows(part.len()).any(|window| window == part);
        self.values.borrow().iter().any(|(key, (value, _))| is_in(key.as_bytes()) || is_in(value))
    }
}

impl SharedData for Map {
    fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.reads.set(self.reads.get() + 1);
        self.values.borrow().get(key).map(|(value, _)| value.clone())
    }

    fn set(&self, key: &str, value: &[u8]) {
        self.version.set(self.version.get() + 1);
        self.values.borrow_mut().insert(key.to_owned(), (value.to_vec(), self.version.get()));
    }

    fn read(&self, key: &str) -> (Option<Vec<u8>>, Version) {
        let value = self.values.borrow().get(key).cloned();
        value.map_or((None, Version::NEVER_SET), |(value, version)| (Some(value), Version(version)))
    }

    fn epoch(&self) -> Option<u64> {
        Some(self.epoch.get())
    }

    fn advance_epoch(&self, by: u64) {
        self.epoch.set(self.epoch.get().wrapping_add(by));
    }

    fn replace(&self, key: &str, value: &[u8], version: Version) -> bool {
        let is_same = version == Version::NEVER_SET || self.read(key).1 == version;
        if is_same {
            self.set(key, value);
        }
        is_same
    }
}
