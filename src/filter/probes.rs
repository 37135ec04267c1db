//! Whether the authorization servers answer, found out at the start: each is asked once by one worker of all about a token
//! that nobody has issued, with the filter's own credentials. No request depends on it.

use std::rc::Rc;

use base64ct::{Base64UrlUnpadded, Encoding};
use litemap::LiteMap;
use sha2::{Digest, Sha256};

use super::access_tokens::Showing;
use super::event::CallId;
use super::fetches::keys::KeyRings;
use super::introspections::lease_end;
use super::part::{Pace, Part};
use super::step::Step;
use crate::cache::Claim;
use crate::http::Reply;
use crate::introspection::{self, Introspection, ServerFailure};
use crate::metrics::{Gauge, Whose};
use crate::provider::Introspector;
use crate::token::{AccessToken, TokenDigest, UnixMillis};

/// The probes of a worker.
#[derive(Default)]
pub(super) struct Probes {
    /// Whether it was seen to that they are made.
    are_made: bool,
    /// Those that wait for an access token of ours.
    without_token: Vec<Rc<Introspector>>,
    under_way: LiteMap<CallId, (Rc<Introspector>, UnixMillis)>,
}

impl Probes {
    /// Makes those that no other worker makes; only in the root's callbacks, and never in that of a configuration that is
    /// only tried: those come before the first tick.
    fn make(&mut self, step: &mut Step<'_>) {
        for introspector in std::mem::take(&mut self.without_token) {
            self.ask(&introspector, step);
        }
        if std::mem::replace(&mut self.are_made, true) {
            return;
        }
        step.set(Gauge::Version, Whose::NOBODY, version());
        let config = Rc::clone(&step.worker.config);
        for introspector in config.providers.iter().filter_map(|provider| provider.introspector.as_ref()) {
            if introspector.endpoint.probe && is_ours(introspector, step) {
                self.ask(introspector, step);
            }
        }
    }

    fn ask(&mut self, introspector: &Rc<Introspector>, step: &mut Step<'_>) {
        let provider = &introspector.origin.provider;
        // Where it has to be found first, finding it tells as much.
        let Some(target) = introspector.endpoint.whereabouts.written() else { return };
        let Some(token) = made_up(introspector) else { return };
        let credentials = introspector.endpoint.client_credentials();
        let tokens = &step.worker.access_tokens;
        let Ok(fetched) = Showing::default().token(credentials, tokens, step.now) else {
            return self.without_token.push(Rc::clone(introspector));
        };
        let fetched = fetched.as_deref();
        match introspector.endpoint.request(target, &token, fetched, &[], step.worker.signatures(), step.now)
        {
            Ok(request) => {
                let call = step.call(request);
                self.under_way.insert(call, (Rc::clone(introspector), step.now));
            }
            Err(reason) => log::error!("provider {provider:?}: not probed: {reason}"),
        }
    }

    /// A call ended. Returns whether it was a probe.
    pub(super) fn ended(
        &mut self,
        call: CallId,
        reply: Option<&Reply<'_>>,
        keys: &KeyRings,
        step: &mut Step<'_>,
    ) -> bool {
        let Some((introspector, sent)) = self.under_way.remove(&call) else { return false };
        let answers = say(&introspector, sent, reply, keys, step);
        step.set(Gauge::IntrospectionAnswers, Whose::provider(&introspector.origin.provider), answers.into());
        true
    }
}

/// Says what came of a probe. Returns whether the server answers as it should.
fn say(
    introspector: &Introspector,
    sent: UnixMillis,
    reply: Option<&Reply<'_>>,
    keys: &KeyRings,
    step: &Step<'_>,
) -> bool {
    let (provider, endpoint) = (&introspector.origin.provider, &introspector.endpoint);
    let took = step.now.since(sent);
    let verdict = match reply {
        None if took >= endpoint.timeout => Err(ServerFailure::Timeout),
        None => Err(ServerFailure::Unreachable),
        Some(reply) if endpoint.says_inactive(reply) => Ok(Introspection::Inactive),
        Some(reply) => introspection::parse(
            reply,
            &endpoint.response,
            &endpoint.claim_names,
            keys.of_replies(introspector, step),
            step.now,
        ),
    };
    match verdict {
        // A signed reply came; whose keys it needs, the first token finds out.
        Ok(Introspection::Inactive | Introspection::Expired { .. }) | Err(ServerFailure::UnknownKey) => {
            log::info!("provider {provider:?}: answers, after {} ms", took.as_millis());
            true
        }
        Ok(Introspection::Active { .. }) => {
            log::error!(
                "provider {provider:?}: it calls a token active that was made up to try it: whatever a client sends \
                 would pass; {}",
                endpoint.called()
            );
            false
        }
        Err(failure) => {
            let error = introspection::says(reply);
            let what = failure.with_circumstances(&endpoint.called(), reply);
            log::error!("provider {provider:?}: does not answer as it should: {what}{error}");
            false
        }
    }
}

impl Part for Probes {
    fn tick(&mut self, step: &mut Step<'_>) {
        self.make(step);
    }

    fn pace(&self) -> Pace {
        if self.are_made { Pace::Idle } else { Pace::Soon }
    }

    fn clock_set_back(&mut self, _: UnixMillis) {}
}

/// Whether this worker is the one that probes.
fn is_ours(introspector: &Introspector, step: &Step<'_>) -> bool {
    let until = lease_end(introspector, step.now);
    let lease = Sha256::digest([b"probe ".as_slice(), &introspector.fingerprint].concat());
    let lease = TokenDigest::from_bytes(lease.into());
    step.worker.leases.claim(&lease, step.now, until, false) == Claim::Ours
}

/// A token that nobody has issued: of the form of the provider's, and random but for that.
fn made_up(introspector: &Introspector) -> Option<AccessToken> {
    let format = &introspector.token_format;
    let mut token = format.prefix.clone();
    while token.len() < format.min_length.max(format.prefix.len() + MIN_RANDOM) {
        let mut random = [0; 32];
        getrandom::fill(&mut random).ok()?;
        token.push_str(&Base64UrlUnpadded::encode_string(&random));
    }
    token.truncate(format.max_length);
    // What is too short to be random might be somebody's.
    let is_random = token.len() >= format.prefix.len() + MIN_RANDOM;
    AccessToken::parse(token.as_bytes()).filter(|_| is_random)
}

/// The version as a number that grows with it.
fn version() -> u64 {
    let parts =
        [env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"), env!("CARGO_PKG_VERSION_PATCH")];
    parts.iter().fold(0, |version, part| version * 1000 + part.parse().unwrap_or(0))
}

/// Random characters of a token, of 6 bits each, that nobody meets by chance.
const MIN_RANDOM: usize = 22;
