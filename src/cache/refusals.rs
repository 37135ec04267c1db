//! What refuses JWTs that nobody is asked about: a refusal says that the JWTs of a subject are good no more that were
//! issued up to a date; those of a session, those with a `jti` and a token by itself, whatever their date. Those with
//! `offline_access` outlive their session (OpenID Connect Back-Channel Logout 1.0 §2.7): of them, too, the date counts.
//!
//! It is another matter than a [watermark](super::withdrawals). That makes a verdict void, and the server is asked
//! again. A JWT that is validated here would only be validated again, and be good. So a refusal goes by when the
//! *token* was issued, by the clock of who issued it, and is kept until no JWT of that age can be good any more. And as
//! nobody asks again, none is refused that was not meant: what a signal withdraws besides, because it cannot be related
//! to single verdicts, refuses no JWT.
//!
//! Refusals lie in a table of fixed size in shared data, where each provider has room of its own in every slot. One that is
//! over makes room. Where none is, the eldest of the provider in its slot become coarse: they refuse every JWT of that
//! provider of which a name falls into that slot, issued up to the eldest's date. None that was refused passes then; and
//! what is issued later passes always, so nobody is kept out who gets a new one. Whoever tells of very many takes nothing
//! from other providers.
//!
//! ```text
//! slot:    version 2 · how many are coarse 1 · ( provider 8 · issued 8 · at 8 ) of each
//!          · ( provider 8 · name 32 · issued 8 · at 8 ) of each refusal
//! summary: version 1 · kinds 4 · life 8 · latest 8 · everything: issued 8 · at 8
//! ```

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::time::Duration;

use super::subject::{Kind, Kinds, Name, ProviderTag, Withdrawable};
use super::{SharedData, Table, Version};
use crate::bytes::Reader;
use crate::claims::{Claims, numeric_date};
use crate::token::{TokenDigest, UnixMillis};

/// Which JWTs a withdrawal refuses that nobody is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jwts {
    /// All that fall under what is withdrawn, and were issued up to this date.
    All(UnixMillis),
    /// The same, of what is withdrawn by a name of its own. What has none is withdrawn for want of something better.
    Named(UnixMillis),
    /// None: anybody may have asked for it.
    Spared,
}

impl Jwts {
    /// Up to which date those of this name are refused, if they are.
    pub fn issued_until(self, name: &Name) -> Option<UnixMillis> {
        match self {
            Self::All(date) => Some(date),
            Self::Named(date) => (!name.kind.is_broad()).then_some(date),
            Self::Spared => None,
        }
    }
}

/// The refusals of all workers.
#[derive(Clone)]
pub(super) struct Refusals {
    shared: Rc<dyn SharedData>,
    table: Table,
    /// Of one provider, in one slot.
    max_refusals: usize,
    /// What this worker knows to be known of how long JWTs live, in milliseconds.
    known_life: Cell<u64>,
}

impl Refusals {
    pub(super) fn new(shared: Rc<dyn SharedData>) -> Self {
        let table = Table { prefix: 'r', slots: SLOTS, words: (1, 1) };
        Self { shared, table, max_refusals: MAX_REFUSALS, known_life: Cell::default() }
    }

    #[cfg(test)]
    pub(super) fn shrink(&mut self, slots: u32, max_refusals: usize) {
        self.table.slots = slots;
        self.max_refusals = max_refusals;
    }

    /// Makes every slot exist: shared data can compare and swap only what is there.
    pub(super) fn create(&self) {
        self.table.create(self.shared.as_ref(), CREATED);
        self.update(|_| ());
    }

    /// Notes until when a JWT is good: refusals are kept for as long as the one that lives longest, if that is not
    /// [too long](LONGEST). A host call only where it is longer than this worker knows.
    pub(super) fn note_life(&self, claims: &Claims<'_>, end: UnixMillis, now: UnixMillis) {
        let longest = millis(LONGEST);
        if self.known_life.get() >= longest {
            return;
        }
        let life = millis(end.since(issued(claims).unwrap_or(now))).min(longest);
        if life > self.known_life.get() {
            self.update(|summary| summary.life = summary.life.max(life));
            self.known_life.set(self.summary().life);
        }
    }

