//! Security event tokens that are fetched (RFC 8936): by one worker at a time, which acknowledges only what it has
//! applied. What was not acknowledged comes again, to whoever polls then; what was applied already is recognized.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::back_off::{asked_pause, back_off, in_words};
use super::keys::KeysWanted;
use super::signals::NotVerified;
use super::{CallId, Effect, Filter};
use crate::cache::Claim;
use crate::http::{Reply, called};
use crate::json;
use crate::metrics::Counter;
use crate::revocation::security_event::{SecurityEventRules, SetError, SetRefused};
use crate::revocation::sources::{Poll, SecurityEvents};
use crate::token::{TokenDigest, UnixMillis};

/// What this worker knows of its polling.
pub(super) struct Polling {
    /// The poll that is under way.
    call: Option<CallId>,
    /// No poll before this.
    not_before: UnixMillis,
    /// Until when this worker is the one that polls.
    ours_until: UnixMillis,
    /// Tokens that were applied and not yet acknowledged.
    applied: Vec<String>,
    /// Tokens that were refused and not yet reported.
    refused: BTreeMap<String, SetRefused>,
    /// Tokens that waited for newer keys once.
    without_keys: Vec<String>,
    failures: u32,
}

impl Default for Polling {
    fn default() -> Self {
        let begin = UnixMillis::from_millis(0);
        Self {
            call: None,
            not_before: begin,
            ours_until: begin,
            applied: Vec::new(),
            refused: BTreeMap::new(),
            without_keys: Vec::new(),
            failures: 0,
        }
    }
}

impl Polling {
    /// The next poll is due, if another worker does not poll.
    pub(super) fn clock_set_back(&mut self) {
        let begin = UnixMillis::from_millis(0);
        (self.not_before, self.ours_until) = (begin, begin);
    }

    /// What the next poll says.
    fn body(&self) -> Vec<u8> {
        let errors: serde_json::Map<String, Value> =
            self.refused.iter().map(|(jti, reason)| (jti.clone(), reason.to_json())).collect();
        let mut body = json!({ "maxEvents": MAX_EVENTS, "returnImmediately": true, "ack": self.applied });
        if let Some(members) = body.as_object_mut().filter(|_| !errors.is_empty()) {
            members.insert("setErrs".to_owned(), errors.into());
        }
        body.to_string().into_bytes()
    }
}

impl Filter {
    /// Polls, if it is time and nobody else does; only in the root's callbacks.
    pub(super) fn poll(&mut self, now: UnixMillis, effects: &mut Vec<Effect>) {
        let config = Rc::clone(&self.config);
        let Some((_, poll)) = polled(config.revocation.security_events.as_ref()) else { return };
        if self.polling.call.is_some() || now < self.polling.not_before {
            return;
        }
        if now >= self.polling.ours_until {
            self.become_the_one_that_polls(poll, Duration::ZERO, now);
        }
        if now >= self.polling.ours_until {
            self.polling.not_before = now.plus(poll.interval);
            return;
        }
        let id = self.calls.new_id();
        self.polling.call = Some(id);
        effects.push(Effect::Call(id, poll.request(self.polling.body())));
    }

    /// Sees to it that no other worker polls, unless one does: for a `pause`, a poll and the next, so that it stays with one
    /// as long as that one lives.
    fn become_the_one_that_polls(&mut self, poll: &Poll, pause: Duration, now: UnixMillis) {
        let until = now.plus(pause).plus(poll.timeout).plus(poll.interval * 3);
        let is_ours = self.leases.claim(&lease(poll), now, until, false) == Claim::Ours;
        self.polling.ours_until = if is_ours { until } else { now };
    }

