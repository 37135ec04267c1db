//! What is counted.

use super::{Kinds, Metric};

/// Something that is counted. The name of each is its statistic's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counter {
    /// An access token of our own could not be fetched.
    AccessTokenError,
    /// An access token of our own was fetched.
    AccessTokenFetched,
    /// An entry that was still of use had to make room.
    CacheEvicted,
    /// A verdict was in the cache, and fresh.
    CacheHit,
    /// Nothing was: the authorization server was asked, or a JWT validated.
    CacheMiss,
    /// Nothing was, but another request had already asked.
    CacheCoalesced,
    /// A verdict was too long to be remembered.
    CacheOversized,
    /// The cache knew that the token is inactive.
    CacheNegativeHit,
    /// A verdict was renewed before its time was over.
    CacheRefreshed,
    /// The server was down, and the last verdict served on.
    CacheStale,
    /// A provider's metadata could not be fetched, or were refused.
    DiscoveryError,
    /// A provider's metadata were fetched.
    DiscoveryRefreshed,
    /// A withdrawal of another Envoy was done here.
    FleetApplied,
    /// The fleet's store was lost, or said something unreadable.
    FleetError,
    /// A withdrawal was put for other Envoys.
    FleetPut,
    /// The fleet's store had been silent for too long for about another second.
    FleetSilentSeconds,
    /// The server said that a token is active.
    IntrospectionActive,
    /// A try brought no verdict.
    IntrospectionError,
    /// The server said that a token is active whose end has passed.
    IntrospectionExpired,
    /// The server said that a token is not active.
    IntrospectionInactive,
    /// A try brought no answer in time.
    IntrospectionTimeout,
    /// Keys of a provider could not be fetched.
    JwksError,
    /// Keys of a provider were fetched.
    JwksRefreshed,
    /// A phantom token was signed.
    JwtMinted,
    /// Refused with 403.
    DeniedInsufficientScope,
    /// Refused with 401 for how or when the user was authenticated.
    DeniedInsufficientUserAuthentication,
    /// Refused with 401 for want of a DPoP proof that holds.
    DeniedInvalidDpopProof,
    /// Refused with 400.
    DeniedInvalidRequest,
    /// Refused with 401 for a token that is not valid.
    DeniedInvalidToken,
    /// Refused with 401 for want of a token.
    DeniedMissingToken,
    /// Refused with 401 for want of a nonce in a DPoP proof.
    DeniedUseDpopNonce,
    /// Passed on.
    Forwarded,
    /// A signal withdrew verdicts, or was found to be of no concern.
    RevocationReceived,
    /// A signal was refused.
    RevocationRefused,
    /// A transmitter of security events said that its stream works.
    SecurityEventsVerified,
    /// A request that was passed on was ended: its verdict was withdrawn, or its token's time is over.
    StreamsEnded,
    /// Refused with 503.
    Unavailable,
}

impl Counter {
    /// Every counter.
    pub const ALL: [Self; 37] = [
        Self::AccessTokenError,
        Self::AccessTokenFetched,
        Self::CacheEvicted,
        Self::CacheHit,
        Self::CacheMiss,
        Self::CacheCoalesced,
        Self::CacheOversized,
        Self::CacheNegativeHit,
        Self::CacheRefreshed,
        Self::CacheStale,
        Self::DiscoveryError,
        Self::DiscoveryRefreshed,
        Self::FleetApplied,
        Self::FleetError,
        Self::FleetPut,
        Self::FleetSilentSeconds,
        Self::IntrospectionActive,
        Self::IntrospectionError,
        Self::IntrospectionExpired,
        Self::IntrospectionInactive,
        Self::IntrospectionTimeout,
        Self::JwksError,
        Self::JwksRefreshed,
        Self::JwtMinted,
        Self::DeniedInsufficientScope,
        Self::DeniedInsufficientUserAuthentication,
        Self::DeniedInvalidDpopProof,
        Self::DeniedInvalidRequest,
        Self::DeniedInvalidToken,
        Self::DeniedMissingToken,
        Self::DeniedUseDpopNonce,
        Self::Forwarded,
        Self::RevocationReceived,
        Self::RevocationRefused,
        Self::SecurityEventsVerified,
        Self::StreamsEnded,
        Self::Unavailable,
    ];
}

impl Counter {
    /// Whether it counts only where calls of ours need an access token.
    pub fn is_of_access_tokens(self) -> bool {
        matches!(self, Self::AccessTokenError | Self::AccessTokenFetched)
    }

    /// Whether it counts only where there is a fleet.
    pub fn is_of_fleet(self) -> bool {
        matches!(self, Self::FleetApplied | Self::FleetError | Self::FleetPut | Self::FleetSilentSeconds)
    }
}

