//! What proves to the store that we may: a token that was given to us, or one that it gives for a user and a password.

use std::rc::Rc;
use std::time::Duration;

use super::calls::Authentication;
use super::link::{Link, Stage};
use super::lost::Lost;
use crate::client::Authorization;
use crate::filter::event::CallId;
use crate::filter::part::NOW_AND_THEN;
use crate::filter::step::Step;
use crate::fleet::{Credentials, etcd};
use crate::grpc::GrpcStatus;

impl Link {
    /// Whether there is all that the store wants to see of us. Otherwise it is asked for.
    pub(super) fn is_authorized(&mut self, step: &mut Step<'_>) -> bool {
        let fleet = Rc::clone(&self.fleet);
        let (name, password) = match &fleet.credentials {
            None | Some(Credentials::Token(Authorization::Secret(_))) => return true,
            Some(Credentials::Token(Authorization::ClientCredentials(credentials))) => {
                let Authentication { token, showing, .. } = &mut self.authentication;
                let shown = showing.token(Some(credentials), &step.worker.access_tokens, step.now);
                if let Ok(Some(shown)) = &shown {
                    *token = Some(shown.secret().to_owned());
                }
                return shown.is_ok();
            }
            Some(Credentials::User(name, password)) => (name, password),
        };
        if self.authentication.token.is_some() {
            return true;
        }
        let is_time = self.authentication.not_before.is_none_or(|then| then <= step.now);
        if self.authentication.under_way.is_none() && is_time {
            let message = etcd::authenticate(name, password.secret());
            self.authentication.under_way = Some(self.call(etcd::AUTH, "Authenticate", message, step));
        }
        false
    }

    /// An access token of ours is here, which may be the store's.
    pub(super) fn token_came(&mut self, step: &mut Step<'_>) {
        if self.known.is_none() || !self.shows_access_token() {
            return;
        }
        if let Stage::Apart(until) = self.stage
            && until <= step.now
        {
            self.begin(step);
        }
        self.put(step);
    }

    fn shows_access_token(&self) -> bool {
        matches!(self.fleet.credentials, Some(Credentials::Token(Authorization::ClientCredentials(_))))
    }

    /// The store takes the token no more.
    pub(super) fn token_was_refused(&mut self, step: &Step<'_>) {
        let Authentication { token, showing, .. } = &mut self.authentication;
        *token = None;
        if let Some(Credentials::Token(token)) = &self.fleet.credentials {
            _ = showing.was_refused(token.client_credentials(), &step.worker.access_tokens, step.now);
        }
    }

    /// A call ended. Returns whether it was this.
    pub(super) fn authentication_ended(
        &mut self,
        call: CallId,
        answer: Result<Option<&[u8]>, GrpcStatus>,
        step: &mut Step<'_>,
    ) -> bool {
        let is_it = self.authentication.under_way.take_if(|it| it.call == call).is_some();
        if is_it {
            self.authenticated(answer, step);
        }
        is_it
    }

    /// Gives up on an answer that does not come.
    pub(super) fn look_for_late_authentication(&mut self, step: &mut Step<'_>) {
        if self.authentication.under_way.take_if(|it| it.until <= step.now).is_some() {
            self.not_authenticated(Lost::NoAnswer, step);
        }
    }

    fn authenticated(&mut self, answer: Result<Option<&[u8]>, GrpcStatus>, step: &mut Step<'_>) {
        let token = answer.map(|message| message.and_then(etcd::token));
        match token {
            Ok(Some(token)) => {
                self.authentication.token = Some(token);
                if let Stage::Apart(_) = self.stage {
                    self.begin(step);
                }
                self.put(step);
            }
            Ok(None) => self.not_authenticated(Lost::Unreadable, step),
            Err(status) => {
                let why = Lost::Closed(status);
                // A password costs the store much to look at.
                let pause = if why.is_refusal() { AFTER_REFUSAL } else { NOW_AND_THEN };
                self.authentication.not_before = Some(step.now.plus(pause));
                self.not_authenticated(why, step);
            }
        }
    }

    /// A watch that there is goes on without a token.
    fn not_authenticated(&mut self, why: Lost, step: &mut Step<'_>) {
        match self.stage {
            Stage::Watching(_) => self.put_refused(why, step),
            Stage::Apart(_) | Stage::Reading(..) => self.lost(why, step),
        }
    }
}

/// Before the same password is tried again.
const AFTER_REFUSAL: Duration = Duration::from_secs(30);
