//! Requests that carry a signal: who may send one, their bodies, and revocation requests that pass through.

use std::borrow::Cow;
use std::time::Duration;

use super::Signals;
use super::incoming::Incoming;
use crate::cache::{Jwts, Subject, Which};
use crate::filter::clock::is_fresh;
use crate::filter::event::{Effect, StreamId};
use crate::filter::fetches::keys::KeyRings;
use crate::filter::judge::Passage;
use crate::filter::step::Step;
use crate::http::is_media_type;
use crate::metrics::{Counter, Whose};
use crate::request::{HeaderEditsBuf, RequestView};
use crate::revocation::admin::Withdrawal;
use crate::revocation::answer;
use crate::revocation::back_channel_logout::logout_token;
use crate::revocation::global_token_revocation::OrderRefused;
use crate::revocation::revocation_endpoint::{Known, RevocationRequest, RevokedClients};
use crate::revocation::security_event::SetError;
use crate::revocation::sources::{
    OrderedBy, Receiver, RevocationReceiver, WatchedEndpoint, bearer_token, is_authorized,
};
use crate::token::{AccessToken, Secret, UnixMillis};

impl Signals {
    /// The headers of a request to one of the receivers' paths. Returns whether it is theirs.
    pub(in crate::filter) fn receive(
        &mut self,
        receiver: Receiver,
        stream: StreamId,
        request: &dyn RequestView,
        step: &mut Step<'_>,
    ) -> bool {
        let is_post = request.header(":method").as_deref() == Some(b"POST");
        if receiver == Receiver::Endpoint {
            // What is no revocation is a request like any other.
            return is_post && self.watch(stream, request, step);
        }
        let peer = request.peer().unwrap_or_default();
        let guessed_too_often = self.guesses.are_too_many(&peer, step.now);
        let refusal = match secret_of(receiver, step) {
            _ if !is_post => Some(answer::method_not_allowed()),
            Some(_) if guessed_too_often => Some(answer::too_many_guesses()),
            Some(secret) if !is_authorized(secret, request.authorization().as_deref()) => {
                self.guesses.add(&peer);
                Some(answer::not_authenticated(receiver))
            }
            _ => None,
        };
        if let Some(answer) = refusal {
            self.refuse(stream, answer, step);
            return true;
        }
        // That of an order may be a JWT, which is looked at once it is known what is ordered.
        let authorization = (request.authorization())
            .filter(|it| receiver == Receiver::Order && it.len() <= MAX_AUTHORIZATION_BYTES)
            .map(Cow::into_owned);
        let incoming = Incoming::new(receiver, peer, request, step.now);
        self.await_body(stream, Incoming { authorization, ..incoming }, step);
        step.push(Effect::Receive(stream));
        true
    }

    /// Lets a revocation request pass and watches it, if it goes to the server.
    fn watch(&mut self, stream: StreamId, request: &dyn RequestView, step: &mut Step<'_>) -> bool {
        let is_it = |endpoint: &WatchedEndpoint| endpoint.is_reached_by(request);
        if !step.worker.config.revocation.endpoint.as_ref().is_some_and(is_it) {
            log::debug!("revocation.endpoint: not routed to its cluster, and so a request like any other");
            return false;
        }
        let incoming = Incoming {
            authorization: request
                .authorization()
                .filter(|it| it.len() <= MAX_AUTHORIZATION_BYTES)
                .map(Cow::into_owned),
            ..Incoming::new(Receiver::Endpoint, request.peer().unwrap_or_default(), request, step.now)
        };
        self.await_body(stream, incoming, step);
        step.count(Counter::Forwarded, Whose::NOBODY);
        step.push(Effect::Watch(stream));
        step.push(Effect::Forward(
            stream,
            Passage::new(HeaderEditsBuf::default(), None, None, &step.worker.config),
        ));
        true
    }

    /// Waits for a body. Where as many are awaited as may be, the eldest goes of those who hold most.
    fn await_body(&mut self, stream: StreamId, incoming: Incoming, step: &mut Step<'_>) {
        if self.count(incoming.receiver) >= MAX_INCOMING
            && let Some(eldest) = self.eldest_of_most(incoming.receiver)
        {
            self.give_up(eldest, "too_many_signals");
            step.push(Effect::AskForTurn);
        }
        self.incoming.insert(stream, incoming);
    }

