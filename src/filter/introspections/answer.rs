//! A server has answered: what it says is remembered, and told to all who wait.

use std::time::Duration;

use super::Introspections;
use super::calls::{Asker, Call};
use super::settlement::Outcome;
use crate::cache::{Refused, Standing, Verdict, Vouched};
use crate::claims::{Claims, ClaimsBuf};
use crate::filter::case::Case;
use crate::filter::event::Told;
use crate::filter::judge::phantom::{OF_SERVER, mint_for};
use crate::filter::judge::remember::remember;
use crate::filter::step::Step;
use crate::introspection::Introspection;
use crate::jwt::Minted;
use crate::metrics::{Counter, Whose};
use crate::policy::InvalidToken;
use crate::provider::{Origin, OriginKind};
use crate::token::UnixMillis;
use crate::two_sources;

impl Introspections {
    /// A call was answered: remembers the verdict and tells all who wait.
    pub(super) fn verdict(&mut self, call: Call, verdict: Introspection, step: &mut Step<'_>) {
        let outcome = match verdict {
            Introspection::Inactive => refused(&call, Refused::Inactive, step),
            Introspection::Expired { exp } => {
                note_expired(&call.origin.provider, exp, step);
                refused(&call, Refused::Expired, step)
            }
            // What a JWT is, was looked at where it was validated.
            Introspection::Active { is_access_token: false, .. }
                if call.introspector.endpoint.access_tokens_only && call.validated.is_none() =>
            {
                refused(&call, Refused::NoAccessToken, step)
            }
            Introspection::Active { claims, jwt, .. } => match self.active(&call, claims, jwt, step) {
                Some(outcome) => outcome,
                None => return self.ask_again(call, step),
            },
        };
        if call.is_renewal {
            step.count(Counter::CacheRefreshed, Whose::provider(&call.origin.provider));
        }
        if call.asker() == Asker::UsForAll {
            // After the verdict was remembered, so that whoever gets the lease next finds it.
            step.release(&call.digest, Told::Verdict);
        }
        self.tell(call, outcome);
    }

    /// The token is active. `None`: it was withdrawn while the answer was under way.
    fn active(
        &self,
        call: &Call,
        claims: ClaimsBuf,
        jwt: Option<Minted>,
        step: &mut Step<'_>,
    ) -> Option<Outcome> {
        let (cache, config) = (&step.worker.cache, &step.worker.config);
        let asked = call.asked(step.now);
        let claims = match &call.validated {
            Some(validated) => two_sources::together(validated, claims.view()),
            None => two_sources::within_own_bounds(&call.token, claims),
        };
        // In the place of a JWT that was validated here goes ours, whatever the server gave besides.
        let jwt = jwt.filter(|_| call.origin.kind == OriginKind::IntrospectedWithJwt);
        let withdrawable = call.withdrawable(claims.view());
        cache.seen().note(withdrawable.provider, &withdrawable.claims);
        let Standing::Good(checked) = cache.withdrawals().standing(asked, &withdrawable) else { return None };
        let (jwt_id, jwt) = match jwt {
            Some(jwt) => (Some(OF_SERVER), Some(jwt)),
            None => {
                let minted = mint_for(self.cases(call), claims.view(), step);
                (config.phantom_token.as_ref().map(|token| token.id), minted)
            }
        };
        let ttl = call.origin.max_cache_ttl;
        if !ttl.is_zero() {
            let longest = ttl.saturating_add(config.cache.stale_if_error);
            let verdict = Verdict {
                digest: &call.digest,
                token: withdrawable.token,
                provider: withdrawable.provider,
                vouched: Vouched::ByServer,
                asked: asked.at,
                checked,
                useful_until: asked.at.plus(longest).min(call.origin.expects.end(claims.view().exp)),
                claims: &claims,
                jwt: jwt_id.zip(jwt.as_ref()),
            };
            remember(&verdict, &call.origin.provider, step);
        }
        self.note_first(call, claims.view(), step);
        Some(Outcome::Active { claims, jwt, asked })
    }

    /// What becomes of the first of those who wait, as one of the first tokens of its provider.
    fn note_first(&self, call: &Call, claims: Claims<'_>, step: &Step<'_>) {
        let Some(case) = self.cases(call).next() else { return };
        let denial = case.decide(claims, step).err();
        let Origin { provider, expects, .. } = &*call.origin;
        step.worker.first_verdicts.note(provider, denial.as_ref(), expects, claims.iss);
        step.worker.first_verdicts.note_lack(provider, &case.policy, denial.as_ref(), claims);
    }

    /// The requests that wait for a call.
    pub(super) fn cases<'i>(&'i self, call: &'i Call) -> impl Iterator<Item = &'i Case> {
        call.streams.iter().filter_map(|stream| self.waiting.get(*stream)).map(|waiter| &waiter.case)
    }
}

/// Nobody passes with this token; remembers why.
fn refused(call: &Call, refused: Refused, step: &mut Step<'_>) -> Outcome {
    let asked = call.asked(step.now).at;
    let ttl = step.worker.config.cache.negative_ttl.min(call.origin.max_cache_ttl);
    // Even one that is not to be remembered takes an earlier verdict away.
    if step.worker.cache.insert_refused(refused, &call.digest, asked, asked.plus(ttl), step.now) {
        step.count(Counter::CacheEvicted, Whose::NOBODY);
    }
    let denial = InvalidToken::from(refused).into();
    step.worker.first_verdicts.note(&call.origin.provider, Some(&denial), &call.origin.expects, None);
    Outcome::Denied(denial)
}

/// A server that calls a token active after its end has another clock than we, or writes its life for its end.
fn note_expired(provider: &str, exp: UnixMillis, step: &Step<'_>) {
    if exp < LONG_AGO {
        let text = format_args!(
            "it calls a token active whose exp lies before 2001: expected a date in seconds since 1970 (RFC 7519 §2), \
             got what looks like a lifetime"
        );
        step.worker.complaints.note(provider, "exp_is_a_lifetime", step.now, text);
    } else if step.now.since(exp) >= HARDLY_UNDER_WAY {
        let text =
            format_args!("it calls tokens active whose exp has passed: one of the two clocks is wrong");
        step.worker.complaints.note(provider, "exp_has_passed", step.now, text);
    }
}

/// 2001-09-09: no token of today ended then.
const LONG_AGO: UnixMillis = UnixMillis::from_secs(1_000_000_000);

/// A reply is not under way so long; a shorter time may be the server's and the network's.
const HARDLY_UNDER_WAY: Duration = Duration::from_secs(5);
