//! Asking the authorization server: who may, what is sent, and what its answer means. Calls are sent in the root's turn,
//! and tried again where that may help.

use std::rc::Rc;

use log::Level;

use super::back_off::asked_pause;
use super::calls::{Asker, Call};
use super::inquiry::Inquiry;
use super::load::{Room, Standing};
use super::settle::Outcome;
use super::{CallId, Case, Effect, Filter, Source, Told, Waiter};
use crate::cache::ActiveEntry;
use crate::claims::ClaimsBuf;
use crate::http::Reply;
use crate::introspection::{self, Introspection, ServerFailure};
use crate::metrics::Counter;
use crate::policy::Unavailable;
use crate::provider::Introspector;
use crate::request::RequestView;
use crate::token::{TokenDigest, UnixMillis};

impl Filter {
    /// Lets a stream wait for a verdict: of a call that is under way, or of a new one. `validated` is what the
    /// token says itself, where it is a JWT that was validated before.
    #[expect(clippy::too_many_arguments, reason = "all that a call consists of")]
    pub(super) fn wait(
        &mut self,
        mut inquiry: Inquiry,
        digest: TokenDigest,
        validated: Option<ClaimsBuf>,
        request: &dyn RequestView,
        stale: Option<Rc<ActiveEntry>>,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        inquiry.case.source = Source::Miss;
        let Some(introspector) = inquiry.way.introspector().cloned() else {
            // A way without a server to ask does not lead here; nobody passes by mistake.
            return self.refuse(&inquiry.case, &Unavailable::Host.into(), effects);
        };
        if self.is_full() {
            return self.refuse(&inquiry.case, &Unavailable::TooManyWaiting.into(), effects);
        }
        if let Some(call) = self.calls.joinable(&digest, &inquiry.case.policy, now) {
            call.join(&inquiry.case, now);
            return self.wait_in(Source::Coalesced, inquiry, stale, effects);
        }
        let asker = self.asker(&introspector, &inquiry, &digest, now);
        if asker == Asker::UsForAll
            && let Some(entry) = self.verdict_meanwhile(&inquiry, &digest, now)
        {
            effects.extend(self.release(&digest, Told::NotAsked));
            return self.hit(inquiry.case, &entry, now, effects);
        }
        let asked_by_another = match asker {
            Asker::Another { asked, .. } => Some(asked),
            Asker::Us | Asker::UsForAll => None,
        };
        let is_anothers = asked_by_another.is_some();
        let is_known = stale.is_some() || self.cache.was_active(&digest);
        let standing = if is_known { Standing::Known } else { Standing::Unknown };
        let admission =
            if is_anothers { Ok(Admitted::Now) } else { self.admit(&introspector, standing, now) };
        let admitted = match admission {
            Ok(admitted) => admitted,
            Err(reason) => {
                effects.push(Effect::Count(Counter::CacheMiss));
                if asker == Asker::UsForAll {
                    effects.extend(self.release(&digest, Told::NotAsked));
                }
                let waiter = Waiter { case: inquiry.case, stale };
                return self.settle_without_verdict(waiter, &reason, now, effects);
            }
        };
        let mut call = Call::new(&introspector, &inquiry, digest, validated, request, asker, standing);
        call.join(&inquiry.case, now);
        call.sent = asked_by_another;
        match admitted {
            Admitted::Now => self.calls.open(call),
            Admitted::Later => self.calls.open_later(call, now),
        }
        let source = if is_anothers { Source::Coalesced } else { Source::Miss };
        self.wait_in(source, inquiry, stale, effects);
        if is_anothers || admitted == Admitted::Later {
            self.set_tick(effects);
        } else {
            effects.push(Effect::AskForTurn);
        }
    }

    fn wait_in(
        &mut self,
        source: Source,
        inquiry: Inquiry,
        stale: Option<Rc<ActiveEntry>>,
        effects: &mut Vec<Effect>,
    ) {
        let is_coalesced = source == Source::Coalesced;
        effects.push(Effect::Count(if is_coalesced { Counter::CacheCoalesced } else { Counter::CacheMiss }));
        let (bytes, case) = (inquiry.bytes(), Case { source, ..inquiry.case });
        self.waiting.insert(case.stream, Waiter { case, stale }, bytes);
    }

