//! Signed signals: verified, perhaps once keys are here, checked, and done.

use std::time::Duration;

use super::{Signal, Signals};
use crate::cache::{Jwts, Which};
use crate::filter::event::{Effect, StreamId};
use crate::filter::fetches::keys::{KeyRings, Wait};
use crate::filter::fetches::signed::NotVerified;
use crate::filter::security_events::{self, subjects};
use crate::filter::step::Step;
use crate::jwt::VerifiedJwt;
use crate::revocation::answer;
use crate::revocation::back_channel_logout::{LogoutRefused, LogoutRules};
use crate::revocation::security_event::SecurityEventRules;
use crate::revocation::sources::{Receiver, Signer, Sources, UnknownSessions};
use crate::token::UnixMillis;

impl Signals {
    /// A signal's body is here.
    pub(super) fn signal(
        &mut self,
        stream: StreamId,
        receiver: Receiver,
        token: String,
        keys: &mut KeyRings,
        step: &mut Step<'_>,
    ) {
        self.check(stream, Signal { receiver, token, has_waited: false }, keys, step);
    }

    /// Takes a signal up again that has waited for keys.
    pub(super) fn take_up(&mut self, stream: StreamId, keys: &mut KeyRings, step: &mut Step<'_>) {
        if let Some(signal) = self.parked.remove(&stream) {
            self.check(stream, signal, keys, step);
        }
    }

    /// Verifies and checks a signal, and does what it says.
    fn check(&mut self, stream: StreamId, signal: Signal, keys: &mut KeyRings, step: &mut Step<'_>) {
        let sources = &step.worker.config.revocation;
        let is_logout = signal.receiver == Receiver::Logout;
        let Some(signer) = signer_of(sources, signal.receiver) else { return };
        // What is refused for its type whoever signed it costs no signature check.
        let admits = if is_logout { LogoutRules::admits } else { SecurityEventRules::admits };
        let verified = match keys.verify(signer, admits, &signal.token, step) {
            Ok(verified) => verified,
            Err(NotVerified::NoKeys(wanted)) if !signal.has_waited => {
                // Signals that name keys at random must not fill all the room.
                if self.parked.len() >= MAX_PARKED
                    || !keys.wait(Wait::Signal(stream), &signer.jwks, wanted, step.now)
                {
                    return self.refuse(stream, answer::unavailable("signal_without_keys"), step);
                }
                self.parked.insert(stream, signal);
                return step.push(Effect::AskForTurn);
            }
            Err(NotVerified::NoKeys(_)) if keys.are_out_of_reach(&signer.jwks) => {
                return self.refuse(stream, answer::unavailable("signal_without_keys"), step);
            }
            Err(NotVerified::Host) => {
                return self.refuse(stream, answer::unavailable("signal_not_verifiable"), step);
            }
            Err(reason) if is_logout => {
                return self.refuse(stream, answer::logout_not_verified(&reason.text()), step);
            }
            Err(reason) => return self.refuse(stream, answer::event_refused(reason.of_event()), step),
        };
        let refusal = if is_logout {
            match self.apply_logout(&verified, step) {
                Ok(None) => None,
                Ok(Some(due)) => return self.deferred.answer_when_done(stream, due),
                Err(reason) => Some(answer::logout_refused(reason)),
            }
        } else {
            let Some(events) = &sources.security_events else { return };
            let checked = events.rules.check(verified.typ(), verified.claims(), step.now);
            checked.map(|event| security_events::apply(events, event, step)).err().map(answer::event_refused)
        };
        match refusal {
            Some(answer) => self.refuse(stream, answer, step),
            None => step.push(Effect::Answer(stream, answer::received(signal.receiver, None))),
        }
    }

    /// Does what a logout token says. Returns when the rest of it is done, if that is put off.
    fn apply_logout(
        &mut self,
        verified: &VerifiedJwt,
        step: &mut Step<'_>,
    ) -> Result<Option<UnixMillis>, LogoutRefused> {
        let sources = &step.worker.config.revocation;
        let Some(receiver) = &sources.back_channel_logout else { return Err(LogoutRefused::OtherIssuer) };
        let Signer { provider, tag, .. } = &receiver.signer;
        let logout = receiver.rules.check(verified.typ(), verified.claims(), step.now)?;
        // A session that nothing here can be related to.
        let seen = step.worker.cache.seen();
        let is_unknown = logout.withdraws.contains(&Which::WithoutSid) && !seen.has_sessions(*tag);
        let is_of_none = is_unknown && receiver.unknown_sessions == UnknownSessions::Refuse;
        // It may be that of a JWT.
        let is_refused = is_of_none && !seen.has_sessions_of_jwts(*tag);
        if is_unknown && (is_refused || !is_of_none) && self.may_complain(step.now) {
            let done = if is_refused { "refused" } else { "taken for all verdicts without one" };
            log::warn!(
                "provider {provider:?}: a logout token names only a session (sid), and no introspection reply ever \
                 did: {done} (revocation.back_channel_logout.unknown_sessions)"
            );
        }
        if is_refused {
            return Err(LogoutRefused::UnknownSession);
        }
        if !step.worker.replay.is_first(
            &receiver.rules.issuer,
            &logout.jti,
            logout.replayable_until,
            step.now,
        ) {
            return Err(LogoutRefused::Replayed);
        }
        let (mut broad, exact): (Vec<_>, Vec<_>) =
            logout.withdraws.into_iter().partition(|which| is_unknown && *which == Which::WithoutSid);
        if is_of_none {
            broad.clear();
        }
        step.withdraw(&subjects(&receiver.signer, exact), Jwts::Named(logout.date), sources.settle);
        // Each takes what the one before it took: many in a row would leave nothing in the cache. More than may wait for
        // their answer wait for nothing.
        let span = if self.deferred.has_room() { SPAN_OF_UNKNOWN } else { Duration::ZERO };
        let mut due = None;
        for which in broad {
            due = due.max(self.deferred.withdraw_at_most_every(span, (*tag, which), sources.settle, step));
        }
        Ok(due)
    }
}

/// Who signs what comes to a receiver.
fn signer_of(sources: &Sources, receiver: Receiver) -> Option<&Signer> {
    match receiver {
        Receiver::Logout => sources.back_channel_logout.as_ref().map(|it| &it.signer),
        Receiver::Push => sources.security_events.as_ref().map(|it| &it.signer),
        Receiver::Admin | Receiver::Endpoint => None,
    }
}

/// How often at most all verdicts without a session are withdrawn for one that none can be related to. The server waits
/// for the answer so long; some give up after 2.5 s.
const SPAN_OF_UNKNOWN: Duration = Duration::from_secs(2);

/// Signals that wait for keys at once, per worker.
const MAX_PARKED: usize = 256;
