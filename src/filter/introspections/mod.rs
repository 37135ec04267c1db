//! Questions to authorization servers (RFC 7662), and the requests that wait for their answers: one question per token,
//! for all workers, only as many as a server can take, and renewed ahead of time.

mod admission;
mod answer;
mod ask;
mod breaker;
mod calls;
mod load;
pub(super) mod overtaken;
pub(super) mod renewal;
mod reply;
mod servers;
mod settle;
mod settlement;
mod share;
mod unusable;

use std::collections::VecDeque;

use super::case::Waiter;
use super::event::{CallId, StreamId};
use super::inquiry::Inquiry;
use super::kept::Kept;
use super::levels::Levels;
use super::open_streams::Word;
use super::part::{Pace, Part};
use super::step::Step;
use super::worker::CallIds;
use crate::metrics::{Gauge, Whose};
use crate::provider::Introspector;
use crate::token::{TokenDigest, UnixMillis};
use calls::Calls;
pub(super) use calls::trace_headers;
use settlement::Settlement;
pub(super) use share::lease_end;

/// Questions to authorization servers, and who waits for their answers.
pub(super) struct Introspections {
    calls: Calls,
    /// Streams that wait for a verdict.
    waiting: Kept<Waiter>,
    /// Verdicts that some streams have yet to be told.
    settlements: VecDeque<Settlement>,
    /// What was said of tokens, for those whose streams are still open; noted only where that is asked for.
    words: Vec<(TokenDigest, Word)>,
}

impl Introspections {
    /// None yet; calls get these numbers.
    pub(super) fn new(ids: CallIds) -> Self {
        Self {
            calls: Calls::new(ids),
            waiting: Kept::default(),
            settlements: VecDeque::new(),
            words: Vec::new(),
        }
    }

    /// How many streams wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many bytes of clients' they hold.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.waiting.bytes()
    }

    /// Who is asked by a call.
    pub(super) fn asked(&self, call: CallId) -> Option<&Introspector> {
        self.calls.get(call).map(|call| &*call.introspector)
    }

    /// A server is asked elsewhere, or otherwise, from now on: what it did before says nothing of what it will do.
    pub(super) fn moved(&mut self, introspector: &Introspector) {
        self.calls.servers.moved(introspector);
    }

    /// Whether the server that a request's token goes to is taken to be down.
    pub(super) fn is_down(&self, inquiry: &Inquiry) -> bool {
        inquiry.way.introspector().is_some_and(|introspector| self.calls.servers.is_down(introspector))
    }

    /// Says how busy the servers are, and from which calls are held back.
    pub(super) fn tell_levels(&self, levels: &mut Levels, step: &mut Step<'_>) {
        for (provider, under_way, is_held_back) in self.calls.servers.levels() {
            let whose = Whose::provider(provider);
            levels.tell(Gauge::IntrospectionUnderWay, whose, under_way, step);
            levels.tell(Gauge::IntrospectionHeldBack, whose, is_held_back.into(), step);
        }
    }

    /// Whether a token is asked about.
    pub(super) fn ask_about(&self, digest: &TokenDigest) -> bool {
        self.calls.is_asked(digest)
    }
}

impl Part for Introspections {
    fn tick(&mut self, step: &mut Step<'_>) {
        self.take_over_overdue(step);
        self.send_queued(step);
    }

    fn pace(&self) -> Pace {
        let is_soon = self.calls.wait_for_others() || self.calls.servers.are_awaited();
        if is_soon { Pace::Soon } else { Pace::Idle }
    }

    fn holds(&self, stream: StreamId) -> bool {
        self.waiting.contains(stream)
    }

    fn forget(&mut self, stream: StreamId) {
        self.waiting.remove(stream);
    }

    fn clock_set_back(&mut self, _: UnixMillis) {
        self.calls.servers.clock_set_back();
    }
}
