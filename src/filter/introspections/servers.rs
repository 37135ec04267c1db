//! What a worker knows of the authorization servers that it asks, each by its provider's name: how busy they are with its
//! calls, whether they are up, whether their answers are of use, and so whether one more call may be made.

use litemap::LiteMap;

use super::breaker::Breaker;
use super::load::{Load, Priority, Room};
use super::unusable::Unusable;
use crate::filter::event::CallId;
use crate::introspection::ServerFailure;
use crate::provider::Introspector;
use crate::token::UnixMillis;

/// All servers that calls were made to.
#[derive(Default)]
pub(super) struct Servers(LiteMap<String, Server>);

#[derive(Default)]
struct Server {
    load: Load,
    breaker: Breaker,
    unusable: Unusable,
    /// Whether the last failure was that of a server that is down, and not of one that wants fewer calls.
    is_outage: bool,
}

impl Servers {
    /// Why no call may be made now. Asking this uses up no probe.
    pub(super) fn withheld(&self, introspector: &Introspector, now: UnixMillis) -> Option<ServerFailure> {
        let server = self.get(introspector)?;
        if let Some(pause) = server.breaker.pause(now) {
            return Some(ServerFailure::retry_later(pause, server.is_outage));
        }
        if server.breaker.holds_back(now) {
            return Some(ServerFailure::HeldBack { is_outage: server.is_outage });
        }
        server.unusable.holds_back(now).cloned()
    }

    /// A call that is not withheld is made: it may be a probe.
    pub(super) fn admits(&mut self, introspector: &Introspector, now: UnixMillis) {
        let server = self.of(introspector);
        server.breaker.admits(now);
        server.unusable.admits(now);
    }

    /// Whether calls are held back from a server that is down, or wants to be left alone.
    pub(super) fn are_held_back(&self, introspector: &Introspector, now: UnixMillis) -> bool {
        self.get(introspector).is_some_and(|server| server.breaker.holds_back(now))
    }

    /// Whether it is taken to be down.
    pub(super) fn is_down(&self, introspector: &Introspector) -> bool {
        self.get(introspector).is_some_and(|server| server.breaker.is_open() && server.is_outage)
    }

    /// Whether it has answered before, and answers nobody.
    pub(super) fn is_silent(&self, introspector: &Introspector, now: UnixMillis) -> bool {
        self.get(introspector).is_some_and(|server| server.load.is_silent(&introspector.endpoint, now))
    }

    /// Whether there is room for one more call.
    pub(super) fn room(&mut self, introspector: &Introspector, priority: Priority, now: UnixMillis) -> Room {
        self.of(introspector).load.room(priority, &introspector.endpoint, now)
    }

    /// It has answered, whatever.
    pub(super) fn hear(&mut self, introspector: &Introspector, now: UnixMillis) {
        self.of(introspector).load.hear(now);
    }

    /// It gave a verdict.
    pub(super) fn succeeded(&mut self, introspector: &Introspector) {
        let server = self.of(introspector);
        server.breaker.succeeded();
        server.unusable.succeeded();
    }

    /// It gave none. Returns whether it is taken to be down from now on, or for longer.
    pub(super) fn failed(
        &mut self,
        introspector: &Introspector,
        failure: &ServerFailure,
        now: UnixMillis,
    ) -> bool {
        let server = self.of(introspector);
        if matches!(failure, ServerFailure::NoAccessToken { .. } | ServerFailure::Overtaken) {
            // It was not asked; or has answered, and what it said was withdrawn meanwhile. That says nothing of its health.
            false
        } else if failure.is_transient() {
            server.is_outage = failure.is_outage();
            server.breaker.failed(&introspector.endpoint.breaker, now)
        } else {
            // An answer, if not a good one: it does not call for fewer questions.
            server.breaker.succeeded();
            false
        }
    }

    /// It gave an answer of no use, whatever is asked. Returns whether calls are held back for that from now on.
    pub(super) fn was_of_no_use(
        &mut self,
        introspector: &Introspector,
        failure: &ServerFailure,
        now: UnixMillis,
    ) -> bool {
        self.of(introspector).unusable.failed(failure, &introspector.endpoint.breaker, now)
    }

    /// It asked not to be asked until then.
    pub(super) fn pause_until(&mut self, introspector: &Introspector, until: UnixMillis, is_outage: bool) {
        let server = self.of(introspector);
        server.is_outage = is_outage;
        server.breaker.pause_until(until);
    }

    /// It is another from now on. The calls that are under way are still counted.
    pub(super) fn moved(&mut self, introspector: &Introspector) {
        let server = self.of(introspector);
        (server.breaker, server.unusable) = (Breaker::default(), Unusable::default());
    }

    /// What is held back is let through: nobody knows any more for how long it was to be.
    pub(super) fn clock_set_back(&mut self) {
        for (_, server) in self.0.iter_mut() {
            server.breaker.clock_set_back();
            server.unusable = Unusable::default();
        }
    }

    /// A call is under way.
    pub(super) fn begun(&mut self, introspector: &Introspector) {
        self.of(introspector).load.begun();
    }

    /// One that was under way is over.
    pub(super) fn over(&mut self, introspector: &Introspector) {
        self.of(introspector).load.over();
    }

    /// Each server by its provider's name: how many calls are under way, and whether calls are held back.
    pub(super) fn levels(&self) -> impl Iterator<Item = (&str, usize, bool)> {
        let level = |server: &Server| {
            (server.load.under_way(), server.breaker.is_open() || server.unusable.is_open())
        };
        self.0.iter().map(move |(provider, server)| {
            let (under_way, is_held_back) = level(server);
            (provider.as_str(), under_way, is_held_back)
        })
    }

    /// A call waits until another is over.
    pub(super) fn enqueue(&mut self, introspector: &Introspector, priority: Priority, call: CallId) {
        self.of(introspector).load.enqueue(priority, call);
    }

    /// Whether any call waits for that.
    pub(super) fn are_awaited(&self) -> bool {
        self.0.values().any(|server| server.load.is_queued())
    }

    /// The next of those that wait and are still `open`, if there is a place for one.
    pub(super) fn next(
        &mut self,
        introspector: &Introspector,
        open: impl Fn(CallId) -> bool,
    ) -> Option<CallId> {
        self.0.get_mut(&introspector.origin.provider)?.load.next(&introspector.endpoint, open)
    }

    /// Takes out those that have waited in vain.
    pub(super) fn give_up(
        &mut self,
        introspector: &Introspector,
        is_over: impl Fn(CallId) -> bool,
    ) -> Vec<CallId> {
        self.0
            .get_mut(&introspector.origin.provider)
            .map_or_else(Vec::new, |server| server.load.give_up(is_over))
    }

    fn get(&self, introspector: &Introspector) -> Option<&Server> {
        self.0.get(&introspector.origin.provider)
    }

    fn of(&mut self, introspector: &Introspector) -> &mut Server {
        self.0.entry(introspector.origin.provider.clone()).or_default()
    }
}
