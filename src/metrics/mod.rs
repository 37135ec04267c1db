//! What operators see of the filter: Envoy's statistics `wasmcustom.phantom_token.*`, and whom each is of.
//!
//! A metric of one provider, one transmitter, one policy or one reason has these in the statistic's name, before its own, in the form that
//! Istio's `sidecar.istio.io/extraStatTags: provider,transmitter,policy,reason` reads: `provider=.=main;.;policy=.=default;.;` and
//! then `phantom_token.cache.hit`. Envoy's `stats_tags` take them out again and make labels of them.

mod counter;
mod gauge;
mod names;

pub use counter::Counter;
pub use gauge::{Change, Gauge};
pub use names::{Labels, Names, Series, Whose};

/// Something that there is a statistic of, perhaps one for each provider, transmitter, policy or reason.
pub trait Metric: Copy {
    /// Its name, without labels.
    fn name(self) -> &'static str;

    /// Which labels it has.
    fn kinds(self) -> Kinds;

    /// Its place among its like.
    fn place(self) -> usize;
}

/// The labels that a metric has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds {
    /// Whether it is of a provider.
    pub provider: bool,
    /// Whether it is of a transmitter of security events.
    pub transmitter: bool,
    /// Whether it is of a policy.
    pub policy: bool,
    /// Whether it is of a reason.
    pub reason: bool,
}

impl Kinds {
    /// None.
    pub const NONE: Self = Self { provider: false, transmitter: false, policy: false, reason: false };

    /// The provider alone.
    pub const PROVIDER: Self = Self { provider: true, ..Self::NONE };

    /// A provider and a transmitter of events about it.
    pub const TRANSMITTER: Self = Self { provider: true, transmitter: true, ..Self::NONE };
}

/// How long the authorization server took to answer a try, or how long it was waited for, in milliseconds: the one
/// histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IntrospectionDuration;

impl Metric for IntrospectionDuration {
    fn name(self) -> &'static str {
        "phantom_token.introspection.duration_ms"
    }

    fn kinds(self) -> Kinds {
        Kinds::PROVIDER
    }

    fn place(self) -> usize {
        0
    }
}

/// Changes when a verdict is taken away or withdrawn before its time: workers then read anew what they had copied. A
/// gauge whose value means nothing, and that nobody needs to see: of a name that begins with a digit, Envoy makes no
/// Prometheus metric.
pub const CACHE_EPOCH: &str = "0.phantom_token.epoch";
