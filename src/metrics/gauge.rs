//! What stands at a level.

use super::{Kinds, Metric};

/// Something that rises and falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gauge {
    /// Slots of the cache that hold an entry, of all workers.
    CacheEntries,
    /// Whether the fleet's store is heard: 1, or 0.
    FleetHeard,
    /// Withdrawals that have yet to be put for other Envoys.
    FleetWaiting,
    /// Whether the authorization server gave a verdict when it was asked last: 1, or 0.
    IntrospectionAnswers,
    /// Workers that hold calls back from the authorization server.
    IntrospectionHeldBack,
    /// Introspections under way, of all workers.
    IntrospectionUnderWay,
    /// When a provider's keys were fetched last, in seconds since 1970.
    JwksFetched,
    /// Requests that wait for a verdict, metadata, keys or a status list, of all workers.
    RequestsWaiting,
    /// Whether a transmitter of security events answered the last poll: 1, or 0.
    SecurityEventsAnswers,
    /// When a transmitter of security events was heard last, in seconds since 1970: by a poll, an event or a verification.
    SecurityEventsHeard,
    /// The filter's version: 1002003 for 1.2.3.
    Version,
}

/// How a gauge changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// By so much: all workers' together are the level.
    By(i64),
    /// To this, whatever others have said.
    To(u64),
}

impl Gauge {
    /// Every gauge.
    pub const ALL: [Self; 11] = [
        Self::CacheEntries,
        Self::FleetHeard,
        Self::FleetWaiting,
        Self::IntrospectionAnswers,
        Self::IntrospectionHeldBack,
        Self::IntrospectionUnderWay,
        Self::JwksFetched,
        Self::RequestsWaiting,
        Self::SecurityEventsAnswers,
        Self::SecurityEventsHeard,
        Self::Version,
    ];
}

impl Metric for Gauge {
    fn name(self) -> &'static str {
        match self {
            Self::CacheEntries => "phantom_token.cache.entries",
            Self::FleetHeard => "phantom_token.fleet.heard",
            Self::FleetWaiting => "phantom_token.fleet.waiting",
            Self::IntrospectionAnswers => "phantom_token.introspection.answers",
            Self::IntrospectionHeldBack => "phantom_token.introspection.held_back",
            Self::IntrospectionUnderWay => "phantom_token.introspection.under_way",
            Self::JwksFetched => "phantom_token.jwks.fetched",
            Self::RequestsWaiting => "phantom_token.requests.waiting",
            Self::SecurityEventsAnswers => "phantom_token.security_events.answers",
            Self::SecurityEventsHeard => "phantom_token.security_events.heard",
            Self::Version => "phantom_token.version",
        }
    }

    fn kinds(self) -> Kinds {
        match self {
            Self::CacheEntries
            | Self::FleetHeard
            | Self::FleetWaiting
            | Self::RequestsWaiting
            | Self::Version => Kinds::NONE,
            Self::IntrospectionAnswers
            | Self::IntrospectionHeldBack
            | Self::IntrospectionUnderWay
            | Self::JwksFetched => Kinds::PROVIDER,
            Self::SecurityEventsAnswers | Self::SecurityEventsHeard => Kinds::TRANSMITTER,
        }
    }

    fn place(self) -> usize {
        self as usize
    }
}