    /// How long a refusal is kept.
    pub(super) fn kept(&self) -> Duration {
        self.summary().kept()
    }

    /// Refuses JWTs of this name that were issued up to `date`; `settle`: for how long the server may yet issue some of
    /// a session that it has said is over.
    pub(super) fn refuse(&self, name: &Name, date: UnixMillis, settle: Duration, now: UnixMillis) {
        let date = date.min(now.plus(AHEAD));
        let issued = if name.kind.is_of_one() { date.plus(settle) } else { date };
        let refusal = Refusal { issued, at: now };
        if self.keep(name, refusal, now) {
            return;
        }
        // All of the provider that there are now: closed on failure, and over for whoever gets a new one.
        let everything = Refusal { issued: date, at: now };
        if self.keep(&Name::all_of(name.provider), everything, now) {
            return;
        }
        let raise = |summary: &mut Summary| {
            summary.latest = summary.latest.max(now);
            summary.everything = summary.everything.max(everything);
        };
        if !self.update(raise) {
            let mut summary = self.summary();
            raise(&mut summary);
            self.shared.set(SUMMARY, &summary.write());
        }
    }

    /// Whether a JWT that nobody is asked about is refused.
    pub(super) fn has(&self, verdict: &Withdrawable<'_>, now: UnixMillis) -> bool {
        let summary = self.summary();
        if summary.is_over(summary.latest, now) {
            return false;
        }
        // Read from its JSON, and so only where it matters.
        let issued_at = OnceCell::new();
        let is_hit = |refusal: &Refusal| {
            // What does not say when it was issued may have been issued before.
            !summary.is_over(refusal.at, now)
                && issued_at
                    .get_or_init(|| issued(&verdict.claims))
                    .is_none_or(|issued| issued <= refusal.issued)
        };
        let is_whatever_date = |kind: Kind| match kind {
            Kind::Sid => !verdict.claims.scopes().any(|scope| scope == OFFLINE_ACCESS),
            kind => kind.is_of_one(),
        };
        let is_named = |(kind, name): &(Kind, TokenDigest)| {
            let slot = self.shared.get(&self.table.first(name));
            let Some(slot) = slot.as_deref().and_then(Slot::parse) else { return false };
            let is_ours = |of: Option<ProviderTag>| of.is_none_or(|of| of == verdict.provider);
            slot.coarse.iter().any(|(of, refusal)| is_ours(*of) && is_hit(refusal))
                || slot.refusals.iter().filter(|it| it.name == *name).any(|Kept { refusal, .. }| {
                    is_hit(refusal) || is_whatever_date(*kind) && !summary.is_over(refusal.at, now)
                })
        };
        is_hit(&summary.everything) || verdict.names(summary.kinds).iter().any(is_named)
    }

    /// Notes a refusal by a name of its own. Returns whether it did: what is of every provider has none.
    fn keep(&self, name: &Name, refusal: Refusal, now: UnixMillis) -> bool {
        name.kind != Kind::Everything
            && self.update(|summary| {
                summary.kinds = summary.kinds.with(name.kind);
                summary.latest = summary.latest.max(now);
            })
            && self.add(name, refusal, now)
    }

    /// Adds a refusal. Returns whether it did: a crowd may keep us from it, or a slot that does not exist.
    fn add(&self, name: &Name, refusal: Refusal, now: UnixMillis) -> bool {
        let key = self.table.first(&name.digest);
        for _ in 0..MAX_TRIES {
            let (bytes, version) = self.shared.read(&key);
            // What was never set cannot be guarded against another worker.
            if version == Version::NEVER_SET {
                return false;
            }
            let summary = self.summary();
            let mut slot = bytes.as_deref().and_then(Slot::parse).unwrap_or_default();
            slot.add(name, refusal, self.max_refusals, |at| summary.is_over(at, now), now);
            if self.shared.replace(&key, &slot.write(), version) {
                return true;
            }
        }
        false
    }

    /// What another version wrote is as good as nothing.
    fn summary(&self) -> Summary {
        self.shared.get(SUMMARY).as_deref().and_then(Summary::parse).unwrap_or_default()
    }

