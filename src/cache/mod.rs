//! Verdicts, remembered for a short time in memory that all workers of an Envoy share.
//!
//! Envoy's shared data has no removal and no bound, so the cache is a table of fixed slots: whatever clients
//! send, memory ends at `max_entries` and `max_negative_entries` entries of [`MAX_ENTRY_BYTES`] each. A digest
//! has two candidate slots in either table; inactive tokens have a table of their own, so that a flood of them
//! pushes out no active one. Slot names are numbers, never tokens.
//!
//! Whether a verdict is fresh enough is not decided here: entries say when they were asked for.

mod entry;
mod first_level;
mod lease;

use std::cell::RefCell;
use std::rc::Rc;

use crate::claims::ClaimsBuf;
use crate::jwt::{Minted, PhantomTokenId};
use crate::token::{TokenDigest, UnixMillis};

pub use entry::{ActiveEntry, CachedJwt};
use entry::{Entry, Kind};
use first_level::FirstLevel;
pub use lease::{Claim, Leases, Mailbox};

/// A map that all workers share: in Envoy its shared data, in tests a map.
pub trait SharedData {
    /// The value under `key`, if there is one.
    fn get(&self, key: &str) -> Option<Vec<u8>>;

    /// Puts `value` under `key`.
    fn set(&self, key: &str, value: &[u8]);

    /// The value under `key` and the version that [`SharedData::replace`] wants to see again.
    fn read(&self, key: &str) -> (Option<Vec<u8>>, Version);

    /// Puts `value` under `key` if nobody has since the version was read. Returns whether it did. A key that was
    /// never set cannot be guarded: there it always does.
    fn replace(&self, key: &str, value: &[u8], version: Version) -> bool;

    /// A number that all workers see, cheap to read. `None` if it cannot be read.
    fn epoch(&self) -> Option<u64>;

    /// Makes [`SharedData::epoch`] another number for all workers.
    fn begin_epoch(&self);
}

/// A version of a value in shared data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(pub u32);

impl Version {
    /// Of a key that has no value and never had.
    pub const NEVER_SET: Self = Self(0);
}

/// The verdict cache.
pub struct Cache {
    shared: Rc<dyn SharedData>,
    first_level: RefCell<FirstLevel>,
    active: Table,
    inactive: Table,
}

/// What the cache knows of a token.
#[derive(Clone, Debug)]
pub enum Cached {
    /// It was active.
    Active(Rc<ActiveEntry>),
    /// It was not.
    Inactive {
        /// When the call was sent that said so.
        asked: UnixMillis,
    },
}

impl Cache {
    /// A cache of so many entries; both numbers are at least one.
    pub fn new(shared: Rc<dyn SharedData>, max_entries: u32, max_negative_entries: u32) -> Self {
        Self {
            shared,
            first_level: RefCell::new(FirstLevel::new()),
            active: Table { prefix: 'p', slots: max_entries.max(1), words: (0, 1) },
            inactive: Table { prefix: 'n', slots: max_negative_entries.max(1), words: (2, 3) },
        }
    }

    /// This worker's own copy of what is known of `digest`. It is as good as the original but for a later
    /// verdict or phantom token that may be there.
    pub fn copy(&self, digest: &TokenDigest) -> Option<Rc<ActiveEntry>> {
        self.first_level.borrow_mut().get(self.shared.epoch()?, digest)
    }

    /// What is known of `digest`.
    pub fn find(&self, digest: &TokenDigest) -> Option<Cached> {
        // Before the entry is read: an epoch that begins meanwhile makes the copy worthless.
        let epoch = self.shared.epoch();
        for key in self.active.keys(digest) {
            if let Some(entry) = self.read(&key).and_then(|bytes| ActiveEntry::parse(bytes, digest)) {
                let entry = Rc::new(entry);
                if let Some(epoch) = epoch {
                    self.first_level.borrow_mut().put(epoch, &entry);
                }
                return Some(Cached::Active(entry));
            }
        }
        self.inactive.keys(digest).iter().find_map(|key| {
            let bytes = self.read(key)?;
            let entry = Entry::parse(&bytes)?;
            (entry.kind == Kind::Inactive && entry.digest == *digest)
                .then_some(Cached::Inactive { asked: entry.asked })
        })
    }

    /// Remembers that a token is active; `useful_until` is when no policy could use the entry any more.
    /// Returns whether an entry that was still useful had to go.
    ///
    /// A later verdict on the same token stays: calls may be answered out of order.
    pub fn insert_active(
        &self,
        digest: &TokenDigest,
        asked: UnixMillis,
        useful_until: UnixMillis,
        claims: &ClaimsBuf,
        jwt: Option<(PhantomTokenId, &Minted)>,
        now: UnixMillis,
    ) -> bool {
        let entry = entry::active(digest, asked, useful_until, claims, jwt);
        // Too long to keep: the token is asked about on every request.
        entry.len() <= MAX_ENTRY_BYTES
            && self.insert(&self.active, &self.inactive, digest, asked, &entry, now)
    }

