//! Verdicts, remembered for a short time in memory that all workers of an Envoy share.
//!
//! Envoy's shared data has no removal and no bound, so the cache is a table of fixed slots: whatever clients
//! send, memory ends at `max_entries` and `max_negative_entries` entries of [`MAX_ENTRY_BYTES`] each. A digest
//! has two candidate slots in either table; inactive tokens have a table of their own, so that a flood of them
//! pushes out no active one. Slot names are numbers, never tokens.
//!
//! Whether a verdict is fresh enough is not decided here: entries say when they were asked for.

mod dated;
mod entry;
mod epoch;
mod first_level;
mod jwts;
mod lease;
mod memory;
mod pushed_out;
mod raised;
mod refusals;
mod seen;
mod shared_data;
mod subject;
mod table;
mod withdrawals;

use std::cell::Cell;
use std::rc::Rc;

use crate::jwt::{Minted, PhantomTokenId};
use crate::token::{TokenDigest, UnixMillis};

pub(crate) use dated::Dated;
pub use entry::{ActiveEntry, CachedJwt, MAX_ENTRY_BYTES, Refused, Verdict};
use entry::{Entry, Kind};
pub use epoch::Moment;
pub use first_level::{Basis, FirstLevel, Tag, max_first_level_bytes};
pub use lease::{Claim, Leases, Mailbox};
pub use memory::Memory;
use pushed_out::PushedOut;
pub use raised::{Raised, ShortNames};
pub use refusals::Jwts;
pub use seen::Seen;
pub use shared_data::{SharedData, Version};
pub use subject::{Name, ProviderTag, Subject, Vouched, Which, Withdrawable};
pub(crate) use table::Table;
pub use withdrawals::{Asked, Checked, Standing, Withdrawals};

/// The verdict cache.
pub struct Cache {
    shared: Rc<dyn SharedData>,
    withdrawals: Withdrawals,
    seen: Seen,
    pushed_out: PushedOut,
    active: Table,
    inactive: Table,
    /// How many more slots hold an entry by our doing than when this was looked at last.
    change_of_entries: Cell<i64>,
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
        /// Why.
        refused: Refused,
    },
}

impl Cached {
    /// When the call was sent that said so.
    pub fn asked(&self) -> UnixMillis {
        match self {
            Self::Active(entry) => entry.asked(),
            Self::Inactive { asked, .. } => *asked,
        }
    }
}

impl Cache {
    /// A cache of so many entries; both numbers are at least one.
    pub fn new(shared: Rc<dyn SharedData>, max_entries: u32, max_negative_entries: u32) -> Self {
        Self {
            withdrawals: Withdrawals::new(Rc::clone(&shared)),
            seen: Seen::new(Rc::clone(&shared)),
            pushed_out: PushedOut::new(Rc::clone(&shared)),
            shared,
            active: Table { prefix: 'p', slots: max_entries.max(1), words: (0, 1) },
            inactive: Table { prefix: 'n', slots: max_negative_entries.max(1), words: (2, 3) },
            change_of_entries: Cell::new(0),
        }
    }

    /// Makes room to note what is pushed out. Done before any worker has requests; later it changes nothing.
    pub fn create(&self) {
        self.pushed_out.create();
    }

    /// How many more slots hold an entry, or fewer, than when this was asked last, by the doing of this worker.
    pub fn take_change_of_entries(&self) -> i64 {
        self.change_of_entries.take()
    }

    /// What was withdrawn.
    pub fn withdrawals(&self) -> &Withdrawals {
        &self.withdrawals
    }

    /// What verdicts have said so far.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Whether the last that was heard of a token was that it is active, however long ago, withdrawn or not.
    pub fn was_active(&self, digest: &TokenDigest) -> bool {
        self.active.keys(digest).iter().any(|key| self.known(key, digest).is_some())
    }

    /// The epoch. What was made of an entry that was read in one holds only while that lasts: it ends whenever an
    /// entry is withdrawn or taken away.
    pub fn epoch(&self) -> Option<u64> {
        self.shared.epoch()
    }

