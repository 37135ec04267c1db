//! Validating a JWT here (RFC 9068 §4): with keys that are at hand, without asking anybody.

use super::conclude;
use super::outcome::refuse_client;
use super::phantom::{jwt_id, mint_for};
use super::remember::remember;
use crate::cache::{Asked, ProviderTag, Standing, Verdict, Vouched, Withdrawable};
use crate::claims::ClaimsBuf;
use crate::filter::case::{Case, Source};
use crate::filter::fetches::keys::KeyRings;
use crate::filter::step::Step;
use crate::filter::worker::Worker;
use crate::jwt::UntrustedJwt;
use crate::metrics::Counter;
use crate::policy::{Denial, InvalidToken, Unavailable};
use crate::provider::{Origin, Validator};
use crate::token::{AccessToken, TokenDigest, UnixMillis};

/// Why a JWT is not good.
pub(in crate::filter) enum Invalid {
    /// By the keys that are here; newer ones may know better.
    ByTheseKeys,
    /// For this.
    For(Denial),
}

/// The claims of a JWT that is good.
///
/// # Errors
///
/// Why it is not.
pub(in crate::filter) fn validate(
    validator: &Validator,
    token: &AccessToken,
    has_waited_for_keys: bool,
    keys: &KeyRings,
    step: &Step<'_>,
) -> Result<ClaimsBuf, Invalid> {
    let set = keys.set(&validator.jwks).ok_or(Invalid::ByTheseKeys)?;
    let token = token.secret().as_bytes();
    let reason = match validator.rules.verify(token, set, step.worker.signatures(), step.now) {
        Ok(claims) => return Ok(claims),
        Err(reason) => reason,
    };
    if let Some(failure) = reason.host_failure() {
        log::error!("provider {:?}: no JWT can be verified: {failure}", validator.origin.provider);
        return Err(Invalid::For(Unavailable::Host.into()));
    }
    if reason.newer_keys_may_help() {
        if !has_waited_for_keys {
            return Err(Invalid::ByTheseKeys);
        }
        // Nobody can tell whether there is such a key.
        if keys.are_out_of_reach(&validator.jwks) {
            return Err(Invalid::For(keys.unavailable(&validator.jwks, step.now).into()));
        }
    }
    let denial = InvalidToken::Jwt(reason).into();
    let iss = UntrustedJwt::parse(token).ok().and_then(|jwt| jwt.issuer_unchecked());
    let Origin { provider, expects, .. } = &*validator.origin;
    step.worker.first_verdicts.note(provider, Some(&denial), expects, iss.as_deref().map(str::as_bytes));
    Err(Invalid::For(denial))
}

/// Whether a token is a JWT that is good, that nobody is asked about, and that was not withdrawn before.
pub(in crate::filter) fn is_good_by_itself(
    validator: &Validator,
    token: &AccessToken,
    keys: &KeyRings,
    worker: &Worker,
    now: UnixMillis,
) -> bool {
    let Some(set) =
        keys.set(&validator.jwks).filter(|_| worker.vouched(&validator.origin) == Vouched::ByItself)
    else {
        return false;
    };
    let claims = validator.rules.verify(token.secret().as_bytes(), set, worker.signatures(), now);
    claims.is_ok_and(|claims| {
        let (token, provider) = (TokenDigest::of(token), ProviderTag::new(validator.origin.identity()));
        let verdict_on = Withdrawable { token, provider, claims: claims.view() };
        !worker.cache.withdrawals().refuses(&verdict_on, now)
    })
}

/// A JWT is good: remembers what it says, and judges the request.
pub(in crate::filter) fn validated(
    mut case: Case,
    token: &AccessToken,
    digest: &TokenDigest,
    claims: ClaimsBuf,
    step: &mut Step<'_>,
) {
    step.count(Counter::CacheMiss, case.whose());
    case.source = Source::Miss;
    let (ttl, vouched) = (case.origin.max_cache_ttl, step.worker.vouched(&case.origin));
    let end = case.origin.expects.end(claims.view().exp);
    let (token, provider) = (TokenDigest::of(token), ProviderTag::new(case.origin.identity()));
    let verdict_on = Withdrawable { token, provider, claims: claims.view() };
    let withdrawals = step.worker.cache.withdrawals();
    let asked = Asked { at: step.now, moment: withdrawals.moment() };
    let standing = match vouched {
        Vouched::ByItself => {
            step.worker.cache.seen().note_jwt(provider, &verdict_on.claims);
            withdrawals.note_life(&verdict_on.claims, end, step.now);
            withdrawals.standing_of_jwt(asked, &verdict_on, step.now)
        }
        // Nothing was withdrawn since we looked; but what was may still be settling.
        Vouched::ByServer => withdrawals.standing(asked, &verdict_on),
    };
    if standing == Standing::Refused {
        return refuse_client(&case, &InvalidToken::Withdrawn.into(), verdict_on.claims.client_id, step);
    }
    let minted = mint_for(std::iter::once(&case), claims.view(), step);
    if let Standing::Good(checked) = standing
        && !ttl.is_zero()
    {
        let verdict = Verdict {
            digest,
            token,
            provider,
            vouched,
            asked: step.now,
            checked,
            useful_until: end.min(step.now.plus(ttl)),
            claims: &claims,
            jwt: jwt_id(&case, step.worker).zip(minted.as_ref()),
        };
        remember(&verdict, &case.origin.provider, step);
    }
    let denial = case.decide(claims.view(), step).err();
    let Origin { provider, expects, .. } = &*case.origin;
    step.worker.first_verdicts.note(provider, denial.as_ref(), expects, claims.view().iss);
    step.worker.first_verdicts.note_lack(provider, &case.policy, denial.as_ref(), claims.view());
    let passed_by = case.passed_by(vouched, asked.at, || verdict_on);
    conclude(case, claims.view(), minted.as_ref(), passed_by, step);
}
