//! Signals that come in with requests: their body is awaited, they are verified, perhaps once the provider's keys
//! are here, and what they withdraw is withdrawn before they are answered.

mod deferred;
mod guesses;
mod incoming;
mod receivers;
mod signed;

use std::collections::VecDeque;
use std::time::Duration;

use litemap::LiteMap;

use super::event::{Effect, StreamId};
use super::fetches::keys::KeyRings;
use super::part::{Pace, Part};
use super::step::Step;
use crate::cache::Which;
use crate::challenge::Answer;
use crate::metrics::{Counter, Whose};
use crate::revocation::answer;
use crate::revocation::global_token_revocation::OrderRefused;
use crate::revocation::sources::Receiver;
use crate::token::UnixMillis;
use deferred::{Deferred, take_first};
use guesses::Guesses;
use incoming::Incoming;

/// Requests that carry a signal.
#[derive(Default)]
pub(super) struct Signals {
    /// Their body, or its outcome, is awaited.
    incoming: LiteMap<StreamId, Incoming>,
    /// Nothing is awaited of them any more; they are answered in the root's turn, with this.
    given_up: LiteMap<StreamId, &'static str>,
    /// They wait for keys.
    parked: LiteMap<StreamId, Signal>,
    /// Those of them that wait no more.
    ready: VecDeque<StreamId>,
    /// What is put off, and who waits for it.
    deferred: Deferred,
    guesses: Guesses,
    /// No complaint about bodies that do not come before this.
    quiet_until: Option<UnixMillis>,
}

/// A signed signal.
struct Signal {
    receiver: Receiver,
    token: String,
    /// What is withdrawn, where that does not stand in the token.
    ordered: Result<Vec<Which>, OrderRefused>,
    /// Whether keys were fetched for its sake already: then there is no other fetch.
    has_waited: bool,
}

impl Signals {
    /// Requests to this receiver that are coming in.
    fn count(&self, receiver: Receiver) -> usize {
        self.incoming.values().filter(|it| it.receiver == receiver).count()
    }

    /// Whether some of those that waited wait no more. Whoever leaves it so has asked for a turn.
    pub(super) fn are_to_settle(&self) -> bool {
        !self.ready.is_empty() || !self.given_up.is_empty() || self.deferred.have_done()
    }

    /// Answers one of those that wait no more. Returns whether there was one.
    pub(super) fn settle_one(&mut self, keys: &mut KeyRings, step: &mut Step<'_>) -> bool {
        if let Some(stream) = self.ready.pop_front() {
            self.take_up(stream, keys, step);
        } else if let Some((stream, reason)) = take_first(&mut self.given_up) {
            self.refuse(stream, answer::unavailable(reason), step);
        } else if let Some(stream) = self.deferred.pop_done() {
            step.push(Effect::Answer(stream, answer::logout_received()));
        } else {
            return false;
        }
        true
    }

    /// Of those that are coming in to this receiver, the eldest of the peer that has most of them: who sends many slow
    /// ones keeps out its own.
    fn eldest_of_most(&self, receiver: Receiver) -> Option<StreamId> {
        let mut of_peers: LiteMap<&[u8], (usize, StreamId)> = LiteMap::new_vec();
        for (stream, it) in self.incoming.iter().filter(|(_, it)| it.receiver == receiver) {
            of_peers.entry(&it.peer).or_insert((0, *stream)).0 += 1;
        }
        of_peers.values().max_by_key(|(count, _)| *count).map(|(_, eldest)| *eldest)
    }

    /// Waits no more for what a request brings. One that is only watched goes on as it is.
    fn give_up(&mut self, stream: StreamId, reason: &'static str) {
        let Some(incoming) = self.incoming.remove(&stream) else { return };
        if incoming.receiver == Receiver::Endpoint {
            log::warn!("revocation.endpoint: a revocation is not watched any more: {reason}");
        } else {
            self.given_up.insert(stream, reason);
        }
    }

    /// A stream is gone.
    pub(super) fn gone(&mut self, stream: StreamId, now: UnixMillis) {
        let is_unanswered = self.incoming.get(&stream).is_some_and(|it| it.revocation.is_some());
        if is_unanswered && self.may_complain(now) {
            // Withdrawing by it would let anybody who hangs up empty the cache.
            log::warn!(
                "revocation.endpoint: the answer to a revocation was not seen: the client hung up, or \
                 proxy_on_response_headers is not among allowed_capabilities"
            );
        }
        self.forget(stream);
    }

    /// The filter ends: what was put off is done now.
    pub(super) fn end(&mut self, step: &mut Step<'_>) {
        self.deferred.withdraw_all(step);
    }

    /// Nothing that clients can bring about fills the log.
    fn may_complain(&mut self, now: UnixMillis) -> bool {
        // One that is too far off dates from before the clock was set back.
        let may = self.quiet_until.is_none_or(|until| until <= now || until > now.plus(QUIET));
        if may {
            self.quiet_until = Some(now.plus(QUIET));
        }
        may
    }

    /// The keys that a signal waited for are here, or are not to be had.
    pub(super) fn keys_came(&mut self, stream: StreamId, was_served: bool) {
        if let Some(signal) = self.parked.get_mut(&stream) {
            signal.has_waited |= was_served;
            self.ready.push_back(stream);
        }
    }

    fn refuse(&mut self, stream: StreamId, answer: Answer, step: &mut Step<'_>) {
        self.forget(stream);
        log::debug!("signal refused: {} {}", answer.details, answer.body);
        step.count(Counter::RevocationRefused, Whose::NOBODY.because(answer.details));
        step.push(Effect::Answer(stream, answer));
    }
}

impl Part for Signals {
    fn tick(&mut self, step: &mut Step<'_>) {
        self.deferred.withdraw_due(step);
        self.give_up_on_bodies(step.now);
    }

    fn pace(&self) -> Pace {
        if !self.deferred.is_empty() {
            Pace::Soon
        } else if self.incoming.is_empty() {
            Pace::Idle
        } else {
            Pace::NowAndThen
        }
    }

    fn holds(&self, stream: StreamId) -> bool {
        self.parked.contains_key(&stream)
            || self.given_up.contains_key(&stream)
            || self.incoming.get(&stream).is_some_and(|it| it.receiver != Receiver::Endpoint)
            || self.deferred.holds(stream)
    }

    fn forget(&mut self, stream: StreamId) {
        self.incoming.remove(&stream);
        self.given_up.remove(&stream);
        self.parked.remove(&stream);
        self.deferred.forget(stream);
    }

    fn clock_set_back(&mut self, _: UnixMillis) {
        self.deferred.clock_set_back();
    }
}

/// Between two complaints of the same.
const QUIET: Duration = Duration::from_secs(60);