    /// Puts a newly minted token beside the claims of an entry.
    pub fn update_jwt(&self, entry: &ActiveEntry, jwt: (PhantomTokenId, &Minted), now: UnixMillis) {
        let bytes = entry.with_jwt(jwt);
        if bytes.len() <= MAX_ENTRY_BYTES {
            self.insert(&self.active, &self.inactive, entry.digest(), entry.asked(), &bytes, now);
            // The copy becomes that of the new one.
            _ = self.find(entry.digest());
        }
    }

    /// Remembers that a token is not active. Returns whether an entry that was still useful had to go.
    pub fn insert_inactive(
        &self,
        digest: &TokenDigest,
        asked: UnixMillis,
        useful_until: UnixMillis,
        now: UnixMillis,
    ) -> bool {
        let entry = entry::inactive(digest, asked, useful_until);
        self.insert(&self.inactive, &self.active, digest, asked, &entry, now)
    }

    /// Writes `bytes` into one of the two slots of `table`, and takes what `other` knows of the token away.
    fn insert(
        &self,
        table: &Table,
        other: &Table,
        digest: &TokenDigest,
        asked: UnixMillis,
        bytes: &[u8],
        now: UnixMillis,
    ) -> bool {
        let mut is_withdrawal = false;
        for key in other.keys(digest) {
            match self.read(&key).as_deref().and_then(Entry::parse) {
                // Of two verdicts at once, the careful one.
                Some(entry)
                    if entry.digest == *digest && entry.kind == Kind::Inactive && entry.asked >= asked =>
                {
                    return false;
                }
                Some(entry) if entry.digest == *digest && entry.asked > asked => return false,
                Some(entry) if entry.digest == *digest => {
                    self.shared.set(&key, b"");
                    is_withdrawal |= entry.kind == Kind::Active;
                }
                _ => {}
            }
        }
        let [first, second] = table.keys(digest);
        let (in_first, in_second) = (self.occupant(&first, digest), self.occupant(&second, digest));
        let (key, evicted) = match (in_first, in_second) {
            (Occupant::Same(at), _) | (_, Occupant::Same(at)) if at > asked => return false,
            (Occupant::Same(_), _) => (first, false),
            (_, Occupant::Same(_)) => (second, false),
            (Occupant::Other(one), Occupant::Other(two)) => {
                let (key, useful_until) = if one <= two { (first, one) } else { (second, two) };
                (key, useful_until > now)
            }
            (Occupant::None, _) => (first, false),
            (_, Occupant::None) => (second, false),
        };
        self.shared.set(&key, bytes);
        if is_withdrawal || (evicted && table.prefix == self.active.prefix) {
            self.shared.begin_epoch();
        }
        evicted
    }

    fn occupant(&self, key: &str, digest: &TokenDigest) -> Occupant {
        match self.read(key).as_deref().and_then(Entry::parse) {
            None => Occupant::None,
            Some(entry) if entry.digest == *digest => Occupant::Same(entry.asked),
            Some(entry) => Occupant::Other(entry.useful_until),
        }
    }

    fn read(&self, key: &str) -> Option<Vec<u8>> {
        self.shared.get(key)
    }
}

/// Who has a slot.
enum Occupant {
    None,
    /// Another token, of no use from this time on.
    Other(UnixMillis),
    /// The same token, asked about at this time.
    Same(UnixMillis),
}

/// A table of slots, named `p0`, `p1`, … or `n0`, `n1`, ….
#[derive(Clone, Copy, Debug)]
struct Table {
    prefix: char,
    slots: u32,
    /// Which words of a digest choose its two slots.
    words: (usize, usize),
}

impl Table {
    fn keys(&self, digest: &TokenDigest) -> [String; 2] {
        let words = digest.words();
        let slots = u64::from(self.slots);
        let slot = |word: usize| words.get(word).copied().unwrap_or_default() % slots;
        let first = slot(self.words.0);
        let second = slot(self.words.1);
        let second = if second == first { (first + 1) % slots } else { second };
        [first, second].map(|slot| self.key(slot))
    }

    fn key(&self, slot: u64) -> String {
        format!("{}{slot}", self.prefix)
    }
}

/// Longest entry that is kept.
pub const MAX_ENTRY_BYTES: usize = 16 << 10;

#[cfg(test)]
mod tests;
