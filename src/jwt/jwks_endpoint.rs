//! Where keys come from.

use std::time::Duration;

use crate::http::{HttpCall, Scheme, called};

/// Where a provider publishes its keys (RFC 7517 §5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwksEndpoint {
    /// The provider's name in the configuration.
    pub provider: String,
    /// Envoy cluster.
    pub cluster: String,
    /// `:scheme`, where it is known.
    pub scheme: Option<Scheme>,
    /// `:authority`.
    pub authority: String,
    /// `:path`.
    pub path: String,
    /// How long a fetch may take.
    pub timeout: Duration,
    /// How long a removed key may still be accepted: keys are fetched again before this is over.
    pub refresh_interval: Duration,
    /// Whether keys that name no algorithm may verify RSASSA-PSS: where `jwt.algorithms` is written.
    pub is_pss_named: bool,
}

impl JwksEndpoint {
    /// What is fetched, in words for the log.
    pub fn called(&self) -> String {
        called("GET", &self.path, &self.cluster, &self.authority)
    }

    /// The request that fetches the keys. Servers call them by either type (RFC 7517 §8.5.2).
    pub fn request(&self) -> HttpCall {
        let media_types = "application/jwk-set+json, application/json";
        HttpCall::get(&self.cluster, self.scheme, &self.authority, &self.path, media_types, self.timeout)
    }
}