    /// Changes the summary. Returns whether it did: a crowd may keep us from it.
    fn update(&self, change: impl Fn(&mut Summary)) -> bool {
        for _ in 0..MAX_TRIES {
            let (bytes, version) = self.shared.read(SUMMARY);
            let was = bytes.as_deref().and_then(Summary::parse);
            let mut summary = was.unwrap_or_default();
            change(&mut summary);
            if was == Some(summary) || self.shared.replace(SUMMARY, &summary.write(), version) {
                return true;
            }
        }
        false
    }
}

/// When a JWT was issued, by the clock of who did.
fn issued(claims: &Claims<'_>) -> Option<UnixMillis> {
    numeric_date(&claims.members(), "iat").ok().flatten()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// JWTs that were issued up to a date are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Refusal {
    /// The date.
    issued: UnixMillis,
    /// When we were told.
    at: UnixMillis,
}

impl Refusal {
    const NONE: Self = Self { issued: UnixMillis::from_millis(0), at: NEVER };

    fn max(self, other: Self) -> Self {
        Self { issued: self.issued.max(other.issued), at: self.at.max(other.at) }
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            issued: UnixMillis::from_millis(reader.u64()?),
            at: UnixMillis::from_millis(reader.u64()?),
        })
    }

    fn write(self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.issued.as_millis().to_le_bytes());
        bytes.extend_from_slice(&self.at.as_millis().to_le_bytes());
    }
}

/// A refusal by a name.
struct Kept {
    /// Whose JWTs it is of; of any provider's, if that was not told.
    provider: Option<ProviderTag>,
    name: TokenDigest,
    refusal: Refusal,
}

/// The refusals of one slot.
#[derive(Default)]
struct Slot {
    /// Of every name of a provider that falls here, or of any provider.
    coarse: Vec<(Option<ProviderTag>, Refusal)>,
    refusals: Vec<Kept>,
}

impl Slot {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let version = reader.u8().filter(|version| [WITHOUT_PROVIDERS, VERSION].contains(version))?;
        let provider = |reader: &mut Reader<'_>| match version {
            VERSION => reader.array().map(ProviderTag::read),
            _ => Some(None),
        };
        let coarse = if version == VERSION { reader.u8()? } else { 1 };
        let coarse = (0..coarse).map(|_| Some((provider(&mut reader)?, Refusal::read(&mut reader)?)));
        let coarse = coarse.collect::<Option<_>>()?;
        let next = || {
            Some(Kept {
                provider: provider(&mut reader)?,
                name: TokenDigest::from_bytes(reader.array()?),
                refusal: Refusal::read(&mut reader)?,
            })
        };
        Some(Self { coarse, refusals: std::iter::from_fn(next).collect() })
    }

    fn write(&self) -> Vec<u8> {
        // No more than MAX_PROVIDERS, and those of any.
        let mut bytes = vec![VERSION, u8::try_from(self.coarse.len()).unwrap_or(u8::MAX)];
        for (provider, refusal) in &self.coarse {
            bytes.extend_from_slice(&ProviderTag::write(*provider));
            refusal.write(&mut bytes);
        }
        for Kept { provider, name, refusal } in &self.refusals {
            bytes.extend_from_slice(&ProviderTag::write(*provider));
            bytes.extend_from_slice(name.as_bytes());
            refusal.write(&mut bytes);
        }
        bytes
    }

    /// Adds one; of those of its provider that are too many the eldest become coarse.
    fn add(
        &mut self,
        name: &Name,
        refusal: Refusal,
        most: usize,
        is_over: impl Fn(UnixMillis) -> bool,
        now: UnixMillis,
    ) {
        let mut new = Kept { provider: name.provider, name: name.digest, refusal };
        self.coarse.retain(|(_, refusal)| !is_over(refusal.at));
        self.refusals.retain(|it| {
            let is_same = it.name == new.name;
            if is_same {
                new.refusal = new.refusal.max(it.refusal);
                new.provider = new.provider.or(it.provider);
            }
            !is_same && !is_over(it.refusal.at)
        });
        new.provider = new.provider.filter(|provider| self.tells_apart(*provider));
        let of = new.provider;
        // The last are the eldest.
        let place = self.refusals.partition_point(|it| it.refusal.issued >= new.refusal.issued);
        self.refusals.insert(place, new);
        let mut room = most;
        let mut coarse = Refusal::NONE;
        self.refusals.retain(|Kept { provider, refusal: Refusal { issued, at }, .. }| {
            if *provider != of {
                return true;
            }
            let is_kept = room > 0;
            room = room.saturating_sub(1);
            if !is_kept {
                // What is issued from now on is nobody's whom these were meant for.
                coarse = coarse.max(Refusal { issued: (*issued).min(now), at: *at });
            }
            is_kept
        });
        if coarse != Refusal::NONE {
            match self.coarse.iter_mut().find(|(provider, _)| *provider == of) {
                Some((_, known)) => *known = known.max(coarse),
                None => self.coarse.push((of, coarse)),
            }
        }
    }

    /// Whether a provider has room of its own, which more than so many have not.
    fn tells_apart(&self, provider: ProviderTag) -> bool {
        let coarse = self.coarse.iter().filter_map(|(of, _)| *of);
        let mut all: Vec<ProviderTag> =
            coarse.chain(self.refusals.iter().filter_map(|it| it.provider)).chain([provider]).collect();
        all.sort_unstable();
        all.dedup();
        all.len() <= MAX_PROVIDERS
    }
}

