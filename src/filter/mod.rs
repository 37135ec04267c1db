//! The state machine of one worker: events in, effects out. It does no I/O and reads no clock.
//!
//! A request either gets its answer at once (from the cache, or because it is refused unasked) or waits for
//! a call. Requests for one token share a call. Calls belong to the *root* context, not to the stream that
//! came first: its client may hang up. So a stream that has to wait asks for a turn of the root, and in that
//! turn calls are sent ([`Event::Turn`]). When a call is answered, waiting streams are settled in batches: the
//! host unwinds its stack once per stream that goes on, and too many in one callback overflow it.
//!
//! [`Filter`] is a router: it gives each event to the parts that it concerns, and what one part has to say to another goes
//! through `routing`. Each part owns its state, which nobody else changes:
//!
//! | part | owns |
//! |---|---|
//! | `introspections` | questions to authorization servers and how these are, requests that wait for a verdict |
//! | `fetches` | what is fetched on a schedule: metadata, keys, status lists, events that are polled, access tokens of our own |
//! | `signals` | signals that come in, and what they withdraw later |
//! | `parking` | requests that wait for something else than a verdict |
//! | `probes` | whether the authorization servers answer, at the start |
//! | `open_streams` | requests that were passed on and are still open |
//! | `fleet` | what is said to the store of the fleet, and heard of it |
//!
//! What becomes of a request whose verdict is here (`judge`) has no state; `requests` is a request's way through the parts.
//! All of them are given a `Step`: the time, what workers share, and the effects so far.

mod access_tokens;
mod batch;
mod case;
mod clock;
mod complaints;
mod event;
mod fetches;
mod first_verdicts;
mod fleet;
mod inquiry;
mod introspections;
mod judge;
mod kept;
mod levels;
mod monitoring;
mod open_streams;
mod parking;
mod part;
mod passed_by;
mod probes;
mod requests;
mod routing;
mod security_events;
mod signals;
mod step;
mod way;
mod worker;

use std::rc::Rc;
use std::time::Duration;

use crate::cache::{Basis, Mailbox, SharedData};
use crate::challenge::{Answer, Occasion};
use crate::config::Config;
use crate::credentials::TokenSource;
use crate::jwt::Signatures;
use crate::policy::{Policy, Unavailable};
use crate::provider::Provider;
use crate::request::RequestView;
use crate::token::UnixMillis;

use clock::Clock;
pub use event::{CallId, Description, Effect, Event, MAX_BODY_BYTES, StreamId, Told};
use fetches::discoveries::Discoveries;
use fetches::keys::KeyRings;
use fetches::polls::Polls;
#[cfg(fuzzing)]
pub(crate) use fetches::polls::fuzz_poll_reply;
use fetches::status_lists::StatusLists;
use fetches::tokens::Tokens;
use fleet::Fellows;
use introspections::Introspections;
use introspections::overtaken::MAX_OVERTAKEN;
pub use judge::Passage;
use judge::ready::Likeness;
pub use judge::ready::{Outcome, Ready};
use levels::Levels;
use open_streams::OpenStreams;
use parking::Parking;
use part::Part;
pub use passed_by::PassedBy;
use probes::Probes;
use signals::Signals;
use step::Step;
use worker::Worker;

/// The filter of one worker.
pub struct Filter {
    worker: Rc<Worker>,
    introspections: Introspections,
    discoveries: Discoveries,
    keys: KeyRings,
    status_lists: StatusLists,
    polls: Polls,
    tokens: Tokens,
    signals: Signals,
    parking: Parking,
    probes: Probes,
    levels: Levels,
    open_streams: OpenStreams,
    fellows: Fellows,
    clock: Clock,
    /// How often a tick comes; zero: not at all.
    tick: Duration,
}

/// All parts, borrowed as the filter is.
macro_rules! parts {
    ($filter:expr) => {
        parts!(
            $filter;
            introspections, discoveries, keys, status_lists, polls, tokens, signals, parking, open_streams, probes,
            fellows
        )
    };
    ($filter:expr; $($part:ident),+) => {{
        let Filter { $($part,)+ .. } = $filter;
        [$($part),+]
    }};
}

impl Filter {
    /// A filter by this configuration, on the worker of this mailbox.
    pub fn new(
        config: Rc<Config>,
        shared: Rc<dyn SharedData>,
        signatures: Rc<dyn Signatures>,
        mailbox: Mailbox,
    ) -> Self {
        let (keys, polls) = (KeyRings::new(&config), Polls::new(&config));
        let (discoveries, tokens) = (Discoveries::new(&config, mailbox), Tokens::new(&config));
        let longest_life = longest_life(&config);
        let worker = Worker::new(config, shared, signatures, mailbox, longest_life);
        Self {
            introspections: Introspections::new(worker.call_ids().clone()),
            discoveries,
            keys,
            status_lists: StatusLists::default(),
            polls,
            tokens,
            signals: Signals::default(),
            parking: Parking::default(),
            probes: Probes::default(),
            levels: Levels::default(),
            open_streams: OpenStreams::new(worker.config.ends_open_streams()),
            fellows: Fellows::new(&worker.config),
            clock: Clock::new(),
            tick: Duration::ZERO,
            worker: Rc::new(worker),
        }
    }