    /// Gives up on bodies that do not come. By default Envoy keeps them from a filter that holds the headers back.
    pub(super) fn give_up_on_bodies(&mut self, now: UnixMillis) {
        let is_late = |it: &Incoming| {
            let longest = if it.receiver == Receiver::Endpoint { WATCH_TIMEOUT } else { BODY_TIMEOUT };
            !is_fresh(it.since, longest, now)
        };
        let late: Vec<_> = self.incoming.iter().filter(|(_, it)| is_late(it)).collect();
        let is_received = late.iter().any(|(_, it)| it.receiver != Receiver::Endpoint);
        let late: Vec<StreamId> = late.into_iter().map(|(stream, _)| *stream).collect();
        if is_received && self.may_complain(now) {
            log::error!(
                "revocation: the body of a signal did not come within {} s; if none ever comes, set \
                 allow_on_headers_stop_iteration: true beside vm_config",
                BODY_TIMEOUT.as_secs()
            );
        }
        for stream in late {
            self.give_up(stream, "signal_without_body");
        }
    }

    /// Whether a request's body is still of interest.
    pub(in crate::filter) fn awaits_body(&self, stream: StreamId) -> bool {
        self.incoming.contains_key(&stream)
    }

    /// A request's body is here; `None` if it is too long.
    pub(in crate::filter) fn body(
        &mut self,
        stream: StreamId,
        body: Option<&[u8]>,
        keys: &mut KeyRings,
        step: &mut Step<'_>,
    ) {
        let Some(mut incoming) = self.incoming.remove(&stream) else { return };
        let Incoming { receiver, content_type, authorization, .. } = &incoming;
        match receiver {
            Receiver::Admin => self.order(stream, &incoming.peer, body, step),
            Receiver::Order => {
                self.revoke_user(stream, content_type, authorization.as_deref(), body, keys, step);
            }
            Receiver::Endpoint => {
                let request = RevocationRequest::read(content_type, authorization.as_deref(), body);
                incoming.revocation = Some(request);
                incoming.authorization = None;
                self.incoming.insert(stream, incoming);
            }
            Receiver::Logout(_) => match body.and_then(|body| logout_token(content_type, body)) {
                Some(token) => self.signal(stream, *receiver, (token, Ok(Vec::new())), keys, step),
                None => {
                    let reason = "expected a form with one logout_token";
                    self.refuse(stream, answer::logout_not_verified(reason), step);
                }
            },
            Receiver::Push(_) => {
                let is_event = is_media_type(content_type, "application/secevent+jwt");
                let token = body.filter(|_| is_event).and_then(|body| std::str::from_utf8(body).ok());
                match token {
                    Some(token) => {
                        let token = token.trim().to_owned();
                        self.signal(stream, *receiver, (token, Ok(Vec::new())), keys, step);
                    }
                    None => {
                        let reason = SetError::InvalidRequest.because("expected application/secevent+jwt");
                        self.refuse(stream, answer::event_refused(reason), step);
                    }
                }
            }
        }
    }

    /// The server has answered a request that passed through.
    pub(in crate::filter) fn answered(
        &mut self,
        stream: StreamId,
        status: u16,
        known: &dyn Fn(&str, &AccessToken) -> Known,
        step: &mut Step<'_>,
    ) {
        let Some(incoming) = self.incoming.remove(&stream) else { return };
        let Some(endpoint) = &step.worker.config.revocation.endpoint else { return };
        if !(200..300).contains(&status) {
            return;
        }
        // An answer that comes before the whole request is one to nobody knows what.
        let request = incoming.revocation.unwrap_or_else(|| {
            RevocationRequest::read(&incoming.content_type, incoming.authorization.as_deref(), None)
        });
        let revoked = request.withdraws(|token| known(&endpoint.provider, token));
        // The server has done what it says.
        if !revoked.tokens.is_empty() {
            step.withdraw(&revoked.tokens, Jwts::Spared, Duration::ZERO);
        }
        if !revoked.jwts.is_empty() {
            let jwt = |jwt| Subject::Jwt(endpoint.tag, jwt);
            let jwts: Vec<Subject> = revoked.jwts.into_iter().map(jwt).collect();
            step.withdraw(&jwts, Jwts::Named(step.now), Duration::ZERO);
        }
        let (clients, span, may_be_made_up) = match revoked.clients {
            RevokedClients::None => return,
            RevokedClients::Authenticated(clients) => (clients, SPAN_OF_AUTHENTICATED, false),
            RevokedClients::Named(clients) => (clients, SPAN_OF_NAMED, true),
        };
        for client in clients {
            // Watermarks of clients that there are not would only fill the room for those of others.
            if may_be_made_up && !step.worker.cache.seen().has_client(endpoint.tag, &client) {
                continue;
            }
            let which = (endpoint.tag, Which::Client(client));
            self.deferred.withdraw_at_most_every(span, which, Duration::ZERO, step);
        }
    }

