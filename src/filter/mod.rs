//! The state machine of one worker: events in, effects out. It does no I/O and reads no clock.
//!
//! A request either gets its answer at once (from the cache, or because it is refused unasked) or waits for
//! a call. Requests for one token share a call. Calls belong to the *root* context, not to the stream that
//! came first: its client may hang up. So a stream that has to wait asks for a turn of the root, and in that
//! turn calls are sent ([`Event::Turn`]). When a call is answered, waiting streams are settled in batches: the
//! host unwinds its stack once per stream that goes on, and too many in one callback overflow it.

mod ask;
mod back_off;
mod breaker;
mod calls;
mod case;
mod clock;
mod complaints;
mod deferred;
mod event;
mod first_verdicts;
mod guesses;
mod inquiry;
mod judge;
mod kept;
mod keys;
mod load;
mod overtaken;
mod parking;
mod passage;
mod phantom;
mod poll;
mod ready;
mod receivers;
mod servers;
mod settle;
mod share;
mod signals;
mod statuses;
mod unusable;
mod validate;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use crate::cache::{Cache, FirstLevel, Leases, Mailbox, ProviderTag, SharedData};
use crate::challenge::Answer;
use crate::config::Config;
use crate::http::Reply;
use crate::jwt::Signatures;
use crate::policy::Unavailable;
use crate::provider::Provider;
use crate::revocation::Replay;
use crate::token::UnixMillis;

use calls::Calls;
use case::{Case, Source, Waiter};
use clock::{Clock, IDLE};
use complaints::Complaints;
use deferred::Deferred;
pub use event::{CallId, Description, Effect, Event, MAX_BODY_BYTES, StreamId, Told};
use first_verdicts::FirstVerdicts;
use guesses::Guesses;
use kept::Kept;
use keys::KeyRings;
use parking::Parking;
pub use passage::Passage;
use poll::Polling;
#[cfg(fuzzing)]
pub(crate) use poll::fuzz_poll_reply;
pub use ready::{Outcome, Ready};
use settle::Settlement;
use signals::Signals;
use statuses::StatusLists;

/// The filter of one worker.
pub struct Filter {
    config: Rc<Config>,
    cache: Cache,
    first_level: RefCell<FirstLevel<Ready>>,
    signatures: Rc<dyn Signatures>,
    leases: Leases,
    calls: Calls,
    clock: Clock,
    keys: KeyRings,
    /// Requests that wait for something else than a verdict.
    parking: Parking,
    signals: Signals,
    deferred: Deferred,
    guesses: Guesses,
    status_lists: StatusLists,
    polling: Polling,
    /// Signals that were seen already.
    replay: Replay,
    /// What the log was told of providers.
    complaints: Complaints,
    first_verdicts: FirstVerdicts,
    /// Streams that wait for a verdict.
    waiting: Kept<Waiter>,
    /// Verdicts that some streams have yet to be told.
    settlements: VecDeque<Settlement>,
    /// How often a tick comes; zero: not at all.
    tick: Duration,
}

impl Filter {
    /// A filter by this configuration, on the worker of this mailbox.
    pub fn new(
        config: Rc<Config>,
        shared: Rc<dyn SharedData>,
        signatures: Rc<dyn Signatures>,
        mailbox: Mailbox,
    ) -> Self {
        let max_entries = config.cache.max_entries;
        let cache = Cache::new(Rc::clone(&shared), max_entries, config.cache.max_negative_entries);
        cache.create();
        cache.withdrawals().announce(longest_life(&config));
        for provider in &config.providers {
            cache.seen().create(ProviderTag::new(provider.identity()));
        }
        let replay = Replay::new(Rc::clone(&shared));
        if config.revocation.is_any() {
            cache.withdrawals().create();
            replay.create();
        }
        let leases = Leases::new(shared, mailbox);
        leases.create();
        Self {
            keys: KeyRings::new(&config),
            parking: Parking::default(),
            signals: Signals::default(),
            deferred: Deferred::default(),
            guesses: Guesses::default(),
            status_lists: StatusLists::default(),
            polling: Polling::default(),
            replay,
            config,
            cache,
            first_level: RefCell::new(FirstLevel::new(max_entries)),
            signatures,
            leases,
            calls: Calls::default(),
            clock: Clock::new(),
            complaints: Complaints::default(),
            first_verdicts: FirstVerdicts::default(),
            waiting: Kept::default(),
            settlements: VecDeque::new(),
            tick: Duration::ZERO,
        }
    }

