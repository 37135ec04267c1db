//! Which entries were pushed out of the cache before their time: workers may still have copies of them.
//!
//! A verdict that a token is inactive takes its entry away and begins an [epoch](super::epoch), which makes copies
//! worthless. Where the entry is no more, a note says that it was: so pushing out is no reason to begin one, and workers
//! keep what they copied of all others. Notes lie in a table of fixed size in shared data; one that finds no room is not
//! made, and the epoch ends instead.
//!
//! ```text
//! slot: version 1 · ( digest 32 · until 8 ) of each note
//! ```

use std::rc::Rc;

use super::{SharedData, Table, Version};
use crate::bytes::Reader;
use crate::token::{TokenDigest, UnixMillis};

/// The notes of all workers.
pub(super) struct PushedOut {
    shared: Rc<dyn SharedData>,
    table: Table,
    /// In one slot.
    max_notes: usize,
}

/// Of this token there may be copies until then.
struct Note {
    digest: TokenDigest,
    until: UnixMillis,
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
            let mut notes = read(&bytes.unwrap_or_default());
            notes.retain(|note| note.until > now && note.digest != *digest);
            if notes.len() >= self.max_notes {
                return false;
            }
            notes.push(Note { digest: *digest, until });
            if self.shared.replace(&key, &write(&notes), version) {
                return true;
            }
        }
        false
    }

    /// Whether there may be copies of what was pushed out.
    pub(super) fn has(&self, digest: &TokenDigest, now: UnixMillis) -> bool {
        let notes = self.shared.get(&self.table.first(digest)).map(|bytes| read(&bytes));
        notes.into_iter().flatten().any(|note| note.digest == *digest && note.until > now)
    }
}

fn read(bytes: &[u8]) -> Vec<Note> {
    let mut reader = Reader::new(bytes);
    if reader.u8() != Some(VERSION) {
        return Vec::new();
    }
    let note = || {
        let digest = TokenDigest::from_bytes(reader.array()?);
        Some(Note { digest, until: UnixMillis::from_millis(reader.u64()?) })
    };
    std::iter::from_fn(note).collect()
}

fn write(notes: &[Note]) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    for Note { digest, until } in notes {
        bytes.extend_from_slice(digest.as_bytes());
        bytes.extend_from_slice(&until.as_millis().to_le_bytes());
    }
    bytes
}

/// With [`MAX_NOTES`], some 5,000 entries can be pushed out within the life of a verdict before that ends epochs, in at
/// most 500 KiB.
const SLOTS: u32 = 1024;

/// In one slot.
const MAX_NOTES: usize = 8;

/// Says how many slots exist.
const CREATED: &str = "evicted";

const MAX_TRIES: u32 = 16;

const VERSION: u8 = 1;
