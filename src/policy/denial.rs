//! Why a request is not forwarded. Outer variant: what the client gets to know (RFC 6750 §3.1); inner: the
//! reason, for the operator.

use super::user_authentication::{InsufficientUserAuthentication, Lack};
use crate::cache::Refused;
use crate::introspection::ServerFailure;
use crate::jwt::BadJwt;
use crate::sender_constrained::dpop::{BadProof, NonceWanted};
use crate::sender_constrained::{BadBinding, Unproven};

/// Why a request is not forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The token is good, but not for this: 403.
    InsufficientScope(InsufficientScope),
    /// The token is good, but its user must be authenticated otherwise, or anew: 401 (RFC 9470).
    InsufficientUserAuthentication(InsufficientUserAuthentication),
    /// Nobody has shown that the token is its sender's: 401 (RFC 9449 §7.1).
    InvalidDpopProof(BadProof),
    /// The request cannot be understood: 400.
    InvalidRequest(InvalidRequest),
    /// The token is not, or no longer, valid for us: 401.
    InvalidToken(InvalidToken),
    /// There is no token: 401 without an error code.
    MissingToken,
    /// There is no verdict: 503.
    Unavailable(Unavailable),
    /// The proof must have a nonce of ours: 401 (RFC 9449 §9).
    UseDpopNonce(NonceWanted),
}

/// What a token that is good does not give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsufficientScope {
    /// A scope that the policy requires is not among its own.
    MissingScope,
    /// A member that the policy requires is absent or has another value.
    OtherClaim,
    /// It was issued to a client that the policy does not name.
    OtherClient,
}

/// What is wrong with how a request carries its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidRequest {
    /// It brings a header that is ours to write, which may have chosen the route that its policy hangs on.
    ClaimHeader,
    /// The port in `:authority` decides about the policy, and nobody can say about the route.
    PortInHost,
    /// More than one token.
    SeveralTokens,
}

/// What is wrong with a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidToken {
    /// It is bound to another than who sends it, as far as is known.
    Binding(BadBinding),
    /// Its end has passed.
    Expired,
    /// The authorization server says that it is not active.
    Inactive,
    /// It is no JWT access token that the provider's keys and rules accept.
    Jwt(BadJwt),
    /// What follows the scheme, or stands in the place of a token, is no `b64token`.
    Malformed,
    /// It is a refresh token, an ID token or an authorization code, say, as far as that can be told.
    NoAccessToken,
    /// It begins in the future.
    NotYetValid,
    /// It is for another audience.
    OtherAudience,
    /// It is a JWT of ours, which is for the services behind.
    Ours,
    /// Its length or prefix is not that of the provider's tokens.
    OtherFormat,
    /// It is longer than the provider's tokens may be.
    TooLong,
    /// It was issued by somebody else.
    OtherIssuer,
    /// It is of another type: a refresh token, say.
    OtherType,
    /// Its status list says so, or a signal came while its stream was open.
    Revoked,
    /// It names a status list that is not to be looked into, or has no place in it.
    UnknownStatus,
    /// It is a JWT that was issued before its subject, session, client or itself was withdrawn.
    Withdrawn,
}

/// Why there is no verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// The authorization server did not give one.
    AuthorizationServer(ServerFailure),
    /// Nothing is heard of what other Envoys withdraw.
    FleetSilent,
    /// It is not known where to ask, or where the keys are: the server's metadata could not be fetched, or was refused.
    NoMetadata {
        /// When it is fetched again: at least one.
        seconds: u32,
    },
    /// The keys that verify the token could not be fetched.
    NoKeys {
        /// When they are fetched again: at least one.
        seconds: u32,
    },
    /// The list that says whether the token is revoked could not be fetched.
    NoStatusList {
        /// When it is fetched again: at least one.
        seconds: u32,
    },
    /// There is a verdict, but no phantom token: the host did not sign, or the server gave none.
    NotSigned,
    /// As many calls as allowed are under way.
    TooManyCalls,
    /// As many proofs as there is room for were seen of late: this one may be among them.
    TooManyProofs,
    /// As many unknown tokens as allowed were asked about within a second.
    TooManyUnknownTokens,
    /// As many streams as allowed are open on this worker.
    TooManyOpenStreams,
    /// As many requests as allowed are waiting on this worker.
    TooManyWaiting,
    /// The route names a policy that does not exist, or its metadata cannot be read.
    UnknownPolicy,
    /// The host did not do what the filter needs to go on.
    Host,
}

impl Unavailable {
    /// Whether the authorization server is down or overwhelmed, as opposed to something being wrong here.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::AuthorizationServer(failure) => failure.is_outage(),
            // Anybody can fill the house with made-up tokens; that must not keep a revoked one alive.
            Self::FleetSilent
            | Self::TooManyCalls
            | Self::TooManyProofs
            | Self::TooManyUnknownTokens
            | Self::Host
            | Self::NoKeys { .. }
            | Self::NoMetadata { .. }
            | Self::NoStatusList { .. }
            | Self::NotSigned
            | Self::TooManyOpenStreams
            | Self::TooManyWaiting
            | Self::UnknownPolicy => false,
        }
    }
}

