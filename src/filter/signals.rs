//! Signals that come in with requests: their body is awaited, they are verified, perhaps once the provider's keys
//! are here, and what they withdraw is withdrawn before they are answered.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use super::keys::KeysWanted;
use super::{Effect, Filter, StreamId};
use crate::cache::{Subject, Which};
use crate::challenge::Answer;
use crate::jwt::{UntrustedJwt, Unverified, VerifiedJwt};
use crate::metrics::Counter;
use crate::request::RequestView;
use crate::revocation::answer;
use crate::revocation::back_channel_logout::{LogoutRefused, LogoutRules};
use crate::revocation::revocation_endpoint::RevocationRequest;
use crate::revocation::security_event::{
    SecurityEvent, SecurityEventRules, SetError, SetRefused, StreamStatus,
};
use crate::revocation::sources::{Receiver, SecurityEvents, Signer, Sources, UnknownSessions};
use crate::token::UnixMillis;

/// Requests that carry a signal.
#[derive(Default)]
pub(super) struct Signals {
    /// Their body, or its outcome, is awaited.
    pub(super) incoming: BTreeMap<StreamId, Incoming>,
    /// Nothing is awaited of them any more; they are answered in the root's turn, with this.
    given_up: BTreeMap<StreamId, &'static str>,
    /// They wait for keys.
    parked: BTreeMap<StreamId, Signal>,
    /// Those of them that wait no more.
    ready: VecDeque<StreamId>,
    /// No complaint about bodies that do not come before this.
    quiet_until: Option<UnixMillis>,
}

/// A request whose body is awaited.
pub(super) struct Incoming {
    pub(super) receiver: Receiver,
    /// Where it comes from.
    pub(super) peer: Vec<u8>,
    pub(super) since: UnixMillis,
    pub(super) content_type: Vec<u8>,
    /// Who revokes, where that is what the request is for.
    pub(super) authorization: Option<Vec<u8>>,
    /// What it would revoke, once its body has passed.
    pub(super) revocation: Option<RevocationRequest>,
}

impl Incoming {
    pub(super) fn new(
        receiver: Receiver,
        peer: Vec<u8>,
        request: &dyn RequestView,
        since: UnixMillis,
    ) -> Self {
        let mut content_type = request.header("content-type").unwrap_or_default().into_owned();
        content_type.truncate(MAX_CONTENT_TYPE_BYTES);
        Self { receiver, peer, since, content_type, authorization: None, revocation: None }
    }
}

/// A signed signal.
struct Signal {
    receiver: Receiver,
    token: String,
    /// Whether keys were fetched for its sake already: then there is no other fetch.
    has_waited: bool,
}

/// Why a signal is not verified.
pub(super) enum NotVerified {
    /// It is none of the provider's.
    Bad(String),
    /// It is no JWT, or one of another kind.
    NotOne(String),
    /// The host cannot tell.
    Host,
    /// There are no keys to tell.
    NoKeys(KeysWanted),
}

impl Signals {
    /// Whether a request waits for its answer here.
    pub(super) fn holds(&self, stream: StreamId) -> bool {
        self.parked.contains_key(&stream)
            || self.given_up.contains_key(&stream)
            || self.incoming.get(&stream).is_some_and(|it| it.receiver != Receiver::Endpoint)
    }

    /// Requests to this receiver that are coming in.
    pub(super) fn count(&self, receiver: Receiver) -> usize {
        self.incoming.values().filter(|it| it.receiver == receiver).count()
    }

    /// Whether some of those that waited wait no more.
    pub(super) fn have_ready(&self) -> bool {
        !self.ready.is_empty() || !self.given_up.is_empty()
    }

    /// Of those that are coming in to this receiver, the eldest of the peer that has most of them: who sends many slow
    /// ones keeps out its own.
    pub(super) fn eldest_of_most(&self, receiver: Receiver) -> Option<StreamId> {
        let mut of_peers: BTreeMap<&[u8], (usize, StreamId)> = BTreeMap::new();
        for (stream, it) in self.incoming.iter().filter(|(_, it)| it.receiver == receiver) {
            of_peers.entry(&it.peer).or_insert((0, *stream)).0 += 1;
        }
        of_peers.into_values().max_by_key(|(count, _)| *count).map(|(_, eldest)| eldest)
    }

    /// Waits no more for what a request brings. One that is only watched goes on as it is.
    pub(super) fn give_up(&mut self, stream: StreamId, reason: &'static str) {
        let Some(incoming) = self.incoming.remove(&stream) else { return };
        if incoming.receiver == Receiver::Endpoint {
            log::warn!("revocation.endpoint: a revocation is not watched any more: {reason}");
        } else {
            self.given_up.insert(stream, reason);
        }
    }

