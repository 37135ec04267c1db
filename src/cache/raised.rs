//! A look at all watermarks at once: for what was let pass on verdicts and still goes on, which may be too much to be looked
//! up one by one.

use super::subject::{Kinds, Vouched, Withdrawable};
use super::withdrawals::{Mark, Marks, Withdrawals};
use crate::numbered::Numbered;
use crate::token::{MAX_CLOCK_DIFFERENCE, TokenDigest, UnixMillis};

/// What was withdrawn, as of one look.
#[derive(Debug)]
pub struct Raised {
    kinds: Kinds,
    everything: Mark,
    /// By [`short`] names.
    marks: Numbered<u64, Mark>,
}

/// The names of a verdict in short, made when they are first looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShortNames {
    kinds: Kinds,
    names: Box<[u64]>,
}

impl Withdrawals {
    /// All watermarks there are. `None` if they cannot be read, which must count as all there could be.
    pub fn raised(&self) -> Option<Raised> {
        let mut marks: Numbered<u64, Mark> = Numbered::default();
        for slot in 0..u64::from(self.table.slots) {
            let slot = self.shared.get(&self.table.key(slot));
            for (name, mark) in slot.as_deref().and_then(Marks::parse).into_iter().flat_map(|marks| marks.0) {
                let name = short(&name);
                match marks.get_mut(name) {
                    Some(known) => *known = mark.max(*known),
                    None => _ = marks.insert(name, mark),
                }
            }
        }
        // Last, for a watermark may have made room meanwhile because that of everything stands for it.
        let summary = self.summary()?;
        Some(Raised { kinds: summary.kinds, everything: summary.everything, marks })
    }
}

impl Raised {
    /// When all of it is settled.
    pub fn settled(&self) -> UnixMillis {
        let settled = self.marks.iter().map(|(_, mark)| mark.settled);
        settled.fold(self.everything.settled, UnixMillis::max)
    }

    /// When what was let pass on a verdict has to end, if at all; what is withdrawn, long ago.
    ///
    /// Servers tell others of a logout *before* they end the session. What they said in between is not withdrawn, but
    /// counts only until the matter is settled. Of what vouches for itself they said nothing; that it may be
    /// withdrawn is all that is said of it here, and of a moment too much, for clocks of workers differ.
    pub fn end_of(
        &self,
        asked: UnixMillis,
        vouched: Vouched,
        verdict: &Withdrawable<'_>,
        names: &mut ShortNames,
    ) -> Option<UnixMillis> {
        // When the clock was set back, this one was raised for the sake of what is remembered, far ahead of when it was
        // settled: that ends nothing.
        let everything = Mark { at: self.everything.settled, ..self.everything };
        if self.marks.len() == 0 {
            return everything.end_of(asked, vouched);
        }
        if names.kinds != self.kinds {
            let named = verdict.names(self.kinds).iter().map(|(_, name)| short(name)).collect();
            *names = ShortNames { kinds: self.kinds, names: named };
        }
        let marks = names.names.iter().filter_map(|name| self.marks.get(*name));
        marks.chain([&everything]).filter_map(|mark| mark.end_of(asked, vouched)).min()
    }
}

impl Mark {
    fn end_of(&self, asked: UnixMillis, vouched: Vouched) -> Option<UnixMillis> {
        let at = match vouched {
            Vouched::ByItself => self.at.plus(MAX_CLOCK_DIFFERENCE),
            Vouched::ByServer => self.at,
        };
        if at >= asked {
            // Not when it was raised: the clock of the worker that did may be ahead of ours.
            return Some(UnixMillis::from_millis(0));
        }
        (vouched == Vouched::ByServer && self.settled >= asked).then_some(self.settled)
    }
}

/// Should two names fall together that are not one, something ends that need not.
fn short(name: &TokenDigest) -> u64 {
    let [first, ..] = name.words();
    first
}
