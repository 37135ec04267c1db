//! Withdrawals that have yet to be put into the store, of all workers of an Envoy: in shared data, so that none is lost
//! with the worker that made it, or with a configuration.
//!
//! Memory is bounded, and each provider has room of its own. Where there is none in a slot, all of the provider is to be
//! withdrawn instead of what was there of it, which stands for all of that; and all its JWTs are refused once that were issued
//! up to the latest date of these. What refuses no JWT has room beside: it never comes to stand for one that does. Tokens that
//! may be any provider's come to stand for everything.
//!
//! Whoever puts one in changes a mark, too, so that whoever found all slots empty need not look again.
//!
//! ```text
//! slot: version 3 · ( kind 1 · provider 8 · name 32 · settle 4 · jwts 8 · at 8 ) of each
//! ```

use std::rc::Rc;
use std::time::Duration;

use crate::bytes::Reader;
use crate::cache::{Name, ProviderTag, SharedData, Table, Version};
use crate::token::{TokenDigest, UnixMillis};

/// What has yet to be put.
#[derive(Clone)]
pub struct Outbox {
    shared: Rc<dyn SharedData>,
    table: Table,
}

/// A withdrawal that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Of what.
    pub name: Name,
    /// For how long new verdicts on it are not remembered.
    pub settle: Duration,
    /// Up to when the JWTs were issued that are refused, if any are.
    pub jwts: Option<UnixMillis>,
    /// Since when.
    pub at: UnixMillis,
}

impl Waiting {
    /// This, in the place of another, too.
    fn and(self, other: &Self) -> Self {
        Self { settle: self.settle.max(other.settle), jwts: self.jwts.max(other.jwts), ..self }
    }

    /// Whether another has the same room.
    fn is_beside(&self, other: &Self) -> bool {
        self.name.provider() == other.name.provider() && self.jwts.is_some() == other.jwts.is_some()
    }
}

impl Outbox {
    /// That of all workers.
    pub fn new(shared: Rc<dyn SharedData>) -> Self {
        Self { shared, table: Table { prefix: 'f', slots: SLOTS, words: (1, 1) } }
    }

    /// Makes every slot exist: shared data can compare and swap only what is there. Done before any worker has requests.
    pub fn create(&self) {
        self.table.create(self.shared.as_ref(), CREATED);
    }

    /// Lets a withdrawal wait.
    pub fn add(&self, waiting: Waiting) {
        self.change(&self.table.first(waiting.name.digest()), |slot| {
            let same =
                slot.iter().position(|it| it.name == waiting.name).map(|place| slot.swap_remove(place));
            let waiting = same.iter().fold(waiting, Waiting::and);
            if slot.iter().filter(|it| it.is_beside(&waiting)).count() >= MAX_WAITING {
                let beside = slot.extract_if(.., |it| it.is_beside(&waiting));
                let all = Waiting { name: Name::all_of(waiting.name.provider()), ..waiting };
                let all = beside.fold(all, |all, it| all.and(&it));
                slot.push(all);
            } else if slot.len() >= MAX_IN_SLOT {
                let everything = Waiting { name: Name::all_of(None), ..waiting };
                *slot = vec![slot.iter().fold(everything, Waiting::and)];
            } else {
                slot.push(waiting);
            }
        });
        // After it is in: who reads the mark before the slots misses none.
        let mark = getrandom::u64().unwrap_or(waiting.at.as_millis());
        self.shared.set(MARK, &mark.to_le_bytes());
    }

    /// Changes with everything that is put in.
    pub fn mark(&self) -> Vec<u8> {
        self.shared.get(MARK).unwrap_or_default()
    }

    /// The first that wait, in no order, and how many there are.
    pub fn first(&self, limit: usize) -> (Vec<Waiting>, usize) {
        let (mut first, mut count) = (Vec::new(), 0);
        for slot in self.slots() {
            let slot = read(self.shared.get(&slot).as_deref());
            count += slot.len();
            let room = limit.saturating_sub(first.len());
            first.extend(slot.into_iter().take(room));
        }
        (first, count)
    }

    /// These were put. What was withdrawn again meanwhile waits on.
    pub fn were_put(&self, put: &[Waiting]) {
        for slot in self.slots() {
            if read(self.shared.get(&slot).as_deref()).iter().any(|it| put.contains(it)) {
                self.change(&slot, |slot| slot.retain(|it| !put.contains(it)));
            }
        }
    }

    fn slots(&self) -> impl Iterator<Item = String> {
        (0..u64::from(SLOTS)).map(|slot| self.table.key(slot))
    }

    fn change(&self, key: &str, change: impl Fn(&mut Vec<Waiting>)) {
        for attempt in 1..=MAX_TRIES {
            let (bytes, version) = self.shared.read(key);
            let mut slot = read(bytes.as_deref());
            change(&mut slot);
            let is_last = attempt == MAX_TRIES;
            let version = if is_last { Version::NEVER_SET } else { version };
            if self.shared.replace(key, &write(&slot), version) {
                return;
            }
        }
    }
}

/// What another version wrote is as good as nothing.
fn read(bytes: Option<&[u8]>) -> Vec<Waiting> {
    let mut reader = Reader::new(bytes.unwrap_or_default());
    let version = reader.u8();
    if ![Some(WITHOUT_PROVIDERS), Some(VERSION)].contains(&version) {
        return Vec::new();
    }
    let next = || {
        let kind = reader.u8()?;
        let provider = if version == Some(VERSION) { ProviderTag::read(reader.array()?) } else { None };
        let digest = TokenDigest::from_bytes(reader.array()?);
        let settle = Duration::from_millis(reader.u32()?.into());
        let mut time = || reader.u64().map(UnixMillis::from_millis);
        let (jwts, at) = (Some(time()?).filter(|jwts| *jwts > NEVER), time()?);
        Some(Waiting { name: Name::new(kind, provider, digest)?, settle, jwts, at })
    };
    std::iter::from_fn(next).collect()
}

fn write(slot: &[Waiting]) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    for Waiting { name, settle, jwts, at } in slot {
        bytes.push(name.kind());
        bytes.extend_from_slice(&ProviderTag::write(name.provider()));
        bytes.extend_from_slice(name.digest().as_bytes());
        let settle = u32::try_from(settle.as_millis()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&settle.to_le_bytes());
        bytes.extend_from_slice(&jwts.unwrap_or(NEVER).as_millis().to_le_bytes());
        bytes.extend_from_slice(&at.as_millis().to_le_bytes());
    }
    bytes
}

/// With [`MAX_WAITING`], about 5,000 withdrawals of each provider that refuse JWTs, and as many that refuse none, wait for a store
/// that is down before all of the provider is withdrawn instead, in at most 1 MiB.
const SLOTS: u32 = 128;

/// In one slot, of one provider, that refuse JWTs, and as many that refuse none.
const MAX_WAITING: usize = 64;

/// In one slot, of all providers: 16 MiB in all. Beyond that, everything is withdrawn instead.
const MAX_IN_SLOT: usize = 32 * MAX_WAITING;

const MARK: &str = "outbox mark";

/// Says how many slots exist.
const CREATED: &str = "outbox";

/// Every failed swap is another worker's success; so many in a row mean a crowd.
const MAX_TRIES: u32 = 64;

const NEVER: UnixMillis = UnixMillis::from_millis(0);

const VERSION: u8 = 3;

/// One in which no provider is named: a newer filter that takes the place of an older one forgets none.
const WITHOUT_PROVIDERS: u8 = 2;
