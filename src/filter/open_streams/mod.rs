//! Requests that were passed on and are still open: downloads, event streams, WebSockets, gRPC calls. When their verdict is
//! withdrawn, or their token ends, they are ended, if their policy says so.
//!
//! Of each, it is noted what its verdict can be withdrawn by. Every worker looks at the [epoch](crate::cache) a few times a
//! second; when it has changed, one look at all [watermarks](Raised) is held against all notes, some in each turn of the root.
//! A look begins with a tick alone: turns come as often as clients like, and so may withdrawals.
//!
//! Where the policy says so, the server is asked again about their tokens (`rechecks`).
//!
//! A stream is ended once and never again, for a second ending was seen to take the process down: its note goes when the
//! ending is said.

mod rechecks;

use std::collections::VecDeque;
use std::rc::Rc;

use crate::cache::{Moment, Raised, ShortNames, Vouched};
use crate::challenge::Occasion;
use crate::filter::event::{Effect, StreamId};
use crate::filter::kept::Kept;
use crate::filter::part::{NOW_AND_THEN, Pace, Part};
use crate::filter::passed_by::PassedBy;
use crate::filter::step::Step;
use crate::filter::way::Question;
use crate::metrics::{Counter, Whose};
use crate::policy::{Denial, InvalidToken};
use crate::token::{Scheme, TokenDigest, UnixMillis};
use rechecks::Rechecks;
pub(super) use rechecks::Word;

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
    rechecks: Rechecks,
    /// To be ended, and why.
    ending: VecDeque<(StreamId, Denial)>,
}

struct Open {
    by: Rc<PassedBy>,
    /// When the server was asked last that called its token active, or when the clock was set back.
    asked: UnixMillis,
    names: ShortNames,
}

/// A look at all that is open, under way.
struct Look {
    withdrawn: Withdrawn,
    /// The last that was looked at.
    at: Option<StreamId>,
}

/// What is withdrawn, at the time of a look.
enum Withdrawn {
    /// Nothing more than at the last one.
    Nothing,
    /// This.
    By(Raised),
    /// It cannot be told what.
    Anything,
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
            rechecks: Rechecks::new(),
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
        self.rechecks.passed(&by);
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
        while let Some((stream, denial)) = self.ending.pop_front() {
            // One that has ended by itself is none.
            let Some(Open { by, .. }) = self.open.remove(stream) else { continue };
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
        let is_withdrawn = !withdrawals.is_current(self.looked) || self.next_settled <= step.now;
        let is_due = is_withdrawn || self.rechecks.is_due(step.now);
        // While none is open, nothing is looked at: the next one is looked at then.
        if !is_due || self.look.is_some() || self.open.len() == 0 {
            return;
        }
        let mut withdrawn = Withdrawn::Nothing;
        if is_withdrawn {
            // Before the watermarks are read: what is raised meanwhile is seen the next time.
            self.looked = withdrawals.moment();
            let raised = withdrawals.raised();
            self.settled = raised.as_ref().map_or(UnixMillis::from_millis(0), Raised::settled);
            self.next_settled = UnixMillis::MAX;
            withdrawn = raised.map_or(Withdrawn::Anything, Withdrawn::By);
        }
        self.rechecks.begin_look();
        self.look = Some(Look { withdrawn, at: None });
    }

    /// Looks at some, if a look is under way.
    pub(super) fn look(&mut self, step: &mut Step<'_>) {
        let Some(mut look) = self.look.take() else { return };
        let Self { open, ending, next_settled, rechecks, .. } = self;
        let Look { withdrawn, at } = &mut look;
        let looked_at = open.look_after(*at, MAX_LOOKED_AT, |stream, open| {
            *at = Some(stream);
            let PassedBy { policy, vouched, .. } = &*open.by;
            let end = match withdrawn {
                _ if !policy.open_streams.on_revocation => None,
                Withdrawn::Nothing => None,
                Withdrawn::By(raised) => {
                    raised.end_of(open.asked, *vouched, &open.by.verdict(), &mut open.names)
                }
                Withdrawn::Anything => Some(step.now),
            };
            match end.filter(|end| *end > step.now || is_withdrawn(&open.by, step)) {
                Some(end) if end <= step.now => {
                    return ending.push_back((stream, InvalidToken::Revoked.into()));
                }
                Some(end) => *next_settled = (*next_settled).min(end),
                None => {}
            }
            let refused = rechecks.look(&open.by, &mut open.asked, step);
            ending.extend(refused.map(|denial| (stream, denial)));
        });
        if looked_at == MAX_LOOKED_AT {
            self.look = Some(look);
            step.push(Effect::AskForTurn);
        }
    }

    /// How many tokens are to be asked about again.
    pub(super) fn questions(&self) -> usize {
        self.rechecks.wanted()
    }

    /// The next of them.
    pub(super) fn take_question(&mut self) -> Option<Rc<Question>> {
        self.rechecks.take_wanted()
    }

    /// One cannot be asked about yet.
    pub(super) fn put_back(&mut self, question: Rc<Question>) {
        self.rechecks.put_back(question);
    }

    /// What the server says of a token now.
    pub(super) fn heard(&mut self, digest: TokenDigest, word: Word, now: UnixMillis) {
        self.rechecks.heard(digest, word, now);
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
                ending.push_back((stream, InvalidToken::Expired.into()));
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
    by.vouched == Vouched::ByServer || step.worker.cache.withdrawals().refuses(&by.verdict(), step.now)
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
        self.rechecks.hasten(now);
        self.open.iter_mut().for_each(|open| open.asked = open.asked.min(now));
    }
}

/// Streams that may be open at once, per worker, so that their end is certain.
const MAX_OPEN: usize = 1 << 17;

/// What is noted of them: 128 MiB, a fiftieth of what Envoy itself takes for so many.
const MAX_BYTES: usize = 128 << 20;

/// Streams that are looked at in one turn.
const MAX_LOOKED_AT: usize = 1024;
