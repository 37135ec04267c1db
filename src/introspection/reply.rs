//! What a reply of the introspection endpoint says (RFC 7662 §2.2).
//!
//! Lenient where servers differ, strict where safety lies. Whatever is not a verdict is a failure of the
//! *server*: never "inactive", which would make clients throw good tokens away.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use super::signed::{self, Keys, Response, SignedReplyKind};
use crate::claims::{BadMember, ClaimNames, ClaimsBuf};
use crate::http::{Reply, Unreadable, is_media_type, retry_after};
use crate::json::{self, NotAnObject};
use crate::jwt::Minted;
use crate::token::UnixMillis;
use crate::token_kind;

/// A verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Introspection {
    /// The token is good.
    Active {
        /// What it says.
        claims: ClaimsBuf,
        /// The JWT that the server gave for the service behind.
        jwt: Option<Minted>,
        /// Whether it is an access token, as far as that can be told.
        is_access_token: bool,
    },
    /// The server says that it is good, but its end has passed.
    Expired {
        /// That end.
        exp: UnixMillis,
    },
    /// It is not, or not any more.
    Inactive,
}

/// Why a call brought no verdict. Says nothing of tokens, claims or credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerFailure {
    /// A member of the reply has an unexpected type.
    BadMember(BadMember),
    /// The body is longer than 1 MiB.
    BodyTooLong,
    /// The body is in this content coding, though we asked for none.
    Coded(&'static str),
    /// It refuses our credentials.
    CredentialsRefused {
        /// 401 or 403.
        status: u16,
    },
    /// The breaker is open: the server failed too often in a row.
    HeldBack,
    /// `active` is absent or no boolean.
    NoActive,
    /// There is no JWT where one should be.
    NotAJwt,
    /// A signed reply is older than a call takes, or does not say how old it is.
    NotFresh,
    /// The body is not what a JSON reply is.
    NotJson(NotAnObject),
    /// We could not sign our request.
    NotSigned,
    /// The signature of a signed reply does not hold, or is by an algorithm that does not count.
    NotVerified,
    /// A signed reply is for somebody else.
    OtherAudience,
    /// A content type other than the one that was asked for.
    OtherContentType,
    /// A signed reply is by somebody else.
    OtherIssuer,
    /// The JWT of a signed reply is of another type.
    OtherJwtType,
    /// A status other than 200 and 201.
    OtherStatus {
        /// The status.
        status: u16,
    },
    /// Another worker asked, and got no verdict.
    OtherWorker {
        /// Whether another try may help.
        is_transient: bool,
    },
    /// What it said was withdrawn before it arrived, time and again.
    Overtaken,
    /// It asks not to be asked for so long (`Retry-After`).
    RetryLater {
        /// At least one.
        seconds: u32,
    },
    /// No answer in time.
    Timeout,
    /// A signed reply is by a key that the server does not publish, or its keys could not be fetched.
    UnknownKey,
    /// No connection, no healthy host, or the answer broke off.
    Unreachable,
}

