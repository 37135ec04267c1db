//! Proofs that were seen already (RFC 9449 §11.1), by key and `jti`, in memory that all workers share.
//!
//! Memory is bounded. What does not fit is not forgotten before its time: while a slot is full, the proofs that fall there are
//! refused, for each may be one that was seen. A slot has
//!
//! ```text
//! version 1 · ( the rest of a digest 16 · until 4 ) of each
//! ```
//!
//! in seconds, from which on the proof is too old anyway.

use std::rc::Rc;

use sha2::{Digest, Sha256};

use crate::bytes::Reader;
use crate::cache::{SharedData, Table};
use crate::sender_constrained::confirmation::Thumbprint;
use crate::token::{TokenDigest, UnixMillis};

/// What was seen already.
#[derive(Clone)]
pub struct SeenProofs {
    shared: Rc<dyn SharedData>,
    table: Table,
    max_in_slot: usize,
}

/// What is known of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sighting {
    /// It is new, and is remembered.
    First,
    /// There is no room to remember it.
    NoRoom,
    /// It was seen before.
    Again,
}

impl SeenProofs {
    /// The memory of all workers, for about so many proofs at once.
    pub fn new(shared: Rc<dyn SharedData>, max_proofs: u32) -> Self {
        let table = Table { prefix: 'd', slots: SLOTS, words: (0, 0) };
        // Proofs do not spread evenly.
        let max_in_slot = (max_proofs / SLOTS) as usize * 3 / 2;
        Self { shared, table, max_in_slot }
    }

    /// Makes every slot exist, before any worker has requests: shared data can compare and swap only what is there.
    pub fn create(&self) {
        self.table.create(self.shared.as_ref(), CREATED);
    }

    /// Notes a proof of this key, which is refused for its age after `until`.
    pub(super) fn note(&self, key: Thumbprint, jti: &str, until: UnixMillis, now: UnixMillis) -> Sighting {
        let digest = Sha256::new_with_prefix(key.0).chain_update(jti).finalize();
        let digest = TokenDigest::from_bytes(digest.into());
        let slot = self.table.first(&digest);
        let Some(id) = digest.as_bytes().last_chunk::<ID_BYTES>() else { return Sighting::NoRoom };
        // Rounded so that it is remembered no shorter than it is good.
        let until = u32::try_from(until.as_secs().saturating_add(1)).unwrap_or(u32::MAX);
        let now = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
        for _ in 0..MAX_TRIES {
            let (bytes, version) = self.shared.read(&slot);
            let mut kept = vec![VERSION];
            // What another version wrote is as good as nothing.
            let bytes = bytes.as_deref().filter(|bytes| bytes.first() == Some(&VERSION));
            let mut reader = Reader::new(bytes.and_then(|bytes| bytes.get(1..)).unwrap_or_default());
            while let (Some(seen), Some(end)) = (reader.array::<ID_BYTES>(), reader.u32()) {
                if seen == *id {
                    return Sighting::Again;
                }
                if end >= now {
                    kept.extend_from_slice(&seen);
                    kept.extend_from_slice(&end.to_le_bytes());
                }
            }
            if kept.len() / ENTRY_BYTES >= self.max_in_slot {
                return Sighting::NoRoom;
            }
            kept.extend_from_slice(id);
            kept.extend_from_slice(&until.to_le_bytes());
            if self.shared.replace(&slot, &kept, version) {
                return Sighting::First;
            }
        }
        Sighting::NoRoom
    }
}

impl std::fmt::Debug for SeenProofs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SeenProofs").field("max_in_slot", &self.max_in_slot).finish_non_exhaustive()
    }
}

const VERSION: u8 = 1;
const ID_BYTES: usize = 16;
const ENTRY_BYTES: usize = ID_BYTES + 4;

/// Always so many, so that no other bound makes proofs forgotten.
const SLOTS: u32 = 4096;

/// Says that they exist.
const CREATED: &str = "proofs";

/// Every failed swap is another worker's success; so many in a row mean a crowd.
const MAX_TRIES: u32 = 64;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cache::Memory;

    const KEY: Thumbprint = Thumbprint([7; 32]);

    #[test]
    fn a_million_proofs_take_no_more_memory_than_those_of_a_minute() {
        let memory = Memory::default();
        let seen = SeenProofs::new(Rc::new(memory.clone()), 500_000);
        seen.create();
        let start = UnixMillis::from_secs(1_795_377_648);
        let life = Duration::from_secs(65);
        let mut sizes = Vec::new();
        // 2,500 in a second.
        for number in 0..1_000_000_u64 {
            let now = start.plus(Duration::from_micros(400 * number));
            assert_eq!(seen.note(KEY, &number.to_string(), now.plus(life), now), Sighting::First, "{number}");
            if number % 200_000 == 199_999 {
                sizes.push(memory.size());
                assert_eq!(seen.note(KEY, &number.to_string(), now.plus(life), now), Sighting::Again);
                let before = (number - 150_000).to_string();
                assert_eq!(seen.note(KEY, &before, now.plus(life), now), Sighting::Again, "a minute ago");
            }
        }
        assert!(sizes.iter().all(|size| *size < 5_000_000), "{sizes:?}");
        assert!(sizes.last() <= sizes.get(1), "{sizes:?}");
    }

    #[test]
    fn what_does_not_fit_is_refused_and_nothing_is_forgotten_for_it() {
        let memory = Memory::default();
        let seen = SeenProofs::new(Rc::new(memory.clone()), 100_000);
        seen.create();
        let now = UnixMillis::from_secs(1_795_377_648);
        let until = now.plus(Duration::from_secs(65));
        let sightings: Vec<_> =
            (0..300_000).map(|number| seen.note(KEY, &format!("{number}"), until, now)).collect();
        let first = sightings.iter().take(100_000).filter(|it| **it != Sighting::First).count();
        assert!(first < 2_000, "{first} of the first 100,000 had no room");
        let refused = sightings.iter().filter(|it| **it == Sighting::NoRoom).count();
        assert!(refused > 140_000, "{refused}");
        assert!(memory.size() < 4096 * (36 * ENTRY_BYTES + 8), "{}", memory.size());
        for (number, sighting) in sightings.iter().enumerate().step_by(97) {
            let again = seen.note(KEY, &format!("{number}"), until, now);
            let wanted = if *sighting == Sighting::First { Sighting::Again } else { Sighting::NoRoom };
            assert_eq!(again, wanted, "{number}");
        }
        // A second after all of them are too old, there is room again.
        let later = until.plus(Duration::from_secs(2));
        assert_eq!(seen.note(KEY, "later", later.plus(Duration::from_secs(65)), later), Sighting::First);
    }
}
