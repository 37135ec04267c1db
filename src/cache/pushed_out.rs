//! Which entries were pushed out of the cache before their time: workers may still have copies of them.
//!
//! A verdict that a token is inactive takes its entry away and begins an [epoch](super::epoch), which makes copies
//! worthless. Where the entry is no more, a note says that it was: so pushing out is no reason to begin one, and workers
//! keep what they copied of all others. Notes lie in a table of fixed size in shared data; one that finds no room is not
//! made, and the epoch ends instead. Each slot holds [`Dated`] digests: of this token, there may be copies until then.

use std::rc::Rc;

use super::{Dated, SharedData, Table, Version};
use crate::token::{TokenDigest, UnixMillis};

/// The notes of all workers.
pub(super) struct PushedOut {
    shared: Rc<dyn SharedData>,
    table: Table,
    /// In one slot.
    max_notes: usize,
}

impl PushedOut {
    /// The notes that lie in `shared`.
    pub(super) fn new(shared: Rc<dyn SharedData>) -> Self {
        Self { shared, table: Table { prefix: 'o', slots: SLOTS, words: (1, 1) }, max_notes: MAX_NOTES }
    }

    #[cfg(test)]
    pub(super) fn shrink(&mut self, slots: u32, max_notes: usize) {
        self.table.slots = slots;
        self.max_notes = max_notes;
    }

    /// Makes every slot exist: shared data can compare and swap only what is there. Done before any worker has
    /// requests; later it changes nothing.
    pub(super) fn create(&self) {
        self.table.create(self.shared.as_ref(), CREATED);
    }

    /// Notes that an entry of use until then is about to go. Returns whether there was room.
    pub(super) fn note(&self, digest: &TokenDigest, until: UnixMillis, now: UnixMillis) -> bool {
        let key = self.table.first(digest);
        // Every failed swap is another worker's success; a few in a row mean a crowd.
        for _ in 0..MAX_TRIES {
            let (bytes, version) = self.shared.read(&key);
            if version == Version::NEVER_SET {
                return false;
            }
            let mut notes = Dated::parse(&bytes.unwrap_or_default());
            notes.0.retain(|(noted, until)| *until > now && noted != digest);
            if notes.0.len() >= self.max_notes {
                return false;
            }
            notes.0.push((*digest, until));
            if self.shared.replace(&key, &notes.write(), version) {
                return true;
            }
        }
        false
    }

    /// Whether there may be copies of what was pushed out.
    pub(super) fn has(&self, digest: &TokenDigest, now: UnixMillis) -> bool {
        let notes = Dated::parse(&self.shared.get(&self.table.first(digest)).unwrap_or_default());
        notes.0.iter().any(|(noted, until)| noted == digest && *until > now)
    }
}

/// With [`MAX_NOTES`], some 5,000 entries can be pushed out within the life of a verdict before that ends epochs, in at
/// most 500 KiB.
const SLOTS: u32 = 1024;

/// In one slot.
const MAX_NOTES: usize = 8;

/// Says how many slots exist.
const CREATED: &str = "evicted";

const MAX_TRIES: u32 = 16;
