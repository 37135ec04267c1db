//! One call per token for all workers of an Envoy: who asks holds a lease on the token's digest, the others
//! leave their mailbox's number there and are told.
//!
//! Leases lie in a table of fixed slots in shared data, like verdicts, and every change is a compare-and-swap.
//! A lease ends by itself, so that a worker that died keeps nobody waiting. Where no lease can be had (both
//! slots of a digest serve other tokens) a worker asks by itself: one call more, nothing wrong.
//!
//! ```text
//! version 1 · digest 32 · holder 4 · asked 8 · until 8 · mailboxes of those who wait, 4 each
//! ```

use std::rc::Rc;

use super::{SharedData, Table};
use crate::bytes::Reader;
use crate::token::{TokenDigest, UnixMillis};

/// A worker, by the number of the queue that wakes its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mailbox(pub u32);

/// Who may ask about which token.
#[derive(Clone)]
pub struct Leases {
    shared: Rc<dyn SharedData>,
    table: Table,
    /// This worker.
    mailbox: Mailbox,
}

/// Whose turn it is to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nobody's: no lease can be had.
    NotToBeHad,
    /// Ours.
    Ours,
    /// Another worker's.
    Theirs {
        /// Since when.
        asked: UnixMillis,
        /// Until when at most.
        until: UnixMillis,
    },
}

struct Lease {
    digest: TokenDigest,
    holder: Mailbox,
    asked: UnixMillis,
    until: UnixMillis,
    waiting: Vec<Mailbox>,
}

impl Leases {
    /// The leases of all workers, as seen by the one of this mailbox.
    pub fn new(shared: Rc<dyn SharedData>, mailbox: Mailbox) -> Self {
        Self { shared, table: Table { prefix: 'l', slots: SLOTS, words: (0, 2) }, mailbox }
    }

    /// Makes every slot exist: shared data can compare and swap only what is there. Done before any worker has
    /// requests; later it changes nothing.
    pub fn create(&self) {
        self.table.create(self.shared.as_ref(), CREATED);
    }

    /// Asks for the lease on `digest` until `until`. If another worker has it and `wants_word`, it will tell us.
    pub fn claim(&self, digest: &TokenDigest, now: UnixMillis, until: UnixMillis, wants_word: bool) -> Claim {
        // Every failed swap is another worker's success; a few in a row mean a crowd.
        for _ in 0..MAX_TRIES {
            let seen = self.table.keys(digest).map(|key| {
                let (bytes, version) = self.shared.read(&key);
                let lease = bytes.as_deref().and_then(Lease::parse).filter(|lease| lease.holds(now));
                (key, version, lease)
            });
            let is_taken =
                |lease: &Option<Lease>| lease.as_ref().is_some_and(|lease| lease.digest == *digest);
            if let Some((key, version, Some(lease))) = seen.iter().find(|(_, _, lease)| is_taken(lease)) {
                if lease.holder == self.mailbox {
                    return Claim::Ours;
                }
                let theirs = Claim::Theirs { asked: lease.asked, until: lease.until };
                if !wants_word || lease.waiting.contains(&self.mailbox) {
                    return theirs;
                }
                if lease.waiting.len() >= MAX_WAITING {
                    return Claim::NotToBeHad;
                }
                if self.shared.replace(key, &lease.also_telling(self.mailbox), *version) {
                    return theirs;
                }
            } else if let Some((key, version, _)) = seen.iter().find(|(_, _, lease)| lease.is_none()) {
                let lease =
                    Lease { digest: *digest, holder: self.mailbox, asked: now, until, waiting: Vec::new() };
                if self.shared.replace(key, &lease.write(), *version) {
                    return Claim::Ours;
                }
            } else {
                return Claim::NotToBeHad;
            }
        }
        Claim::NotToBeHad
    }

    /// Takes the lease on `digest`, or keeps it if it is ours, until `until`. Returns whether it is ours.
    pub fn keep(&self, digest: &TokenDigest, now: UnixMillis, until: UnixMillis) -> bool {
        for key in self.table.keys(digest) {
            let (bytes, version) = self.shared.read(&key);
            let lease = bytes.as_deref().and_then(Lease::parse).filter(|lease| lease.holds(now));
            if let Some(lease) = lease.filter(|lease| lease.digest == *digest && lease.holder == self.mailbox)
            {
                return self.shared.replace(&key, &Lease { until, ..lease }.write(), version);
            }
        }
        self.claim(digest, now, until, false) == Claim::Ours
    }

    /// Whether any worker asks about `digest`.
    pub fn is_held(&self, digest: &TokenDigest, now: UnixMillis) -> bool {
        let is_it = |lease: Lease| lease.digest == *digest && now < lease.until;
        self.table
            .keys(digest)
            .iter()
            .any(|key| self.shared.get(key).as_deref().and_then(Lease::parse).is_some_and(is_it))
    }

    /// Gives our lease on `digest` back; says who wants to be told.
    pub fn release(&self, digest: &TokenDigest) -> Vec<Mailbox> {
        for key in self.table.keys(digest) {
            for _ in 0..MAX_TRIES {
                let (bytes, version) = self.shared.read(&key);
                let Some(lease) = bytes.as_deref().and_then(Lease::parse) else { break };
                if lease.digest != *digest || lease.holder != self.mailbox {
                    break;
                }
                if self.shared.replace(&key, b"", version) {
                    return lease.waiting;
                }
            }
        }
        Vec::new()
    }
}

impl Lease {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return None;
        }
        let digest = TokenDigest::from_bytes(reader.array()?);
        let holder = Mailbox(reader.u32()?);
        let asked = UnixMillis::from_millis(reader.u64()?);
        let until = UnixMillis::from_millis(reader.u64()?);
        let waiting = std::iter::from_fn(|| reader.u32().map(Mailbox)).collect();
        Some(Self { digest, holder, asked, until, waiting })
    }

    /// One from before the clock was set back would hold for as long as that.
    fn holds(&self, now: UnixMillis) -> bool {
        now < self.until && !self.asked.is_from_the_future(now)
    }

    fn write(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(self.digest.as_bytes());
        bytes.extend_from_slice(&self.holder.0.to_le_bytes());
        bytes.extend_from_slice(&self.asked.as_millis().to_le_bytes());
        bytes.extend_from_slice(&self.until.as_millis().to_le_bytes());
        self.waiting.iter().for_each(|mailbox| bytes.extend_from_slice(&mailbox.0.to_le_bytes()));
        bytes
    }

    fn also_telling(&self, mailbox: Mailbox) -> Vec<u8> {
        let mut bytes = self.write();
        bytes.extend_from_slice(&mailbox.0.to_le_bytes());
        bytes
    }
}

/// Tokens that are asked about at once, all providers and workers together, are far fewer.
const SLOTS: u32 = 4096;

/// Says how many slots exist.
const CREATED: &str = "leases";

/// More workers than this share no lease.
const MAX_WAITING: usize = 256;

const MAX_TRIES: u32 = 16;

const VERSION: u8 = 1;
