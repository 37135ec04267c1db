//! Where keys come from.

use std::time::Duration;

use crate::http::HttpCall;
use crate::target::{Target, Whereabouts};

/// Where a provider publishes its keys (RFC 7517 §5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwksEndpoint {
    /// The provider's name in the configuration.
    pub provider: String,
    /// Whose they are, by its issuer, if they are not the provider's own: a transmitter of security events about it.
    pub transmitter: Option<String>,
    /// Where they are.
    pub whereabouts: Whereabouts,
    /// How long a fetch may take.
    pub timeout: Duration,
    /// How long a removed key may still be accepted: keys are fetched again before this is over.
    pub refresh_interval: Duration,
    /// Whether keys that name no algorithm may verify RSASSA-PSS: where `jwt.algorithms` is written.
    pub is_pss_named: bool,
}

impl JwksEndpoint {
    /// Whether they are a provider's own.
    pub fn is_of_provider(&self, provider: &str) -> bool {
        self.transmitter.is_none() && self.provider == provider
    }

    /// Whose they are, in words for the log.
    pub fn owner(&self) -> String {
        let provider = format!("provider {:?}", self.provider);
        match &self.transmitter {
            Some(issuer) => format!("{provider}, transmitter {issuer:?}"),
            None => provider,
        }
    }

    /// The request that fetches the keys from there. Servers call them by either type (RFC 7517 §8.5.2).
    pub fn request(&self, target: &Target) -> HttpCall {
        let media_types = "application/jwk-set+json, application/json";
        target.get(media_types, self.timeout)
    }
}
