//! What a server's answer means: a verdict, another try, or none.

use std::rc::Rc;

use log::Level;

use super::Introspections;
use super::calls::Asker;
use super::settlement::Outcome;
use crate::client::{ClientCredentials, NotGranted};
use crate::filter::event::{CallId, Told};
use crate::filter::fetches::asked_pause;
use crate::filter::fetches::keys::{KeyRings, KeysWanted, Wait};
use crate::filter::step::Step;
use crate::http::Reply;
use crate::introspection::{self, Introspection, ServerFailure};
use crate::metrics::{Counter, Gauge, Whose};
use crate::policy::Unavailable;
use crate::provider::Introspector;

impl Introspections {
    /// A call ended, with an answer or without.
    pub(in crate::filter) fn ended(
        &mut self,
        id: CallId,
        reply: Option<&Reply<'_>>,
        keys: &mut KeyRings,
        step: &mut Step<'_>,
    ) {
        match reply {
            Some(reply) => self.reply(id, reply, keys, step),
            None => self.failed(id, step),
        }
    }

    fn reply(&mut self, id: CallId, reply: &Reply<'_>, keys: &mut KeyRings, step: &mut Step<'_>) {
        let Some(call) = self.calls.get(id) else { return };
        let (Some(sent), introspector) = (call.sent, Rc::clone(&call.introspector)) else { return };
        step.took(&introspector.origin.provider, step.now.since(sent));
        if !reply.from_envoy {
            self.calls.servers.hear(&introspector, step.now);
        }
        self.read_reply(id, reply, keys, step);
    }

    /// Reads a signed reply that has waited for keys; `is_last`: they were fetched for its sake.
    pub(in crate::filter) fn read_held_reply(
        &mut self,
        id: CallId,
        is_last: bool,
        keys: &mut KeyRings,
        step: &mut Step<'_>,
    ) {
        let Some(call) = self.calls.get_mut(id) else { return };
        call.has_waited_for_keys |= is_last;
        if let Some(reply) = call.held.take() {
            self.read_reply(id, &reply.view(), keys, step);
        }
    }

    fn read_reply(&mut self, id: CallId, reply: &Reply<'_>, keys: &mut KeyRings, step: &mut Step<'_>) {
        let Some(call) = self.calls.get(id) else { return };
        let (introspector, has_waited) = (Rc::clone(&call.introspector), call.has_waited_for_keys);
        let endpoint = &introspector.endpoint;
        let read = if endpoint.says_inactive(reply) {
            Ok(Introspection::Inactive)
        } else {
            introspection::parse(
                reply,
                &endpoint.response,
                &endpoint.claim_names,
                keys.of_replies(&introspector, step),
                step.now,
            )
        };
        match read {
            Ok(verdict) => {
                let counter = match verdict {
                    Introspection::Active { .. } => Counter::IntrospectionActive,
                    Introspection::Expired { .. } => Counter::IntrospectionExpired,
                    Introspection::Inactive => Counter::IntrospectionInactive,
                };
                let whose = Whose::provider(&introspector.origin.provider);
                step.count(counter, whose);
                step.set(Gauge::IntrospectionAnswers, whose, 1);
                if let Some(call) = self.calls.close(id) {
                    self.calls.servers.succeeded(&introspector);
                    step.worker.complaints.answered(&introspector.origin.provider);
                    self.verdict(call, verdict, step);
                }
            }
            Err(ServerFailure::UnknownKey) if !has_waited && wait_for_keys(id, &introspector, keys, step) => {
                if let Some(call) = self.calls.get_mut(id) {
                    call.held = Some(reply.to_owned());
                }
                keys.fetch(step);
            }
            Err(ServerFailure::CredentialsRefused { status: 401 }) if self.renews_token(id, step) => {
                if let Some(call) = self.calls.close(id) {
                    // A new number: there is no answer to the old try any more.
                    let id = self.calls.reopen(call);
                    self.send(id, step);
                }
            }
            Err(failure) => self.no_verdict(id, failure, Some(reply), step),
        }
    }

    /// A call was refused. Returns whether it is made anew, with another access token; once.
    fn renews_token(&mut self, id: CallId, step: &Step<'_>) -> bool {
        let Some(call) = self.calls.get_mut(id).filter(|call| !call.showing.is_renewed()) else {
            return false;
        };
        let credentials = call.introspector.endpoint.client_credentials();
        call.showing.was_refused(credentials, &step.worker.access_tokens, step.now)
    }

