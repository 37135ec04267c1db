//! Signals that were seen already, by sender and `jti` (RFC 7519 §4.1.7), in memory that all workers share.
//!
//! Memory is bounded. When it is full, the signal that would be refused for its age soonest is forgotten. Should
//! that one be played again, it is taken for new: some verdicts are asked for anew that need not be. To refuse a
//! signal that cannot be remembered would be the greater evil: what it withdraws would live on. Each slot holds dated
//! digests, one of each signal.

use std::rc::Rc;

use sha2::{Digest, Sha256};

use crate::cache::{Dated, SharedData, Table};
use crate::token::{TokenDigest, UnixMillis};

/// What was seen already.
#[derive(Clone)]
pub struct Replay {
    shared: Rc<dyn SharedData>,
    table: Table,
}

impl Replay {
    /// The memory of all workers.
    pub fn new(shared: Rc<dyn SharedData>) -> Self {
        Self { shared, table: Table { prefix: 'j', slots: SLOTS, words: (0, 0) } }
    }

    /// Makes every slot exist, before any worker has requests: shared data can compare and swap only what is
    /// there.
    pub fn create(&self) {
        self.table.create(self.shared.as_ref(), CREATED);
    }

    /// Whether this is the first time that this signal of `sender` is seen. It is remembered until `until`, after
    /// which it is refused for its age.
    pub fn is_first(&self, sender: impl AsRef<[u8]>, jti: &str, until: UnixMillis, now: UnixMillis) -> bool {
        let id = digest(sender.as_ref(), jti);
        let key = self.table.first(&id);
        for _ in 0..MAX_TRIES {
            let (bytes, version) = self.shared.read(&key);
            let Dated(mut seen) = Dated::parse(&bytes.unwrap_or_default());
            seen.retain(|(_, until)| now <= *until);
            if seen.iter().any(|(other, _)| *other == id) {
                return false;
            }
            seen.push((id, until));
            if seen.len() > MAX_SEEN {
                let first = seen.iter().enumerate().min_by_key(|(_, (_, until))| *until).map(|(at, _)| at);
                first.map(|at| seen.swap_remove(at));
            }
            if self.shared.replace(&key, &Dated(seen).write(), version) {
                return true;
            }
        }
        true
    }
}

fn digest(sender: &[u8], jti: &str) -> TokenDigest {
    // The length tells where one ends and the other begins.
    let hasher = Sha256::new_with_prefix((sender.len() as u64).to_le_bytes());
    TokenDigest::from_bytes(hasher.chain_update(sender).chain_update(jti).finalize().into())
}

/// With [`MAX_SEEN`], about 12,000 signals in at most 700 KiB.
const SLOTS: u32 = 512;

/// In one slot.
const MAX_SEEN: usize = 32;

/// Says how many slots exist.
const CREATED: &str = "replays";

/// Every failed swap is another worker's success; so many in a row mean a crowd.
const MAX_TRIES: u32 = 64;
