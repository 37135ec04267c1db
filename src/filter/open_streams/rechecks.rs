//! Asking again about tokens whose streams outlive the verdict that they were passed on by.
//!
//! One answer serves all streams of a token, and one that came meanwhile for a request's sake does as well: it is in the cache.
//! Whether a server can be asked now is not decided here; what is not asked is found again by a later look.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use crate::cache::Cached;
use crate::filter::part::NOW_AND_THEN;
use crate::filter::passed_by::PassedBy;
use crate::filter::step::Step;
use crate::filter::way::Question;
use crate::introspection::ServerFailure;
use crate::policy::{Denial, InvalidToken, Unavailable};
use crate::token::{TokenDigest, UnixMillis};

/// What the server says of a token, or the cache.
#[derive(Clone, Debug)]
pub(in crate::filter) enum Word {
    /// It is active, as of when it was asked.
    Active(UnixMillis),
    /// It is not.
    Refused(Denial),
    /// Nothing.
    None,
}

/// The tokens that are asked about again.
pub(super) struct Rechecks {
    /// To be asked about.
    wanted: VecDeque<Rc<Question>>,
    /// These, and those whose answer is awaited: of them there is no word yet. Not a set, for another kind of tree is 6 KB of
    /// module.
    pending: BTreeMap<TokenDigest, Word>,
    /// What was said since the last look began.
    heard: BTreeMap<TokenDigest, Word>,
    /// What was said before, or is found in the cache in this look.
    known: BTreeMap<TokenDigest, Word>,
    /// When the next look is due.
    next: UnixMillis,
}

impl Rechecks {
    pub(super) fn new() -> Self {
        Self {
            wanted: VecDeque::new(),
            pending: BTreeMap::new(),
            heard: BTreeMap::new(),
            known: BTreeMap::new(),
            next: UnixMillis::MAX,
        }
    }

    /// Whether a stream is due, or something was said of one.
    pub(super) fn is_due(&self, now: UnixMillis) -> bool {
        self.next <= now
    }

    /// A stream has come whose token is to be asked about.
    pub(super) fn passed(&mut self, by: &PassedBy) {
        if by.question.is_some() {
            self.next = self.next.min(by.asked.plus(by.policy.open_streams.recheck));
        }
    }

    /// A look at all streams begins.
    pub(super) fn begin_look(&mut self) {
        self.known = std::mem::take(&mut self.heard);
        self.next = UnixMillis::MAX;
    }

    /// What is to be looked at soon: the clock was set back.
    pub(super) fn hasten(&mut self, now: UnixMillis) {
        self.next = self.next.min(now);
    }

    /// Looks at one stream: why it ends, if it does. `asked`: when the server was asked last that called its token active.
    pub(super) fn look(&mut self, by: &PassedBy, asked: &mut UnixMillis, step: &Step<'_>) -> Option<Denial> {
        let question = by.question.as_ref()?;
        let (recheck, digest) = (by.policy.open_streams.recheck.max(NOW_AND_THEN), &question.digest);
        let is_due = |asked: UnixMillis| asked.plus(recheck) <= step.now;
        if is_due(*asked) || self.known.contains_key(digest) {
            let known = self.known.entry(*digest).or_insert_with(|| remembered(digest, step));
            match known {
                Word::Active(when) => *asked = (*asked).max(*when),
                Word::Refused(denial) => return Some(denial.clone()),
                Word::None => {}
            }
        }
        if !is_due(*asked) {
            self.next = self.next.min(asked.plus(recheck));
            return None;
        }
        if is_too_old(by, *asked, step) {
            let failure = ServerFailure::HeldBack { is_outage: true };
            return Some(Unavailable::AuthorizationServer(failure).into());
        }
        self.next = self.next.min(step.now.plus(NOW_AND_THEN));
        if self.pending.insert(*digest, Word::None).is_none() {
            self.wanted.push_back(Rc::clone(question));
        }
        None
    }

    /// How many are to be asked about.
    pub(super) fn wanted(&self) -> usize {
        self.wanted.len()
    }

    /// The next that is to be asked about.
    pub(super) fn take_wanted(&mut self) -> Option<Rc<Question>> {
        self.wanted.pop_front()
    }

    /// One cannot be asked about now, but as soon as there is room.
    pub(super) fn put_back(&mut self, question: Rc<Question>) {
        self.wanted.push_back(question);
    }

    /// What was said of a token, or that nothing will be said. Nothing happens where it is none of ours.
    pub(super) fn heard(&mut self, digest: TokenDigest, word: Word, now: UnixMillis) {
        if self.pending.remove(&digest).is_none() {
            return;
        }
        if !matches!(word, Word::None) {
            self.heard.insert(digest, word);
            self.next = now;
        }
    }
}

/// What the cache knows of a token.
fn remembered(digest: &TokenDigest, step: &Step<'_>) -> Word {
    match step.worker.cache.find(digest, step.now) {
        Some(Cached::Active(entry)) => Word::Active(entry.asked()),
        Some(Cached::Inactive { refused, .. }) => Word::Refused(InvalidToken::from(refused).into()),
        None => Word::None,
    }
}

/// Whether the last word on a token is too old to go on by. A request would not pass by it any more, either.
fn is_too_old(by: &PassedBy, asked: UnixMillis, step: &Step<'_>) -> bool {
    let policy = &by.policy;
    let longest: Duration = policy.cache_ttl.max(policy.open_streams.recheck * 2);
    asked.plus(longest).plus(step.worker.config.cache.stale_if_error) <= step.now
}