impl ServerFailure {
    /// Whether another try may help: no answer came, or one that says "later" (429, 5xx).
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Timeout | Self::Unreachable => true,
            Self::OtherStatus { status } => *status == 429 || *status >= 500,
            Self::HeldBack | Self::Overtaken | Self::RetryLater { .. } => true,
            Self::OtherWorker { is_transient } => *is_transient,
            _ => false,
        }
    }

    /// Whether it is about the server or about us, whatever token is asked about: so it will be the next time, too.
    /// What one token alone may bring about is not.
    pub fn is_general(&self) -> bool {
        match self {
            Self::BodyTooLong | Self::BadMember(_) | Self::OtherStatus { .. } => false,
            Self::HeldBack | Self::NotSigned | Self::OtherWorker { .. } | Self::Overtaken => false,
            Self::RetryLater { .. } | Self::Timeout | Self::Unreachable => false,
            Self::Coded(_)
            | Self::CredentialsRefused { .. }
            | Self::NoActive
            | Self::NotAJwt
            | Self::NotFresh
            | Self::NotJson(_)
            | Self::NotVerified
            | Self::OtherAudience
            | Self::OtherContentType
            | Self::OtherIssuer
            | Self::OtherJwtType
            | Self::UnknownKey => true,
        }
    }

    /// That the server is not to be asked for so long.
    pub fn retry_later(pause: Duration) -> Self {
        Self::RetryLater { seconds: retry_after(pause) }
    }

    /// What failed, in words for the log: with what was called, what came, and what to look at.
    pub fn with_circumstances(&self, called: &str, reply: Option<&Reply<'_>>) -> String {
        let seen = reply.map(|reply| ["; ", &reply.seen()].concat()).unwrap_or_default();
        let mut text = format!("{self}; {called}{seen}");
        // To a host that a server does not know, it answers so, or leads to the one that it knows.
        if matches!(self, Self::OtherStatus { status: 300..=399 | 400 | 404 | 421 }) {
            text.push_str(
                "; is this the server's own host and path? See `introspection.authority` and `path`",
            );
        }
        if reply.is_some_and(|reply| reply.from_envoy && reply.status == 502) {
            text.push_str("; does the server want another `:scheme`? See `introspection.scheme`");
        }
        text
    }

    /// One word for access logs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::BadMember(_) => "introspection_bad_member",
            Self::BodyTooLong => "introspection_body_too_long",
            Self::Coded(_) => "introspection_coded",
            Self::CredentialsRefused { .. } => "introspection_credentials_refused",
            Self::NoActive => "introspection_without_active",
            Self::NotAJwt => "introspection_not_a_jwt",
            Self::NotFresh => "introspection_not_fresh",
            Self::NotJson(_) => "introspection_not_json",
            Self::NotSigned => "introspection_request_not_signed",
            Self::NotVerified => "introspection_not_verified",
            Self::OtherAudience => "introspection_for_other_audience",
            Self::OtherContentType => "introspection_content_type",
            Self::OtherIssuer => "introspection_of_other_issuer",
            Self::OtherJwtType => "introspection_jwt_of_other_type",
            Self::HeldBack => "introspection_held_back",
            Self::OtherStatus { .. } => "introspection_status",
            Self::Overtaken => "introspection_overtaken_by_withdrawals",
            Self::OtherWorker { .. } => "introspection_failed_on_other_worker",
            Self::RetryLater { .. } => "introspection_retry_later",
            Self::Timeout => "introspection_timeout",
            Self::UnknownKey => "introspection_unknown_key",
            Self::Unreachable => "introspection_unreachable",
        }
    }
}

impl fmt::Display for ServerFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadMember(member) => member.fmt(f),
            Self::BodyTooLong => Unreadable::TooLong.fmt(f),
            Self::Coded(coding) => Unreadable::Coded(coding).fmt(f),
            Self::CredentialsRefused { status } => {
                write!(f, "our credentials were refused with status {status}; see `introspection.auth`")
            }
            Self::NoActive => f.write_str("the member active is absent or not a boolean"),
            Self::NotAJwt => f.write_str("expected a JWT, got none"),
            Self::NotFresh => f.write_str("expected a reply signed just now (iat), got another"),
            Self::NotJson(reason) => reason.fmt(f),
            Self::NotSigned => f.write_str("our request could not be signed"),
            Self::NotVerified => {
                f.write_str("the signature of the reply does not hold; see `jwks` and `jwt.algorithms`")
            }
            Self::OtherAudience => f.write_str(
                "the signed reply is for another audience; see `introspection.response_audiences`",
            ),
            Self::OtherContentType => {
                f.write_str("expected the content type of `introspection.response`, got another")
            }
            Self::OtherIssuer => f.write_str("the signed reply is of another issuer than the provider's"),
            Self::OtherJwtType => f.write_str("the JWT of the signed reply is of another type (typ)"),
            Self::HeldBack => {
                f.write_str("calls are held back, for the server has failed several times in a row")
            }
            Self::OtherStatus { status } => write!(f, "expected status 200, got {status}"),
            Self::OtherWorker { .. } => f.write_str("another worker asked and got no verdict"),
            Self::Overtaken => f.write_str("verdicts were withdrawn before they arrived, time and again"),
            Self::RetryLater { seconds } => {
                write!(f, "the server asks not to be asked for another {seconds} s (Retry-After)")
            }
            Self::Timeout => f.write_str("no answer within the timeout"),
            Self::UnknownKey => f.write_str("the reply is signed by a key that `jwks` does not have"),
            Self::Unreachable => f.write_str("no connection, no healthy host, or the answer broke off"),
        }
    }
}

