//! When something is fetched, and when again: before it is old, once more if somebody wants a newer one, and after
//! failures less and less often.

use std::time::Duration;

use super::back_off::{asked_pause, back_off};
use crate::filter::event::CallId;
use crate::http::Reply;
use crate::token::UnixMillis;

/// The schedule of one thing that is fetched.
#[derive(Debug)]
pub(super) struct Schedule {
    /// The fetch that is under way, and since when.
    under_way: Option<(CallId, UnixMillis)>,
    /// Whether somebody wants a newer one than there is.
    is_wanted: bool,
    /// Fetches that have failed since the last that did not.
    failures: u32,
    /// No fetch before this, whoever wants one.
    not_before: UnixMillis,
    /// When it is fetched though nobody wants it.
    due: UnixMillis,
    /// Until when the server does not want to be asked (`Retry-After`).
    paused_until: UnixMillis,
}

/// How far apart fetches are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pauses {
    /// Of any two, whoever wants them.
    pub(super) least: Duration,
    /// After a first failure, where nobody wants it sooner; twice as long after each further one.
    pub(super) first: Duration,
    /// After a failure at most.
    pub(super) longest: Duration,
}

impl Schedule {
    /// Due at once.
    pub(super) fn new() -> Self {
        Self {
            under_way: None,
            is_wanted: false,
            failures: 0,
            not_before: BEGIN,
            due: BEGIN,
            paused_until: BEGIN,
        }
    }

    /// Somebody wants a newer one.
    pub(super) fn want(&mut self) {
        self.is_wanted = true;
    }

    /// Nobody does any more.
    pub(super) fn is_not_wanted(&mut self) {
        self.is_wanted = false;
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Whether somebody waits for a fetch to begin.
    pub(super) fn is_awaited(&self) -> bool {
        self.is_wanted && self.under_way.is_none()
    }

    /// Whether the last fetch failed.
    pub(super) fn has_failed(&self) -> bool {
        self.failures > 0
    }

    /// Whether to fetch now.
    pub(super) fn is_due(&self, now: UnixMillis) -> bool {
        self.under_way.is_none() && now >= self.not_before && (self.is_wanted || now >= self.due)
    }

    /// Whether the server does not want to be asked.
    pub(super) fn is_paused(&self, now: UnixMillis) -> bool {
        now < self.paused_until
    }

    /// Before which no fetch is made, whoever wants one.
    pub(super) fn not_before(&self) -> UnixMillis {
        self.not_before
    }

    /// When it is fetched though nobody wants it.
    pub(super) fn due(&self) -> UnixMillis {
        self.due
    }

    /// A fetch begins.
    pub(super) fn begin(&mut self, call: CallId, pauses: Pauses, now: UnixMillis) {
        self.under_way = Some((call, now));
        self.is_wanted = false;
        self.not_before = now.plus(pauses.least);
    }

    /// A call ended. Returns since when it was under way, if it was this fetch.
    pub(super) fn ended(&mut self, call: CallId) -> Option<UnixMillis> {
        self.under_way.take_if(|(fetch, _)| *fetch == call).map(|(_, sent)| sent)
    }

    /// Whether a call is this fetch.
    pub(super) fn is(&self, call: CallId) -> bool {
        self.under_way.is_some_and(|(fetch, _)| fetch == call)
    }

    /// It is fetched from elsewhere: what came of fetches before says nothing, and one that is under way is of no use.
    pub(super) fn start_over(&mut self) {
        *self = Self { is_wanted: true, ..Self::new() };
    }

    /// It brought something that is good until then.
    pub(super) fn succeeded(&mut self, due: UnixMillis) {
        self.failures = 0;
        self.due = due;
    }

    /// It brought nothing. Returns how long the server asks to be left alone.
    pub(super) fn failed(&mut self, pauses: Pauses, reply: Option<&Reply<'_>>, now: UnixMillis) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let asked = asked_pause(reply, MAX_ASKED_PAUSE.max(pauses.longest), now);
        self.due = now.plus(back_off(pauses.first, pauses.longest, self.failures).max(asked));
        self.not_before = now.plus(pauses.least.max(asked));
        self.paused_until = now.plus(asked);
        asked
    }

    /// It is somebody else's business until then.
    pub(super) fn put_off(&mut self, due: UnixMillis) {
        self.due = due;
    }

    /// It is due again: nobody knows any more when it would have been.
    pub(super) fn clock_set_back(&mut self) {
        (self.not_before, self.due, self.paused_until) = (BEGIN, BEGIN, BEGIN);
    }
}

const BEGIN: UnixMillis = UnixMillis::from_millis(0);

/// For how long a server may ask to be left alone, unless it is fetched from less often anyway.
const MAX_ASKED_PAUSE: Duration = Duration::from_secs(30);
