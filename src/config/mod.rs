//! The plugin's configuration: read, checked, and turned into what the filter works with.
//!
//! A configuration that is wrong anywhere is refused whole; the error names the key, what was wanted and what
//! was there. Secrets come through `env`, which is the VM's environment.

mod check;
mod defaults;
mod error;
mod phantom_token;
mod policy;
mod provider;
mod scalar;
mod wire;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crate::challenge::{Answer, Challenge};
use crate::jwt::{PhantomToken, SignError, Signatures};
use crate::policy::{IdentityHeaders, Policy, Rule, path_of};
use crate::protobuf;
use crate::provider::Provider;
use crate::request::RequestView;

pub use error::ConfigError;

/// A configuration that the filter can work by.
#[derive(Clone, Debug)]
pub struct Config {
    /// The authorization servers that some policy asks.
    pub providers: Vec<Rc<Provider>>,
    /// How phantom tokens are made, if they are.
    pub phantom_token: Option<PhantomToken>,
    /// The filter's own answer with the keys that verify phantom tokens.
    jwks: Option<Jwks>,
    policies: BTreeMap<String, Rc<Policy>>,
    rules: Vec<Rule>,
    default_policy: Rc<Policy>,
    /// Whether the route's metadata names the policy first.
    policy_from_route: bool,
    /// Headers that say who the client is.
    pub identity_headers: IdentityHeaders,
    /// Bounds of the cache.
    pub cache: CacheLimits,
    /// How refusals are worded.
    pub challenge: Challenge,
    /// What is allowed but hardly meant.
    pub warnings: Vec<String>,
}

/// Bounds of the cache.
#[derive(Clone, Copy, Debug)]
pub struct CacheLimits {
    /// Most active tokens.
    pub max_entries: u32,
    /// Most inactive tokens.
    pub max_negative_entries: u32,
    /// How long a token is known to be inactive without asking again.
    pub negative_ttl: Duration,
}

#[derive(Clone, Debug)]
struct Jwks {
    path: String,
    body: String,
}

impl Config {
    /// Reads and checks a configuration: a JSON text (Envoy's `StringValue`, Istio's `pluginConfig`) or a
    /// serialized `google.protobuf.Struct` (plain YAML in Envoy).
    ///
    /// # Errors
    ///
    /// The first thing that is wrong.
    pub fn parse(configuration: &[u8], env: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let json = serde_json::from_slice(configuration);
        let value = json.or_else(|syntax| protobuf::json_of_struct(configuration).ok_or(syntax)).map_err(|syntax| {
            ConfigError::new("", format!("expected a google.protobuf.Struct or a JSON object, got neither ({syntax})"))
        })?;
        let wire: wire::Config =
            serde_path_to_error::deserialize(value).map_err(|error| ConfigError::from_serde(&error))?;
        Self::check(wire, env)
    }

    fn check(wire: wire::Config, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut warnings = Vec::new();
        let wire::Config {
            providers,
            phantom_token,
            mut policies,
            default_policy,
            rules,
            policy_from,
            cache,
            challenge,
        } = wire;
        // Without a word about it, requests need a phantom token.
        policies.entry(defaults::POLICY.to_owned()).or_default();

        let providers = provider::providers(providers, &policies, env)?;
        let (phantom_token, jwks_path) = phantom_token.map(|wire| phantom_token::phantom_token(wire, env)).transpose()?.unzip();
        let policies = policy::policies(policies, &providers, phantom_token.is_some(), &mut warnings)?;
        let default_name = default_policy.unwrap_or_else(|| defaults::POLICY.to_owned());
        let default_policy = policy::named(&policies, &default_name, "default_policy")?;
        let rules = policy::rules(rules, &policies, &mut warnings)?;

        let jwks_path = jwks_path.filter(|path| !path.is_empty());
        let jwks = jwks_path.zip(phantom_token.as_ref()).map(|(path, token)| Jwks { path, body: token.jwks() });
        let identity_headers = IdentityHeaders::new(policies.values().map(Rc::as_ref));
        let cache = CacheLimits {
            max_entries: check::count("cache.max_entries", cache.max_entries, defaults::MAX_ENTRIES, 1..=1_000_000)?,
            max_negative_entries: check::count(
                "cache.max_negative_entries",
                cache.max_negative_entries,
                defaults::MAX_NEGATIVE_ENTRIES,
                1..=1_000_000,
            )?,
            negative_ttl: check::length(
                "cache.negative_ttl",
                cache.negative_ttl,
                defaults::NEGATIVE_TTL,
                Duration::ZERO..=Duration::from_secs(60 * 60),
            )?,
        };
        let challenge = Challenge {
            realm: check::quotable("challenge.realm", challenge.realm.unwrap_or_else(|| defaults::REALM.to_owned()))?,
            error_description: challenge.error_description.unwrap_or(defaults::ERROR_DESCRIPTION),
        };
        Ok(Self {
            providers: providers.into_values().collect(),
            phantom_token,
            jwks,
            policies,
            rules,
            default_policy,
            policy_from_route: policy_from == wire::PolicyFrom::RouteMetadata,
            identity_headers,
            cache,
            challenge,
            warnings,
        })
    }

    /// Signs once with every key, so that a host that cannot sign stops the start and not a request.
    ///
    /// # Errors
    ///
    /// The key that does not sign, and why.
    pub fn try_out_keys(&self, signatures: &dyn Signatures) -> Result<(), ConfigError> {
        let named = |path: String| move |reason: SignError| ConfigError::new(path, reason);
        if let Some(token) = &self.phantom_token {
            token.signing_key.try_out(signatures).map_err(named("phantom_token.signing_keys[0].private_key".to_owned()))?;
        }
        for provider in &self.providers {
            provider.introspection.authentication.try_out(signatures).map_err(named(format!(
                "providers.{}.introspection.auth.private_key_jwt.private_key",
                provider.name
            )))?;
        }
        Ok(())
    }

    /// The policy of a request: the one that the route names, else that of the first rule that holds, else the
    /// default. `None` if the route names one that does not exist or cannot be read.
    pub fn policy_of(&self, request: &dyn RequestView) -> Option<&Rc<Policy>> {
        if self.policy_from_route
            && let Some(name) = request.route_policy().ok()?
        {
            return self.policies.get(std::str::from_utf8(&name).ok()?);
        }
        let rule = self.rules.iter().find(|rule| rule.matches.holds(request));
        Some(rule.map_or(&self.default_policy, |rule| &rule.policy))
    }

    /// The filter's own answer, if the request is for one of its own paths.
    pub fn own_path(&self, request: &dyn RequestView) -> Option<Answer> {
        let jwks = self.jwks.as_ref()?;
        let target = request.header(":path")?;
        if path_of(&target) != jwks.path.as_bytes() {
            return None;
        }
        let answer = |status, headers, body, details| Answer {
            status,
            headers,
            body,
            details,
            grpc_status: 12, // UNIMPLEMENTED: a key set is no gRPC method.
            grpc_message: "not a gRPC method",
        };
        Some(match request.header(":method").as_deref() {
            Some(b"GET" | b"HEAD") => answer(
                200,
                vec![
                    ("content-type", "application/jwk-set+json".to_owned()),
                    ("cache-control", JWKS_CACHE_CONTROL.to_owned()),
                ],
                jwks.body.clone(),
                "jwks",
            ),
            _ => answer(405, vec![("allow", "GET, HEAD".to_owned())], String::new(), "jwks_method_not_allowed"),
        })
    }
}

/// Verifiers may keep the keys this long: what a new key must be published ahead of its first use.
const JWKS_CACHE_CONTROL: &str = "public, max-age=300";
