//! Status lists (Token Status List): fetched when a token names one, again before they are old, and looked into on
//! every request, so that a token that nobody is asked about can be revoked all the same.
//!
//! Each worker has its own. A request whose list is not here waits for it, like one that waits for keys. A list
//! that cannot be had refuses, or, where the configuration says so, serves on for a while.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use super::back_off::{MAX_RETRY, MIN_INTERVAL, back_off};
use super::inquiry::Inquiry;
use super::keys::KeysWanted;
use super::signals::NotVerified;
use super::{CallId, Case, Effect, Filter, Source, StreamId};
use crate::claims::Claims;
use crate::http::Reply;
use crate::metrics::Counter;
use crate::policy::{Denial, InvalidToken, Unavailable};
use crate::provider::Validator;
use crate::request::RequestView;
use crate::revocation::status_list::{Status, StatusList, StatusReference, is_status_list};
use crate::token::UnixMillis;

/// The lists that tokens have named, by their addresses.
#[derive(Default)]
pub(super) struct StatusLists(BTreeMap<String, Listed>);

/// A list, and what is known of fetching it.
struct Listed {
    validator: Rc<Validator>,
    current: Option<StatusList>,
    fetch: Option<CallId>,
    /// No fetch before this.
    not_before: UnixMillis,
    failures: u32,
    /// Whether a token has named it since it was fetched last.
    is_used: bool,
    waiting: Vec<StreamId>,
}

/// What a token's status means for a request.
enum Outcome {
    Good,
    Refused(Denial),
    /// Nobody knows yet.
    Wait(String),
}

impl StatusLists {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a fetch is due at any moment.
    pub(super) fn are_soon_due(&self) -> bool {
        self.0.values().any(|listed| listed.fetch.is_none() && !listed.waiting.is_empty())
    }

    /// Makes room for one more: of those that nobody waits for, the oldest goes.
    fn make_room(&mut self) -> bool {
        if self.0.len() < MAX_LISTS {
            return true;
        }
        let idle = self.0.iter().filter(|(_, listed)| listed.fetch.is_none() && listed.waiting.is_empty());
        let oldest = idle.min_by_key(|(_, listed)| listed.current.as_ref().map(|list| list.fresh_until));
        let oldest = oldest.map(|(uri, _)| uri.clone());
        oldest.is_some_and(|uri| self.0.remove(&uri).is_some())
    }
}

impl Listed {
    fn is_due(&self, now: UnixMillis) -> bool {
        let is_old = self.is_used
            && self.current.as_ref().is_none_or(|list| now.plus(list.lead()) >= list.fresh_until);
        self.fetch.is_none() && now >= self.not_before && (is_old || !self.waiting.is_empty())
    }
}

impl Filter {
    /// Looks at the status of a token that was found good. Gives the request back if it may go on; otherwise it has
    /// been refused, or waits.
    pub(super) fn with_status(
        &mut self,
        inquiry: Inquiry,
        claims: Claims<'_>,
        request: &dyn RequestView,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) -> Option<Inquiry> {
        // Nothing to do for all tokens but those of a provider with status lists.
        let Some(validator) = inquiry.way.validator().filter(|it| it.status_lists.is_some()) else {
            return Some(inquiry);
        };
        let validator = Rc::clone(validator);
        match self.status(&validator, claims, now) {
            Outcome::Good => Some(inquiry),
            Outcome::Refused(denial) => {
                effects.push(Effect::Count(Counter::CacheMiss));
                self.refuse(&Case { source: Source::Miss, ..inquiry.case }, &denial, effects);
                None
            }
            Outcome::Wait(uri) => {
                if self.is_full() {
                    self.refuse(&inquiry.case, &Unavailable::TooManyWaiting.into(), effects);
                    return None;
                }
                if let Some(listed) = self.status_lists.0.get_mut(&uri) {
                    listed.waiting.push(inquiry.case.stream);
                }
                self.park_aside(inquiry, request, effects);
                None
            }
        }
    }

