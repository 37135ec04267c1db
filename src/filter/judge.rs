//! From a verdict to what becomes of a request.

use std::rc::Rc;
use std::time::Duration;

use super::calls::{Asker, Call};
use super::phantom::{OF_SERVER, Phantom};
use super::settle::Outcome;
use super::{Case, Description, Effect, Filter, Ready, Source, StreamId, Told, Waiter};
use crate::cache::{ActiveEntry, MAX_ENTRY_BYTES, Refused, Standing, Verdict};
use crate::claims::Claims;
use crate::introspection::{Introspection, ServerFailure};
use crate::jwt::Minted;
use crate::metrics::Counter;
use crate::policy::{self, Authorization, Denial, InvalidToken, Permit, Policy, Unavailable};
use crate::provider::{Origin, OriginKind};
use crate::request::HeaderEditsBuf;
use crate::token::UnixMillis;
use crate::two_sources;

impl Filter {
    /// A request whose verdict is in the cache: judged anew; the phantom token lies beside.
    pub(super) fn hit(&self, case: Case, entry: &ActiveEntry, now: UnixMillis, effects: &mut Vec<Effect>) {
        effects.push(Effect::Count(Counter::CacheHit));
        self.serve(Case { source: Source::Hit, ..case }, entry, now, effects);
    }

    /// A request whose verdict is past `cache_ttl` while the server is down.
    pub(super) fn stale(
        &self,
        case: Case,
        entry: Rc<ActiveEntry>,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        let waiter = Waiter { case: Case { source: Source::Miss, ..case }, stale: Some(entry) };
        let reason = Unavailable::AuthorizationServer(ServerFailure::HeldBack { is_outage: true });
        self.settle_without_verdict(waiter, &reason, now, effects);
    }

    /// Judges a request by a remembered verdict.
    pub(super) fn serve(
        &self,
        mut case: Case,
        entry: &ActiveEntry,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        let Case { policy, origin, .. } = &case;
        let permit = match policy::decide(&policy.require, &origin.expects, entry.claims(), now) {
            Ok(permit) => permit,
            Err(denial) => return self.refuse(&case, &denial, effects),
        };
        let mut window = origin.expects.window(permit.claims()).and(policy.require.window(permit.claims()));
        let minted;
        let jwt = match self.phantom(&case) {
            Phantom::None => None,
            Phantom::OfServer => entry.jwt(OF_SERVER).map(|cached| cached.jwt),
            Phantom::Minted(phantom_token) => match entry.jwt(phantom_token.id) {
                Some(cached) if !phantom_token.is_running_out(cached.exp, permit.claims().exp, now) => {
                    let until = phantom_token.lasts_until(cached.exp, permit.claims().exp);
                    window.until = window.until.min(until);
                    Some(cached.jwt)
                }
                _ => {
                    minted = self.mint(phantom_token, &origin.provider, &permit, now, effects);
                    if let Some(minted) = &minted {
                        self.cache.update_jwt(entry, (phantom_token.id, minted), now);
                    }
                    window.until = now; // the next one finds the new one
                    minted.as_ref().map(|minted| minted.jwt.as_bytes())
                }
            },
        };
        case.repeat = case.repeat.map(|repeat| repeat.within(window)).filter(|repeat| repeat.holds_at(now));
        self.forward(case, &permit, jwt, now, effects);
    }

