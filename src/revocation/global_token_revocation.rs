//! Global Token Revocation (draft-parecki-oauth-global-token-revocation-06): somebody else, such as the identity provider
//! that users log in at, orders that all tokens of a user are revoked. Whose it is stands in the body, who orders it in
//! `authorization`: a secret, or a JWT that he signed (RFC 7523), as Okta's Universal Logout sends it.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use super::claim::{LEEWAY, text, time};
use super::subject_identifier::{bounded, verdicts_about};
use crate::cache::Which;
use crate::http::is_media_type;
use crate::json;
use crate::jwt::is_type;
use crate::token::UnixMillis;

/// What the JWT of an order has to say, once its signature holds.
#[derive(Clone, Debug)]
pub struct OrderRules {
    /// `iss`.
    pub issuer: String,
    /// `aud`: one of these.
    pub audiences: Vec<String>,
}

/// The JWT of an order is good for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ordered {
    /// Its identifier, if it has one.
    pub jti: Option<String>,
    /// Until when it could be played again.
    pub replayable_until: UnixMillis,
}

/// Why an order is refused. Says nothing of what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderRefused {
    /// The body is too long, no JSON, or names nobody (400).
    Malformed(&'static str),
    /// It is not known who orders (401).
    Unauthenticated(&'static str),
    /// Whose tokens are meant is not for him to say (403).
    Forbidden,
}

impl OrderRefused {
    /// The status of the answer (§3.4.2).
    pub fn status(self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::Unauthenticated(_) => 401,
            Self::Forbidden => 403,
        }
    }

    /// An error code of RFC 6750, for the draft has none.
    pub fn code(self) -> &'static str {
        match self {
            Self::Malformed(_) => "invalid_request",
            Self::Unauthenticated(_) => "invalid_token",
            Self::Forbidden => "insufficient_scope",
        }
    }
}

impl fmt::Display for OrderRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed(reason) | Self::Unauthenticated(reason) => reason,
            Self::Forbidden => "sub_id is of an issuer that this sender does not speak for",
        })
    }
}

/// What an order withdraws, at the provider of `subject_issuer`; `body` is `None` if it is too long. Who orders speaks for
/// its users, and, where he is an issuer (`orderer`) himself, for his own.
///
/// # Errors
///
/// [`OrderRefused`] with the first reason.
pub fn ordered(
    content_type: &[u8],
    body: Option<&[u8]>,
    subject_issuer: &str,
    orderer: Option<&str>,
) -> Result<Vec<Which>, OrderRefused> {
    let bad = OrderRefused::Malformed;
    let body = body.filter(|body| body.len() <= MAX_BODY_BYTES).ok_or_else(|| bad("the body is too long"))?;
    if !is_media_type(content_type, "application/json") {
        return Err(bad("expected application/json"));
    }
    let mut members = json::object(body).map_err(|_| bad("expected a JSON object"))?;
    let subject = members.remove("sub_id").ok_or_else(|| bad("sub_id is absent"))?;
    // It may have been meant to narrow down.
    if !members.is_empty() {
        return Err(bad("expected sub_id alone"));
    }
    let format = subject.get("format").and_then(Value::as_str).ok_or_else(|| bad("sub_id has no format"))?;
    let issuer = subject.get("iss").and_then(Value::as_str).filter(|_| format == "iss_sub");
    if issuer.is_some_and(|issuer| issuer != subject_issuer && Some(issuer) != orderer) {
        return Err(OrderRefused::Forbidden);
    }
    let named = verdicts_about(&subject, subject_issuer, false);
    named.map(bounded).map_err(|_| bad("sub_id is not what its format says"))
}

impl OrderRules {
    /// Whether a JWT of this type may be that of an order: Okta's is specific, the draft names none.
    pub fn admits(typ: Option<&str>) -> bool {
        typ.is_none() || is_type(typ, "global-token-revocation+jwt") || is_type(typ, "jwt")
    }

    /// Checks a verified JWT (RFC 7523 §3).
    ///
    /// # Errors
    ///
    /// [`OrderRefused::Unauthenticated`] with the first reason.
    pub fn check(
        &self,
        typ: Option<&str>,
        claims: &Map<String, Value>,
        now: UnixMillis,
    ) -> Result<Ordered, OrderRefused> {
        let bad = OrderRefused::Unauthenticated;
        if !Self::admits(typ) || OF_OTHER_KINDS.iter().any(|name| claims.contains_key(*name)) {
            return Err(bad("the JWT is of another kind"));
        }
        if text(claims, "iss") != Some(&self.issuer) {
            return Err(bad("iss is another issuer"));
        }
        if !crate::claims::is_for(claims, &self.audiences) {
            return Err(bad("aud is for somebody else"));
        }
        let exp = time(claims, "exp").ok_or_else(|| bad("exp is absent or not a time"))?;
        if exp.plus(LEEWAY) <= now {
            return Err(bad("the JWT has expired"));
        }
        let begins = |name| match claims.get(name) {
            None => Ok(UnixMillis::from_millis(0)),
            Some(_) => time(claims, name).ok_or_else(|| bad("a time is not one")),
        };
        let (nbf, iat) = (begins("nbf")?, begins("iat")?);
        if nbf.max(iat) > now.plus(LEEWAY) {
            return Err(bad("the JWT lies in the future"));
        }
        // So long it is remembered.
        if exp > now.plus(LONGEST) {
            return Err(bad("exp lies too far ahead"));
        }
        let jti = text(claims, "jti").map(str::to_owned);
        if jti.is_none() && claims.contains_key("jti") {
            return Err(bad("jti is not a text"));
        }
        Ok(Ordered { jti, replayable_until: exp.plus(LEEWAY) })
    }
}

/// What tokens that their users have say of themselves, and no order does: ID tokens (OpenID Connect Core §2), and access tokens that
/// do not say what they are.
const OF_OTHER_KINDS: [&str; 8] =
    ["events", "nonce", "at_hash", "auth_time", "azp", "client_id", "scope", "sid"];

/// Of an order.
const MAX_BODY_BYTES: usize = 16 << 10;

/// A JWT that anybody who has seen it can use for anybody's tokens is short-lived; Okta's lives five minutes.
const LONGEST: Duration = Duration::from_secs(60 * 60);