    /// A request's headers are here: [`Event::RequestHeaders`] for those who can make something of it that nothing has
    /// to be judged.
    pub fn request(&mut self, stream: StreamId, request: &dyn RequestView, now: UnixMillis) -> Outcome {
        self.look_at_clock(now);
        let likeness = self.likeness(request);
        let ready = likeness.and_then(|it| self.worker.first_level.borrow_mut().get(it.tag, it.basis, now));
        // Where no more can be noted, it is refused as any other.
        if let Some(ready) = ready.filter(|it| it.passed_by.is_none() || !self.open_streams.are_full()) {
            if let Some(by) = &ready.passed_by {
                self.open_streams.passed(stream, Rc::clone(by));
            }
            return Outcome::Again(ready);
        }
        let worker = Rc::clone(&self.worker);
        let mut step = Step::new(&worker, now);
        self.judge(stream, request, likeness, &mut step);
        Outcome::Judged(self.done(step))
    }

    /// Takes one event and says what is to be done, in this order.
    pub fn step(&mut self, now: UnixMillis, event: Event<'_>) -> Vec<Effect> {
        // The one that happens all the time, and that asks for nothing but what it says itself.
        if let Event::RequestHeaders(stream, request) = event {
            return match self.request(stream, request, now) {
                Outcome::Again(ready) => ready.effects(stream),
                Outcome::Judged(effects) => effects,
            };
        }
        self.look_at_clock(now);
        let worker = Rc::clone(&self.worker);
        let mut step = Step::new(&worker, now);
        let is_end = matches!(event, Event::End);
        self.route(event, &mut step);
        if is_end {
            self.levels.take_back(&mut step);
        } else {
            self.tell_levels(&mut step);
        }
        self.done(step)
    }

    /// What is left to do of every step; gives back its effects.
    fn done(&mut self, mut step: Step<'_>) -> Vec<Effect> {
        for (stream, by) in std::mem::take(&mut step.passed) {
            self.open_streams.passed(stream, by);
        }
        self.hasten(&mut step);
        step.effects
    }

    /// How often something may fall due.
    fn pace(&self) -> Duration {
        let pace = self.parts().map(Part::pace).into_iter().max();
        pace.map_or(Duration::ZERO, part::Pace::interval)
    }

    /// Sees to it that the next tick comes soon enough. Only a tick makes them rarer: Envoy begins anew to wait for the
    /// next one when it is told how often, and what comes and goes all the time would put it off for ever.
    fn hasten(&mut self, step: &mut Step<'_>) {
        let pace = self.pace();
        if self.tick.is_zero() || pace < self.tick {
            self.ask_for_ticks(pace, step);
        }
    }

    fn ask_for_ticks(&mut self, period: Duration, step: &mut Step<'_>) {
        if period != self.tick {
            self.tick = period;
            step.push(Effect::Tick(period));
        }
    }

    /// To be called before anything else is done at this time.
    fn look_at_clock(&mut self, now: UnixMillis) {
        let Some(latest) = self.clock.show(now) else { return };
        log::warn!("the clock was set back by {:?}: all verdicts are asked for anew", latest.since(now));
        self.worker.cache.withdrawals().withdraw_all_until(latest);
        self.worker.access_tokens.clock_set_back();
        self.parts_mut().into_iter().for_each(|part| part.clock_set_back(now));
    }

    /// What a request has in common with those that get the same. Only what stands in `authorization` can be told so
    /// easily.
    fn likeness(&self, request: &dyn RequestView) -> Option<Likeness> {
        let Worker { config, cache, first_level, .. } = &*self.worker;
        let ruling = if config.is_own_path(request) { None } else { config.policy_of(request).ok() }?;
        let policy: &Policy = ruling.policy;
        // What takes another host besides does not get the same as the others.
        if ruling.host.is_some() || policy.token_sources != [TokenSource::AuthorizationHeader] {
            return None;
        }
        let value = request.authorization()?;
        let tag = first_level.borrow().tag(&policy.name, &value)?;
        // Before the verdict is read: what changes meanwhile makes it worthless.
        let basis =
            Basis { epoch: cache.epoch()?, keys: self.keys.generation() + self.discoveries.generation() };
        Some(Likeness::new(tag, basis, value.len()))
    }

    /// Whether a stream waits for a verdict; nothing of it may pass until then.
    pub fn is_waiting(&self, stream: StreamId) -> bool {
        self.parts().iter().any(|part| part.holds(stream))
    }

    /// Whether a request's body is still of interest.
    pub fn awaits_body(&self, stream: StreamId) -> bool {
        self.signals.awaits_body(stream)
    }

    /// A stream is no more that was passed on, and of which nothing else is noted.
    pub fn closed(&mut self, stream: StreamId) {
        self.open_streams.forget(stream);
    }

    /// What a stream gets that the host failed to treat as it should: closed on failure.
    pub fn host_failure(&mut self, stream: StreamId) -> Answer {
        self.parts_mut().into_iter().for_each(|part| part.forget(stream));
        self.worker.config.challenge.answer(&Unavailable::Host.into(), Occasion::UNKNOWN)
    }

    /// Forgets what requests got, so that the next ones are judged.
    pub fn forget(&self) {
        self.worker.first_level.borrow_mut().clear();
    }

    /// What may not stand in the trailers of a request that goes on: services may take them for headers, and no
    /// credentials belong there (RFC 9110 §6.5.1).
    pub fn kept_from_trailers(&self) -> impl Iterator<Item = &str> {
        ["authorization"].into_iter().chain(self.worker.config.identity_headers.names())
    }

    fn parts(&self) -> [&dyn Part; 11] {
        parts!(self)
    }

    fn parts_mut(&mut self) -> [&mut dyn Part; 11] {
        parts!(self)
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
        ttl.saturating_add(config.cache.stale_if_error).saturating_add(wait * (MAX_OVERTAKEN + 1))
    };
    config.providers.iter().map(longest).max().unwrap_or_default()
}
