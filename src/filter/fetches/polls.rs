//! Security event tokens that are fetched (RFC 8936): by one worker at a time, which acknowledges only what it has
//! applied. What was not acknowledged comes again, to whoever polls then; what was applied already is recognized.

use std::rc::Rc;
use std::time::Duration;

use litemap::LiteMap;
use serde_json::{Value, json};

use super::back_off::in_words;
use super::keys::{KeyRings, KeysWanted};
use super::schedule::{Pauses, Schedule};
use super::signed::NotVerified;
use super::stream::Search;
use crate::cache::Claim;
use crate::client::ClientCredentials;
use crate::config::Config;
use crate::filter::access_tokens::Showing;
use crate::filter::event::CallId;
use crate::filter::part::{Pace, Part};
use crate::filter::security_events;
use crate::filter::step::Step;
use crate::http::{Reply, called};
use crate::json;
use crate::metrics::{Counter, Gauge, Whose};
use crate::revocation::security_event::{SecurityEventRules, SetError, SetRefused};
use crate::revocation::sources::{Poll, SecurityEvents};
use crate::token::{TokenDigest, UnixMillis};

/// All that is polled, each by itself: a transmitter that fails holds up no other.
pub(in crate::filter) struct Polls(Vec<Polling>);

/// What this worker knows of its polling of one transmitter.
struct Polling {
    events: Rc<SecurityEvents>,
    /// What its events have to say: for whom they are, a stream says that is found.
    rules: SecurityEventRules,
    poll: Poll,
    /// What the one that polls has claimed.
    lease: TokenDigest,
    /// Where the stream is found out that is polled, if that is not written.
    search: Option<Search>,
    schedule: Schedule,
    /// Until when this worker is the one that polls.
    ours_until: UnixMillis,
    /// Tokens that were applied and not yet acknowledged.
    applied: Vec<String>,
    /// Tokens that were refused and not yet reported.
    refused: LiteMap<String, SetRefused>,
    /// Tokens that waited for newer keys once.
    without_keys: Vec<String>,
    /// How many polls in a row were made at once.
    at_once: u32,
    showing: Showing,
}

impl Polls {
    pub(in crate::filter) fn new(config: &Config) -> Self {
        Self(config.revocation.security_events.iter().filter_map(Polling::new).collect())
    }

    /// An access token of ours is not to be had: who is polled with one is not.
    pub(in crate::filter) fn without_token(&self, credentials: &Rc<ClientCredentials>, step: &mut Step<'_>) {
        for Polling { poll, events, .. } in &self.0 {
            if poll.client_credentials().is_some_and(|own| Rc::ptr_eq(own, credentials)) {
                step.set(Gauge::SecurityEventsAnswers, events.whose(), 0);
            }
        }
    }

    /// A call ended. Returns whether it was a poll.
    pub(in crate::filter) fn ended(
        &mut self,
        call: CallId,
        reply: Option<&Reply<'_>>,
        keys: &mut KeyRings,
        step: &mut Step<'_>,
    ) -> bool {
        if let Some(polling) = self.0.iter_mut().find_map(|it| it.schedule.ended(call).map(|_| it)) {
            polling.ended(reply, keys, step);
            return true;
        }
        self.0.iter_mut().any(|it| it.search_ended(call, reply, step))
    }
}

impl Part for Polls {
    fn tick(&mut self, step: &mut Step<'_>) {
        self.0.iter_mut().for_each(|it| it.poll(step));
    }

    fn pace(&self) -> Pace {
        if self.0.is_empty() { Pace::Idle } else { Pace::NowAndThen }
    }

    /// The next poll is due, if another worker does not poll.
    fn clock_set_back(&mut self, _: UnixMillis) {
        for polling in &mut self.0 {
            polling.schedule.clock_set_back();
            polling.search.iter_mut().for_each(Search::clock_set_back);
            polling.ours_until = UnixMillis::from_millis(0);
        }
    }
}

impl Polling {
    fn new(events: &Rc<SecurityEvents>) -> Option<Self> {
        let poll = events.poll.clone()?;
        Some(Self {
            lease: TokenDigest::from_bytes(poll.stream()),
            poll,
            rules: events.rules.clone(),
            search: events.stream.as_ref().map(|stream| Search::new(stream, &events.signer.provider)),
            events: Rc::clone(events),
            schedule: Schedule::new(),
            ours_until: UnixMillis::from_millis(0),
            applied: Vec::new(),
            refused: LiteMap::new_vec(),
            without_keys: Vec::new(),
            at_once: 0,
            showing: Showing::default(),
        })
    }

