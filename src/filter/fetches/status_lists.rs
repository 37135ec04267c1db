//! Status lists (Token Status List): fetched when a token names one, again before they are old, and looked into on
//! every request, so that a token that nobody is asked about can be revoked all the same.
//!
//! Each worker has its own. A request whose list is not here waits for it, like one that waits for keys. A list
//! that cannot be had refuses, or, where the configuration says so, serves on for a while.

use std::rc::Rc;
use std::time::Duration;

use litemap::LiteMap;

use super::back_off::in_words;
use super::keys::{KeyRings, KeysWanted};
use super::schedule::{Pauses, Schedule};
use super::signed::NotVerified;
use crate::claims::Claims;
use crate::filter::event::{CallId, StreamId};
use crate::filter::part::{Pace, Part};
use crate::filter::step::Step;
use crate::http::{Reply, retry_after};
use crate::policy::{Denial, InvalidToken, Unavailable};
use crate::provider::Validator;
use crate::revocation::status_list::{Status, StatusList, StatusReference, is_status_list};
use crate::token::UnixMillis;

/// The lists that tokens have named.
#[derive(Default)]
pub(in crate::filter) struct StatusLists {
    lists: LiteMap<Key, Listed>,
    /// How many of them somebody waits for whose fetch has not begun: every request asks, and there may be thousands.
    awaited: usize,
}

/// A list, by whose it is and where: what another provider says at the same address is none of this one's business.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::filter) struct Key {
    provider: String,
    uri: String,
}

/// A list, and what is known of fetching it.
struct Listed {
    validator: Rc<Validator>,
    current: Option<StatusList>,
    schedule: Schedule,
    /// It does not go to make room for others before this, so that lists are not fetched for each request should there
    /// be more of them than there is room for.
    stays_until: UnixMillis,
    /// Whether a token has named it since it was fetched last.
    is_used: bool,
    waiting: Vec<StreamId>,
}

/// What a token's status means for a request.
pub(in crate::filter) enum Outcome {
    Good,
    Refused(Denial),
    /// Nobody knows yet.
    Wait(Key),
}

