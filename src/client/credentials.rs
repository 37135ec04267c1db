//! The client credentials grant (RFC 6749 §4.4): an access token of our own, for calls that need one.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use super::authentication::{ClientAuthentication, Form};
use crate::http::{ACCEPT_ENCODING, HttpCall, Reply, Scheme, USER_AGENT, Unreadable};
use crate::json::{self, BadMember, NotAnObject};
use crate::jwt::{SignError, Signatures};
use crate::target::Target;
use crate::token::{Secret, UnixMillis};

/// How an access token is come by.
#[derive(Clone, Debug)]
pub struct ClientCredentials {
    /// Where it is used, as the configuration's path: names it in the log.
    pub used_by: String,
    /// The provider for whose sake it is, if it is for one.
    pub provider: Option<String>,
    /// The token endpoint.
    pub target: Target,
    /// How long it may take to answer.
    pub timeout: Duration,
    /// Our credentials there.
    pub authentication: ClientAuthentication,
    /// `scope`; none is asked for if it is empty.
    pub scopes: Vec<String>,
    /// Further form parameters: `resource` (RFC 8707), or `audience`.
    pub parameters: Vec<(String, String)>,
}

/// An access token, and how long it lives from when it was asked for.
#[derive(Clone, Debug)]
pub struct Granted {
    /// The token.
    pub token: Secret,
    /// Its life.
    pub life: Duration,
}

/// Why there is no access token. Says nothing of credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotGranted {
    /// A member of the reply is absent, or of another type.
    BadMember(BadMember),
    /// The token cannot stand in a header, or is longer than any.
    BadToken,
    /// It has ended before it was here.
    Ended,
    /// The body is not what a reply is.
    NotJson(NotAnObject),
    /// We could not sign our request.
    NotSigned,
    /// It is of a type that is no bearer token's (RFC 6749 §7.1).
    OtherTokenType,
    /// A status that says neither yes nor no.
    OtherStatus(u16),
    /// The server refuses us (RFC 6749 §5.2), with this status.
    Refused(u16),
    /// No answer in time.
    Timeout,
    /// The body is not read.
    Unreadable(Unreadable),
    /// No connection, no healthy host, or the answer broke off.
    Unreachable,
}

impl ClientCredentials {
    /// The request for a token.
    ///
    /// # Errors
    ///
    /// [`SignError`] where our credentials are a signature and the host gives none.
    pub fn request(&self, signatures: &dyn Signatures, now: UnixMillis) -> Result<HttpCall, SignError> {
        let Target { cluster, scheme, authority, path } = &self.target;
        let mut form = Form::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if !self.scopes.is_empty() {
            form.append_pair("scope", &self.scopes.join(" "));
        }
        form.extend_pairs(&self.parameters);
        let authorization = self.authentication.apply(&mut form, signatures, now)?;
        let fixed = [
            (":method", "POST"),
            (":path", path),
            (":authority", authority),
            ("content-type", "application/x-www-form-urlencoded"),
            ("accept", "application/json"),
            ACCEPT_ENCODING,
            ("user-agent", USER_AGENT),
        ];
        let fixed = fixed.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut headers: Vec<(String, String)> = Scheme::header(*scheme).into_iter().chain(fixed).collect();
        headers.extend(authorization.map(|value| ("authorization".to_owned(), value)));
        let body = form.finish().into_bytes();
        Ok(HttpCall { cluster: cluster.clone(), headers, body, timeout: self.timeout })
    }

    /// What tells these credentials from others, without being a secret.
    pub(crate) fn identity(&self) -> String {
        let client_id = self.authentication.client_id().unwrap_or_default();
        [client_id, &*self.target.texts().join(" "), &*self.scopes.join(" ")].join("\n")
    }
}

