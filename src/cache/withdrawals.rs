//! What has been withdrawn, and since when: a watermark says that every verdict on its subject that was asked for
//! until then is void.
//!
//! Watermarks lie in a table of fixed size in shared data. One that is older than any verdict can become makes
//! room; where none does, the watermark of [everything](Subject::Everything) is raised instead, which stands for
//! all others at once and so makes room for all that follow: a moment's more calls, never a verdict that lives on.
//!
//! A withdrawal writes its watermarks first and begins an [epoch](super::epoch) then. Whoever checks a verdict
//! reads the epoch first and the watermarks then, and remembers the verdict with that epoch: as long as it is
//! the current one, there is nothing to check.
//!
//! Verdicts are dated by when their call was *sent*: what the server said before it heard of the revocation may
//! arrive after it. And servers tell others of a logout *before* they end the session (oidc-provider waits for
//! the answer to its logout token): for such signals a verdict is not remembered until some time has passed.
//!
//! ```text
//! slot:    version 1 · ( name 32 · at 8 · settled 8 ) of each watermark
//! summary: version 1 · kinds 4 · retention 8 · everything: at 8 · settled 8
//! ```

use std::rc::Rc;
use std::time::Duration;

use super::epoch::{self, Moment};
use super::refusals::Refusals;
use super::subject::{Kind, Kinds, Name, Subject, Withdrawable};
use super::{SharedData, Table, Version};
use crate::bytes::Reader;
use crate::token::{TokenDigest, UnixMillis};

/// The withdrawals of all workers.
#[derive(Clone)]
pub struct Withdrawals {
    pub(super) shared: Rc<dyn SharedData>,
    pub(super) table: Table,
    /// In one slot.
    max_marks: usize,
    /// What is refused besides.
    pub(super) refusals: Refusals,
}

/// When a verdict was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// When the call was sent.
    pub at: UnixMillis,
    /// The moment read just before.
    pub moment: Moment,
}

/// What withdrawals leave of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It holds.
    Good(Checked),
    /// It is by a JWT that nobody is asked about, and that was issued before what it is of was withdrawn.
    Refused,
    /// It says nothing any more: the server is to be asked again.
    Void,
}

/// A verdict held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// At this moment.
    pub(super) moment: Moment,
    /// It is not to be remembered for longer, for the server may be about to withdraw it.
    pub(super) until: UnixMillis,
}

impl Withdrawals {
    /// The withdrawals that lie in `shared`.
    pub fn new(shared: Rc<dyn SharedData>) -> Self {
        let refusals = Refusals::new(Rc::clone(&shared));
        let table = Table { prefix: 'w', slots: SLOTS, words: (0, 0) };
        Self { shared, table, max_marks: MAX_MARKS, refusals }
    }

    #[cfg(test)]
    pub(super) fn shrink(&mut self, slots: u32, max_marks: usize) {
        self.table.slots = slots;
        self.max_marks = max_marks;
    }

    /// Says how long a verdict may serve after its call was sent, all told: watermarks are kept for as long.
    /// Filters that share their data may differ; the longest counts. Done before any worker has requests.
    pub fn announce(&self, longest: Duration) {
        let longest = u64::try_from(longest.saturating_add(SLACK).as_millis()).unwrap_or(u64::MAX);
        // A number that lies still while entries remember it is no use once it is set back to nothing.
        if self.shared.epoch() == Some(0) {
            epoch::withdrew(self.shared.as_ref());
        }
        self.update(|summary| summary.retention = summary.retention.max(longest));
    }

    /// Makes every slot exist: shared data can compare and swap only what is there. For filters that receive
    /// withdrawals; the others only read. Done before any worker has requests; later it changes nothing.
    pub fn create(&self) {
        self.table.create(self.shared.as_ref(), CREATED);
        self.refusals.create();
    }

    /// This moment; to be read before a call is sent.
    pub fn moment(&self) -> Moment {
        Moment::of(self.shared.epoch())
    }

    /// Whether nothing was withdrawn since `moment`.
    pub fn is_current(&self, moment: Moment) -> bool {
        self.moment().is(moment)
    }

    /// Makes every verdict on `subjects` void that was asked for until `now`. Done when it returns, for all
    /// workers. For `settle` from now on, new verdicts on them are not remembered. JWTs that nobody is asked about are
    /// spared.
    pub fn withdraw(&self, subjects: &[Subject], settle: Duration, now: UnixMillis) {
        self.withdraw_names(subjects.iter().map(|subject| (Name::of(subject), None)), settle, now);
    }

