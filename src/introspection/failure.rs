//! Why there is no verdict.

use std::fmt;
use std::time::Duration;

use crate::http::{Reply, Unreadable, retry_after};
use crate::json::{BadMember, NotAnObject};

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
    HeldBack {
        /// Whether because it is down, and not because it wants fewer calls.
        is_outage: bool,
    },
    /// `active` is absent or no boolean.
    NoActive,
    /// The access token that the call needs was not to be had.
    NoAccessToken {
        /// Whether because the server is down that gives it.
        is_outage: bool,
    },
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
        /// Whether for an outage.
        is_outage: bool,
    },
    /// What it said was withdrawn before it arrived, time and again.
    Overtaken,
    /// It asks not to be asked for so long (`Retry-After`).
    RetryLater {
        /// At least one.
        seconds: u32,
        /// Whether because it is down, and not because it wants fewer calls.
        is_outage: bool,
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
            // There was no call.
            Self::NoAccessToken { .. } => false,
            _ => *self == Self::OtherStatus { status: TOO_MANY_REQUESTS } || self.is_outage(),
        }
    }

    /// Whether the server is down, so that what it said last may serve on. That it limits our rate is no outage: anybody
    /// can bring that about by made-up tokens.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Overtaken | Self::Timeout | Self::Unreachable => true,
            Self::OtherStatus { status } => *status >= 500,
            Self::HeldBack { is_outage }
            | Self::NoAccessToken { is_outage }
            | Self::OtherWorker { is_outage }
            | Self::RetryLater { is_outage, .. } => *is_outage,
            _ => false,
        }
    }

    /// Whether it is about the server or about us, whatever token is asked about: so it will be the next time, too.
    /// What one token alone may bring about is not.
    pub fn is_general(&self) -> bool {
        match self {
            Self::BodyTooLong | Self::BadMember(_) | Self::OtherStatus { .. } => false,
            Self::HeldBack { .. }
            | Self::NoAccessToken { .. }
            | Self::NotSigned
            | Self::OtherWorker { .. }
            | Self::Overtaken => false,
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
    pub fn retry_later(pause: Duration, is_outage: bool) -> Self {
        Self::RetryLater { seconds: retry_after(pause), is_outage }
    }

    /// What failed, in words for the log: with what was called, what came, and what to look at.
    pub fn with_circumstances(&self, called: &str, reply: Option<&Reply<'_>>) -> String {
        let seen = Reply::behind(reply);
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
            Self::NoAccessToken { .. } => "introspection_no_access_token",
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
            Self::HeldBack { .. } => "introspection_held_back",
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
            Self::NoAccessToken { .. } => {
                f.write_str("the access token that the call needs was not to be had")
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
            Self::HeldBack { .. } => {
                f.write_str("calls are held back, for the server has failed several times in a row")
            }
            Self::OtherStatus { status } => write!(f, "expected status 200, got {status}"),
            Self::OtherWorker { .. } => f.write_str("another worker asked and got no verdict"),
            Self::Overtaken => f.write_str("verdicts were withdrawn before they arrived, time and again"),
            Self::RetryLater { seconds, .. } => {
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

/// RFC 6585 §4.
const TOO_MANY_REQUESTS: u16 = 429;
