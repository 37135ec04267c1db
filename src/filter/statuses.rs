//! Status lists (Token Status List): fetched when a token names one, again before they are old, and looked into on
//! every request, so that a token that nobody is asked about can be revoked all the same.
//!
//! Each worker has its own. A request whose list is not here waits for it, like one that waits for keys. A list
//! that cannot be had refuses, or, where the configuration says so, serves on for a while.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use super::back_off::{MAX_RETRY, MIN_INTERVAL, asked_pause, back_off, in_words};
use super::inquiry::Inquiry;
use super::keys::KeysWanted;
use super::signals::NotVerified;
use super::{CallId, Case, Effect, Filter, Source, StreamId};
use crate::claims::Claims;
use crate::http::{Reply, retry_after};
use crate::metrics::Counter;
use crate::policy::{Denial, InvalidToken, Unavailable};
use crate::provider::Validator;
use crate::request::RequestView;
use crate::revocation::status_list::{Status, StatusList, StatusReference, is_status_list};
use crate::token::UnixMillis;

/// The lists that tokens have named.
#[derive(Default)]
pub(super) struct StatusLists(BTreeMap<Key, Listed>);

/// A list, by whose it is and where: what another provider says at the same address is none of this one's business.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    provider: String,
    uri: String,
}

/// A list, and what is known of fetching it.
struct Listed {
    validator: Rc<Validator>,
    current: Option<StatusList>,
    fetch: Option<CallId>,
    /// No fetch before this.
    not_before: UnixMillis,
    /// It does not go to make room for others before this, so that lists are not fetched for each request should there
    /// be more of them than there is room for.
    stays_until: UnixMillis,
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
    Wait(Key),
}

impl StatusLists {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a fetch is due at any moment.
    pub(super) fn are_soon_due(&self) -> bool {
        self.0.values().any(|listed| listed.fetch.is_none() && !listed.waiting.is_empty())
    }

    /// What is remembered is to be fetched again.
    pub(super) fn clock_set_back(&mut self) {
        let begin = UnixMillis::from_millis(0);
        for listed in self.0.values_mut() {
            (listed.current, listed.not_before, listed.stays_until) = (None, begin, begin);
        }
    }

    /// Makes room for so many bytes beside `key`: of those that nobody waits for, the oldest go.
    fn make_room(&mut self, key: &Key, bytes: usize, now: UnixMillis) -> bool {
        let others = |(other, listed): (&Key, &Listed)| if other == key { 0 } else { listed.len(other) };
        let mut used: usize = self.0.iter().map(others).sum();
        while used + bytes > MAX_BYTES {
            let may_go = |(other, listed): &(&Key, &Listed)| {
                *other != key
                    && listed.fetch.is_none()
                    && listed.waiting.is_empty()
                    && listed.stays_until <= now
            };
            let idle = self.0.iter().filter(may_go);
            let oldest = idle.min_by_key(|(_, listed)| listed.current.as_ref().map(|list| list.fresh_until));
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else { return false };
            used -= self.0.remove(&oldest).map_or(0, |listed| listed.len(&oldest));
        }
        true
    }
}

impl Listed {
    /// What it takes of memory.
    fn len(&self, key: &Key) -> usize {
        let list = self.current.as_ref().map_or(0, StatusList::len);
        list + key.uri.len() + key.provider.len() + BYTES_PER_LIST
    }

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
            Outcome::Wait(key) => {
                if self.is_full() {
                    self.refuse(&inquiry.case, &Unavailable::TooManyWaiting.into(), effects);
                    return None;
                }
                if let Some(listed) = self.status_lists.0.get_mut(&key) {
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
        let key = Key { provider: validator.origin.provider.clone(), uri: reference.uri };
        if !self.status_lists.0.contains_key(&key) {
            if !self.status_lists.make_room(&key, BYTES_PER_LIST, now) {
                return Outcome::Refused(Unavailable::NoStatusList { seconds: 1 }.into());
            }
            let listed = Listed {
                validator: Rc::clone(validator),
                current: None,
                fetch: None,
                not_before: UnixMillis::from_millis(0),
                stays_until: now.plus(STAYS),
                failures: 0,
                is_used: true,
                waiting: Vec::new(),
            };
            self.status_lists.0.insert(key.clone(), listed);
        }
        let Some(listed) = self.status_lists.0.get_mut(&key) else {
            return Outcome::Refused(Unavailable::NoStatusList { seconds: 1 }.into());
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
                let seconds = retry_after(listed.not_before.since(now));
                Outcome::Refused(Unavailable::NoStatusList { seconds }.into())
            }
            None => Outcome::Wait(key),
        }
    }

    /// Fetches the lists whose time has come; only in the root's callbacks.
    pub(super) fn fetch_status_lists(&mut self, now: UnixMillis, effects: &mut Vec<Effect>) {
        for (key, listed) in self.status_lists.0.iter_mut().filter(|(_, listed)| listed.is_due(now)) {
            let request = listed.validator.status_lists.as_ref().and_then(|source| source.request(&key.uri));
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
        let Some((key, validator)) = found.map(|(key, listed)| (key.clone(), Rc::clone(&listed.validator)))
        else {
            return false;
        };
        let read = self.read_status_list(&key.uri, &validator, reply, now).and_then(|list| {
            let is_room = self.status_lists.make_room(&key, list.len() + BYTES_PER_LIST, now);
            is_room.then_some(list).ok_or_else(|| format!("those in use take more than {MAX_BYTES} bytes"))
        });
        let Some(listed) = self.status_lists.0.get_mut(&key) else { return true };
        listed.fetch = None;
        listed.stays_until = now.plus(STAYS);
        match read {
            Ok(list) => {
                listed.failures = 0;
                listed.not_before = now;
                listed.current = Some(list);
            }
            Err(reason) => {
                let (asked, provider) = (asked_pause(reply, MAX_RETRY, now), &validator.origin.provider);
                log::warn!("provider {provider:?}: no status list fetched: {reason}{}", in_words(asked));
                listed.failures = listed.failures.saturating_add(1);
                let pause = back_off(MIN_INTERVAL, MAX_RETRY, listed.failures);
                listed.not_before = now.plus(pause.max(asked));
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

/// What lists of a worker may take: some thousands of usual ones, sixteen of the largest.
const MAX_BYTES: usize = 17 << 20;

/// A list without what it says.
const BYTES_PER_LIST: usize = 4 << 10;

/// How long a list stays that was fetched: with more of them than there is room for, others have to wait.
const STAYS: Duration = Duration::from_secs(10);