    /// The same by names, as other Envoys say it; of each, JWTs are refused that were issued up to the date beside it.
    pub fn withdraw_names(
        &self,
        names: impl IntoIterator<Item = (Name, Option<UnixMillis>)>,
        settle: Duration,
        now: UnixMillis,
    ) {
        let mark = Mark { at: now, settled: now.plus(settle) };
        let mut is_any = false;
        for (name, jwts) in names {
            is_any = true;
            if let Some(date) = jwts {
                self.refusals.refuse(&name, date, settle, now);
            }
            let Name { kind, digest, .. } = name;
            let is_done = kind != Kind::Everything
                && self.update(|summary| summary.kinds = summary.kinds.with(kind))
                && self.raise(&digest, mark, now);
            if !is_done && !self.update(|summary| summary.everything = summary.everything.max(mark)) {
                self.overwrite(mark);
            }
        }
        if is_any {
            epoch::withdrew(self.shared.as_ref());
        }
    }

    /// Has every copy judged anew, though nothing is withdrawn.
    pub fn look_again(&self) {
        epoch::withdrew(self.shared.as_ref());
    }

    /// How long a watermark is kept: as long as any verdict may serve.
    pub fn retention(&self) -> Duration {
        self.summary().map_or(Duration::MAX, |summary| Duration::from_millis(summary.retention))
    }

    /// Makes every verdict void that was asked for until `at`, which may lie ahead: the clock was set back. Those that
    /// come now are remembered all the same, and hold until the next withdrawal.
    pub fn withdraw_all_until(&self, at: UnixMillis) {
        let mark = Mark { at, ..Mark::NONE };
        if !self.update(|summary| summary.everything = summary.everything.max(mark)) {
            self.overwrite(mark);
        }
        epoch::withdrew(self.shared.as_ref());
    }

    /// When verdicts on `subject` were last withdrawn, if that is still known.
    pub fn since(&self, subject: &Subject) -> Option<UnixMillis> {
        let name = subject.name();
        let marks = Marks::parse(&self.shared.get(&self.table.first(&name))?)?;
        marks.get(&name).map(|mark| mark.at).max()
    }

    /// What is left of a verdict.
    pub fn standing(&self, asked: Asked, verdict: &Withdrawable<'_>) -> Standing {
        let moment = self.moment();
        let Some((exact, broad)) = self.marks(verdict) else { return Standing::Void };
        // Without a withdrawal in between, none can be meant, whatever the clock says: it may have been set back.
        let may_be_overtaken = !moment.is(asked.moment);
        if may_be_overtaken && exact.at.max(broad.at) >= asked.at {
            return Standing::Void;
        }
        let until = if exact.settled >= asked.at {
            asked.at
        } else if broad.settled >= asked.at {
            // Asking about every token on every request is more than a server need stand.
            asked.at.plus(WHILE_UNSETTLED)
        } else {
            UnixMillis::MAX
        };
        Standing::Good(Checked { moment, until })
    }

    /// The latest watermarks that a verdict falls under: those of its own, and those of many. `None` if they
    /// cannot be read, which must count as all there is.
    fn marks(&self, verdict: &Withdrawable<'_>) -> Option<(Mark, Mark)> {
        let summary = self.summary()?;
        let (mut exact, mut broad) = (Mark::NONE, summary.everything);
        if summary.kinds == Kinds::default() {
            return Some((exact, broad));
        }
        for (kind, name) in verdict.names(summary.kinds) {
            let mark = if kind.is_broad() { &mut broad } else { &mut exact };
            let marks = self.shared.get(&self.table.first(&name));
            for mark_of_name in
                marks.as_deref().and_then(Marks::parse).iter().flat_map(|marks| marks.get(&name))
            {
                *mark = mark.max(mark_of_name);
            }
        }
        // Last, for a watermark may have made room meanwhile because this one stands for it.
        broad = broad.max(self.summary()?.everything);
        Some((exact, broad))
    }

    /// Raises the watermark of `name`. Returns whether there was room for it.
    fn raise(&self, name: &TokenDigest, mark: Mark, now: UnixMillis) -> bool {
        let key = self.table.first(name);
        for _ in 0..MAX_TRIES {
            let Some(summary) = self.summary() else { return false };
            let (bytes, version) = self.shared.read(&key);
            // What was never set cannot be guarded against another worker.
            if version == Version::NEVER_SET {
                return false;
            }
            let mut marks = bytes.as_deref().and_then(Marks::parse).unwrap_or_default();
            let mark = marks.get(name).fold(mark, Mark::max);
            marks.0.retain(|(other, mark)| other != name && !summary.outdates(*mark, now));
            if marks.0.len() >= self.max_marks {
                return false;
            }
            marks.0.push((*name, mark));
            if self.shared.replace(&key, &marks.write(), version) {
                return true;
            }
        }
        false
    }

    pub(super) fn summary(&self) -> Option<Summary> {
        match self.shared.get(SUMMARY) {
            None => Some(Summary::default()),
            Some(bytes) => Summary::parse(&bytes),
        }
    }

