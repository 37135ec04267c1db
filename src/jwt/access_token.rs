//! JWT access tokens, judged where they arrive (RFC 9068 §4, RFC 8725): signature first, then type, issuer and
//! times. Audience, scopes and the rest are the policy's to require.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::algorithm::Algorithm;
use super::key::{SignError, Signatures};
use super::key_set::{KeySet, Unverified, VerifiedJwt};
use super::untrusted::{MalformedJwt, UntrustedJwt};
use crate::claims::{BadMember, ClaimNames, ClaimsBuf};
use crate::token::UnixMillis;
use crate::token_kind;

/// What is asked of the JWT access tokens of one issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtRules {
    /// `iss`, to the letter (RFC 9068 §4).
    pub issuer: String,
    /// The algorithms that this issuer signs with.
    pub algorithms: Vec<Algorithm>,
    /// The values of `typ` that an access token may have, with or without `application/`; an empty one admits
    /// tokens that say no type. Never put the type of an ID token here.
    pub types: Vec<String>,
    /// How far the issuer's clock may be from ours.
    pub leeway: Duration,
    /// Which claims are read as which.
    pub claim_names: ClaimNames,
}

impl JwtRules {
    /// The claims of a JWT access token that is good at `now`.
    ///
    /// # Errors
    ///
    /// [`BadJwt`] with the first thing that is wrong.
    pub fn verify(
        &self,
        text: &[u8],
        keys: &KeySet,
        signatures: &dyn Signatures,
        now: UnixMillis,
    ) -> Result<ClaimsBuf, BadJwt> {
        let jwt = UntrustedJwt::parse(text)?;
        // What is refused for its type whoever signed it costs no signature check, and no new key set.
        if !self.types.iter().any(|admitted| jwt.is_of_type(admitted)) {
            return Err(BadJwt::OtherType);
        }
        let jwt = keys.verify(&jwt, &self.algorithms, signatures)?;
        self.judge(&jwt, now)?;
        let mut claims = jwt.into_claims();
        self.claim_names.apply(&mut claims);
        Ok(ClaimsBuf::from_members(claims)?)
    }

    fn judge(&self, jwt: &VerifiedJwt, now: UnixMillis) -> Result<(), BadJwt> {
        for name in ["sub", "jti", "client_id", "sid"] {
            jwt.text(name)?;
        }
        // Strings or arrays of them; `ClaimsBuf` sees to that, and takes `null` for absent.
        if jwt.claims().get("aud").is_some_and(Value::is_null) {
            return Err(BadMember("aud").into());
        }
        if jwt.text("iss")? != Some(&self.issuer) {
            return Err(BadJwt::OtherIssuer);
        }
        // A type that ID tokens may have as well: then their own claims tell.
        if !jwt.is_of_type("at+jwt") && token_kind::is_for_clients(jwt.claims()) {
            return Err(BadJwt::NoAccessToken);
        }
        let exp = jwt.time("exp")?.ok_or(BadMember("exp"))?;
        if now >= exp.plus(self.leeway) {
            return Err(BadJwt::Expired);
        }
        for name in ["nbf", "iat"] {
            if jwt.time(name)?.is_some_and(|start| start > now.plus(self.leeway)) {
                return Err(BadJwt::NotYetValid);
            }
        }
        Ok(())
    }
}

/// Why a JWT is no access token for us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadJwt {
    /// A claim is absent that must be there, or has a type that RFC 7519 §4.1 does not give it.
    BadClaim(BadMember),
    /// Its `exp` has passed.
    Expired,
    /// It is no JWT.
    Malformed(MalformedJwt),
    /// Its type does not say so, but its claims are those of an ID token, or of another that is none for a service.
    NoAccessToken,
    /// Its `nbf` or `iat` lies ahead.
    NotYetValid,
    /// Its `iss` is another, or absent.
    OtherIssuer,
    /// Its `typ` is another: an ID token, say.
    OtherType,
    /// Its signature does not hold, or could not be checked.
    Unverified(Unverified),
}

impl BadJwt {
    /// Whether a newer key set may change the verdict.
    pub fn newer_keys_may_help(&self) -> bool {
        matches!(self, Self::Unverified(reason) if reason.newer_keys_may_help())
    }

    /// The host's reason, if there is no verdict at all because it cannot verify.
    pub fn host_failure(&self) -> Option<&SignError> {
        match self {
            Self::Unverified(Unverified::Host(error)) => Some(error),
            _ => None,
        }
    }

    /// One word for access logs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::BadClaim(_) | Self::Unverified(Unverified::NotClaims) => "jwt_not_claims",
            Self::Expired => "token_expired",
            Self::Malformed(_) => "jwt_malformed",
            Self::NoAccessToken => "not_an_access_token",
            Self::NotYetValid => "token_not_yet_valid",
            Self::OtherIssuer => "token_of_other_issuer",
            Self::OtherType => "jwt_type",
            Self::Unverified(Unverified::AlgorithmNotAllowed) => "jwt_algorithm",
            Self::Unverified(Unverified::BadSignature) => "jwt_signature",
            Self::Unverified(Unverified::Host(_)) => "jwt_not_verifiable",
            Self::Unverified(Unverified::UnknownKey) => "jwt_unknown_key",
        }
    }
}

impl fmt::Display for BadJwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadClaim(member) => member.fmt(f),
            Self::Expired => f.write_str("the JWT's exp has passed"),
            Self::Malformed(reason) => reason.fmt(f),
            Self::NoAccessToken => f.write_str("the JWT's claims are an ID token's"),
            Self::NotYetValid => f.write_str("the JWT's nbf or iat lies ahead"),
            Self::OtherIssuer => f.write_str("the JWT's iss is not the provider's issuer"),
            Self::OtherType => f.write_str("the JWT's typ is not an access token's"),
            Self::Unverified(reason) => reason.fmt(f),
        }
    }
}

impl From<BadMember> for BadJwt {
    fn from(member: BadMember) -> Self {
        Self::BadClaim(member)
    }
}

impl From<MalformedJwt> for BadJwt {
    fn from(reason: MalformedJwt) -> Self {
        Self::Malformed(reason)
    }
}

impl From<Unverified> for BadJwt {
    fn from(reason: Unverified) -> Self {
        Self::Unverified(reason)
    }
}