    /// A call was answered: remembers the verdict and tells all who wait.
    pub(super) fn verdict(
        &mut self,
        call: Call,
        verdict: Introspection,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        let asked = call.asked(now);
        let (outcome, evicted) = match verdict {
            Introspection::Inactive => self.refused(&call, Refused::Inactive, asked.at, now),
            Introspection::Expired { exp } => {
                self.note_expired(&call.origin.provider, exp, now);
                self.refused(&call, Refused::Expired, asked.at, now)
            }
            // What a JWT is, was looked at where it was validated.
            Introspection::Active { is_access_token: false, .. }
                if call.introspector.endpoint.access_tokens_only && call.validated.is_none() =>
            {
                self.refused(&call, Refused::NoAccessToken, asked.at, now)
            }
            Introspection::Active { claims, jwt, .. } => {
                let claims = match &call.validated {
                    Some(validated) => two_sources::together(validated, claims.view()),
                    None => two_sources::with_own_audiences(call.token.secret(), claims),
                };
                // In the place of a JWT that was validated here goes ours, whatever the server gave besides.
                let jwt = jwt.filter(|_| call.origin.kind == OriginKind::IntrospectedWithJwt);
                let withdrawable = call.withdrawable(claims.view());
                self.cache.seen().note(withdrawable.provider, &withdrawable.claims);
                let Standing::Good(checked) = self.cache.withdrawals().standing(asked, &withdrawable) else {
                    return self.ask_again(call, now, effects);
                };
                let (jwt_id, jwt) = match jwt {
                    Some(jwt) => (Some(OF_SERVER), Some(jwt)),
                    None => (
                        self.config.phantom_token.as_ref().map(|token| token.id),
                        self.mint_for_call(&call, claims.view(), now, effects),
                    ),
                };
                let ttl = call.origin.max_cache_ttl;
                let longest = ttl.saturating_add(self.config.cache.stale_if_error);
                let verdict = Verdict {
                    digest: &call.digest,
                    token: withdrawable.token,
                    provider: withdrawable.provider,
                    asked: asked.at,
                    checked,
                    useful_until: asked.at.plus(longest).min(call.origin.expects.end(claims.view().exp)),
                    claims: &claims,
                    jwt: jwt_id.zip(jwt.as_ref()),
                };
                let evicted = !ttl.is_zero() && self.cache.insert_active(&verdict, now);
                if !ttl.is_zero() && verdict.is_oversized() {
                    self.note_oversized(&call.origin.provider, now, effects);
                }
                self.note_first(&call, claims.view(), now);
                (Outcome::Active { claims, jwt, asked }, evicted)
            }
        };
        if call.is_renewal {
            effects.push(Effect::Count(Counter::CacheRefreshed));
        }
        if evicted {
            effects.push(Effect::Count(Counter::CacheEvicted));
        }
        if call.asker() == Asker::UsForAll {
            // After the verdict was remembered, so that whoever gets the lease next finds it.
            effects.extend(self.release(&call.digest, Told::Verdict));
        }
        self.tell(call, outcome);
    }

    /// Nobody passes with this token; remembers why.
    fn refused(&self, call: &Call, refused: Refused, asked: UnixMillis, now: UnixMillis) -> (Outcome, bool) {
        let ttl = self.config.cache.negative_ttl.min(call.origin.max_cache_ttl);
        // Even one that is not to be remembered takes an earlier verdict away.
        let evicted = self.cache.insert_refused(refused, &call.digest, asked, asked.plus(ttl), now);
        let denial = InvalidToken::from(refused).into();
        self.first_verdicts.note(&call.origin.provider, Some(&denial), &call.origin.expects, None);
        (Outcome::Denied(denial), evicted)
    }

    /// What becomes of the first of those who wait, as one of the first tokens of its provider.
    fn note_first(&self, call: &Call, claims: Claims<'_>, now: UnixMillis) {
        let waiter = call.streams.iter().find_map(|stream| self.waiting.get(*stream));
        let Some(Waiter { case, .. }) = waiter else { return };
        let denial = policy::decide(&case.policy.require, &case.origin.expects, claims, now).err();
        let Origin { provider, expects, .. } = &*call.origin;
        self.first_verdicts.note(provider, denial.as_ref(), expects, claims.iss);
        self.first_verdicts.note_lack(provider, &case.policy, denial.as_ref(), claims);
    }

    /// A server that calls a token active after its end has another clock than we, or writes its life for its end.
    fn note_expired(&self, provider: &str, exp: UnixMillis, now: UnixMillis) {
        if exp < LONG_AGO {
            let text = format_args!(
                "it calls a token active whose exp lies before 2001: expected a date in seconds since 1970 (RFC 7519 §2), \
                 got what looks like a lifetime"
            );
            self.complaints.note(provider, "exp_is_a_lifetime", now, text);
        } else if now.since(exp) >= HARDLY_UNDER_WAY {
            let text =
                format_args!("it calls tokens active whose exp has passed: one of the two clocks is wrong");
            self.complaints.note(provider, "exp_has_passed", now, text);
        }
    }

    pub(super) fn note_oversized(&self, provider: &str, now: UnixMillis, effects: &mut Vec<Effect>) {
        effects.push(Effect::Count(Counter::CacheOversized));
        let text = format_args!(
            "a verdict is over {MAX_ENTRY_BYTES} bytes with its JWT and is not remembered, so every request with this \
             token asks; let the server put less into its tokens, or less into the JWT (phantom_token.claims)"
        );
        self.complaints.note(provider, "oversized", now, text);
    }

    /// Judges a request by a verdict that has just come.
    pub(super) fn conclude(
        &self,
        case: Case,
        claims: Claims<'_>,
        jwt: Option<&Minted>,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        match policy::decide(&case.policy.require, &case.origin.expects, claims, now) {
            Ok(permit) => self.forward(case, &permit, jwt.map(|jwt| jwt.jwt.as_bytes()), now, effects),
            Err(denial) => self.refuse(&case, &denial, effects),
        }
    }