    /// An access token of ours is here, or is not to be had: those that wait for it are sent, or told.
    pub(in crate::filter) fn token_ended(
        &mut self,
        credentials: &Rc<ClientCredentials>,
        failure: Option<NotGranted>,
        step: &mut Step<'_>,
    ) {
        for id in self.calls.take_without_token(credentials) {
            match failure {
                None => self.calls.send_later(id),
                Some(reason) => {
                    let is_outage = reason.is_outage();
                    self.no_verdict(id, ServerFailure::NoAccessToken { is_outage }, None, step);
                }
            }
        }
        self.turn(step);
    }

    /// A call that could not be sent or whose answer broke off, which a timeout does, too.
    fn failed(&mut self, id: CallId, step: &mut Step<'_>) {
        let Some(call) = self.calls.get(id) else { return };
        let timeout = call.introspector.endpoint.timeout;
        let waited = call.sent.map(|sent| step.now.since(sent));
        let timed_out = waited.is_some_and(|waited| waited >= timeout);
        if let Some(waited) = waited.filter(|_| timed_out) {
            step.took(&call.introspector.origin.provider, waited);
        }
        let failure = if timed_out { ServerFailure::Timeout } else { ServerFailure::Unreachable };
        self.no_verdict(id, failure, None, step);
    }

    /// Tries again where that may help, otherwise tells all who wait.
    pub(super) fn no_verdict(
        &mut self,
        id: CallId,
        mut failure: ServerFailure,
        reply: Option<&Reply<'_>>,
        step: &mut Step<'_>,
    ) {
        let Some(mut call) = self.calls.close(id) else { return };
        let counter = match failure {
            ServerFailure::Timeout => Counter::IntrospectionTimeout,
            _ => Counter::IntrospectionError,
        };
        step.count(counter, Whose::provider(&call.origin.provider).because(failure.reason()));
        let introspector = Rc::clone(&call.introspector);
        let Introspector { origin, endpoint, .. } = &*introspector;
        let name = &origin.provider;
        // As long as it wants, but no longer than it would be left alone if it were down.
        let pause = asked_pause(reply, endpoint.breaker.max_hold, step.now);
        if failure.is_transient() && call.tries_left > 0 && pause.is_zero() {
            log::debug!(
                "provider {name:?}: introspection of {} failed, trying again: {failure}",
                call.digest
            );
            call.tries_left -= 1;
            // A new number: a late answer to the old try must not be taken for the new one's.
            let id = self.calls.reopen(call);
            return self.send(id, step);
        }
        if self.calls.servers.failed(&introspector, &failure, step.now) {
            log::warn!("provider {name:?}: calls are held back after failures in a row, the last: {failure}");
        }
        let what = failure.with_circumstances(&endpoint.called(), reply);
        if failure.is_general() && self.calls.servers.was_of_no_use(&introspector, &failure, step.now) {
            let held = "calls are held back, for answers in a row were of no use, the last";
            step.worker.complaints.failed(
                Level::Warn,
                name,
                "held_back",
                step.now,
                format_args!("{held}: {failure}"),
            );
        }
        if failure.is_transient() || failure.is_general() {
            step.set(Gauge::IntrospectionAnswers, Whose::provider(name), 0);
        }
        let is_ours_to_mend = matches!(failure, ServerFailure::CredentialsRefused { .. });
        let level = if is_ours_to_mend { Level::Error } else { Level::Warn };
        let error = introspection::says(reply);
        let text = format_args!("introspection of {} failed: {what}{error}", call.digest);
        step.worker.complaints.failed(level, name, failure.reason(), step.now, text);
        if !pause.is_zero() {
            let is_outage = failure.is_outage();
            self.calls.servers.pause_until(&introspector, step.now.plus(pause), is_outage);
            failure = ServerFailure::retry_later(pause, is_outage);
        }
        if call.asker() == Asker::UsForAll {
            step.release(&call.digest, Told::Failed { is_outage: failure.is_outage() });
        }
        self.tell(call, Outcome::NoVerdict(Unavailable::AuthorizationServer(failure)));
    }
}

/// Lets a signed reply wait for keys. Returns whether there are any to wait for.
fn wait_for_keys(id: CallId, introspector: &Introspector, keys: &mut KeyRings, step: &Step<'_>) -> bool {
    let Some(signed) = introspector.endpoint.response.signed() else { return false };
    let wanted = if keys.set(&signed.jwks).is_some() { KeysWanted::Newer } else { KeysWanted::Any };
    keys.wait(Wait::Reply(id), &signed.jwks, wanted, step.now)
}
