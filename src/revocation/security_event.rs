//! Security Event Tokens (RFC 8417) as the Shared Signals Framework 1.0, CAEP and RISC use them: the checks on what a
//! verified one says, and what it withdraws.
//!
//! Signature, `alg` and `crit` have been checked before, with the provider's keys; whether the token was seen before
//! is for [`Replay`](super::Replay) to say. One that was is acknowledged again and not applied again (RFC 8935 §2).

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::claim::{LEEWAY, text, time, whole_second};
use super::subject_identifier::{bounded, verdicts_about};
use crate::cache::Which;
use crate::claims::point_in_time;
use crate::jwt::is_type;
use crate::token::UnixMillis;

/// What security event tokens have to say to count here.
#[derive(Clone, Debug)]
pub struct SecurityEventRules {
    /// `iss`: the transmitter.
    pub issuer: String,
    /// `aud`: one of these.
    pub audiences: Vec<String>,
    /// Whose `sub` and `jti` verdicts have: the provider's issuer.
    pub subject_issuer: String,
}

/// A security event token.
#[derive(Clone, PartialEq, Eq)]
pub struct SecurityEvent {
    /// Its identifier, which polling acknowledges it by.
    pub jti: String,
    /// When the latest of its events was that are of concern here, by the transmitter's clock: to the end of that second.
    pub date: UnixMillis,
    /// Until when it could be played again.
    pub replayable_until: UnixMillis,
    /// What it withdraws; nothing, if its events are of no concern here.
    pub withdraws: Vec<Which>,
    /// What the transmitter says of the stream itself, if it does.
    pub stream: Option<StreamStatus>,
    /// `state` of a verification (SSF 1.0 §8.1.4), if it is one that was asked for.
    pub verifies: Option<String>,
}

/// What became of a stream (SSF 1.0 §8.1.5), as far as an operator should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamStatus {
    /// Events come.
    Enabled,
    /// The transmitter holds events back.
    Paused,
    /// The transmitter drops events.
    Disabled,
    /// What it sends arrives: that is all that a verification says (SSF 1.0 §8.1.4).
    Verified,
    /// Something else.
    Other,
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetRefused {
    /// As the transmitter is told.
    pub error: SetError,
    /// In words; says nothing of what is in the token.
    pub description: &'static str,
}

/// Errors of push and poll (RFC 8935 §2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetError {
    /// The transmitter is not allowed to send this.
    AccessDenied,
    /// The transmitter did not show who it is.
    AuthenticationFailed,
    /// `aud` is for somebody else.
    InvalidAudience,
    /// `iss` is another issuer.
    InvalidIssuer,
    /// No key of the provider's verifies the signature.
    InvalidKey,
    /// Not a security event token, or not what its events should be.
    InvalidRequest,
}

impl SetError {
    /// The value of `err`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::AccessDenied => "access_denied",
            Self::AuthenticationFailed => "authentication_failed",
            Self::InvalidAudience => "invalid_audience",
            Self::InvalidIssuer => "invalid_issuer",
            Self::InvalidKey => "invalid_key",
            Self::InvalidRequest => "invalid_request",
        }
    }

    /// The reason with what was wrong.
    pub const fn because(self, description: &'static str) -> SetRefused {
        SetRefused { error: self, description }
    }
}

impl SetRefused {
    /// As push answers and as polling reports under `setErrs`.
    pub fn to_json(self) -> Value {
        json!({ "err": self.error.code(), "description": self.description })
    }
}

impl fmt::Display for SetRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.error.code(), self.description)
    }
}

impl SecurityEventRules {
    /// Whether a JWT of this type may be a security event token.
    pub fn admits(typ: Option<&str>) -> bool {
        is_type(typ, "secevent+jwt")
    }