    /// Takes one event and says what is to be done, in this order.
    pub fn step(&mut self, now: UnixMillis, event: Event<'_>) -> Vec<Effect> {
        self.look_at_clock(now);
        let mut effects = Vec::with_capacity(4);
        match event {
            // The one that happens all the time, and that asks for nothing but what it says itself.
            Event::RequestHeaders(stream, request) => {
                return match self.request(stream, request, now) {
                    Outcome::Again(ready) => ready.effects(stream),
                    Outcome::Judged(effects) => effects,
                };
            }
            Event::StreamGone(stream) => {
                self.waiting.remove(stream);
                self.parking.forget(stream);
                self.signals.gone(stream, now);
                self.deferred.forget(stream);
                return effects;
            }
            Event::Answered(stream, status) => self.answered(stream, status, now, &mut effects),
            Event::Body(stream, body) => self.body(stream, body, now, &mut effects),
            // Several may come in one callback, and a turn follows them.
            Event::Told(digest, told) => self.told(&digest, told, now, &mut effects),
            Event::CallFailed(call) => {
                self.call_ended(call, None, now, &mut effects);
                self.settle(now, &mut effects);
            }
            // Hundreds may come in one callback: who waited is told in turns of the root.
            Event::NotSent(call) => {
                let had_turn = self.is_to_settle();
                self.call_ended(call, None, now, &mut effects);
                if self.is_to_settle() && !had_turn {
                    effects.push(Effect::AskForTurn);
                }
            }
            Event::Reply(call, reply) => {
                self.call_ended(call, Some(&reply), now, &mut effects);
                self.settle(now, &mut effects);
            }
            Event::End => self.withdraw_all_deferred(now, &mut effects),
            Event::Start => {}
            Event::Tick => {
                self.take_over_overdue(now, &mut effects);
                self.fetch_keys(now, &mut effects);
                self.fetch_status_lists(now, &mut effects);
                self.poll(now, &mut effects);
                self.withdraw_deferred(now, &mut effects);
                self.give_up_on_bodies(now);
                self.send_queued(now, &mut effects);
                self.settle(now, &mut effects);
            }
            Event::Turn => {
                self.turn(now, &mut effects);
                self.fetch_keys(now, &mut effects);
                self.fetch_status_lists(now, &mut effects);
                self.settle(now, &mut effects);
            }
        }
        self.set_tick(&mut effects);
        effects
    }

    /// Gives a call's answer, if there is one, to whoever made it.
    fn call_ended(
        &mut self,
        call: CallId,
        reply: Option<&Reply<'_>>,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        let is_fetch = self.keys_reply(call, reply, now, effects)
            || self.status_list_reply(call, reply, now)
            || self.poll_reply(call, reply, now, effects);
        match reply {
            _ if is_fetch => {}
            Some(reply) => self.reply(call, reply, now, effects),
            None => self.call_failed(call, now, effects),
        }
        self.send_queued(now, effects);
    }

    /// Asks for ticks as often as something may fall due.
    fn set_tick(&mut self, effects: &mut Vec<Effect>) {
        let tick = if self.calls.wait_for_others()
            || self.calls.servers.are_awaited()
            || self.keys.are_soon_due()
            || self.status_lists.are_soon_due()
            || !self.deferred.is_empty()
        {
            SOON
        } else if self.keys.is_empty()
            && self.status_lists.is_empty()
            && !self.polls()
            && !self.signals.await_bodies()
        {
            IDLE
        } else {
            NOW_AND_THEN
        };
        if tick != self.tick {
            self.tick = tick;
            effects.push(Effect::Tick(tick));
        }
    }

    /// Whether a stream waits for a verdict; nothing of it may pass until then.
    pub fn is_waiting(&self, stream: StreamId) -> bool {
        self.waiting.contains(stream)
            || self.parking.holds(stream)
            || self.signals.holds(stream)
            || self.deferred.holds(stream)
    }

    /// What a stream gets that the host failed to treat as it should: closed on failure.
    pub fn host_failure(&mut self, stream: StreamId) -> Answer {
        self.waiting.remove(stream);
        self.parking.forget(stream);
        self.signals.forget(stream);
        self.deferred.forget(stream);
        self.config.challenge.answer(&Unavailable::Host.into(), "")
    }
}

/// How long a verdict may serve after its call was sent, all told: remembered, stale, and while a request with
/// nothing better waits in vain.
fn longest_life(config: &Config) -> Duration {
    let longest = |provider: &Provider| {
        let (introspector, validator) = (provider.introspector.as_ref(), provider.validator.as_ref());
        let wait = introspector.map_or(Duration::ZERO, |introspector| introspector.endpoint.longest());
        let origins = [
            introspector.map(|introspector| &introspector.origin),
            validator.map(|validator| &validator.origin),
            validator.map(|validator| &validator.asked_origin),
        ];
        let ttl = origins.iter().flatten().map(|origin| origin.max_cache_ttl).max().unwrap_or_default();
        ttl.saturating_add(config.cache.stale_if_error).saturating_add(wait * (overtaken::MAX_OVERTAKEN + 1))
    };
    config.providers.iter().map(longest).max().unwrap_or_default()
}

/// Whether a verdict that was asked for at `asked` is still fresh under `ttl`. One from the future, which a
/// clock that was set back makes, is not.
fn is_fresh(asked: UnixMillis, ttl: Duration, now: UnixMillis) -> bool {
    now.since(asked) < ttl && !asked.is_from_the_future(now)
}

/// How often we look while something may fall due at any moment.
const SOON: Duration = Duration::from_millis(50);

/// How often we look whether keys have to be fetched again.
const NOW_AND_THEN: Duration = Duration::from_secs(1);