impl From<Unreadable> for ServerFailure {
    fn from(reason: Unreadable) -> Self {
        match reason {
            Unreadable::Coded(coding) => Self::Coded(coding),
            Unreadable::TooLong => Self::BodyTooLong,
        }
    }
}

/// Reads a reply that should have this form. `keys` verify a signed one.
///
/// # Errors
///
/// [`ServerFailure`] for everything that is not a verdict; [`ServerFailure::UnknownKey`] if newer keys may help.
pub fn parse(
    reply: &Reply<'_>,
    response: &Response,
    names: &ClaimNames,
    keys: Keys<'_>,
    now: UnixMillis,
) -> Result<Introspection, ServerFailure> {
    let gives_phantom_token = response.signed().is_some_and(|it| it.kind == SignedReplyKind::PhantomToken);
    match reply.status {
        // A framework's answer to a POST by default: the body says what counts.
        200 | 201 => {}
        // 502: the server reset the stream, or answered what is no HTTP.
        502 | 503 if reply.from_envoy => return Err(ServerFailure::Unreachable),
        504 if reply.from_envoy => return Err(ServerFailure::Timeout),
        // Where the reply is the JWT itself, an inactive token has none: 204 (Curity) or an empty 400 (glewlwyd).
        204 if gives_phantom_token => return Ok(Introspection::Inactive),
        400 if gives_phantom_token && reply.body.is_some_and(<[u8]>::is_empty) => {
            return Ok(Introspection::Inactive);
        }
        status @ (401 | 403) => return Err(ServerFailure::CredentialsRefused { status }),
        status => return Err(ServerFailure::OtherStatus { status }),
    }
    match response {
        Response::Json { jwt_member } => {
            let body = reply.text()?;
            if !is_media_type(reply.content_type, "application/json") {
                return Err(ServerFailure::OtherContentType);
            }
            let mut members = json::object(body).map_err(ServerFailure::NotJson)?;
            match jwt_member {
                None => verdict(members, names, now),
                Some(name) => {
                    let jwt = members.remove(name);
                    signed::from_member(verdict(members, names, now)?, jwt)
                }
            }
        }
        Response::Signed(signed) => signed.read(reply, names, keys, now),
    }
}