    /// Whether any request waits for its body, or its answer.
    pub(super) fn await_bodies(&self) -> bool {
        !self.incoming.is_empty()
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

    /// A stream waits for nothing here any more.
    pub(super) fn forget(&mut self, stream: StreamId) {
        self.incoming.remove(&stream);
        self.given_up.remove(&stream);
        self.parked.remove(&stream);
    }

    /// Nothing that clients can bring about fills the log.
    pub(super) fn may_complain(&mut self, now: UnixMillis) -> bool {
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
}

impl Filter {
    /// Answers one of those that were given up. Returns whether there was one.
    pub(super) fn refuse_given_up(&mut self, effects: &mut Vec<Effect>) -> bool {
        let Some((stream, reason)) = self.signals.given_up.pop_first() else { return false };
        self.refuse_signal(stream, answer::unavailable(reason), effects);
        true
    }

    /// Takes a signal up again that has waited for keys. Returns whether there was one.
    pub(super) fn unpark_signal(&mut self, now: UnixMillis, effects: &mut Vec<Effect>) -> bool {
        let Some(stream) = self.signals.ready.pop_front() else { return false };
        if let Some(signal) = self.signals.parked.remove(&stream) {
            self.check(stream, signal, now, effects);
        }
        true
    }

    pub(super) fn signal(
        &mut self,
        stream: StreamId,
        receiver: Receiver,
        token: String,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        self.check(stream, Signal { receiver, token, has_waited: false }, now, effects);
    }

    /// Verifies and checks a signal, and does what it says.
    fn check(&mut self, stream: StreamId, signal: Signal, now: UnixMillis, effects: &mut Vec<Effect>) {
        let config = Rc::clone(&self.config);
        let sources = &config.revocation;
        let is_logout = signal.receiver == Receiver::Logout;
        let signer = if is_logout {
            sources.back_channel_logout.as_ref().map(|it| &it.signer)
        } else {
            pushed(sources).map(|it| &it.signer)
        };
        let Some(signer) = signer else { return };
        // What is refused for its type whoever signed it costs no signature check.
        let admits = if is_logout { LogoutRules::admits } else { SecurityEventRules::admits };
        let verified = match self.verify_signal(signer, admits, &signal.token) {
            Ok(verified) => verified,
            Err(NotVerified::NoKeys(wanted)) if !signal.has_waited => {
                return self.park_signal(stream, signal, signer, wanted, now, effects);
            }
            Err(NotVerified::NoKeys(_)) if self.keys.are_out_of_reach(&signer.jwks) => {
                return self.refuse_signal(stream, answer::unavailable("signal_without_keys"), effects);
            }
            Err(NotVerified::Host) => {
                return self.refuse_signal(stream, answer::unavailable("signal_not_verifiable"), effects);
            }
            Err(reason) => {
                let answer = if is_logout {
                    answer::logout_not_verified(&reason.text())
                } else {
                    answer::event_refused(reason.of_event())
                };
                return self.refuse_signal(stream, answer, effects);
            }
        };
        let refusal = if is_logout {
            match self.apply_logout(&verified, now, effects) {
                Ok(None) => None,
                Ok(Some(due)) => {
                    return self.deferred.answer_when_done(stream, due);
                }
                Err(reason) => Some(answer::logout_refused(reason)),
            }
        } else {
            let Some(events) = pushed(sources) else { return };
            let applied = events.rules.check(verified.typ(), verified.claims(), now);
            applied
                .map(|event| self.apply_event(events, event, now, effects))
                .err()
                .map(answer::event_refused)
        };
        match refusal {
            Some(answer) => self.refuse_signal(stream, answer, effects),
            None => effects.push(Effect::Answer(stream, answer::received(signal.receiver, None))),
        }
    }

    /// A signal whose signature holds.
    pub(super) fn verify_signal(
        &self,
        signer: &Signer,
        admits: fn(Option<&str>) -> bool,
        token: &str,
    ) -> Result<VerifiedJwt, NotVerified> {
        let jwt = UntrustedJwt::parse(token.as_bytes())
            .map_err(|reason| NotVerified::NotOne(reason.to_string()))?;
        if !admits(jwt.typ()) {
            return Err(NotVerified::NotOne("typ is that of another kind of JWT".to_owned()));
        }
        let keys = self.keys.set(&signer.jwks).ok_or(NotVerified::NoKeys(KeysWanted::Any))?;
        keys.verify(&jwt, &signer.algorithms, self.signatures.as_ref()).map_err(|reason| match reason {
            Unverified::Host(failure) => {
                log::error!("provider {:?}: no signal can be verified: {failure}", signer.provider);
                NotVerified::Host
            }
            reason if reason.newer_keys_may_help() => NotVerified::NoKeys(KeysWanted::Newer),
            reason => NotVerified::Bad(reason.to_string()),
        })
    }

    fn park_signal(
        &mut self,
        stream: StreamId,
        signal: Signal,
        signer: &Signer,
        wanted: KeysWanted,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        // Signals that name keys at random must not fill all the room.
        if self.signals.parked.len() >= MAX_PARKED
            || !self.keys.wait_with_signal(stream, &signer.jwks, wanted, now)
        {
            return self.refuse_signal(stream, answer::unavailable("signal_without_keys"), effects);
        }
        self.signals.parked.insert(stream, signal);
        effects.push(Effect::AskForTurn);
    }

    /// Does what a logout token says. Returns when the rest of it is done, if that is put off.
    fn apply_logout(
        &mut self,
        verified: &VerifiedJwt,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) -> Result<Option<UnixMillis>, LogoutRefused> {
        let config = Rc::clone(&self.config);
        let sources = &config.revocation;
        let Some(receiver) = &sources.back_channel_logout else { return Err(LogoutRefused::OtherIssuer) };
        let Signer { provider, tag, .. } = &receiver.signer;
        let logout = receiver.rules.check(verified.typ(), verified.claims(), now)?;
        // A session that nothing here can be related to.
        let is_unknown =
            logout.withdraws.contains(&Which::WithoutSid) && !self.cache.seen().has_sessions(*tag);
        let is_refused = is_unknown && receiver.unknown_sessions == UnknownSessions::Refuse;
        if is_unknown && self.signals.may_complain(now) {
            let done = if is_refused { "refused" } else { "taken for all verdicts without one" };
            log::warn!(
                "provider {provider:?}: a logout token names only a session (sid), and no introspection reply ever \
                 did: {done} (revocation.back_channel_logout.unknown_sessions)"
            );
        }
        if is_refused {
            return Err(LogoutRefused::UnknownSession);
        }
        if !self.replay.is_first(&receiver.rules.issuer, &logout.jti, logout.replayable_until, now) {
            return Err(LogoutRefused::Replayed);
        }
        let (broad, exact): (Vec<_>, Vec<_>) =
            logout.withdraws.into_iter().partition(|which| is_unknown && *which == Which::WithoutSid);
        self.withdraw(&of(&receiver.signer, exact), sources.settle, now, effects);
        // Each takes what the one before it took: many in a row would leave nothing in the cache. More than may wait for
        // their answer wait for nothing.
        let span = if self.deferred.has_room() { SPAN_OF_UNKNOWN } else { Duration::ZERO };
        let mut due = None;
        for which in broad {
            due = due.max(self.withdraw_at_most_every(span, (*tag, which), sources.settle, now, effects));
        }
        Ok(due)
    }

    /// Does what a security event token says, unless it was done before.
    pub(super) fn apply_event(
        &self,
        events: &SecurityEvents,
        event: SecurityEvent,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        if !self.replay.is_first(&events.rules.issuer, &event.jti, event.replayable_until, now) {
            effects.push(Effect::Count(Counter::RevocationRefused));
            return;
        }
        let provider = &events.signer.provider;
        match event.stream {
            Some(StreamStatus::Paused | StreamStatus::Disabled) => {
                log::error!("provider {provider:?}: its stream of security events is paused or disabled");
            }
            Some(status) => log::warn!("provider {provider:?}: its stream of security events is {status:?}"),
            None => {}
        }
        let subjects = of(&events.signer, event.withdraws);
        self.withdraw(&subjects, self.config.revocation.settle, now, effects);
    }

    /// Withdraws, for all workers, before anybody is answered.
    pub(super) fn withdraw(
        &self,
        subjects: &[Subject],
        settle: Duration,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        self.cache.withdrawals().withdraw(subjects, settle, now);
        log::debug!("withdrawn: {subjects:?}");
        effects.push(Effect::Count(Counter::RevocationReceived));
    }

    pub(super) fn refuse_signal(&mut self, stream: StreamId, answer: Answer, effects: &mut Vec<Effect>) {
        self.signals.forget(stream);
        log::debug!("signal refused: {} {}", answer.details, answer.body);
        effects.push(Effect::Count(Counter::RevocationRefused));
        effects.push(Effect::Answer(stream, answer));
    }
}

impl NotVerified {
    pub(super) fn text(self) -> String {
        match self {
            Self::Bad(reason) | Self::NotOne(reason) => reason,
            Self::Host | Self::NoKeys(_) => NOT_SIGNED.to_owned(),
        }
    }

    /// As the transmitter of a security event token is told (RFC 8935 §2.4).
    pub(super) fn of_event(&self) -> SetRefused {
        match self {
            Self::NotOne(_) => SetError::InvalidRequest.because("not a JWT with typ secevent+jwt"),
            Self::Bad(_) | Self::Host | Self::NoKeys(_) => SetError::InvalidKey.because(NOT_SIGNED),
        }
    }
}

pub(super) fn pushed(sources: &Sources) -> Option<&SecurityEvents> {
    sources.security_events.as_ref()
}

fn of(signer: &Signer, which: Vec<Which>) -> Vec<Subject> {
    which.into_iter().map(|which| Subject::Of(signer.tag, which)).collect()
}

/// How often at most all verdicts without a session are withdrawn for one that none can be related to. The server waits
/// for the answer so long; some give up after 2.5 s.
const SPAN_OF_UNKNOWN: Duration = Duration::from_secs(2);

/// Between two complaints of the same.
const QUIET: Duration = Duration::from_secs(60);

/// Signals that wait for keys at once, per worker.
const MAX_PARKED: usize = 256;

/// Of a media type that is looked at; the kinds of signals have short ones.
const MAX_CONTENT_TYPE_BYTES: usize = 256;

const NOT_SIGNED: &str = "no key of the provider's verifies the signature";
