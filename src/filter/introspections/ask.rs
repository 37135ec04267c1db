//! Asking the authorization server: a request joins a call, or a new one is made, and sent in the root's turn.

use std::rc::Rc;

use super::Introspections;
use super::admission::Admitted;
use super::calls::{Asker, Call, trace_headers};
use super::load::Priority;
use super::share::{asker, verdict_meanwhile};
use crate::cache::ActiveEntry;
use crate::claims::ClaimsBuf;
use crate::filter::case::{Case, Source, Waiter};
use crate::filter::event::{CallId, Effect, Told};
use crate::filter::inquiry::Inquiry;
use crate::filter::judge::{hit, refuse, without_verdict};
use crate::filter::open_streams::Word;
use crate::filter::step::Step;
use crate::introspection::ServerFailure;
use crate::metrics::Counter;
use crate::policy::Unavailable;
use crate::request::RequestView;
use crate::token::TokenDigest;

impl Introspections {
    /// Lets a stream wait for a verdict: of a call that is under way, or of a new one. `validated` is what the
    /// token says itself, where it is a JWT that was validated before.
    pub(in crate::filter) fn wait(
        &mut self,
        (mut inquiry, digest): (Inquiry, TokenDigest),
        validated: Option<ClaimsBuf>,
        request: &dyn RequestView,
        stale: Option<Rc<ActiveEntry>>,
        step: &mut Step<'_>,
    ) {
        inquiry.case.source = Source::Miss;
        let Some(introspector) = inquiry.way.introspector().cloned() else {
            // A way without a server to ask does not lead here; nobody passes by mistake.
            return refuse(&inquiry.case, &Unavailable::Host.into(), step);
        };
        if let Some(call) = self.calls.joinable(&digest, &inquiry.case.policy, step.now) {
            call.join(&inquiry.case, step.now);
            return self.wait_in(Source::Coalesced, inquiry, stale, step);
        }
        let asker = asker(&introspector, &inquiry, &digest, step);
        if asker == Asker::UsForAll
            && let Some(entry) = verdict_meanwhile(&inquiry, &digest, step)
        {
            step.release(&digest, Told::NotAsked);
            return hit(inquiry.case, &entry, step);
        }
        let asked_by_another = match asker {
            Asker::Another { asked, .. } => Some(asked),
            Asker::Us | Asker::UsForAll => None,
        };
        let is_anothers = asked_by_another.is_some();
        let is_known = stale.is_some() || step.worker.cache.was_active(&digest);
        let priority = if is_known { Priority::Known } else { Priority::Unknown };
        let admission =
            if is_anothers { Ok(Admitted::Now) } else { self.admit(&introspector, priority, step) };
        let admitted = match admission {
            Ok(admitted) => admitted,
            Err(reason) => {
                step.count(Counter::CacheMiss, inquiry.case.whose());
                if asker == Asker::UsForAll {
                    step.release(&digest, Told::NotAsked);
                }
                let waiter = Waiter { case: inquiry.case, stale };
                return without_verdict(waiter, &reason, step);
            }
        };
        let (question, trace) = (inquiry.question(digest), trace_headers(request));
        let mut call = Call::new(introspector, question, validated, trace, asker, priority);
        call.join(&inquiry.case, step.now);
        call.sent = asked_by_another;
        match admitted {
            Admitted::Now => self.calls.open(call),
            Admitted::Later => self.calls.open_later(call, step.now),
        }
        let source = if is_anothers { Source::Coalesced } else { Source::Miss };
        self.wait_in(source, inquiry, stale, step);
        if !is_anothers && admitted == Admitted::Now {
            step.push(Effect::AskForTurn);
        }
    }

    fn wait_in(
        &mut self,
        source: Source,
        inquiry: Inquiry,
        stale: Option<Rc<ActiveEntry>>,
        step: &mut Step<'_>,
    ) {
        let is_coalesced = source == Source::Coalesced;
        let counter = if is_coalesced { Counter::CacheCoalesced } else { Counter::CacheMiss };
        step.count(counter, inquiry.case.whose());
        let (bytes, case) = (inquiry.bytes(), Case { source, ..inquiry.case });
        self.waiting.insert(case.stream, Waiter { case, stale }, bytes);
    }

    /// The root's turn: sends what is unsent.
    pub(in crate::filter) fn turn(&mut self, step: &mut Step<'_>) {
        while let Some(id) = self.calls.take_unsent() {
            let is_wanted = |call: &Call| {
                call.is_renewal || call.streams.iter().any(|stream| self.waiting.contains(*stream))
            };
            if self.calls.get(id).is_some_and(is_wanted) {
                self.send(id, step);
            } else if let Some(call) = self.calls.close(id) {
                self.note_word(call.digest, || Word::None, step);
                // Whoever else waits for this one asks for itself.
                if call.asker() == Asker::UsForAll {
                    step.release(&call.digest, Told::NotAsked);
                }
            }
        }
    }

    pub(super) fn send(&mut self, id: CallId, step: &mut Step<'_>) {
        let Some(call) = self.calls.get_mut(id) else { return };
        let credentials = call.introspector.endpoint.client_credentials();
        let Ok(fetched) = call.showing.token(credentials, &step.worker.access_tokens, step.now) else {
            return self.calls.wait_for_token(id);
        };
        call.sent = Some(step.now);
        call.moment = step.worker.cache.withdrawals().moment();
        let endpoint = &call.introspector.endpoint;
        let Some(target) = endpoint.whereabouts.written() else {
            // Nobody gets here before it is known where to ask; nobody passes by mistake.
            return self.no_verdict(id, ServerFailure::Unreachable, None, step);
        };
        let fetched = fetched.as_deref();
        match endpoint.request(
            target,
            &call.token,
            fetched,
            &call.trace.0,
            step.worker.signatures(),
            step.now,
        ) {
            Ok(request) => step.push(Effect::Call(id, request)),
            Err(reason) => {
                log::error!("provider {:?}: no introspection: {reason}", call.origin.provider);
                self.no_verdict(id, ServerFailure::NotSigned, None, step);
            }
        }
    }
}