    /// What is known of `digest`, and holds.
    pub fn find(&self, digest: &TokenDigest, now: UnixMillis) -> Option<Cached> {
        // Before the entry is read: an epoch that begins meanwhile makes it one that was not looked at.
        let epoch = self.shared.epoch();
        for place in self.active.places(digest) {
            let key = self.active.key(place);
            let (bytes, version) = self.shared.read(&key);
            if let Some(entry) = bytes.and_then(|bytes| ActiveEntry::parse(bytes, digest))
                && let Some(entry) = self.held(entry, Moment::of(epoch), (&key, version), now)
                && now < entry.good_until()
            {
                return Some(Cached::Active(Rc::new(entry)));
            }
        }
        self.inactive.keys(digest).iter().find_map(|key| {
            let entry = Entry::parse(&self.shared.get(key)?)?;
            (entry.kind == Kind::Inactive && entry.digest == *digest)
                .then_some(Cached::Inactive { asked: entry.asked, refused: entry.refused })
        })
    }

    /// Whether an entry that was found a while ago still holds.
    pub fn holds(&self, entry: &ActiveEntry, now: UnixMillis) -> bool {
        let good_until = if self.withdrawals.is_current(entry.checked()) {
            entry.good_until()
        } else {
            match self.withdrawals.standing(entry.asked_when(), &entry.withdrawable()) {
                Standing::Good(checked) => entry.good_until().min(checked.until),
                Standing::Refused | Standing::Void => return false,
            }
        };
        now < good_until
    }

    /// The entry of a slot as of this moment; `None` if it was withdrawn. One that was last looked at before a
    /// withdrawal is looked at now, and remembers that it was.
    fn held(
        &self,
        mut entry: ActiveEntry,
        moment: Moment,
        (key, version): (&str, Version),
        now: UnixMillis,
    ) -> Option<ActiveEntry> {
        if moment.is(entry.checked()) {
            return Some(entry);
        }
        let (asked, verdict) = (entry.asked_when(), entry.withdrawable());
        let standing = match entry.vouched() {
            Vouched::ByItself => self.withdrawals.standing_of_jwt(asked, &verdict, now),
            Vouched::ByServer => self.withdrawals.standing(asked, &verdict),
        };
        match standing {
            Standing::Good(checked) => {
                entry.hold(checked);
                // Unless somebody else wrote meanwhile: that must not be undone, and will be looked at itself.
                self.shared.replace(key, entry.as_bytes(), version);
                Some(entry)
            }
            Standing::Refused | Standing::Void => None,
        }
    }

    /// Remembers that a token is active. Returns whether an entry that was still useful had to go.
    ///
    /// A later verdict on the same token stays: calls may be answered out of order.
    pub fn insert_active(&self, verdict: &Verdict<'_>, now: UnixMillis) -> bool {
        let entry = entry::active(verdict);
        // Too long to keep, or not to be kept: the token is asked about on every request.
        entry.len() <= MAX_ENTRY_BYTES
            && now < verdict.checked.until
            && self.insert(&self.active, &self.inactive, verdict.digest, verdict.asked, &entry, now)
    }