    /// Whether no more requests may wait: there are very many, or their clients have sent very much.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() + self.parking.len() >= MAX_WAITING
            || self.waiting.bytes() + self.parking.bytes() >= MAX_WAITING_BYTES
    }

    /// Whether a call to this server may be made now, or once another is over.
    pub(super) fn admit(
        &mut self,
        introspector: &Rc<Introspector>,
        standing: Standing,
        now: UnixMillis,
    ) -> Result<Admitted, Unavailable> {
        if let Some(failure) = self.calls.servers.withheld(introspector, now) {
            return Err(Unavailable::AuthorizationServer(failure));
        }
        match self.calls.servers.room(introspector, standing, now) {
            Room::Now => {
                self.calls.servers.admits(introspector, now);
                Ok(Admitted::Now)
            }
            Room::Later => Ok(Admitted::Later),
            Room::None => Err(Unavailable::TooManyCalls),
            Room::NotThisSecond => Err(Unavailable::TooManyUnknownTokens),
        }
    }

    /// Calls that waited until another was over go on, or have waited in vain.
    pub(super) fn send_queued(&mut self, now: UnixMillis, effects: &mut Vec<Effect>) {
        if !self.calls.servers.are_awaited() {
            return;
        }
        let config = Rc::clone(&self.config);
        for introspector in config.providers.iter().filter_map(|provider| provider.introspector.as_ref()) {
            if self.calls.begin_queued(introspector, now) {
                effects.push(Effect::AskForTurn);
            }
            let given_up = self.calls.give_up_queued(introspector, now);
            if given_up.is_empty() {
                continue;
            }
            let reason = self.why_in_vain(introspector, now);
            for id in given_up {
                let Some(call) = self.calls.close(id) else { continue };
                if call.asker() == Asker::UsForAll {
                    effects.extend(self.release(&call.digest, Told::NotAsked));
                }
                self.tell(call, Outcome::NoVerdict(reason.clone()));
            }
        }
    }

    /// Why calls to this server have waited in vain until another is over.
    fn why_in_vain(&self, introspector: &Introspector, now: UnixMillis) -> Unavailable {
        let servers = &self.calls.servers;
        let failure = servers.withheld(introspector, now).or_else(|| {
            if servers.is_down(introspector) {
                Some(ServerFailure::HeldBack { is_outage: true })
            } else {
                // The house is full because nobody is answered, which is an outage; else it is no reason to serve by an
                // old verdict.
                servers.is_silent(introspector, now).then_some(ServerFailure::Timeout)
            }
        });
        failure.map_or(Unavailable::TooManyCalls, Unavailable::AuthorizationServer)
    }

    /// The root's turn: sends what is unsent.
    pub(super) fn turn(&mut self, now: UnixMillis, effects: &mut Vec<Effect>) {
        while let Some(id) = self.calls.take_unsent() {
            let is_wanted = |call: &Call| {
                call.is_renewal || call.streams.iter().any(|stream| self.waiting.contains(*stream))
            };
            if self.calls.get(id).is_some_and(is_wanted) {
                self.send(id, now, effects);
            } else if let Some(call) = self.calls.close(id)
                && call.asker() == Asker::UsForAll
            {
                // Whoever else waits for this one asks for itself.
                effects.extend(self.release(&call.digest, Told::NotAsked));
            }
        }
    }

    pub(super) fn send(&mut self, id: CallId, now: UnixMillis, effects: &mut Vec<Effect>) {
        let Some(call) = self.calls.get_mut(id) else { return };
        call.sent = Some(now);
        call.moment = self.cache.withdrawals().moment();
        let endpoint = &call.introspector.endpoint;
        match endpoint.request(&call.token, &call.trace.0, self.signatures.as_ref(), now) {
            Ok(request) => effects.push(Effect::Call(id, request)),
            Err(reason) => {
                log::error!("provider {:?}: no introspection: {reason}", call.origin.provider);
                self.no_verdict(id, ServerFailure::NotSigned, None, now, effects);
            }
        }
    }

    pub(super) fn reply(
        &mut self,
        id: CallId,
        reply: &Reply<'_>,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        let Some(sent) = self.calls.get(id).and_then(|call| call.sent) else { return };
        let duration = u64::try_from(now.since(sent).as_millis()).unwrap_or(u64::MAX);
        effects.push(Effect::IntrospectionDuration(duration));
        if !reply.from_envoy
            && let Some(call) = self.calls.get(id)
        {
            let introspector = Rc::clone(&call.introspector);
            self.calls.servers.hear(&introspector, now);
        }
        self.read_reply(id, reply, now, effects);
    }

    /// Reads a signed reply that has waited for keys; `is_last`: they were fetched for its sake.
    pub(super) fn read_held_reply(
        &mut self,
        id: CallId,
        is_last: bool,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        let Some(call) = self.calls.get_mut(id) else { return };
        call.has_waited_for_keys |= is_last;
        if let Some(reply) = call.held.take() {
            self.read_reply(id, &reply.view(), now, effects);
        }
    }

    fn read_reply(&mut self, id: CallId, reply: &Reply<'_>, now: UnixMillis, effects: &mut Vec<Effect>) {
        let Some(call) = self.calls.get(id) else { return };
        let (introspector, has_waited) = (Rc::clone(&call.introspector), call.has_waited_for_keys);
        let keys = self.keys_for(&introspector);
        let endpoint = &introspector.endpoint;
        let read = if endpoint.says_inactive(reply) {
            Ok(Introspection::Inactive)
        } else {
            introspection::parse(reply, &endpoint.response, &endpoint.claim_names, keys, now)
        };
        match read {
            Ok(verdict) => {
                effects.push(Effect::Count(match verdict {
                    Introspection::Active { .. } => Counter::IntrospectionActive,
                    Introspection::Expired { .. } => Counter::IntrospectionExpired,
                    Introspection::Inactive => Counter::IntrospectionInactive,
                }));
                if let Some(call) = self.calls.close(id) {
                    self.calls.servers.succeeded(&introspector);
                    self.complaints.answered(&introspector.origin.provider);
                    self.verdict(call, verdict, now, effects);
                }
            }
            Err(ServerFailure::UnknownKey) if !has_waited && self.hold_for_keys(id, &introspector, now) => {
                if let Some(call) = self.calls.get_mut(id) {
                    call.held = Some(reply.to_owned());
                }
                self.fetch_keys(now, effects);
            }
            Err(failure) => self.no_verdict(id, failure, Some(reply), now, effects),
        }
    }

    /// A call that could not be sent or whose answer broke off, which a timeout does, too.
    pub(super) fn call_failed(&mut self, id: CallId, now: UnixMillis, effects: &mut Vec<Effect>) {
        let Some(call) = self.calls.get(id) else { return };
        let timeout = call.introspector.endpoint.timeout;
        let timed_out = call.sent.is_some_and(|sent| now.since(sent) >= timeout);
        let failure = if timed_out { ServerFailure::Timeout } else { ServerFailure::Unreachable };
        self.no_verdict(id, failure, None, now, effects);
    }

    /// Tries again where that may help, otherwise tells all who wait.
    pub(super) fn no_verdict(
        &mut self,
        id: CallId,
        mut failure: ServerFailure,
        reply: Option<&Reply<'_>>,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        effects.push(Effect::Count(match failure {
            ServerFailure::Timeout => Counter::IntrospectionTimeout,
            _ => Counter::IntrospectionError,
        }));
        let Some(mut call) = self.calls.close(id) else { return };
        let introspector = Rc::clone(&call.introspector);
        let Introspector { origin, endpoint, .. } = &*introspector;
        let name = &origin.provider;
        // As long as it wants, but no longer than it would be left alone if it were down.
        let pause = asked_pause(reply, endpoint.breaker.max_hold, now);
        if failure.is_transient() && call.tries_left > 0 && pause.is_zero() {
            log::debug!(
                "provider {name:?}: introspection of {} failed, trying again: {failure}",
                call.digest
            );
            call.tries_left -= 1;
            // A new number: a late answer to the old try must not be taken for the new one's.
            let id = self.calls.reopen(call);
            return self.send(id, now, effects);
        }
        if self.calls.servers.failed(&introspector, &failure, now) {
            log::warn!("provider {name:?}: calls are held back after failures in a row, the last: {failure}");
        }
        let what = failure.with_circumstances(&endpoint.called(), reply);
        if failure.is_general() && self.calls.servers.was_of_no_use(&introspector, &failure, now) {
            let held = "calls are held back, for answers in a row were of no use, the last";
            self.complaints.failed(Level::Warn, name, "held_back", now, format_args!("{held}: {failure}"));
        }
        let is_ours_to_mend = matches!(failure, ServerFailure::CredentialsRefused { .. });
        let level = if is_ours_to_mend { Level::Error } else { Level::Warn };
        let error = reply.and_then(introspection::error_of);
        let error = error.map_or_else(String::new, |error| format!(" (it says {error})"));
        let text = format_args!("introspection of {} failed: {what}{error}", call.digest);
        self.complaints.failed(level, name, failure.reason(), now, text);
        if !pause.is_zero() {
            let is_outage = failure.is_outage();
            self.calls.servers.pause_until(&introspector, now.plus(pause), is_outage);
            failure = ServerFailure::retry_later(pause, is_outage);
        }
        if call.asker() == Asker::UsForAll {
            effects.extend(self.release(&call.digest, Told::Failed { is_outage: failure.is_outage() }));
        }
        self.tell(call, Outcome::NoVerdict(Unavailable::AuthorizationServer(failure)));
    }
}

/// When a call may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admitted {
    /// Once another is over.
    Later,
    Now,
}

/// Streams that may wait at once, per worker: bounds what a flood of new tokens can hold.
const MAX_WAITING: usize = 16_384;

/// What is kept of them at most, of tokens and of headers from which tokens are taken out: 32 MiB.
const MAX_WAITING_BYTES: usize = 32 << 20;