    /// A poll was answered. Returns whether it was one.
    pub(super) fn poll_reply(
        &mut self,
        id: CallId,
        reply: Option<&Reply<'_>>,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) -> bool {
        if self.polling.call != Some(id) {
            return false;
        }
        self.polling.call = None;
        let config = Rc::clone(&self.config);
        let Some((events, poll)) = polled(config.revocation.security_events.as_ref()) else { return true };
        let tokens = reply.ok_or_else(|| "no answer".to_owned()).and_then(read);
        match tokens {
            Ok(Polled { tokens, more }) => {
                // The transmitter has heard of these.
                self.polling.applied.clear();
                self.polling.refused.clear();
                self.polling.failures = 0;
                let is_any = !tokens.is_empty();
                for (jti, token) in tokens {
                    self.take(events, jti, &token, now, effects);
                }
                let has_to_say = !self.polling.applied.is_empty() || !self.polling.refused.is_empty();
                self.polling.not_before = match is_any && (more || has_to_say) {
                    true => now,
                    false => now.plus(poll.interval),
                };
            }
            Err(reason) => {
                let called = called("POST", &poll.path, &poll.cluster, &poll.authority);
                let seen = reply.map(|reply| ["; ", &reply.seen()].concat()).unwrap_or_default();
                let provider = &events.signer.provider;
                let longest = MAX_PAUSE.max(poll.interval);
                let asked = asked_pause(reply, longest, now);
                log::warn!(
                    "provider {provider:?}: no security events polled: {reason}; {called}{seen}{}",
                    in_words(asked)
                );
                self.polling.failures = self.polling.failures.saturating_add(1);
                let pause = back_off(poll.interval, longest, self.polling.failures).max(asked);
                self.polling.not_before = now.plus(pause);
                // The others leave the transmitter alone as long as we do.
                self.leases.release(&lease(poll));
                self.become_the_one_that_polls(poll, pause, now);
            }
        }
        self.poll(now, effects);
        true
    }

    /// Applies one token, or finds out why not.
    fn take(
        &mut self,
        events: &SecurityEvents,
        jti: String,
        token: &str,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        let refused = match self.verify_signal(&events.signer, SecurityEventRules::admits, token) {
            Ok(verified) => match events.rules.check(verified.typ(), verified.claims(), now) {
                Ok(event) if event.jti == jti => {
                    self.apply_event(events, event, now, effects);
                    self.polling.applied.push(jti);
                    return;
                }
                Ok(_) => SetError::InvalidRequest.because("jti is another than the one it was sent under"),
                Err(reason) => reason,
            },
            // Comes again, for it is not acknowledged; by then there are newer keys, or there are none.
            Err(NotVerified::NoKeys(wanted)) if !self.polling.without_keys.contains(&jti) => {
                self.keys.want(&events.signer.jwks);
                if wanted == KeysWanted::Newer && self.polling.without_keys.len() < MAX_EVENTS {
                    self.polling.without_keys.push(jti);
                }
                return;
            }
            Err(NotVerified::Host) => return,
            Err(reason) => reason.of_event(),
        };
        log::debug!("provider {:?}: security event refused: {refused}", events.signer.provider);
        effects.push(Effect::Count(Counter::RevocationRefused));
        self.polling.without_keys.retain(|other| *other != jti);
        self.polling.refused.insert(jti, refused);
    }

    /// Whether there is anything to poll.
    pub(super) fn polls(&self) -> bool {
        polled(self.config.revocation.security_events.as_ref()).is_some()
    }
}

fn polled(events: Option<&SecurityEvents>) -> Option<(&SecurityEvents, &Poll)> {
    events.and_then(|events| Some((events, events.poll.as_ref()?)))
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

/// What the one that polls has claimed.
fn lease(poll: &Poll) -> TokenDigest {
    let Poll { cluster, authority, path, .. } = poll;
    TokenDigest::from_bytes(Sha256::digest(format!("poll {cluster} {authority} {path}")).into())
}

/// In one reply.
const MAX_EVENTS: usize = 100;

/// Between polls of a transmitter that fails.
const MAX_PAUSE: Duration = Duration::from_secs(60);
