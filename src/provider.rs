//! An authorization server, as far as the filter knows it.

use std::time::Duration;

use crate::introspection::Endpoint;
use crate::token::{AccessToken, DigestSeed};

/// An authorization server.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its name in the configuration.
    pub name: String,
    /// Its issuer identifier; compared with `iss` where a verdict has one.
    pub issuer: Option<String>,
    /// Where it is asked about tokens.
    pub introspection: Endpoint,
    /// What its tokens look like.
    pub token_format: TokenFormat,
    /// Stands for everything that may change its answer.
    pub digest_seed: DigestSeed,
    /// The longest `cache_ttl` of the policies that use it: a verdict older than this is of no use to any.
    pub max_cache_ttl: Duration,
}

/// What a provider's tokens look like; others are refused unasked.
#[derive(Clone, Debug)]
pub struct TokenFormat {
    /// What they begin with.
    pub prefix: String,
    /// Fewest bytes.
    pub min_length: usize,
    /// Most bytes.
    pub max_length: usize,
}

impl TokenFormat {
    /// Whether this could be such a token.
    pub fn fits(&self, token: &AccessToken) -> bool {
        let text = token.secret();
        (self.min_length..=self.max_length).contains(&text.len()) && text.starts_with(&self.prefix)
    }
}