    /// Passes a permitted request on. Without a phantom token where the policy wants one, it does not pass.
    fn forward(
        &self,
        case: Case,
        permit: &Permit<'_>,
        jwt: Option<&[u8]>,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        let authorization = case.policy.authorization(&case.origin);
        if authorization == Authorization::Jwt && jwt.is_none() {
            return self.refuse(&case, &Unavailable::NotSigned.into(), effects);
        }
        let Case { stream, policy, host: mut edits, removal, source, repeat, .. } = case;
        let claims = permit.claims();
        match authorization {
            Authorization::Jwt => {
                edits.append(removal);
                edits.set("authorization", &[b"Bearer ", jwt.unwrap_or_default()]);
            }
            Authorization::Original => {}
            Authorization::Remove => {
                edits.append(removal);
                edits.remove("authorization");
            }
        }
        let passage = self.passage(edits, Some(&policy), Some(claims));
        effects.push(Effect::Count(Counter::Forwarded));
        // Five host calls, more than all else that a hit takes: only where they are wanted.
        let is_described = source != Source::Hit || self.config.access_log_hits;
        let description = is_described.then(|| Description {
            outcome: FORWARDED,
            policy: Some(policy.name.clone()),
            cache: source.name(),
            client_id: claims.client_id.map(for_a_line),
            sub: claims.sub.map(for_a_line),
        });
        if let Some(repeat) = repeat.filter(|_| source == Source::Hit) {
            let description = description.clone().map(Rc::new);
            self.keep(repeat, Ready { passage: passage.clone(), description }, now);
        }
        effects.extend(description.map(|description| Effect::Describe(stream, description)));
        effects.push(Effect::Forward(stream, passage));
    }

    /// Passes a request on that no token is needed for.
    pub(super) fn forward_unjudged(
        &self,
        stream: StreamId,
        policy: &Policy,
        edits: HeaderEditsBuf,
        effects: &mut Vec<Effect>,
    ) {
        effects.push(Effect::Count(Counter::Forwarded));
        effects.push(Effect::Describe(stream, Description::new(FORWARDED, Some(policy), Source::None)));
        effects.push(Effect::Forward(stream, self.passage(edits, Some(policy), None)));
    }

    /// Passes a request on as one of somebody unknown: without a token, wherever it may stand.
    pub(super) fn forward_anonymous(
        &self,
        stream: StreamId,
        policy: &Policy,
        mut edits: HeaderEditsBuf,
        removal: HeaderEditsBuf,
        effects: &mut Vec<Effect>,
    ) {
        edits.append(removal);
        edits.remove("authorization");
        self.forward_unjudged(stream, policy, edits, effects);
    }

    /// Refuses a request that was to be judged, if its policy does.
    pub(super) fn refuse(&self, case: &Case, denial: &Denial, effects: &mut Vec<Effect>) {
        if case.policy.takes_for_missing(denial) {
            let (edits, removal) = (case.host.clone(), case.removal.clone());
            return self.forward_anonymous(case.stream, &case.policy, edits, removal, effects);
        }
        self.deny(case.stream, Some(&case.policy), case.source, denial, effects);
    }

    pub(super) fn deny(
        &self,
        stream: StreamId,
        policy: Option<&Policy>,
        source: Source,
        denial: &Denial,
        effects: &mut Vec<Effect>,
    ) {
        log::debug!("request refused: {}", denial.reason());
        let scope = policy.map(|policy| policy.require.scope()).unwrap_or_default();
        effects.push(Effect::Count(match denial {
            Denial::InsufficientScope(_) => Counter::DeniedInsufficientScope,
            Denial::InsufficientUserAuthentication(_) => Counter::DeniedInsufficientUserAuthentication,
            Denial::InvalidRequest(_) => Counter::DeniedInvalidRequest,
            Denial::InvalidToken(_) => Counter::DeniedInvalidToken,
            Denial::MissingToken => Counter::DeniedMissingToken,
            Denial::Unavailable(_) => Counter::Unavailable,
        }));
        effects.push(Effect::Describe(stream, Description::new(denial.reason(), policy, source)));
        effects.push(Effect::Answer(stream, self.config.challenge.answer(denial, &scope)));
    }
}

impl Description {
    fn new(outcome: &'static str, policy: Option<&Policy>, source: Source) -> Self {
        let policy = policy.map(|policy| policy.name.clone());
        Self { outcome, policy, cache: source.name(), client_id: None, sub: None }
    }
}

/// What an access log can be told: a text log writes it as it is, and a claim must not begin a line there, or colour it.
fn for_a_line(claim: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(claim);
    let readable = |c: char| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { '?' } else { c };
    text.chars().map(readable).collect::<String>().into_bytes()
}
/// 2001-09-09: no token of today ended then.
const LONG_AGO: UnixMillis = UnixMillis::from_secs(1_000_000_000);

/// A reply is not under way so long; a shorter time may be the server's and the network's.
const HARDLY_UNDER_WAY: Duration = Duration::from_secs(5);

/// The outcome of a request that passes.
const FORWARDED: &str = "forwarded";
