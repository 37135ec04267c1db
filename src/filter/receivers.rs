//! Requests that carry a signal: who may send one, their bodies, and revocation requests that pass through.

use std::borrow::Cow;
use std::rc::Rc;
use std::time::Duration;

use super::signals::{Incoming, pushed};
use super::{Effect, Filter, StreamId};
use crate::cache::Cached;
use crate::http::is_media_type;
use crate::metrics::Counter;
use crate::request::{HeaderEditsBuf, RequestView};
use crate::revocation::admin::Withdrawal;
use crate::revocation::answer;
use crate::revocation::back_channel_logout::logout_token;
use crate::revocation::revocation_endpoint::RevocationRequest;
use crate::revocation::security_event::SetError;
use crate::revocation::sources::{Receiver, is_authorized};
use crate::token::{AccessToken, UnixMillis};

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
        let authorization = request.authorization();
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
            _ if self.signals.count(receiver) >= MAX_INCOMING => {
                Some(answer::unavailable("too_many_signals"))
            }
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
            effects.push(Effect::Forward(stream, self.passage(HeaderEditsBuf::default(), None, None)));
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
                let is_event = is_media_type(content_type, "application/secevent+jwt");
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
}

/// How long a body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// Requests that are answered in one callback.
const MAX_GIVEN_UP: usize = 16;

/// Requests to one receiver that are awaited at once, per worker: slow ones to one keep nobody from another.
const MAX_INCOMING: usize = 1024;