impl StatusLists {
    /// Makes room for so many bytes beside `key`: of those that nobody waits for, the oldest go.
    fn make_room(&mut self, key: &Key, bytes: usize, now: UnixMillis) -> bool {
        let others = |(other, listed): (&Key, &Listed)| if other == key { 0 } else { listed.len(other) };
        let mut used: usize = self.lists.iter().map(others).sum();
        while used + bytes > MAX_BYTES {
            let may_go = |(other, listed): &(&Key, &Listed)| {
                *other != key
                    && !listed.schedule.is_under_way()
                    && listed.waiting.is_empty()
                    && listed.stays_until <= now
            };
            let idle = self.lists.iter().filter(may_go);
            let oldest = idle.min_by_key(|(_, listed)| listed.current.as_ref().map(|list| list.fresh_until));
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else { return false };
            used -= self.lists.remove(&oldest).map_or(0, |listed| listed.len(&oldest));
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

    /// One that no token has named since it was fetched is left to grow old.
    fn is_due(&self, now: UnixMillis) -> bool {
        self.schedule.is_due(now) && (self.is_used || !self.waiting.is_empty())
    }
}

impl StatusLists {
    /// Looks at the status of a token that was found good.
    pub(in crate::filter) fn status(
        &mut self,
        validator: &Rc<Validator>,
        claims: Claims<'_>,
        now: UnixMillis,
    ) -> Outcome {
        let Some(source) = &validator.status_lists else { return Outcome::Good };
        let reference = match StatusReference::of(&claims.members()) {
            Ok(None) => return Outcome::Good,
            Ok(Some(reference)) if source.admits(&reference.uri) => reference,
            // Somewhere where nothing is to be fetched from, or nowhere at all.
            Ok(Some(_)) | Err(_) => return Outcome::Refused(InvalidToken::UnknownStatus.into()),
        };
        let key = Key { provider: validator.origin.provider.clone(), uri: reference.uri };
        if !self.lists.contains_key(&key) {
            if !self.make_room(&key, BYTES_PER_LIST, now) {
                return Outcome::Refused(Unavailable::NoStatusList { seconds: 1 }.into());
            }
            let listed = Listed {
                validator: Rc::clone(validator),
                current: None,
                schedule: Schedule::new(),
                stays_until: now.plus(STAYS),
                is_used: true,
                waiting: Vec::new(),
            };
            self.lists.insert(key.clone(), listed);
        }
        let Some(listed) = self.lists.get_mut(&key) else {
            return Outcome::Refused(Unavailable::NoStatusList { seconds: 1 }.into());
        };
        listed.is_used = true;
        let stale = if listed.schedule.has_failed() { source.max_stale } else { Duration::ZERO };
        match listed.current.as_ref().filter(|list| list.serves(stale, now)) {
            Some(list) => match list.status(reference.idx) {
                Some(Status::Valid) => Outcome::Good,
                Some(Status::Invalid | Status::Suspended | Status::Other(_)) => {
                    Outcome::Refused(InvalidToken::Revoked.into())
                }
                None => Outcome::Refused(InvalidToken::UnknownStatus.into()),
            },
            // Of a server that has just failed, nothing better is to be expected at once.
            None if listed.schedule.has_failed() && now < listed.schedule.due() => {
                let seconds = retry_after(listed.schedule.due().since(now));
                Outcome::Refused(Unavailable::NoStatusList { seconds }.into())
            }
            None => Outcome::Wait(key),
        }
    }

    /// Lets a request wait for a list.
    pub(in crate::filter) fn wait(&mut self, key: &Key, stream: StreamId) {
        if let Some(listed) = self.lists.get_mut(key) {
            let was_awaited = listed.schedule.is_awaited();
            listed.schedule.want();
            self.awaited += usize::from(listed.schedule.is_awaited() && !was_awaited);
            listed.waiting.push(stream);
        }
    }

    /// Fetches the lists whose time has come; only in the root's callbacks.
    pub(in crate::filter) fn fetch(&mut self, step: &mut Step<'_>) {
        let now = step.now;
        for (key, listed) in self.lists.iter_mut().filter(|(_, listed)| listed.is_due(now)) {
            let request = listed.validator.status_lists.as_ref().and_then(|source| source.request(&key.uri));
            let Some(request) = request else { continue };
            let call = step.call(request);
            self.awaited -= usize::from(listed.schedule.is_awaited());
            listed.schedule.begin(call, PAUSES, step.now);
            listed.is_used = false;
        }
    }

    /// A call ended. Returns the requests that wait no more, if it was a fetch.
    pub(in crate::filter) fn ended(
        &mut self,
        call: CallId,
        reply: Option<&Reply<'_>>,
        keys: &mut KeyRings,
        step: &Step<'_>,
    ) -> Option<Vec<StreamId>> {
        let (key, listed) = self.lists.iter().find(|(_, listed)| listed.schedule.is(call))?;
        let (key, validator) = (key.clone(), Rc::clone(&listed.validator));
        let read = read(&key.uri, &validator, reply, keys, step).and_then(|list| {
            let is_room = self.make_room(&key, list.len() + BYTES_PER_LIST, step.now);
            is_room.then_some(list).ok_or_else(|| format!("those in use take more than {MAX_BYTES} bytes"))
        });
        let listed = self.lists.get_mut(&key)?;
        listed.schedule.ended(call);
        listed.stays_until = step.now.plus(STAYS);
        match read {
            Ok(list) => {
                listed.schedule.succeeded(list.fresh_until.minus(list.lead()));
                listed.current = Some(list);
            }
            Err(reason) => {
                let asked = listed.schedule.failed(PAUSES, reply, step.now);
                let provider = &validator.origin.provider;
                log::warn!("provider {provider:?}: no status list fetched: {reason}{}", in_words(asked));
            }
        }
        listed.schedule.is_not_wanted();
        Some(std::mem::take(&mut listed.waiting))
    }
}

impl Part for StatusLists {
    fn tick(&mut self, step: &mut Step<'_>) {
        self.fetch(step);
    }

    fn pace(&self) -> Pace {
        match self.awaited {
            0 if self.lists.is_empty() => Pace::Idle,
            0 => Pace::NowAndThen,
            _ => Pace::Soon,
        }
    }

    fn clock_set_back(&mut self, _: UnixMillis) {
        for (_, listed) in self.lists.iter_mut() {
            (listed.current, listed.stays_until) = (None, UnixMillis::from_millis(0));
            listed.schedule.clock_set_back();
        }
    }
}

/// The list that a reply brings.
fn read(
    uri: &str,
    validator: &Validator,
    reply: Option<&Reply<'_>>,
    keys: &mut KeyRings,
    step: &Step<'_>,
) -> Result<StatusList, String> {
    let reply = reply.ok_or("no answer")?;
    if reply.status != 200 || !is_status_list(reply.content_type) {
        return Err(format!("expected status 200 with application/statuslist+jwt, got {}", reply.status));
    }
    let body = reply.text().map_err(|reason| reason.to_string())?;
    let text = std::str::from_utf8(body.trim_ascii()).map_err(|_| "expected a JWT, got none")?;
    match keys.verify(&validator.signer(), StatusList::admits, text, step) {
        Ok(jwt) => {
            StatusList::read(jwt.typ(), jwt.claims(), uri, step.now).map_err(|reason| reason.to_string())
        }
        Err(reason) => {
            if let NotVerified::NoKeys(KeysWanted::Any | KeysWanted::Newer) = reason {
                keys.want(&validator.jwks);
            }
            Err(reason.text())
        }
    }
}

/// Fetches of one list that fail are so far apart.
const PAUSES: Pauses =
    Pauses { least: Duration::ZERO, first: Duration::from_secs(1), longest: Duration::from_secs(30) };

/// What lists of a worker may take: some thousands of usual ones, sixteen of the largest.
const MAX_BYTES: usize = 17 << 20;

/// A list without what it says.
const BYTES_PER_LIST: usize = 4 << 10;

/// How long a list stays that was fetched: with more of them than there is room for, others have to wait.
const STAYS: Duration = Duration::from_secs(10);
