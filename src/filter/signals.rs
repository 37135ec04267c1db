//! Signals that come in with requests: their body is awaited, they are verified, perhaps once the provider's keys
//! are here, and what they withdraw is withdrawn before they are answered.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use super::keys::KeysWanted;
use super::{Effect, Filter, StreamId};
use crate::cache::{Cached, Subject, Which};
use crate::challenge::Answer;
use crate::jwt::{UntrustedJwt, Unverified, VerifiedJwt};
use crate::metrics::Counter;
use crate::request::RequestView;
use crate::revocation::admin::Withdrawal;
use crate::revocation::answer;
use crate::revocation::back_channel_logout::{LogoutRefused, LogoutRules, logout_token};
use crate::revocation::revocation_endpoint::RevocationRequest;
use crate::revocation::security_event::{SecurityEvent, SecurityEventRules, SetError, StreamStatus};
use crate::revocation::sources::{Receiver, SecurityEvents, Signer, Sources, is_authorized};
use crate::token::{AccessToken, UnixMillis};

/// Requests that carry a signal.
#[derive(Default)]
pub(super) struct Signals {
    /// Their body, or its outcome, is awaited.
    incoming: BTreeMap<StreamId, Incoming>,
    /// They wait for keys.
    parked: BTreeMap<StreamId, Signal>,
    /// Those of them that wait no more.
    ready: VecDeque<StreamId>,
    /// No complaint about bodies that do not come before this.
    quiet_until: Option<UnixMillis>,
}

/// A request whose body is awaited.
struct Incoming {
    receiver: Receiver,
    since: UnixMillis,
    content_type: Vec<u8>,
    /// Who revokes, where that is what the request is for.
    authorization: Option<Vec<u8>>,
    /// What it would revoke, once its body has passed.
    revocation: Option<RevocationRequest>,
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
    /// The host cannot tell.
    Host,
    /// There are no keys to tell.
    NoKeys(KeysWanted),
}

impl Signals {
    /// Whether a request waits for its answer here.
    pub(super) fn holds(&self, stream: StreamId) -> bool {
        self.parked.contains_key(&stream)
            || self.incoming.get(&stream).is_some_and(|it| it.receiver != Receiver::Endpoint)
    }

    /// Whether any request waits for its body.
    pub(super) fn await_bodies(&self) -> bool {
        self.incoming.values().any(|it| it.receiver != Receiver::Endpoint)
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
        self.parked.remove(&stream);
    }