impl Metric for Counter {
    fn name(self) -> &'static str {
        match self {
            Self::AccessTokenError => "phantom_token.access_token.error",
            Self::AccessTokenFetched => "phantom_token.access_token.fetched",
            Self::CacheEvicted => "phantom_token.cache.evicted",
            Self::CacheHit => "phantom_token.cache.hit",
            Self::CacheMiss => "phantom_token.cache.miss",
            Self::CacheCoalesced => "phantom_token.cache.coalesced",
            Self::CacheOversized => "phantom_token.cache.oversized",
            Self::CacheNegativeHit => "phantom_token.cache.negative_hit",
            Self::CacheRefreshed => "phantom_token.cache.refreshed",
            Self::CacheStale => "phantom_token.cache.stale",
            Self::DiscoveryError => "phantom_token.discovery.error",
            Self::DiscoveryRefreshed => "phantom_token.discovery.refreshed",
            Self::FleetApplied => "phantom_token.fleet.applied",
            Self::FleetError => "phantom_token.fleet.error",
            Self::FleetPut => "phantom_token.fleet.put",
            Self::FleetSilentSeconds => "phantom_token.fleet.silent_seconds",
            Self::IntrospectionActive => "phantom_token.introspection.active",
            Self::IntrospectionError => "phantom_token.introspection.error",
            Self::IntrospectionExpired => "phantom_token.introspection.expired",
            Self::IntrospectionInactive => "phantom_token.introspection.inactive",
            Self::IntrospectionTimeout => "phantom_token.introspection.timeout",
            Self::JwksError => "phantom_token.jwks.error",
            Self::JwksRefreshed => "phantom_token.jwks.refreshed",
            Self::JwtMinted => "phantom_token.jwt.minted",
            Self::DeniedInsufficientScope => "phantom_token.requests.denied.insufficient_scope",
            Self::DeniedInsufficientUserAuthentication => {
                "phantom_token.requests.denied.insufficient_user_authentication"
            }
            Self::DeniedInvalidDpopProof => "phantom_token.requests.denied.invalid_dpop_proof",
            Self::DeniedInvalidRequest => "phantom_token.requests.denied.invalid_request",
            Self::DeniedInvalidToken => "phantom_token.requests.denied.invalid_token",
            Self::DeniedUseDpopNonce => "phantom_token.requests.denied.use_dpop_nonce",
            Self::DeniedMissingToken => "phantom_token.requests.denied.missing_token",
            Self::Forwarded => "phantom_token.requests.forwarded",
            Self::RevocationReceived => "phantom_token.revocation.received",
            Self::RevocationRefused => "phantom_token.revocation.refused",
            Self::SecurityEventsVerified => "phantom_token.security_events.verified",
            Self::StreamsEnded => "phantom_token.streams.ended",
            Self::Unavailable => "phantom_token.requests.unavailable",
        }
    }

    fn kinds(self) -> Kinds {
        match self {
            Self::CacheEvicted
            | Self::FleetApplied
            | Self::FleetPut
            | Self::FleetSilentSeconds
            | Self::RevocationReceived => Kinds::NONE,
            Self::CacheCoalesced
            | Self::CacheHit
            | Self::CacheMiss
            | Self::CacheNegativeHit
            | Self::CacheStale => Kinds { provider: true, policy: true, ..Kinds::NONE },
            Self::AccessTokenFetched
            | Self::CacheOversized
            | Self::CacheRefreshed
            | Self::DiscoveryError
            | Self::DiscoveryRefreshed
            | Self::IntrospectionActive
            | Self::IntrospectionExpired
            | Self::IntrospectionInactive
            | Self::IntrospectionTimeout
            | Self::JwksError
            | Self::JwksRefreshed
            | Self::JwtMinted => Kinds::PROVIDER,
            Self::DeniedInsufficientScope
            | Self::DeniedInsufficientUserAuthentication
            | Self::DeniedInvalidDpopProof
            | Self::DeniedInvalidRequest
            | Self::DeniedInvalidToken
            | Self::DeniedMissingToken
            | Self::DeniedUseDpopNonce
            | Self::StreamsEnded => Kinds { policy: true, reason: true, ..Kinds::NONE },
            Self::SecurityEventsVerified => Kinds::TRANSMITTER,
            Self::Forwarded => Kinds { policy: true, ..Kinds::NONE },
            Self::AccessTokenError | Self::IntrospectionError => {
                Kinds { provider: true, reason: true, ..Kinds::NONE }
            }
            Self::FleetError | Self::RevocationRefused => Kinds { reason: true, ..Kinds::NONE },
            Self::Unavailable => Kinds { provider: true, policy: true, reason: true, ..Kinds::NONE },
        }
    }

    fn place(self) -> usize {
        self as usize
    }
}