    /// Checks a verified security event token.
    ///
    /// # Errors
    ///
    /// [`SetRefused`] with the first reason.
    pub fn check(
        &self,
        typ: Option<&str>,
        claims: &Map<String, Value>,
        now: UnixMillis,
    ) -> Result<SecurityEvent, SetRefused> {
        let bad = |description| SetError::InvalidRequest.because(description);
        if !Self::admits(typ) {
            return Err(bad("typ is not secevent+jwt"));
        }
        if text(claims, "iss") != Some(&self.issuer) {
            return Err(SetError::InvalidIssuer.because("iss is another issuer"));
        }
        if !crate::claims::is_for(claims, &self.audiences) {
            return Err(SetError::InvalidAudience.because("aud is for somebody else"));
        }
        let iat = time(claims, "iat").ok_or_else(|| bad("iat is absent or not a time"))?;
        if iat > now.plus(LEEWAY) {
            return Err(bad("iat lies in the future"));
        }
        // An event does not end (RFC 8417 §2.2); a token that says it does is taken at its word.
        let exp = match claims.get("exp") {
            None => UnixMillis::MAX,
            Some(_) => time(claims, "exp").ok_or_else(|| bad("exp is not a time"))?,
        };
        if exp.plus(LEEWAY) <= now {
            return Err(bad("the token has expired"));
        }
        let replayable_until = iat.plus(MAX_AGE).min(exp).plus(LEEWAY);
        if replayable_until <= now {
            return Err(bad("iat lies too long ago"));
        }
        let jti = text(claims, "jti").ok_or_else(|| bad("jti is absent or not a text"))?.to_owned();
        let events = claims.get("events").and_then(Value::as_object).filter(|events| !events.is_empty());
        let events = events.ok_or_else(|| bad("events is absent, empty or not an object"))?;
        if events.len() > MAX_EVENTS {
            return Err(bad("too many events in one token"));
        }
        let (mut withdraws, mut stream, mut date, mut verifies) = (Vec::new(), None, None, None);
        for (event_type, event) in events {
            let event = event.as_object().ok_or_else(|| bad("an event is not an object"))?;
            match event_type.strip_prefix(PREFIX) {
                Some(STREAM_UPDATED) => stream = Some(StreamStatus::of(event)),
                // It needs no answer but the acknowledgement.
                Some(VERIFICATION) => {
                    stream = stream.or(Some(StreamStatus::Verified));
                    verifies = text(event, "state").map(str::to_owned);
                }
                Some(event_type) if ACTED_ON.contains(&event_type) => {
                    let is_session = event_type.contains("session") || event_type.contains("token");
                    withdraws.extend(self.withdrawn(claims, event, is_session)?);
                    date = date.max(Some(date_of(event, claims, iat)));
                }
                Some(event_type) if OF_CLIENTS.contains(&event_type) => {
                    withdraws.extend(self.of_client(claims, event)?);
                    date = date.max(Some(date_of(event, claims, iat)));
                }
                // Others are of no concern here.
                _ => {}
            }
        }
        let date = whole_second(date.unwrap_or(iat));
        Ok(SecurityEvent { jti, date, replayable_until, withdraws: bounded(withdraws), stream, verifies })
    }

    /// `sub_id` of the token (SSF 1.0), or `subject` of the event as in older drafts, or the token's `sub`.
    fn withdrawn(
        &self,
        claims: &Map<String, Value>,
        event: &Map<String, Value>,
        is_session: bool,
    ) -> Result<Vec<Which>, SetRefused> {
        if let Some(subject) = subject(claims, event) {
            return self.about(subject, is_session);
        }
        let sub = text(claims, "sub");
        let sub = sub.ok_or_else(|| SetError::InvalidRequest.because("the event has no subject"))?;
        Ok(vec![Which::Sub(sub.to_owned())])
    }

    /// Where no subject names the client, `aud` does (OAuth Event Types 1.0, draft, §1).
    fn of_client(
        &self,
        claims: &Map<String, Value>,
        event: &Map<String, Value>,
    ) -> Result<Vec<Which>, SetRefused> {
        if let Some(subject) = subject(claims, event) {
            return self.about(subject, false);
        }
        let named = match claims.get("aud") {
            Some(Value::Array(all)) => all.as_slice(),
            Some(one) => std::slice::from_ref(one),
            None => &[],
        };
        if named.len() > MAX_EVENTS {
            return Ok(vec![Which::All]);
        }
        Ok(named.iter().filter_map(Value::as_str).map(|client| Which::Client(client.to_owned())).collect())
    }

