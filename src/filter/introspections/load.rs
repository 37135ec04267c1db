//! How many calls to a server are under way, and who is next when there are as many as may be.
//!
//! Made-up tokens cost nothing to make. So they get only a part of the calls, and so many in a second as is allowed: what
//! is left is for tokens that are in use, whose verdicts are to be had again.

use std::collections::VecDeque;
use std::time::Duration;

use crate::filter::event::CallId;
use crate::introspection::Endpoint;
use crate::token::UnixMillis;

/// What is known of a token before the server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Priority {
    /// It was active when the server was asked last.
    Known,
    /// Nothing.
    Unknown,
}

/// The calls to one server, on this worker.
#[derive(Default)]
pub(super) struct Load {
    under_way: usize,
    /// Calls that wait until another is over.
    known: VecDeque<CallId>,
    unknown: VecDeque<CallId>,
    /// Unknown tokens that were asked about, or are going to be, in the second that began then.
    second: Option<(UnixMillis, u32)>,
    /// When the server answered last.
    heard: Option<UnixMillis>,
}

/// Whether there is room for one more call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Now,
    /// In the queue.
    Later,
    None,
    /// There would be, but for too many unknown tokens in this second.
    NotThisSecond,
}

impl Load {
    /// Whether one more call may be made, or wait. One that may is counted on to be opened.
    pub(super) fn room(&mut self, priority: Priority, endpoint: &Endpoint, now: UnixMillis) -> Room {
        if priority == Priority::Unknown && !self.counts_unknown(endpoint, now) {
            return Room::NotThisSecond;
        }
        let queue = self.queue(priority);
        // Nobody goes before those who wait already.
        if queue.is_empty() && self.has_place(priority, endpoint) {
            Room::Now
        } else if priority == Priority::Known || self.unknown.len() < endpoint.max_concurrent_calls {
            // Of tokens in use there are no more than the cache holds, and nobody can make one up.
            Room::Later
        } else {
            Room::None
        }
    }

    /// The server has answered.
    pub(super) fn hear(&mut self, now: UnixMillis) {
        self.heard = Some(now);
    }

    /// Whether the server has answered nobody for as long as one try may take: what waits for a place waits for it.
    pub(super) fn is_silent(&self, endpoint: &Endpoint, now: UnixMillis) -> bool {
        self.heard.is_some_and(|heard| now.since(heard) >= endpoint.timeout)
    }

    pub(super) fn begun(&mut self) {
        self.under_way += 1;
    }

    pub(super) fn over(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    pub(super) fn under_way(&self) -> usize {
        self.under_way
    }

    pub(super) fn enqueue(&mut self, priority: Priority, call: CallId) {
        self.queue_mut(priority).push_back(call);
    }

    /// The next call that there is a place for, of those that are still open: of tokens in use first.
    pub(super) fn next(&mut self, endpoint: &Endpoint, is_open: impl Fn(CallId) -> bool) -> Option<CallId> {
        [Priority::Known, Priority::Unknown].into_iter().find_map(|priority| {
            if !self.has_place(priority, endpoint) {
                return None;
            }
            let queue = self.queue_mut(priority);
            std::iter::from_fn(|| queue.pop_front()).find(|id| is_open(*id))
        })
    }

    /// Takes those out of the queue that `is_over` is true of; they came in order.
    pub(super) fn give_up(&mut self, is_over: impl Fn(CallId) -> bool) -> Vec<CallId> {
        let mut over = Vec::new();
        for queue in [&mut self.known, &mut self.unknown] {
            while queue.front().is_some_and(|call| is_over(*call)) {
                over.extend(queue.pop_front());
            }
        }
        over
    }

    pub(super) fn is_queued(&self) -> bool {
        !self.known.is_empty() || !self.unknown.is_empty()
    }

    fn has_place(&self, priority: Priority, endpoint: &Endpoint) -> bool {
        let all = endpoint.max_concurrent_calls;
        self.under_way
            < match priority {
                Priority::Known => all,
                // Of two or three calls one is kept; a single one is for all, and tokens in use go first.
                Priority::Unknown if all > 1 => all - (all / RESERVED).max(1),
                Priority::Unknown => all,
            }
    }

    fn counts_unknown(&mut self, endpoint: &Endpoint, now: UnixMillis) -> bool {
        let most = endpoint.max_unknown_per_second;
        if most == 0 {
            return true;
        }
        let (since, count) = match self.second {
            // One that begins in the future is of a clock that was set back.
            Some((since, count)) if since <= now && now.since(since) < SECOND => (since, count),
            _ => (now, 0),
        };
        let is_allowed = count < most;
        self.second = Some((since, count + u32::from(is_allowed)));
        is_allowed
    }

    fn queue(&self, priority: Priority) -> &VecDeque<CallId> {
        match priority {
            Priority::Known => &self.known,
            Priority::Unknown => &self.unknown,
        }
    }

    fn queue_mut(&mut self, priority: Priority) -> &mut VecDeque<CallId> {
        match priority {
            Priority::Known => &mut self.known,
            Priority::Unknown => &mut self.unknown,
        }
    }
}

/// One in so many calls is for tokens that are in use.
const RESERVED: usize = 4;

const SECOND: Duration = Duration::from_secs(1);
