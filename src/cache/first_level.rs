//! The first level: a worker's own copies of entries that it has just used, so that a hit copies nothing out of
//! shared data.
//!
//! A copy must not outlive its original. Whenever an entry is taken away or pushed out before its time, an epoch
//! that all workers can read for next to nothing is counted up, and with another epoch the first level starts
//! anew. So a copy under the current epoch stands for an entry that is still there, or was replaced by a later
//! verdict on the same token.

use std::rc::Rc;

use super::ActiveEntry;
use crate::token::TokenDigest;

/// Copies of entries, of the epoch in which they were read.
pub(super) struct FirstLevel {
    epoch: u64,
    is_empty: bool,
    slots: Vec<Option<Rc<ActiveEntry>>>,
}

impl FirstLevel {
    pub(super) fn new() -> Self {
        Self { epoch: 0, is_empty: true, slots: vec![None; SLOTS] }
    }

    /// The copy for `digest`, if there is one of this epoch.
    pub(super) fn get(&mut self, epoch: u64, digest: &TokenDigest) -> Option<Rc<ActiveEntry>> {
        self.turn_to(epoch);
        let entry = self.slots.get(slot(digest))?.as_ref()?;
        (entry.digest() == digest).then(|| Rc::clone(entry))
    }

    /// Keeps a copy of an entry that was read while `epoch` was the current one.
    pub(super) fn put(&mut self, epoch: u64, entry: &Rc<ActiveEntry>) {
        self.turn_to(epoch);
        if entry.len() <= MAX_COPY_BYTES
            && let Some(slot) = self.slots.get_mut(slot(entry.digest()))
        {
            *slot = Some(Rc::clone(entry));
            self.is_empty = false;
        }
    }

    fn turn_to(&mut self, epoch: u64) {
        if self.epoch != epoch {
            self.epoch = epoch;
            if !self.is_empty {
                self.slots.fill(None);
                self.is_empty = true;
            }
        }
    }
}

fn slot(digest: &TokenDigest) -> usize {
    digest.words()[3] as usize % SLOTS
}

/// With [`MAX_COPY_BYTES`], at most 8 MiB per worker.
const SLOTS: usize = 2048;

/// Larger entries are read from shared data each time.
const MAX_COPY_BYTES: usize = 4 << 10;
