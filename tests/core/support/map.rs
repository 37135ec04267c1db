//! Envoy's shared data, for workers without an Envoy, with what tests want to know of it.

use std::cell::Cell;
use std::rc::Rc;

use phantom_token_filter::cache::{Mailbox, Memory, SharedData, Version};

/// The memory of workers, and their mailboxes.
#[derive(Clone, Default)]
pub struct Map {
    memory: Memory,
    mailboxes: Rc<Cell<u32>>,
    reads: Rc<Cell<usize>>,
}

impl Map {
    pub fn new_mailbox(&self) -> Mailbox {
        self.mailboxes.set(self.mailboxes.get() + 1);
        Mailbox(self.mailboxes.get())
    }

    /// The verdicts that are remembered.
    pub fn verdicts(&self) -> usize {
        let mut count = 0;
        self.memory.for_each(|key, value| {
            count += usize::from(key.starts_with(['p', 'n']) && !value.is_empty());
        });
        count
    }

    /// How many values were read.
    pub fn reads(&self) -> usize {
        self.reads.get()
    }

    /// All keys and values, in bytes.
    pub fn size(&self) -> usize {
        self.memory.size()
    }

    /// Whether this is a part of any key or value.
    pub fn contains(&self, part: &[u8]) -> bool {
        let is_in = |bytes: &[u8]| bytes.windows(part.len()).any(|window| window == part);
        let mut is_there = false;
        self.memory.for_each(|key, value| is_there |= is_in(key.as_bytes()) || is_in(value));
        is_there
    }
}

impl SharedData for Map {
    fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.reads.set(self.reads.get() + 1);
        self.memory.get(key)
    }

    fn set(&self, key: &str, value: &[u8]) {
        self.memory.set(key, value);
    }

    fn read(&self, key: &str) -> (Option<Vec<u8>>, Version) {
        self.memory.read(key)
    }

    fn epoch(&self) -> Option<u64> {
        self.memory.epoch()
    }

    fn advance_epoch(&self, by: u64) {
        self.memory.advance_epoch(by);
    }

    fn replace(&self, key: &str, value: &[u8], version: Version) -> bool {
        self.memory.replace(key, value, version)
    }
}