impl Unavailable {
    /// When to come back, in seconds: when the server wants to be asked again, or soon, for outages that heal by
    /// themselves are over in seconds.
    pub fn retry_after_seconds(&self) -> u32 {
        match self {
            Self::AuthorizationServer(ServerFailure::RetryLater { seconds, .. })
            | Self::NoKeys { seconds }
            | Self::NoMetadata { seconds }
            | Self::NoStatusList { seconds } => *seconds,
            _ => 1,
        }
    }
}

impl Denial {
    /// One word for access logs (`%RESPONSE_CODE_DETAILS%`).
    pub fn reason(&self) -> &'static str {
        match self {
            Self::InsufficientScope(reason) => match reason {
                InsufficientScope::MissingScope => "insufficient_scope",
                InsufficientScope::OtherClaim => "token_lacks_claim",
                InsufficientScope::OtherClient => "token_of_other_client",
            },
            Self::InsufficientUserAuthentication(reason) => match reason.lack {
                Lack::OtherClass => "authentication_of_other_class",
                Lack::TooOld => "authentication_too_old",
            },
            Self::InvalidDpopProof(reason) => reason.reason(),
            Self::InvalidRequest(InvalidRequest::ClaimHeader) => "claim_header_of_client",
            Self::InvalidRequest(InvalidRequest::PortInHost) => "port_in_host",
            Self::InvalidRequest(InvalidRequest::SeveralTokens) => "several_tokens",
            Self::InvalidToken(reason) => match reason {
                InvalidToken::Binding(reason) => reason.reason(),
                InvalidToken::Expired => "token_expired",
                InvalidToken::Inactive => "token_inactive",
                InvalidToken::Jwt(reason) => reason.reason(),
                InvalidToken::Malformed => "malformed_token",
                InvalidToken::NoAccessToken => "not_an_access_token",
                InvalidToken::NotYetValid => "token_not_yet_valid",
                InvalidToken::OtherAudience => "token_for_other_audience",
                InvalidToken::OtherFormat => "token_of_other_format",
                InvalidToken::OtherIssuer => "token_of_other_issuer",
                InvalidToken::OtherType => "token_of_other_type",
                InvalidToken::Ours => "own_jwt",
                InvalidToken::Revoked => "token_revoked",
                InvalidToken::TooLong => "token_too_long",
                InvalidToken::UnknownStatus => "token_of_unknown_status",
                InvalidToken::Withdrawn => "token_withdrawn",
            },
            Self::MissingToken => "missing_token",
            Self::Unavailable(reason) => match reason {
                Unavailable::AuthorizationServer(failure) => failure.reason(),
                Unavailable::FleetSilent => "fleet_silent",
                Unavailable::Host => "host_failure",
                Unavailable::NoKeys { .. } => "jwks_unavailable",
                Unavailable::NoMetadata { .. } => "discovery_unavailable",
                Unavailable::NoStatusList { .. } => "status_list_unavailable",
                Unavailable::NotSigned => "phantom_token_not_signed",
                Unavailable::TooManyCalls => "too_many_introspection_calls",
                Unavailable::TooManyProofs => "too_many_dpop_proofs",
                Unavailable::TooManyUnknownTokens => "too_many_unknown_tokens",
                Unavailable::TooManyOpenStreams => "too_many_open_streams",
                Unavailable::TooManyWaiting => "too_many_waiting_requests",
                Unavailable::UnknownPolicy => "unknown_policy",
            },
            Self::UseDpopNonce(reason) => reason.reason(),
        }
    }
}

impl From<Refused> for InvalidToken {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Expired => Self::Expired,
            Refused::Inactive => Self::Inactive,
            Refused::NoAccessToken => Self::NoAccessToken,
        }
    }
}

impl From<Unproven> for Denial {
    fn from(reason: Unproven) -> Self {
        match reason {
            Unproven::Binding(reason) => InvalidToken::Binding(reason).into(),
            Unproven::Nonce(wanted) => Self::UseDpopNonce(wanted),
            Unproven::NotVerified => Unavailable::Host.into(),
            Unproven::Proof(reason) => Self::InvalidDpopProof(reason),
            Unproven::TooManyProofs => Unavailable::TooManyProofs.into(),
        }
    }
}

impl From<InsufficientScope> for Denial {
    fn from(reason: InsufficientScope) -> Self {
        Self::InsufficientScope(reason)
    }
}

impl From<InsufficientUserAuthentication> for Denial {
    fn from(reason: InsufficientUserAuthentication) -> Self {
        Self::InsufficientUserAuthentication(reason)
    }
}

impl From<InvalidRequest> for Denial {
    fn from(reason: InvalidRequest) -> Self {
        Self::InvalidRequest(reason)
    }
}

impl From<InvalidToken> for Denial {
    fn from(reason: InvalidToken) -> Self {
        Self::InvalidToken(reason)
    }
}

impl From<Unavailable> for Denial {
    fn from(reason: Unavailable) -> Self {
        Self::Unavailable(reason)
    }
}