    /// All tokens of a user are to be revoked.
    fn revoke_user(
        &mut self,
        stream: StreamId,
        content_type: &[u8],
        authorization: Option<&[u8]>,
        body: Option<&[u8]>,
        keys: &mut KeyRings,
        step: &mut Step<'_>,
    ) {
        let Some(receiver) = &step.worker.config.revocation.global_token_revocation else { return };
        let ordered = receiver.read(content_type, body);
        match &receiver.ordered_by {
            // It was looked at before the body was read.
            OrderedBy::Secret(_) => self.carry_out(receiver, ordered, stream, step),
            OrderedBy::Jwt(..) => match authorization.and_then(bearer_token) {
                Some(token) => self.signal(stream, Receiver::Order, (token, ordered), keys, step),
                None => {
                    let reason = OrderRefused::Unauthenticated("authorization has no bearer token");
                    self.refuse(stream, answer::order_refused(reason), step);
                }
            },
        }
    }

    /// Withdraws what was ordered by who may.
    pub(super) fn carry_out(
        &mut self,
        receiver: &RevocationReceiver,
        ordered: Result<Vec<Which>, OrderRefused>,
        stream: StreamId,
        step: &mut Step<'_>,
    ) {
        match ordered {
            Ok(ordered) => {
                let subject = |which| Subject::Of(receiver.tag, which);
                let subjects: Vec<Subject> = ordered.into_iter().map(subject).collect();
                step.withdraw(&subjects, Jwts::Named(step.now), step.worker.config.revocation.settle);
                step.push(Effect::Answer(stream, answer::order_done()));
            }
            Err(reason) => self.refuse(stream, answer::order_refused(reason), step),
        }
    }

    /// The operator's order.
    fn order(&mut self, stream: StreamId, peer: &[u8], body: Option<&[u8]>, step: &mut Step<'_>) {
        let body = body.filter(|body| body.len() <= Withdrawal::MAX_BODY_BYTES);
        match Withdrawal::read(body, &step.worker.config.revocation.providers) {
            Ok(withdrawal) => {
                step.withdraw(withdrawal.subjects(), Jwts::All(step.now), Duration::ZERO);
                // For whoever asks later who it was: what was withdrawn by, and not whose it was.
                log::warn!("revocation.admin: {withdrawal}, as {} ordered", peer.escape_ascii());
                step.push(Effect::Answer(stream, answer::withdrawn(&withdrawal)));
            }
            Err(reason) => self.refuse(stream, answer::admin_refused(reason), step),
        }
    }
}

/// What the senders to a receiver have to present, where it is not a signature.
fn secret_of<'w>(receiver: Receiver, step: &Step<'w>) -> Option<&'w Secret> {
    let sources = &step.worker.config.revocation;
    match receiver {
        Receiver::Admin => sources.admin.as_ref().map(|admin| &admin.token),
        Receiver::Push(place) => Some(&sources.security_events.get(place)?.push.as_ref()?.authorization),
        Receiver::Order => match &sources.global_token_revocation.as_ref()?.ordered_by {
            OrderedBy::Secret(secret) => Some(secret),
            OrderedBy::Jwt(..) => None,
        },
        Receiver::Endpoint | Receiver::Logout(_) => None,
    }
}

/// How long a body may take. It is looked for once a second, and Keycloak gives up after five.
const BODY_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a revocation that passes through may take, answer and all.
const WATCH_TIMEOUT: Duration = Duration::from_secs(60);

/// How often at most all verdicts of a client are withdrawn that sends something to authenticate by: a server that
/// says yes may not have looked at it.
const SPAN_OF_AUTHENTICATED: Duration = Duration::from_secs(1);

/// The same of a client that anybody may have named.
const SPAN_OF_NAMED: Duration = Duration::from_secs(10);

/// Requests to one receiver that are awaited at once, per worker: slow ones to one keep nobody from another.
const MAX_INCOMING: usize = 1024;

/// Of a client's credentials at the server: they wait with the request, as many as may.
const MAX_AUTHORIZATION_BYTES: usize = 8 << 10;
