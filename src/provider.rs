//! An authorization server, as far as the filter knows it: one that is asked about tokens, one whose JWTs are
//! validated here, or both.

use std::rc::Rc;
use std::time::Duration;

use crate::cache::ProviderTag;
use crate::introspection::Endpoint;
use crate::jwt::{JwksEndpoint, JwtRules};
use crate::policy::Expectation;
use crate::revocation::sources::Signer;
use crate::revocation::status_list::StatusListSource;
use crate::token::{AccessToken, DigestSeed};

/// An authorization server as it is configured: it has at least one of the two sides.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its name in the configuration.
    pub name: String,
    /// The side that is asked about tokens.
    pub introspector: Option<Rc<Introspector>>,
    /// The side whose JWTs are validated here.
    pub validator: Option<Rc<Validator>>,
}

/// An authorization server that is asked about tokens (RFC 7662).
#[derive(Clone, Debug)]
pub struct Introspector {
    /// How its verdicts are judged.
    pub origin: Rc<Origin>,
    /// Where it is asked about tokens.
    pub endpoint: Endpoint,
    /// What its tokens look like.
    pub token_format: TokenFormat,
    /// Stands for everything that may change its answer.
    pub fingerprint: [u8; 32],
    /// Turns a token into the digest that its verdict is found under.
    pub digest_seed: DigestSeed,
}

/// An authorization server whose JWT access tokens are validated here (RFC 9068 §4).
#[derive(Clone, Debug)]
pub struct Validator {
    /// How its tokens are judged, once their signature holds.
    pub origin: Rc<Origin>,
    /// The same where the server is asked besides: when it says that a token ends, there is no leeway.
    pub asked_origin: Rc<Origin>,
    /// What a token must be like.
    pub rules: JwtRules,
    /// Where its keys are.
    pub jwks: Rc<JwksEndpoint>,
    /// Where it says which of its tokens it has revoked, if it does.
    pub status_lists: Option<StatusListSource>,
    /// What its tokens look like.
    pub token_format: TokenFormat,
    /// Stands for everything but the keys that may change the outcome.
    pub fingerprint: [u8; 32],
}

/// Where a verdict comes from, and how it is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The provider's name in the configuration.
    pub provider: String,
    /// What every verdict of this origin must be like.
    pub expects: Expectation,
    /// How the token was judged.
    pub kind: OriginKind,
    /// The longest `cache_ttl` of the policies that use it: a verdict older than this is of no use to any.
    pub max_cache_ttl: Duration,
}

/// How a token was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginKind {
    /// By the server (RFC 7662), which says what the token means.
    Introspected,
    /// By the server, which also gives the JWT to forward.
    IntrospectedWithJwt,
    /// Here: it is a JWT itself (RFC 9068). The server may have been asked besides.
    Validated,
}

impl Origin {
    /// What its verdicts are withdrawn by: its issuer, so that two ways to ask one server share their signals; or
    /// its provider's name, where it has none.
    pub fn identity(&self) -> &str {
        self.expects.issuer.as_deref().unwrap_or(&self.provider)
    }
}

impl Validator {
    /// Who signs its tokens, and whatever else is signed with the same keys.
    pub fn signer(&self) -> Signer {
        Signer {
            provider: self.origin.provider.clone(),
            tag: ProviderTag::new(self.origin.identity()),
            jwks: Rc::clone(&self.jwks),
            algorithms: self.rules.algorithms.clone(),
        }
    }
}

impl Provider {
    /// The cluster that it is reached by: that of its introspection, or of its keys.
    pub fn cluster(&self) -> &str {
        let introspection = self.introspector.as_ref().map(|introspector| &introspector.endpoint.cluster);
        let keys = self.validator.as_ref().map(|validator| &validator.jwks.cluster);
        introspection.or(keys).map_or("", String::as_str)
    }

    /// The same of the provider.
    pub fn identity(&self) -> &str {
        let introspected = self.introspector.as_ref().map(|introspector| &introspector.origin);
        let validated = self.validator.as_ref().map(|validator| &validator.origin);
        introspected.or(validated).map_or(&self.name, |origin| origin.identity())
    }
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