    /// Polls, if it is time and nobody else does; only in the root's callbacks.
    fn poll(&mut self, step: &mut Step<'_>) {
        let is_searching = self.search.as_ref().is_some_and(|search| search.is_due(step.now));
        let is_found = self.search.as_ref().is_none_or(|search| search.found().is_some());
        let is_due = is_found && self.schedule.is_due(step.now);
        if !is_searching && !is_due {
            return;
        }
        if step.now >= self.ours_until {
            self.become_the_one_that_polls(Duration::ZERO, step);
        }
        if step.now >= self.ours_until {
            let later = step.now.plus(self.poll.interval);
            self.search.iter_mut().for_each(|search| search.put_off(later));
            return self.schedule.put_off(later);
        }
        if let Some(search) = self.search.as_mut().filter(|_| is_searching) {
            let until = self.ours_until.max(search.until(step.now));
            if !step.worker.leases.keep(&self.lease, step.now, until) {
                self.ours_until = step.now;
                return;
            }
            self.ours_until = until;
            search.go_on(step);
        }
        if !is_due {
            return;
        }
        // Where the token is not here, it is due until it is.
        let Ok(token) =
            self.showing.token(self.poll.client_credentials(), &step.worker.access_tokens, step.now)
        else {
            return;
        };
        let call = step.call(self.poll.request(self.body(), token.as_deref()));
        self.schedule.begin(call, pauses(&self.poll), step.now);
    }

    /// A call ended. Returns whether it was about the stream, and not a poll.
    fn search_ended(&mut self, call: CallId, reply: Option<&Reply<'_>>, step: &mut Step<'_>) -> bool {
        let Some(search) = &mut self.search else { return false };
        if !search.ended(call, reply, step) {
            return false;
        }
        let pause = search.pause(step.now);
        if let Some((stream, found)) = self.events.stream.as_ref().zip(search.found()) {
            self.poll.path = stream.polled_at.as_ref().unwrap_or(&found.path).clone();
            if self.events.rules.audiences.is_empty() {
                self.rules.audiences.clone_from(&found.audiences);
            }
        }
        if let Some(pause) = pause {
            // As of a poll that failed.
            step.worker.leases.release(&self.lease);
            self.become_the_one_that_polls(pause, step);
        }
        self.poll(step);
        true
    }

    /// What the next poll says.
    fn body(&self) -> Vec<u8> {
        let errors =
            json::object_of(self.refused.iter().map(|(jti, reason)| (jti.clone(), reason.to_json())));
        let mut body = json!({ "maxEvents": MAX_EVENTS, "returnImmediately": true, "ack": self.applied });
        if let Some(members) = body.as_object_mut().filter(|_| !errors.is_empty()) {
            members.insert("setErrs".to_owned(), errors.into());
        }
        body.to_string().into_bytes()
    }

    /// Sees to it that no other worker polls, unless one does: for a `pause`, a poll and the next, so that it stays with one
    /// as long as that one lives.
    fn become_the_one_that_polls(&mut self, pause: Duration, step: &Step<'_>) {
        let until = step.now.plus(pause).plus(self.poll.timeout).plus(self.poll.interval * 3);
        let is_ours = step.worker.leases.claim(&self.lease, step.now, until, false) == Claim::Ours;
        self.ours_until = if is_ours { until } else { step.now };
    }

    /// A poll ended.
    fn ended(&mut self, reply: Option<&Reply<'_>>, keys: &mut KeyRings, step: &mut Step<'_>) {
        match reply.ok_or_else(|| "no answer".to_owned()).and_then(read) {
            Ok(Polled { tokens, more }) => {
                // The transmitter has heard of these.
                self.applied.clear();
                self.refused.clear();
                let is_any = !tokens.is_empty();
                for (jti, token) in tokens {
                    self.take(jti, &token, keys, step);
                }
                let has_to_say = !self.applied.is_empty() || !self.refused.is_empty();
                // One that sends the same again and again is not asked as fast as it answers.
                self.at_once = if is_any && (more || has_to_say) { self.at_once + 1 } else { 0 };
                let is_next_at_once = !self.at_once.is_multiple_of(MAX_AT_ONCE);
                let pause = if is_next_at_once { Duration::ZERO } else { self.poll.interval };
                self.schedule.succeeded(step.now.plus(pause));
                step.set(Gauge::SecurityEventsAnswers, self.events.whose(), 1);
                step.set(Gauge::SecurityEventsHeard, self.events.whose(), step.now.as_secs());
            }
            Err(_) if reply.is_some_and(|reply| reply.status == 401) && self.renews_token(step) => {
                self.schedule.put_off(step.now);
            }
            Err(reason) => {
                let Poll { path, cluster, authority, .. } = &self.poll;
                let called = called("POST", path, cluster, authority);
                let seen = Reply::behind(reply);
                let provider = &self.events.signer.provider;
                let asked = self.schedule.failed(pauses(&self.poll), reply, step.now);
                log::warn!(
                    "provider {provider:?}: no security events polled: {reason}; {called}{seen}{}",
                    in_words(asked)
                );
                step.set(Gauge::SecurityEventsAnswers, self.events.whose(), 0);
                // It was deleted there.
                let is_gone =
                    reply.is_some_and(|reply| !reply.from_envoy && matches!(reply.status, 404 | 410));
                self.search.iter_mut().filter(|_| is_gone).for_each(Search::start_over);
                // The others leave the transmitter alone as long as we do.
                step.worker.leases.release(&self.lease);
                self.become_the_one_that_polls(self.schedule.due().since(step.now), step);
            }
        }
        self.poll(step);
    }