/// What the members of a reply say.
pub(super) fn verdict(
    mut members: Map<String, Value>,
    names: &ClaimNames,
    now: UnixMillis,
) -> Result<Introspection, ServerFailure> {
    match members.remove("active") {
        Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => return Ok(Introspection::Inactive),
        _ => return Err(ServerFailure::NoActive),
    }
    names.apply(&mut members);
    let is_access_token = !token_kind::is_for_clients(&members) && !token_kind::is_bare(&members);
    let claims = ClaimsBuf::from_members(members).map_err(ServerFailure::BadMember)?;
    match claims.view().exp.filter(|exp| *exp <= now) {
        Some(exp) => Ok(Introspection::Expired { exp }),
        None => Ok(Introspection::Active { claims, jwt: None, is_access_token }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwt::{SignError, Signatures};

    const NOW: UnixMillis = UnixMillis::from_secs(1_795_377_700);

    fn parse(reply: &Reply<'_>, now: UnixMillis) -> Result<Introspection, ServerFailure> {
        struct Nobody;
        impl Signatures for Nobody {
            fn sign(&self, _: &str, _: &[u8], _: &[u8]) -> Result<Vec<u8>, SignError> {
                Err(SignError::NotOffered)
            }
            fn verify(&self, _: &str, _: &[u8], _: &[u8], _: &[u8]) -> Result<bool, SignError> {
                Err(SignError::NotOffered)
            }
        }
        super::parse(
            reply,
            &Response::Json { jwt_member: None },
            &ClaimNames::default(),
            Keys { set: None, signatures: &Nobody },
            now,
        )
    }

    fn reply(status: u16, content_type: &str, body: &str) -> Result<Introspection, ServerFailure> {
        let reply = Reply {
            status,
            content_type: content_type.as_bytes(),
            content_encoding: b"",
            from_envoy: false,
            body: Some(body.as_bytes()),
            ..Reply::default()
        };
        parse(&reply, NOW)
    }

    #[test]
    fn active_must_be_the_boolean() {
        assert!(matches!(
            reply(200, "application/json", r#"{"active":true}"#),
            Ok(Introspection::Active { .. })
        ));
        assert_eq!(
            reply(200, "application/json", r#"{"active":false,"exp":"soon"}"#),
            Ok(Introspection::Inactive)
        );
        for body in
            [r#"{"active":"true"}"#, r#"{"active":1}"#, r#"{"active":null}"#, "{}", r#"{"Active":true}"#]
        {
            assert_eq!(reply(200, "application/json", body), Err(ServerFailure::NoActive), "{body}");
        }
        assert_eq!(
            reply(200, "application/json", r#"{"active":false,"active":true}"#),
            Err(ServerFailure::NotJson(NotAnObject::DuplicateMember))
        );
    }

    #[test]
    fn an_exp_in_the_past_is_not_active() {
        assert_eq!(
            reply(200, "application/json", r#"{"active":true,"exp":1795377700}"#),
            Ok(Introspection::Expired { exp: NOW })
        );
        assert_eq!(
            reply(200, "application/json", r#"{"active":true,"exp":-1}"#),
            Ok(Introspection::Expired { exp: UnixMillis::from_millis(0) })
        );
        assert!(matches!(
            reply(200, "application/json", r#"{"active":true,"exp":1795377701}"#),
            Ok(Introspection::Active { .. })
        ));
    }

    #[test]
    fn the_content_type_is_compared_without_case_and_parameters() {
        assert!(reply(200, "Application/JSON ; charset=utf-8", r#"{"active":false}"#).is_ok());
        for other in ["text/html", "", "application/jwt", "application/jsonp", "text/plain; application/json"]
        {
            assert_eq!(
                reply(200, other, r#"{"active":false}"#),
                Err(ServerFailure::OtherContentType),
                "{other}"
            );
        }
    }

    #[test]
    fn any_other_status_is_the_servers_failure() {
        for (status, transient) in
            [(204, false), (302, false), (400, false), (404, false), (429, true), (500, true), (503, true)]
        {
            let failure = reply(status, "application/json", r#"{"active":false}"#).unwrap_err();
            assert_eq!(failure, ServerFailure::OtherStatus { status });
            assert_eq!(failure.is_transient(), transient, "{status}");
        }
        let refused = reply(401, "application/json", r#"{"error":"invalid_client"}"#).unwrap_err();
        assert_eq!(refused, ServerFailure::CredentialsRefused { status: 401 });
        assert!(!refused.is_transient());
    }

    #[test]
    fn what_envoy_answers_itself_is_told_from_what_the_server_answers() {
        let from_envoy = |status| {
            parse(
                &Reply {
                    status,
                    content_type: b"text/plain",
                    from_envoy: true,
                    body: Some(b""),
                    ..Reply::default()
                },
                NOW,
            )
        };
        assert_eq!(from_envoy(502), Err(ServerFailure::Unreachable));
        assert_eq!(from_envoy(503), Err(ServerFailure::Unreachable));
        assert_eq!(from_envoy(504), Err(ServerFailure::Timeout));
    }

    #[test]
    fn a_body_that_is_too_long_is_not_read() {
        let reply = Reply {
            status: 200,
            content_type: b"application/json",
            from_envoy: false,
            body: None,
            ..Reply::default()
        };
        assert_eq!(parse(&reply, NOW), Err(ServerFailure::BodyTooLong));
    }
}
