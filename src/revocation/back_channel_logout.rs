//! Logout tokens (OpenID Connect Back-Channel Logout 1.0 §2.4 and §2.6): the checks on what a verified one says.
//!
//! Signature, `alg` and `crit` have been checked before, with the provider's keys; whether the token was seen before
//! is for [`Replay`](super::Replay) to say.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use super::claim::{LEEWAY, is_form, text, time, whole_second};
use crate::cache::Which;
use crate::jwt::is_type;
use crate::token::UnixMillis;

/// What logout tokens have to say to count here.
#[derive(Clone, Debug)]
pub struct LogoutRules {
    /// `iss`.
    pub issuer: String,
    /// `aud`: one of these, the clients whose logouts are meant for us.
    pub audiences: Vec<String>,
    /// Whether a token without `exp` is refused. The specification has required it since its errata; not all
    /// servers send it.
    pub require_exp: bool,
}

/// A logout.
#[derive(Clone, PartialEq, Eq)]
pub struct Logout {
    /// The token's identifier.
    pub jti: String,
    /// When it was, by the server's clock: to the end of that second.
    pub date: UnixMillis,
    /// Until when it could be played again.
    pub replayable_until: UnixMillis,
    /// What it withdraws.
    pub withdraws: Vec<Which>,
}

/// Why a logout token is refused. Says nothing of what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogoutRefused {
    /// It has ended.
    Expired,
    /// It was issued in the future.
    FromTheFuture,
    /// It has a `nonce`, as ID tokens have.
    HasNonce,
    /// `events` has no member for a logout.
    NoLogoutEvent,
    /// A required claim is absent or of another type.
    NotUsable(&'static str),
    /// Neither `sub` nor `sid`.
    NoSubject,
    /// For another client.
    OtherAudience,
    /// Of another issuer.
    OtherIssuer,
    /// A JWT that is meant for something else.
    OtherType,
    /// It was used before.
    Replayed,
    /// Issued too long ago.
    TooOld,
    /// It names only a session, and there are no verdicts that name one.
    UnknownSession,
}

impl fmt::Display for LogoutRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "the logout token has expired",
            Self::FromTheFuture => "iat lies in the future",
            Self::HasNonce => "nonce is not allowed in a logout token",
            Self::NoLogoutEvent => "events has no object for a back-channel logout",
            Self::NotUsable(name) => return write!(f, "{name} is absent or has an unexpected type"),
            Self::NoSubject => "neither sub nor sid is there",
            Self::OtherAudience => "aud is for somebody else",
            Self::OtherIssuer => "iss is another issuer",
            Self::OtherType => "typ is that of another kind of JWT",
            Self::Replayed => "the logout token was used before",
            Self::TooOld => "iat lies too long ago",
            Self::UnknownSession => "only sid is there, and no session is known here",
        })
    }
}

/// The logout token in the form that servers send (§2.5). `None` unless there is exactly one.
pub fn logout_token(content_type: &[u8], body: &[u8]) -> Option<String> {
    if !is_form(content_type) {
        return None;
    }
    let mut tokens = form_urlencoded::parse(body).filter(|(name, _)| name == "logout_token");
    match (tokens.next(), tokens.next()) {
        (Some((_, token)), None) => Some(token.into_owned()),
        _ => None,
    }
}

impl LogoutRules {
    /// Whether a JWT of this type may be a logout token. A specific type of something else is none, whatever it
    /// says; `JWT` and none are not specific.
    pub fn admits(typ: Option<&str>) -> bool {
        typ.is_none() || is_type(typ, "logout+jwt") || is_type(typ, "jwt")
    }

    /// Checks a verified logout token.
    ///
    /// # Errors
    ///
    /// [`LogoutRefused`] with the first reason.
    pub fn check(
        &self,
        typ: Option<&str>,
        claims: &Map<String, Value>,
        now: UnixMillis,
    ) -> Result<Logout, LogoutRefused> {
        if !Self::admits(typ) {
            return Err(LogoutRefused::OtherType);
        }
        if text(claims, "iss") != Some(&self.issuer) {
            return Err(LogoutRefused::OtherIssuer);
        }
        if !crate::claims::is_for(claims, &self.audiences) {
            return Err(LogoutRefused::OtherAudience);
        }
        let iat = time(claims, "iat").ok_or(LogoutRefused::NotUsable("iat"))?;
        let replayable_until = self.replayable_until(iat, claims, now)?;
        let is_logout =
            claims.get("events").and_then(|events| events.get(EVENT)).is_some_and(Value::is_object);
        if !is_logout {
            return Err(LogoutRefused::NoLogoutEvent);
        }
        if claims.contains_key("nonce") {
            return Err(LogoutRefused::HasNonce);
        }
        let jti = text(claims, "jti").ok_or(LogoutRefused::NotUsable("jti"))?.to_owned();
        Ok(Logout { jti, date: whole_second(iat), replayable_until, withdraws: withdrawn(claims)? })
    }

    fn replayable_until(
        &self,
        iat: UnixMillis,
        claims: &Map<String, Value>,
        now: UnixMillis,
    ) -> Result<UnixMillis, LogoutRefused> {
        if iat > now.plus(LEEWAY) {
            return Err(LogoutRefused::FromTheFuture);
        }
        let has_exp = claims.contains_key("exp");
        let exp = time(claims, "exp");
        if exp.is_none() && (has_exp || self.require_exp) {
            return Err(LogoutRefused::NotUsable("exp"));
        }
        if exp.is_some_and(|exp| exp.plus(LEEWAY) <= now) {
            return Err(LogoutRefused::Expired);
        }
        let longest = iat.plus(if exp.is_some() { LONGEST_WITH_EXP } else { LONGEST_WITHOUT_EXP });
        let end = longest.min(exp.unwrap_or(UnixMillis::MAX)).plus(LEEWAY);
        if end <= now { Err(LogoutRefused::TooOld) } else { Ok(end) }
    }
}

/// A session where one is named, otherwise all sessions of `sub` (§2.7). A verdict that does not say which session
/// it belongs to may belong to this one: it goes with its `sub`, or, where the token names none, with all of its
/// kind.
fn withdrawn(claims: &Map<String, Value>) -> Result<Vec<Which>, LogoutRefused> {
    let named = |name: &'static str| match claims.get(name) {
        None => Ok(None),
        Some(_) => text(claims, name).map(str::to_owned).map(Some).ok_or(LogoutRefused::NotUsable(name)),
    };
    match (named("sid")?, named("sub")?) {
        (Some(sid), Some(sub)) => Ok(vec![Which::Sid(sid), Which::SubWithoutSid(sub)]),
        (Some(sid), None) => Ok(vec![Which::Sid(sid), Which::WithoutSid]),
        (None, Some(sub)) => Ok(vec![Which::Sub(sub)]),
        (None, None) => Err(LogoutRefused::NoSubject),
    }
}

/// The member of `events` that makes a JWT a logout token (§2.4).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// How old a logout token without `exp` may be; they are sent at once.
const LONGEST_WITHOUT_EXP: Duration = Duration::from_secs(5 * 60);

/// How old any may be, whatever its `exp`: so long it is remembered.
const LONGEST_WITH_EXP: Duration = Duration::from_secs(60 * 60);