    /// A poll was refused. Returns whether it is made anew, with another access token.
    fn renews_token(&mut self, step: &Step<'_>) -> bool {
        self.showing.was_refused(self.poll.client_credentials(), &step.worker.access_tokens, step.now)
    }

    /// Applies one token, or finds out why not.
    fn take(&mut self, jti: String, token: &str, keys: &mut KeyRings, step: &mut Step<'_>) {
        let events = Rc::clone(&self.events);
        let refused = match keys.verify(&events.signer, SecurityEventRules::admits, token, step) {
            Ok(verified) => match self.rules.check(verified.typ(), verified.claims(), step.now) {
                Ok(event) if event.jti == jti => {
                    if let Some((search, state)) = self.search.as_mut().zip(event.verifies.as_ref()) {
                        search.verified(state);
                    }
                    security_events::apply(&events, event, step);
                    self.without_keys.retain(|other| *other != jti);
                    self.applied.push(jti);
                    return;
                }
                Ok(_) => SetError::InvalidRequest.because("jti is another than the one it was sent under"),
                Err(reason) => reason,
            },
            // Comes again, for it is not acknowledged; by then there are newer keys, or there are none.
            Err(NotVerified::NoKeys(wanted)) if !self.without_keys.contains(&jti) => {
                keys.want(&events.signer.jwks);
                if wanted == KeysWanted::Newer && self.without_keys.len() < MAX_EVENTS {
                    self.without_keys.push(jti);
                }
                return;
            }
            Err(NotVerified::Host) => return,
            Err(reason) => reason.of_event(),
        };
        log::debug!("provider {:?}: security event refused: {refused}", events.signer.provider);
        step.count(Counter::RevocationRefused, Whose::NOBODY.because("security_event_refused"));
        self.without_keys.retain(|other| *other != jti);
        self.refused.insert(jti, refused);
    }
}

fn pauses(poll: &Poll) -> Pauses {
    Pauses { least: Duration::ZERO, first: poll.interval, longest: MAX_PAUSE.max(poll.interval) }
}

/// What a reply brings.
struct Polled {
    /// By their identifiers.
    tokens: Vec<(String, String)>,
    /// Whether there are more.
    more: bool,
}

/// The tokens of a reply by their identifiers, and whether there are more (RFC 8936 §2.3).
fn read(reply: &Reply<'_>) -> Result<Polled, String> {
    if reply.status != 200 {
        return Err(format!("expected status 200, got {}", reply.status));
    }
    let body = reply.text().map_err(|reason| reason.to_string())?;
    let members = json::object(body).map_err(|_| "expected a JSON object, got none")?;
    let sets = match members.get("sets") {
        None => return Ok(Polled { tokens: Vec::new(), more: false }),
        Some(sets) => sets.as_object().ok_or("sets is not an object")?,
    };
    let tokens = sets.iter().take(MAX_EVENTS).map(|(jti, token)| {
        // What is no text is no token, and is refused as such.
        (jti.clone(), token.as_str().unwrap_or_default().to_owned())
    });
    let more = members.get("moreAvailable") == Some(&Value::Bool(true)) || sets.len() > MAX_EVENTS;
    Ok(Polled { tokens: tokens.collect(), more })
}

/// A fuzz target's way to [`read`].
#[cfg(fuzzing)]
pub(crate) fn fuzz_poll_reply(body: &[u8]) {
    let reply = Reply { status: 200, body: Some(body), ..Reply::default() };
    if let Ok(polled) = read(&reply) {
        assert!(polled.tokens.len() <= MAX_EVENTS);
    }
}

/// In one reply.
const MAX_EVENTS: usize = 100;

/// Polls that are made one after the other before there is a pause.
const MAX_AT_ONCE: u32 = 16;

/// Between polls of a transmitter that fails.
const MAX_PAUSE: Duration = Duration::from_secs(60);