    fn about(&self, subject: &Value, is_session: bool) -> Result<Vec<Which>, SetRefused> {
        verdicts_about(subject, &self.subject_issuer, is_session)
            .map_err(|_| SetError::InvalidRequest.because("the subject is not what its format says"))
    }
}

/// When an event was: `event_timestamp` (CAEP 1.0 §2), or `toe` of the token (RFC 8417 §2.2), where that can be; `iat` of the
/// token otherwise, than which it is not later. CAEP's drafts had milliseconds, and some transmitters still do.
fn date_of(event: &Map<String, Value>, claims: &Map<String, Value>, iat: UnixMillis) -> UnixMillis {
    let written = [event.get("event_timestamp"), claims.get("toe")].into_iter().flatten();
    let readings = written.filter_map(Value::as_f64).flat_map(|it| [it, it / 1000.0]).map(point_in_time);
    readings.into_iter().find(|it| (iat.minus(MAX_AGE)..=iat).contains(it)).unwrap_or(iat)
}

impl StreamStatus {
    fn of(event: &Map<String, Value>) -> Self {
        // CAEP's drafts, and servers that follow them, have an object here, with the status as its member of that name.
        let status = match event.get("status") {
            Some(Value::Object(status)) => text(status, "status"),
            _ => text(event, "status"),
        };
        match status {
            Some("enabled") => Self::Enabled,
            Some("paused") => Self::Paused,
            Some("disabled") => Self::Disabled,
            _ => Self::Other,
        }
    }
}

/// Whom or what an event is about. Of a token, which is often a refresh token or named by a digest of the transmitter's own,
/// the account whose it is (`token_subject`), where that is named.
fn subject<'c>(claims: &'c Map<String, Value>, event: &'c Map<String, Value>) -> Option<&'c Value> {
    let subject = claims.get("sub_id").or_else(|| event.get("subject"))?;
    let format = subject.get("format").or_else(|| subject.get("subject_type")).and_then(Value::as_str);
    let is_token = matches!(format, Some("oauth_token" | "oauth-token"));
    Some(event.get("token_subject").filter(|_| is_token).unwrap_or(subject))
}

/// The types of the events that something follows from.
pub fn acted_on() -> impl Iterator<Item = String> {
    ACTED_ON.into_iter().chain(OF_CLIENTS).map(|event_type| [PREFIX, event_type].concat())
}

/// What all event types begin with.
const PREFIX: &str = "https://schemas.openid.net/secevent/";

const STREAM_UPDATED: &str = "ssf/event-type/stream-updated";

const VERIFICATION: &str = "ssf/event-type/verification";

/// Events after which the tokens of a client may not hold any more.
const OF_CLIENTS: [&str; 2] =
    ["oauth/event-type/client-credential-changed", "oauth/event-type/client-disabled"];

/// Events after which what a server said before may not hold any more.
const ACTED_ON: [&str; 19] = [
    "caep/event-type/assurance-level-change",
    "caep/event-type/credential-change",
    "caep/event-type/device-compliance-change",
    "caep/event-type/risk-level-change",
    "caep/event-type/session-revoked",
    "caep/event-type/token-claims-change",
    "oauth/event-type/token-revoked",
    "oauth/event-type/tokens-revoked",
    "risc/event-type/account-credential-change-required",
    "risc/event-type/account-disabled",
    "risc/event-type/account-locked",
    "risc/event-type/account-purged",
    "risc/event-type/credential-compromise",
    "risc/event-type/identifier-changed",
    "risc/event-type/identifier-recycled",
    "risc/event-type/recovery-activated",
    "risc/event-type/recovery-information-changed",
    "risc/event-type/session-revoked",
    "risc/event-type/sessions-revoked",
];

/// `events` should hold one (SSF 1.0).
const MAX_EVENTS: usize = 16;

/// A transmitter that was cut off sends later what it could not send then.
const MAX_AGE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