    /// Nothing that clients can bring about fills the log.
    fn may_complain(&mut self, now: UnixMillis) -> bool {
        let may = self.quiet_until.is_none_or(|until| until <= now);
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
    /// The headers of a request to one of the receivers' paths. Returns whether it is theirs.
    pub(super) fn receive(
        &mut self,
        receiver: Receiver,
        stream: StreamId,
        request: &dyn RequestView,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let is_post = request.header(":method").as_deref() == Some(b"POST");
        let authorization = request.header("authorization");
        let sources = &self.config.revocation;
        let secret = match receiver {
            Receiver::Admin => sources.admin.as_ref().map(|admin| &admin.token),
            Receiver::Push => pushed(sources).and_then(|it| it.push.as_ref()).map(|push| &push.authorization),
            Receiver::Endpoint | Receiver::Logout => None,
        };
        let is_refused = secret.is_some_and(|secret| !is_authorized(secret, authorization.as_deref()));
        let refusal = match receiver {
            // What is no revocation is a request like any other.
            Receiver::Endpoint if !is_post => return false,
            _ if !is_post => Some(answer::method_not_allowed()),
            _ if is_refused => Some(answer::not_authenticated(receiver)),
            _ if self.signals.incoming.len() >= MAX_INCOMING => Some(answer::unavailable("too_many_signals")),
            _ => None,
        };
        if let Some(answer) = refusal {
            self.refuse_signal(stream, answer, effects);
            return true;
        }
        let incoming = Incoming {
            receiver,
            since: now,
            content_type: request.header("content-type").unwrap_or_default().into_owned(),
            authorization: authorization.filter(|_| receiver == Receiver::Endpoint).map(Cow::into_owned),
            revocation: None,
        };
        self.signals.incoming.insert(stream, incoming);
        if receiver == Receiver::Endpoint {
            effects.push(Effect::Count(Counter::Forwarded));
            effects.push(Effect::Watch(stream));
            effects.push(Effect::Forward(stream, [].into()));
        } else {
            effects.push(Effect::Receive(stream));
            self.set_tick(effects);
        }
        true
    }

    /// Gives up on bodies that do not come. By default Envoy keeps them from a filter that holds the headers back.
    pub(super) fn give_up_on_bodies(&mut self, now: UnixMillis, effects: &mut Vec<Effect>) {
        let is_late =
            |it: &Incoming| it.receiver != Receiver::Endpoint && now.since(it.since) >= BODY_TIMEOUT;
        let late = self.signals.incoming.iter().filter(|(_, it)| is_late(it)).map(|(stream, _)| *stream);
        let late: Vec<StreamId> = late.take(MAX_GIVEN_UP).collect();
        if !late.is_empty() && self.signals.may_complain(now) {
            log::error!(
                "revocation: the body of a signal did not come within {} s; if none ever comes, set \
                 allow_on_headers_stop_iteration: true beside vm_config",
                BODY_TIMEOUT.as_secs()
            );
        }
        for stream in late {
            self.refuse_signal(stream, answer::unavailable("signal_without_body"), effects);
        }
    }

    /// A request's body is here; `None` if it is too long.
    pub(super) fn body(
        &mut self,
        stream: StreamId,
        body: Option<&[u8]>,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        let Some(mut incoming) = self.signals.incoming.remove(&stream) else { return };
        let Incoming { receiver, content_type, authorization, .. } = &incoming;
        match receiver {
            Receiver::Admin => self.order(stream, body, now, effects),
            Receiver::Endpoint => {
                let request = RevocationRequest::read(content_type, authorization.as_deref(), body);
                incoming.revocation = Some(request);
                incoming.authorization = None;
                self.signals.incoming.insert(stream, incoming);
            }
            Receiver::Logout => match body.and_then(|body| logout_token(content_type, body)) {
                Some(token) => self.signal(stream, Receiver::Logout, token, now, effects),
                None => {
                    let reason = "expected a form with one logout_token";
                    self.refuse_signal(stream, answer::logout_not_verified(reason), effects);
                }
            },
            Receiver::Push => {
                let is_event = is_secevent(content_type);
                let token = body.filter(|_| is_event).and_then(|body| std::str::from_utf8(body).ok());
                match token {
                    Some(token) => self.signal(stream, Receiver::Push, token.trim().to_owned(), now, effects),
                    None => {
                        let reason = SetError::InvalidRequest.because("expected application/secevent+jwt");
                        self.refuse_signal(stream, answer::event_refused(reason), effects);
                    }
                }
            }
        }
    }

    /// The server has answered a request that passed through.
    pub(super) fn answered(
        &mut self,
        stream: StreamId,
        status: u16,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        let Some(Incoming { revocation, .. }) = self.signals.incoming.remove(&stream) else { return };
        let config = Rc::clone(&self.config);
        let Some(endpoint) = &config.revocation.endpoint else { return };
        if !(200..300).contains(&status) {
            return;
        }
        // An answer that comes before the whole request is one to nobody knows what.
        let subjects = revocation
            .unwrap_or_default()
            .withdraws(endpoint.tag, |token| self.knows(&endpoint.provider, token, now));
        // The server has done what it says.
        self.withdraw(&subjects, Duration::ZERO, now, effects);
    }

    /// Whether there is a verdict on a token of this provider.
    fn knows(&self, provider: &str, token: &AccessToken, now: UnixMillis) -> bool {
        let Some(provider) = self.config.providers.iter().find(|it| it.name == provider) else {
            return false;
        };
        let digests = self.keys.digests(provider, token);
        digests.iter().any(|digest| matches!(self.cache.find(digest, now), Some(Cached::Active(_))))
    }

    /// Takes a signal up again that has waited for keys. Returns whether there was one.
    pub(super) fn unpark_signal(&mut self, now: UnixMillis, effects: &mut Vec<Effect>) -> bool {
        let Some(stream) = self.signals.ready.pop_front() else { return false };
        if let Some(signal) = self.signals.parked.remove(&stream) {
            self.check(stream, signal, now, effects);
        }
        true
    }

    fn signal(
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
                return self.park_signal(stream, signal, signer, wanted, effects);
            }
            Err(NotVerified::NoKeys(_)) if self.keys.are_out_of_reach(&signer.jwks) => {
                return self.refuse_signal(stream, answer::unavailable("signal_without_keys"), effects);
            }
            Err(NotVerified::Host) => {
                return self.refuse_signal(stream, answer::unavailable("signal_not_verifiable"), effects);
            }
            Err(reason) => {
                let reason = reason.text();
                let answer = if is_logout {
                    answer::logout_not_verified(&reason)
                } else {
                    answer::event_refused(SetError::InvalidKey.because(NOT_SIGNED))
                };
                return self.refuse_signal(stream, answer, effects);
            }
        };
        let refusal = if is_logout {
            self.apply_logout(&verified, now, effects).err().map(answer::logout_refused)
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
        let jwt =
            UntrustedJwt::parse(token.as_bytes()).map_err(|reason| NotVerified::Bad(reason.to_string()))?;
        if !admits(jwt.typ()) {
            return Err(NotVerified::Bad("typ is that of another kind of JWT".to_owned()));
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
        effects: &mut Vec<Effect>,
    ) {
        // Signals that name keys at random must not fill all the room.
        if self.signals.parked.len() >= MAX_PARKED
            || !self.keys.wait_with_signal(stream, &signer.jwks, wanted)
        {
            return self.refuse_signal(stream, answer::unavailable("signal_without_keys"), effects);
        }
        self.signals.parked.insert(stream, signal);
        effects.push(Effect::AskForTurn);
    }

    fn apply_logout(
        &self,
        verified: &VerifiedJwt,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) -> Result<(), LogoutRefused> {
        let sources = &self.config.revocation;
        let Some(receiver) = &sources.back_channel_logout else { return Err(LogoutRefused::OtherIssuer) };
        let logout = receiver.rules.check(verified.typ(), verified.claims(), now)?;
        if !self.replay.is_first(&receiver.rules.issuer, &logout.jti, logout.replayable_until, now) {
            return Err(LogoutRefused::Replayed);
        }
        let subjects = of(&receiver.signer, logout.withdraws);
        self.withdraw(&subjects, sources.settle, now, effects);
        Ok(())
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

    /// The operator's order.
    fn order(&mut self, stream: StreamId, body: Option<&[u8]>, now: UnixMillis, effects: &mut Vec<Effect>) {
        let body = body.filter(|body| body.len() <= Withdrawal::MAX_BODY_BYTES);
        match Withdrawal::read(body, &self.config.revocation.providers) {
            Ok(withdrawal) => {
                self.withdraw(withdrawal.subjects(), Duration::ZERO, now, effects);
                let answer = answer::received(Receiver::Admin, Some(&withdrawal));
                effects.push(Effect::Answer(stream, answer));
            }
            Err(reason) => self.refuse_signal(stream, answer::admin_refused(reason), effects),
        }
    }

    /// Withdraws, for all workers, before anybody is answered.
    fn withdraw(&self, subjects: &[Subject], settle: Duration, now: UnixMillis, effects: &mut Vec<Effect>) {
        self.cache.withdrawals().withdraw(subjects, settle, now);
        log::debug!("withdrawn: {subjects:?}");
        effects.push(Effect::Count(Counter::RevocationReceived));
    }

    fn refuse_signal(&mut self, stream: StreamId, answer: Answer, effects: &mut Vec<Effect>) {
        self.signals.forget(stream);
        log::debug!("signal refused: {} {}", answer.details, answer.body);
        effects.push(Effect::Count(Counter::RevocationRefused));
        effects.push(Effect::Answer(stream, answer));
    }
}

impl NotVerified {
    pub(super) fn text(self) -> String {
        match self {
            Self::Bad(reason) => reason,
            Self::Host | Self::NoKeys(_) => NOT_SIGNED.to_owned(),
        }
    }
}

fn pushed(sources: &Sources) -> Option<&SecurityEvents> {
    sources.security_events.as_ref()
}

fn of(signer: &Signer, which: Vec<Which>) -> Vec<Subject> {
    which.into_iter().map(|which| Subject::Of(signer.tag, which)).collect()
}

/// `application/secevent+jwt`, in any case and with any parameters.
fn is_secevent(content_type: &[u8]) -> bool {
    let essence = content_type.split(|&byte| byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"application/secevent+jwt")
}

/// How long a body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// Requests that are answered in one callback.
const MAX_GIVEN_UP: usize = 16;

/// Between two complaints of the same.
const QUIET: Duration = Duration::from_secs(60);

/// Requests whose body is awaited at once, per worker.
const MAX_INCOMING: usize = 1024;

/// Signals that wait for keys at once, per worker.
const MAX_PARKED: usize = 256;

const NOT_SIGNED: &str = "no key of the provider's verifies the signature";
