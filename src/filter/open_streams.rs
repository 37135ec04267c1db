//! Requests that were passed on and are still open: downloads, event streams, WebSockets, gRPC calls. When their verdict is
//! withdrawn, or their token ends, they are ended, if their policy says so.
//!
//! Of each, it is noted what its verdict can be withdrawn by. Every worker looks at the [epoch](crate::cache) a few times a
//! second; when it has changed, one look at all [watermarks](Raised) is held against all notes, some in each turn of the root.
//! A look begins with a tick alone: turns come as often as clients like, and so may withdrawals.
//!
//! A stream is ended once and never again, for a second ending was seen to take the process down: its note goes when the
//! ending is said.

use std::collections::VecDeque;
use std::rc::Rc;

use super::event::{Effect, StreamId};
use super::kept::Kept;
use super::part::{NOW_AND_THEN, Pace, Part};
use super::passed_by::PassedBy;
use super::step::Step;
use crate::cache::{Moment, Raised, ShortNames, Word};
use crate::challenge::Occasion;
use crate::metrics::{Counter, Whose};
use crate::policy::{Denial, InvalidToken};
use crate::token::{Scheme, UnixMillis};

/// All that are open.
pub(super) struct OpenStreams {
    /// Whether any policy ends them.
    are_watched: bool,
    open: Kept<Open>,
    /// The moment as of which none is known to be withdrawn, once the look is over.
    looked: Moment,
    look: Option<Look>,
    /// When all is settled that had been withdrawn at the last look.
    settled: UnixMillis,
    /// When something is settled that may end one of them.
    next_settled: UnixMillis,
    /// When the first token ends that ends its stream, or the clock was set back.
    next_expiry: UnixMillis,
    /// To be ended, and why.
    ending: VecDeque<(StreamId, InvalidToken)>,
}

struct Open {
    by: Rc<PassedBy>,
    /// That of the verdict, unless the clock was set back since.
    asked: UnixMillis,
    names: ShortNames,
}

/// A look at all that is open, under way.
struct Look {
    /// `None`: it cannot be told what is withdrawn.
    raised: Option<Raised>,
    /// The last that was looked at.
    at: Option<StreamId>,
}

impl OpenStreams {
    pub(super) fn new(are_watched: bool) -> Self {
        Self {
            are_watched,
            open: Kept::default(),
            looked: Moment::NEVER,
            look: None,
            settled: UnixMillis::from_millis(0),
            next_settled: UnixMillis::MAX,
            next_expiry: UnixMillis::MAX,
            ending: VecDeque::new(),
        }
    }

    /// Notes a request that is passed on.
    pub(super) fn passed(&mut self, stream: StreamId, by: Rc<PassedBy>) {
        let bytes = by.len() + size_of::<Open>();
        let asked = by.asked;
        if asked <= self.settled {
            self.next_settled = self.next_settled.min(self.settled);
        }
        if by.policy.open_streams.on_expiry {
            self.next_expiry = self.next_expiry.min(by.end);
        }
        self.open.insert(stream, Open { by, asked, names: ShortNames::default() }, bytes);
    }

    /// Whether no more may be passed on that would have to be noted.
    pub(super) fn are_full(&self) -> bool {
        self.open.len() >= MAX_OPEN || self.open.bytes() >= MAX_BYTES
    }

    /// Whether some have yet to be ended. Whoever leaves it so has asked for a turn.
    pub(super) fn are_to_end(&self) -> bool {
        !self.ending.is_empty()
    }

    /// Ends one of those that are to end. Returns whether there was one.
    pub(super) fn end_one(&mut self, step: &mut Step<'_>) -> bool {
        while let Some((stream, reason)) = self.ending.pop_front() {
            // One that has ended by itself is none.
            let Some(Open { by, .. }) = self.open.remove(stream) else { continue };
            let denial = Denial::from(reason);
            log::debug!("an open stream is ended: {}", denial.reason());
            let whose = Whose { policy: Some(&by.policy.name), ..Whose::NOBODY };
            step.count(Counter::StreamsEnded, whose.because(denial.reason()));
            let scope = by.policy.require.scope();
            let occasion = Occasion::under(&by.policy, &scope, Scheme::Bearer);
            let answer = step.worker.config.challenge.answer(&denial, occasion);
            step.push(Effect::End(stream, answer));
            return true;
        }
        false
    }