    fn status(&mut self, validator: &Rc<Validator>, claims: Claims<'_>, now: UnixMillis) -> Outcome {
        let Some(source) = &validator.status_lists else { return Outcome::Good };
        let reference = match StatusReference::of(&claims.members()) {
            Ok(None) => return Outcome::Good,
            Ok(Some(reference)) if source.admits(&reference.uri) => reference,
            // Somewhere where nothing is to be fetched from, or nowhere at all.
            Ok(Some(_)) | Err(_) => return Outcome::Refused(InvalidToken::UnknownStatus.into()),
        };
        if !self.status_lists.0.contains_key(&reference.uri) {
            if !self.status_lists.make_room() {
                return Outcome::Refused(Unavailable::NoStatusList.into());
            }
            let listed = Listed {
                validator: Rc::clone(validator),
                current: None,
                fetch: None,
                not_before: UnixMillis::from_millis(0),
                failures: 0,
                is_used: true,
                waiting: Vec::new(),
            };
            self.status_lists.0.insert(reference.uri.clone(), listed);
        }
        let Some(listed) = self.status_lists.0.get_mut(&reference.uri) else {
            return Outcome::Refused(Unavailable::NoStatusList.into());
        };
        listed.is_used = true;
        let stale = if listed.failures > 0 { source.max_stale } else { Duration::ZERO };
        match listed.current.as_ref().filter(|list| list.serves(stale, now)) {
            Some(list) => match list.status(reference.idx) {
                Some(Status::Valid) => Outcome::Good,
                Some(Status::Invalid | Status::Suspended | Status::Other(_)) => {
                    Outcome::Refused(InvalidToken::Revoked.into())
                }
                None => Outcome::Refused(InvalidToken::UnknownStatus.into()),
            },
            // Of a server that has just failed, nothing better is to be expected at once.
            None if listed.failures > 0 && now < listed.not_before => {
                Outcome::Refused(Unavailable::NoStatusList.into())
            }
            None => Outcome::Wait(reference.uri),
        }
    }

    /// Fetches the lists whose time has come; only in the root's callbacks.
    pub(super) fn fetch_status_lists(&mut self, now: UnixMillis, effects: &mut Vec<Effect>) {
        for (uri, listed) in self.status_lists.0.iter_mut().filter(|(_, listed)| listed.is_due(now)) {
            let request = listed.validator.status_lists.as_ref().and_then(|source| source.request(uri));
            let Some(request) = request else { continue };
            let id = self.calls.new_id();
            listed.fetch = Some(id);
            listed.is_used = false;
            effects.push(Effect::Call(id, request));
        }
    }

    /// A fetch was answered. Returns whether it was one.
    pub(super) fn status_list_reply(
        &mut self,
        id: CallId,
        reply: Option<&Reply<'_>>,
        now: UnixMillis,
    ) -> bool {
        let found = self.status_lists.0.iter().find(|(_, listed)| listed.fetch == Some(id));
        let Some((uri, validator)) = found.map(|(uri, listed)| (uri.clone(), Rc::clone(&listed.validator)))
        else {
            return false;
        };
        let read = self.read_status_list(&uri, &validator, reply, now);
        let Some(listed) = self.status_lists.0.get_mut(&uri) else { return true };
        listed.fetch = None;
        match read {
            Ok(list) => {
                listed.failures = 0;
                listed.not_before = now;
                listed.current = Some(list);
            }
            Err(reason) => {
                log::warn!("provider {:?}: no status list fetched: {reason}", validator.origin.provider);
                listed.failures = listed.failures.saturating_add(1);
                listed.not_before = now.plus(back_off(MIN_INTERVAL, MAX_RETRY, listed.failures));
            }
        }
        for stream in std::mem::take(&mut listed.waiting) {
            self.parking.take_up(stream);
        }
        true
    }

    fn read_status_list(
        &mut self,
        uri: &str,
        validator: &Validator,
        reply: Option<&Reply<'_>>,
        now: UnixMillis,
    ) -> Result<StatusList, String> {
        let reply = reply.ok_or("no answer")?;
        if reply.status != 200 || !is_status_list(reply.content_type) {
            return Err(format!("expected status 200 with application/statuslist+jwt, got {}", reply.status));
        }
        let body = reply.text().map_err(|reason| reason.to_string())?;
        let text = std::str::from_utf8(body.trim_ascii()).map_err(|_| "expected a JWT, got none")?;
        match self.verify_signal(&validator.signer(), StatusList::admits, text) {
            Ok(jwt) => {
                StatusList::read(jwt.typ(), jwt.claims(), uri, now).map_err(|reason| reason.to_string())
            }
            Err(reason) => {
                if let NotVerified::NoKeys(KeysWanted::Any | KeysWanted::Newer) = reason {
                    self.keys.want(&validator.jwks);
                }
                Err(reason.text())
            }
        }
    }
}

/// Lists that a worker remembers; with at most 1 MiB each.
const MAX_LISTS: usize = 16;
