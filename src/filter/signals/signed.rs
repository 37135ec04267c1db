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
use crate::revocation::sources::{
    LogoutReceiver, Receiver, SecurityEvents, Signer, Sources, UnknownSessions,
};
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
        let Some(sent_to) = SentTo::of(&step.worker.config.revocation, signal.receiver) else { return };
        let signer = sent_to.signer();
        // What is refused for its type whoever signed it costs no signature check.
        let verified = match keys.verify(signer, sent_to.admits(), &signal.token, step) {
            Ok(verified) => verified,
            Err(NotVerified::NoKeys(wanted)) if !signal.has_waited => {
                // Signals that name keys at random must not fill all the room.
                if self.has_no_room_for(signal.receiver)
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
            Err(reason) => {
                let answer = match sent_to {
                    SentTo::Logout(_) => answer::logout_not_verified(&reason.text()),
                    SentTo::Events(_) => answer::event_refused(reason.of_event()),
                };
                return self.refuse(stream, answer, step);
            }
        };
        let done = match sent_to {
            SentTo::Logout(receiver) => match self.apply_logout(receiver, &verified, step) {
                Ok(None) => Ok(answer::logout_received()),
                Ok(Some(due)) => return self.deferred.answer_when_done(stream, due),
                Err(reason) => Err(answer::logout_refused(reason)),
            },
            SentTo::Events(events) => events
                .rules
                .check(verified.typ(), verified.claims(), step.now)
                .map(|event| security_events::apply(events, event, step))
                .map(|()| answer::event_received())
                .map_err(answer::event_refused),
        };
        match done {
            Ok(answer) => step.push(Effect::Answer(stream, answer)),
            Err(answer) => self.refuse(stream, answer, step),
        }
    }

    /// Whether nothing more may wait for keys. Each receiver has some room that the others cannot fill: a server whose keys
    /// do not come keeps nobody else's signals out.
    fn has_no_room_for(&self, receiver: Receiver) -> bool {
        let of_receiver = || self.parked.values().filter(|it| it.receiver == receiver).count();
        self.parked.len() >= MAX_PARKED && of_receiver() >= RESERVED_PARKED
    }

    /// Does what a logout token says. Returns when the rest of it is done, if that is put off.
    fn apply_logout(
        &mut self,
        receiver: &LogoutReceiver,
        verified: &VerifiedJwt,
        step: &mut Step<'_>,
    ) -> Result<Option<UnixMillis>, LogoutRefused> {
        let settle = step.worker.config.revocation.settle;
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
        let replay = &step.worker.replay;
        if !replay.is_first(receiver.sender(), &logout.jti, logout.replayable_until, step.now) {
            return Err(LogoutRefused::Replayed);
        }
        let (mut broad, exact): (Vec<_>, Vec<_>) =
            logout.withdraws.into_iter().partition(|which| is_unknown && *which == Which::WithoutSid);
        if is_of_none {
            broad.clear();
        }
        step.withdraw(&subjects(&receiver.signer, exact), Jwts::Named(logout.date), settle);
        // Each takes what the one before it took: many in a row would leave nothing in the cache. More than may wait for
        // their answer wait for nothing.
        let span = if self.deferred.has_room() { SPAN_OF_UNKNOWN } else { Duration::ZERO };
        let mut due = None;
        for which in broad {
            due = due.max(self.deferred.withdraw_at_most_every(span, (*tag, which), settle, step));
        }
        Ok(due)
    }
}

/// What a signed signal was sent to.
#[derive(Clone, Copy)]
enum SentTo<'c> {
    Logout(&'c LogoutReceiver),
    Events(&'c SecurityEvents),
}

impl<'c> SentTo<'c> {
    fn of(sources: &'c Sources, receiver: Receiver) -> Option<Self> {
        match receiver {
            Receiver::Logout(place) => sources.back_channel_logout.get(place).map(Self::Logout),
            Receiver::Push(place) => Some(Self::Events(sources.security_events.get(place)?)),
            Receiver::Admin | Receiver::Endpoint => None,
        }
    }

    /// Who has to have signed it.
    fn signer(self) -> &'c Signer {
        match self {
            Self::Logout(receiver) => &receiver.signer,
            Self::Events(events) => &events.signer,
        }
    }

    /// Which types of JWT it may have.
    fn admits(self) -> fn(Option<&str>) -> bool {
        match self {
            Self::Logout(_) => LogoutRules::admits,
            Self::Events(_) => SecurityEventRules::admits,
        }
    }
}

/// How often at most all verdicts without a session are withdrawn for one that none can be related to. The server waits
/// for the answer so long; some give up after 2.5 s.
const SPAN_OF_UNKNOWN: Duration = Duration::from_secs(2);

/// Signals that wait for keys at once, per worker.
const MAX_PARKED: usize = 256;

/// Of one receiver, when there is no other room.
const RESERVED_PARKED: usize = 16;