impl Granted {
    /// What a reply brings (RFC 6749 §5.1).
    ///
    /// # Errors
    ///
    /// [`NotGranted`] with the reason.
    pub fn read(reply: &Reply<'_>) -> Result<Self, NotGranted> {
        match reply.status {
            504 if reply.from_envoy => return Err(NotGranted::Timeout),
            _ if reply.from_envoy => return Err(NotGranted::Unreachable),
            200 => {}
            status @ (400 | 401 | 403) => return Err(NotGranted::Refused(status)),
            status => return Err(NotGranted::OtherStatus(status)),
        }
        let members = json::object(reply.text().map_err(NotGranted::Unreadable)?);
        let members = members.map_err(NotGranted::NotJson)?;
        if !text(&members, "token_type")?.eq_ignore_ascii_case("bearer") {
            return Err(NotGranted::OtherTokenType);
        }
        let token = text(&members, "access_token")?;
        let is_header_safe = token.bytes().all(|byte| byte.is_ascii_graphic());
        if token.is_empty() || token.len() > MAX_TOKEN_BYTES || !is_header_safe {
            return Err(NotGranted::BadToken);
        }
        Ok(Self { token: Secret::new(token), life: life(&members)? })
    }
}

fn text<'m>(members: &'m Map<String, Value>, name: &'static str) -> Result<&'m str, NotGranted> {
    members.get(name).and_then(Value::as_str).ok_or(NotGranted::BadMember(BadMember(name)))
}

/// What `expires_in` says.
fn life(members: &Map<String, Value>) -> Result<Duration, NotGranted> {
    let seconds = match members.get("expires_in") {
        None | Some(Value::Null) => return Ok(LIFE_UNSAID),
        Some(Value::Number(seconds)) => seconds.as_f64(),
        // Some servers write it so.
        Some(Value::String(digits)) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok()
        }
        Some(_) => None,
    };
    let seconds = seconds.ok_or(NotGranted::BadMember(BadMember("expires_in")))?;
    if seconds < 1.0 {
        return Err(NotGranted::Ended);
    }
    Ok(Duration::from_secs_f64(seconds.min(LONGEST_LIFE.as_secs_f64())))
}

impl NotGranted {
    /// Whether the server is down, and not of the opinion that we may have no token.
    pub fn is_outage(self) -> bool {
        match self {
            Self::OtherStatus(status) => status >= 500,
            Self::Timeout | Self::Unreachable => true,
            _ => false,
        }
    }

    /// One word for metrics.
    pub fn reason(self) -> &'static str {
        match self {
            Self::BadMember(_) => "token_bad_member",
            Self::BadToken => "token_not_header_safe",
            Self::Ended => "token_ended",
            Self::NotJson(_) => "token_not_json",
            Self::NotSigned => "token_request_not_signed",
            Self::OtherStatus(_) => "token_status",
            Self::OtherTokenType => "token_of_other_type",
            Self::Refused(_) => "token_refused",
            Self::Timeout => "token_timeout",
            Self::Unreadable(_) => "token_unreadable",
            Self::Unreachable => "token_unreachable",
        }
    }
}

impl fmt::Display for NotGranted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadMember(member) => member.fmt(f),
            Self::BadToken => {
                write!(
                    f,
                    "expected an access_token of up to {MAX_TOKEN_BYTES} visible ASCII characters, got another"
                )
            }
            Self::Ended => f.write_str("the access token has ended before it was here (expires_in)"),
            Self::NotJson(reason) => reason.fmt(f),
            Self::NotSigned => f.write_str("our request could not be signed"),
            Self::OtherStatus(status) => write!(f, "expected status 200, got {status}"),
            Self::OtherTokenType => f.write_str("expected the token_type Bearer, got another"),
            Self::Refused(status) => {
                write!(
                    f,
                    "we were refused with status {status}; see its `client_credentials.auth` and `scopes`"
                )
            }
            Self::Timeout => f.write_str("no answer within the timeout"),
            Self::Unreadable(reason) => reason.fmt(f),
            Self::Unreachable => f.write_str("no connection, no healthy host, or the answer broke off"),
        }
    }
}

/// Servers take headers of 8 KiB at the least, and few of more than this.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// Of a token whose server does not say how long it lives (RFC 6749 §5.1 recommends that it does): no longer than most, and
/// one that ends before is refused, and fetched anew.
const LIFE_UNSAID: Duration = Duration::from_secs(5 * 60);

/// No token is used for longer.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