/// What all refusals have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Summary {
    /// Those that there ever was a refusal of; others are not looked for.
    kinds: Kinds,
    /// How long a JWT lives, as far as was seen, in milliseconds.
    life: u64,
    /// When the last one came.
    latest: UnixMillis,
    /// Of every JWT.
    everything: Refusal,
}

impl Default for Summary {
    fn default() -> Self {
        Self { kinds: Kinds::default(), life: 0, latest: NEVER, everything: Refusal::NONE }
    }
}

impl Summary {
    fn kept(&self) -> Duration {
        Duration::from_millis(self.life).clamp(SHORTEST, LONGEST)
    }

    /// Whether a refusal of then says nothing that matters any more.
    fn is_over(&self, at: UnixMillis, now: UnixMillis) -> bool {
        at.plus(self.kept()) < now
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION_OF_SUMMARY {
            return None;
        }
        Some(Self {
            kinds: Kinds(reader.u32()?),
            life: reader.u64()?,
            latest: UnixMillis::from_millis(reader.u64()?),
            everything: Refusal::read(&mut reader)?,
        })
    }

    fn write(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION_OF_SUMMARY];
        bytes.extend_from_slice(&self.kinds.0.to_le_bytes());
        bytes.extend_from_slice(&self.life.to_le_bytes());
        bytes.extend_from_slice(&self.latest.as_millis().to_le_bytes());
        self.everything.write(&mut bytes);
        bytes
    }
}

/// What a token has in its scope that may be had when nobody is there (OpenID Connect Core 1.0 §11).
const OFFLINE_ACCESS: &[u8] = b"offline_access";

/// Nothing happened then.
const NEVER: UnixMillis = UnixMillis::from_millis(0);

/// With [`MAX_REFUSALS`], about 20,000 refusals of each provider are told apart, in at most 1.8 MiB.
const SLOTS: u32 = 1024;

/// Of one provider, in one slot.
const MAX_REFUSALS: usize = 32;

/// That have refusals in one slot at a time. Those of more share one room, and what is coarse there is so for all: in all, no more than
/// 58 MiB, however many providers other Envoys name.
const MAX_PROVIDERS: usize = 32;

/// A refusal is kept for so long, however short the lives of JWTs were that have been seen: others may come.
const SHORTEST: Duration = Duration::from_secs(60 * 60);

/// The same, however long they were.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A date that is further ahead is believed only so far: what others say must not keep anybody out for long.
const AHEAD: Duration = Duration::from_secs(5 * 60);

/// Says how many slots exist.
const CREATED: &str = "refusals";

const SUMMARY: &str = "refused JWTs";

/// Every failed swap is another worker's success; so many in a row mean a crowd.
const MAX_TRIES: u32 = 64;

/// Of a slot.
const VERSION: u8 = 2;

/// One in which all refusals are of any provider: a newer filter that takes the place of an older one forgets none.
const WITHOUT_PROVIDERS: u8 = 1;

/// Of the summary.
const VERSION_OF_SUMMARY: u8 = 1;