    /// Changes the summary. Returns whether it did: a crowd may keep us from it.
    fn update(&self, change: impl Fn(&mut Summary)) -> bool {
        for _ in 0..MAX_TRIES {
            let (bytes, version) = self.shared.read(SUMMARY);
            let was = bytes.as_deref().map_or_else(|| Some(Summary::default()), Summary::parse);
            let mut summary = was.unwrap_or(Summary::UNKNOWN);
            change(&mut summary);
            if was == Some(summary) || self.shared.replace(SUMMARY, &summary.write(), version) {
                return true;
            }
        }
        false
    }

    /// Raises the watermark of everything without a look at who else does: above whatever they may write.
    fn overwrite(&self, mark: Mark) {
        let was = self.summary().unwrap_or(Summary::UNKNOWN);
        let above = Mark { at: mark.at.plus(SLACK), settled: mark.settled.plus(SLACK) };
        let summary = Summary { kinds: Kinds::ALL, everything: was.everything.max(above), ..was };
        self.shared.set(SUMMARY, &summary.write());
    }
}

/// A watermark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Verdicts asked for until then are void.
    pub(super) at: UnixMillis,
    /// Verdicts asked for until then are not to be remembered.
    pub(super) settled: UnixMillis,
}

impl Mark {
    const NONE: Self = Self { at: UnixMillis::from_millis(0), settled: UnixMillis::from_millis(0) };

    pub(super) fn max(self, other: Self) -> Self {
        Self { at: self.at.max(other.at), settled: self.settled.max(other.settled) }
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            at: UnixMillis::from_millis(reader.u64()?),
            settled: UnixMillis::from_millis(reader.u64()?),
        })
    }

    fn write(self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.at.as_millis().to_le_bytes());
        bytes.extend_from_slice(&self.settled.as_millis().to_le_bytes());
    }
}

/// The watermarks of one slot.
#[derive(Default)]
pub(super) struct Marks(pub(super) Vec<(TokenDigest, Mark)>);

impl Marks {
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return None;
        }
        let next = || Some((TokenDigest::from_bytes(reader.array()?), Mark::read(&mut reader)?));
        Some(Self(std::iter::from_fn(next).collect()))
    }

    fn get(&self, name: &TokenDigest) -> impl Iterator<Item = Mark> {
        self.0.iter().filter(move |(of, _)| of == name).map(|(_, mark)| *mark)
    }

    fn write(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        for (name, mark) in &self.0 {
            bytes.extend_from_slice(name.as_bytes());
            mark.write(&mut bytes);
        }
        bytes
    }
}

/// What all watermarks have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Summary {
    /// Those that there ever was a watermark of; others are not looked for.
    pub(super) kinds: Kinds,
    /// How long a watermark is kept, in milliseconds.
    retention: u64,
    /// The watermark of everything.
    pub(super) everything: Mark,
}

impl Default for Summary {
    fn default() -> Self {
        Self { kinds: Kinds::default(), retention: 0, everything: Mark::NONE }
    }
}

impl Summary {
    /// In place of one that cannot be read: anything may have been withdrawn.
    const UNKNOWN: Self = Self { kinds: Kinds::ALL, retention: u64::MAX, everything: Mark::NONE };

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return None;
        }
        let (kinds, retention) = (Kinds(reader.u32()?), reader.u64()?);
        Some(Self { kinds, retention, everything: Mark::read(&mut reader)? })
    }

    fn write(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.kinds.0.to_le_bytes());
        bytes.extend_from_slice(&self.retention.to_le_bytes());
        self.everything.write(&mut bytes);
        bytes
    }

    /// Whether a watermark says nothing that matters any more.
    fn outdates(&self, mark: Mark, now: UnixMillis) -> bool {
        let kept_until = mark.settled.max(mark.at).plus(Duration::from_millis(self.retention));
        mark.max(self.everything) == self.everything || kept_until < now
    }
}

/// With [`MAX_MARKS`], about 6,000 withdrawals fit within the longest life of a verdict before everything is
/// withdrawn instead, in at most 1 MiB.
const SLOTS: u32 = 1024;

/// In one slot.
const MAX_MARKS: usize = 16;

/// Says how many slots exist.
const CREATED: &str = "watermarks";

const SUMMARY: &str = "withdrawals";

/// How long a verdict on one of many subjects is remembered while the server may be about to withdraw it.
const WHILE_UNSETTLED: Duration = Duration::from_secs(1);

/// How far the clocks of two workers may differ.
const SLACK: Duration = Duration::from_secs(1);

/// Every failed swap is another worker's success; so many in a row mean a crowd.
const MAX_TRIES: u32 = 64;

const VERSION: u8 = 1;
