//! Validating a JWT here (RFC 9068 §4): with keys that are at hand, without asking anybody.

use super::inquiry::Inquiry;
use super::{Case, Effect, Filter, Source};
use crate::cache::{Asked, ProviderTag, Standing, Verdict, Withdrawable};
use crate::claims::ClaimsBuf;
use crate::jwt::UntrustedJwt;
use crate::metrics::Counter;
use crate::policy::{self, Denial, InvalidToken, Unavailable};
use crate::provider::{Origin, Validator};
use crate::token::{AccessToken, TokenDigest, UnixMillis};

impl Filter {
    /// The claims of a JWT that is good.
    ///
    /// # Errors
    ///
    /// Why it is not; `None` if newer keys may know better.
    pub(super) fn validate(
        &self,
        validator: &Validator,
        inquiry: &Inquiry,
        now: UnixMillis,
    ) -> Result<ClaimsBuf, Option<Denial>> {
        let set = self.keys.set(&validator.jwks).ok_or(None)?;
        let token = inquiry.token.secret().as_bytes();
        let reason = match validator.rules.verify(token, set, self.signatures.as_ref(), now) {
            Ok(claims) => return Ok(claims),
            Err(reason) => reason,
        };
        if let Some(failure) = reason.host_failure() {
            log::error!("provider {:?}: no JWT can be verified: {failure}", validator.origin.provider);
            return Err(Some(Unavailable::Host.into()));
        }
        if reason.newer_keys_may_help() {
            if !inquiry.has_waited_for_keys {
                return Err(None);
            }
            // Nobody can tell whether there is such a key.
            if self.keys.are_out_of_reach(&validator.jwks) {
                return Err(Some(self.keys.unavailable(&validator.jwks, now).into()));
            }
        }
        let denial = InvalidToken::Jwt(reason).into();
        let iss = UntrustedJwt::parse(token).ok().and_then(|jwt| jwt.issuer_unchecked());
        let Origin { provider, expects, .. } = &*validator.origin;
        self.first_verdicts.note(provider, Some(&denial), expects, iss.as_deref().map(str::as_bytes));
        Err(Some(denial))
    }

    /// A JWT is good: remembers what it says, and judges the request.
    pub(super) fn validated(
        &self,
        mut case: Case,
        token: &AccessToken,
        digest: &TokenDigest,
        claims: ClaimsBuf,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        effects.push(Effect::Count(Counter::CacheMiss));
        case.source = Source::Miss;
        let minted = self.mint_for(&case, claims.view(), now, effects);
        let ttl = case.origin.max_cache_ttl;
        let (token, provider) = (TokenDigest::of(token), ProviderTag::new(case.origin.identity()));
        let withdrawals = self.cache.withdrawals();
        let asked = Asked { at: now, moment: withdrawals.moment() };
        // Nothing was withdrawn since we looked; but what was may still be settling.
        let standing = withdrawals.standing(asked, &Withdrawable { token, provider, claims: claims.view() });
        if let Standing::Good(checked) = standing
            && !ttl.is_zero()
        {
            let verdict = Verdict {
                digest,
                token,
                provider,
                asked: now,
                checked,
                useful_until: case.origin.expects.end(claims.view().exp).min(now.plus(ttl)),
                claims: &claims,
                jwt: self.jwt_id(&case).zip(minted.as_ref()),
            };
            if self.cache.insert_active(&verdict, now) {
                effects.push(Effect::Count(Counter::CacheEvicted));
            }
            if verdict.is_oversized() {
                self.note_oversized(&case.origin.provider, now, effects);
            }
        }
        let denial = policy::decide(&case.policy.require, &case.origin.expects, claims.view(), now).err();
        let Origin { provider, expects, .. } = &*case.origin;
        self.first_verdicts.note(provider, denial.as_ref(), expects, claims.view().iss);
        self.first_verdicts.note_lack(provider, &case.policy, denial.as_ref(), claims.view());
        self.conclude(case, claims.view(), minted.as_ref(), now, effects);
    }
}