    /// Puts a newly minted token beside the claims of an entry.
    pub fn update_jwt(&self, entry: &ActiveEntry, jwt: (PhantomTokenId, &Minted), now: UnixMillis) {
        let bytes = entry.with_jwt(jwt);
        if bytes.len() <= MAX_ENTRY_BYTES {
            self.insert(&self.active, &self.inactive, entry.digest(), entry.asked(), &bytes, now);
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
        self.insert_refused(Refused::Inactive, digest, asked, useful_until, now)
    }

    /// Remembers why a token passes for none. Returns whether an entry that was still useful had to go.
    pub fn insert_refused(
        &self,
        refused: Refused,
        digest: &TokenDigest,
        asked: UnixMillis,
        useful_until: UnixMillis,
        now: UnixMillis,
    ) -> bool {
        let entry = entry::inactive(refused, digest, asked, useful_until);
        let evicted = self.insert(&self.inactive, &self.active, digest, asked, &entry, now);
        // After its slots were looked at, for notes are made before an entry goes.
        if self.pushed_out.has(digest, now) {
            epoch::took_away(self.shared.as_ref());
        }
        evicted
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
        let knows_better =
            |key: &String| self.known(key, digest).is_some_and(|(_, entry)| entry.outlasts(asked, now));
        if other.keys(digest).iter().any(knows_better) {
            return false;
        }
        let (key, evicted) = self.write(table, digest, asked, bytes, now);
        let mut takes_away = false;
        // After our own is there: of two workers that do so at once, one at least sees what the other wrote.
        for other_key in other.keys(digest) {
            // Whoever writes in between is looked at, too.
            for _ in 0..MAX_TRIES {
                let Some((version, entry)) = self.known(&other_key, digest) else { break };
                if entry.outlasts(asked, now) {
                    if let Some(key) = &key {
                        self.shared.set(key, b"");
                        self.more_entries(-1);
                        takes_away = true;
                    }
                    break;
                }
                if self.shared.replace(&other_key, b"", version) {
                    self.more_entries(-1);
                    takes_away |= entry.kind == Kind::Active;
                    break;
                }
            }
        }
        if takes_away {
            epoch::took_away(self.shared.as_ref());
        }
        evicted
    }

    /// Writes `bytes` into one of the two slots of `table`, unless a later verdict on the token is there. Says into
    /// which one, and whether an entry that was still useful had to go.
    fn write(
        &self,
        table: &Table,
        digest: &TokenDigest,
        asked: UnixMillis,
        bytes: &[u8],
        now: UnixMillis,
    ) -> (Option<String>, bool) {
        for attempt in 1.. {
            let slots = table.keys(digest).map(|key| self.slot(key));
            if slots.iter().filter_map(|slot| slot.of(digest)).any(|entry| entry.is_later(asked, now)) {
                break;
            }
            // Its own, one that nobody has, or the one that ends first.
            let rank = |slot: &Slot| {
                (slot.of(digest).is_none(), slot.entry.as_ref().map(|entry| entry.useful_until))
            };
            let [first, second] = slots;
            let slot = if rank(&first) <= rank(&second) { first } else { second };
            let is_free = slot.entry.is_none();
            let pushed_out = slot.entry.filter(|entry| entry.digest != *digest && entry.useful_until > now);
            // Before it goes: who takes it away looks for it first, and for the note then.
            let is_noted = pushed_out.as_ref().is_none_or(|entry| {
                entry.kind == Kind::Inactive || self.pushed_out.note(&entry.digest, entry.useful_until, now)
            });
            let is_last = attempt == MAX_TRIES;
            if is_last {
                self.shared.set(&slot.key, bytes);
            } else if !self.shared.replace(&slot.key, bytes, slot.version) {
                continue;
            }
            if is_free {
                self.more_entries(1);
            }
            if !is_noted || is_last {
                epoch::took_away(self.shared.as_ref());
            }
            return (Some(slot.key), pushed_out.is_some());
        }
        (None, false)
    }

    fn more_entries(&self, by: i64) {
        self.change_of_entries.set(self.change_of_entries.get() + by);
    }

    /// What a slot knows of a token.
    fn known(&self, key: &str, digest: &TokenDigest) -> Option<(Version, Entry)> {
        let (bytes, version) = self.shared.read(key);
        let entry = Entry::parse(&bytes?).filter(|entry| entry.digest == *digest)?;
        Some((version, entry))
    }

    fn slot(&self, key: String) -> Slot {
        let (bytes, version) = self.shared.read(&key);
        Slot { key, version, entry: bytes.as_deref().and_then(Entry::parse) }
    }
}

/// Who has a slot.
struct Slot {
    key: String,
    version: Version,
    entry: Option<Entry>,
}

impl Slot {
    /// The entry, if it is of this token.
    fn of(&self, digest: &TokenDigest) -> Option<&Entry> {
        self.entry.as_ref().filter(|entry| entry.digest == *digest)
    }
}

/// Every failed swap is another worker's success; so many in a row mean a crowd.
const MAX_TRIES: u32 = 16;

#[cfg(test)]
mod interleaving;
#[cfg(test)]
mod tests;