    /// Begins a look, if one is due.
    fn begin_look(&mut self, step: &Step<'_>) {
        if !self.are_watched {
            return;
        }
        let withdrawals = step.worker.cache.withdrawals();
        let is_due = !withdrawals.is_current(self.looked) || self.next_settled <= step.now;
        // While none is open, nothing is looked at: the next one is looked at then.
        if is_due && self.look.is_none() && self.open.len() > 0 {
            // Before the watermarks are read: what is raised meanwhile is seen the next time.
            self.looked = withdrawals.moment();
            let raised = withdrawals.raised();
            self.settled = raised.as_ref().map_or(UnixMillis::from_millis(0), Raised::settled);
            self.next_settled = UnixMillis::MAX;
            self.look = Some(Look { raised, at: None });
        }
    }

    /// Looks at some, if a look is under way.
    pub(super) fn look(&mut self, step: &mut Step<'_>) {
        let Some(mut look) = self.look.take() else { return };
        let Self { open, ending, next_settled, .. } = self;
        let Look { raised, at } = &mut look;
        let looked_at = open.look_after(*at, MAX_LOOKED_AT, |stream, open| {
            *at = Some(stream);
            if !open.by.policy.open_streams.on_revocation {
                return;
            }
            let end = match raised {
                Some(raised) => raised.end_of(open.asked, open.by.word, &open.by.verdict(), &mut open.names),
                None => Some(step.now),
            };
            match end {
                Some(end) if end <= step.now => {
                    if is_withdrawn(&open.by, step) {
                        ending.push_back((stream, InvalidToken::Revoked));
                    }
                }
                Some(end) => *next_settled = (*next_settled).min(end),
                None => {}
            }
        });
        if looked_at == MAX_LOOKED_AT {
            self.look = Some(look);
            step.push(Effect::AskForTurn);
        }
    }

    /// Looks for tokens that have ended.
    fn look_for_ends(&mut self, now: UnixMillis) {
        // Those that were found before are ended first, or they would be found again.
        if now < self.next_expiry || self.are_to_end() {
            return;
        }
        let Self { open, ending, .. } = self;
        let mut next = UnixMillis::MAX;
        for (stream, Open { by, .. }) in open.iter().filter(|(_, open)| open.by.policy.open_streams.on_expiry)
        {
            if by.end <= now {
                ending.push_back((stream, InvalidToken::Expired));
            } else {
                next = next.min(by.end);
            }
        }
        // Tokens that end one after the other are not looked for one by one.
        self.next_expiry = next.max(now.plus(NOW_AND_THEN));
    }
}

/// Whether what may be withdrawn is. By a JWT that nobody is asked about a stream goes on, unless that is refused.
fn is_withdrawn(by: &PassedBy, step: &Step<'_>) -> bool {
    by.word == Word::Servers || step.worker.cache.withdrawals().refuses(&by.verdict(), step.now)
}

impl Part for OpenStreams {
    fn tick(&mut self, step: &mut Step<'_>) {
        self.begin_look(step);
        self.look(step);
        self.look_for_ends(step.now);
    }

    /// The same all the time: requests come and go far more often.
    fn pace(&self) -> Pace {
        if self.are_watched { Pace::Watchful } else { Pace::Idle }
    }

    fn forget(&mut self, stream: StreamId) {
        self.open.remove(stream);
    }

    /// What comes now is dated before what they were passed on by.
    fn clock_set_back(&mut self, now: UnixMillis) {
        self.next_expiry = now;
        self.next_settled = now;
        self.open.iter_mut().for_each(|open| open.asked = open.asked.min(now));
    }
}

/// Streams that may be open at once, per worker, so that their end is certain.
const MAX_OPEN: usize = 1 << 17;

/// What is noted of them: 128 MiB, a fiftieth of what Envoy itself takes for so many.
const MAX_BYTES: usize = 128 << 20;

/// Streams that are looked at in one turn.
const MAX_LOOKED_AT: usize = 1024;
