//! `policies` and `rules`: what a kind of request needs, and which kind a request is.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;

use super::error::ConfigError;
use super::{check, defaults, wire};
use crate::credentials::TokenSource;
use crate::policy::{Authorization, Match, Policy, Requirements, Rule, Strategy};
use crate::provider::Provider;

/// The policies by name.
pub(super) fn policies(
    wire: BTreeMap<String, wire::Policy>,
    providers: &BTreeMap<String, Rc<Provider>>,
    has_phantom_token: bool,
    warnings: &mut Vec<String>,
) -> Result<BTreeMap<String, Rc<Policy>>, ConfigError> {
    let policy = |(name, wire)| {
        Ok((String::clone(&name), Rc::new(policy(name, wire, providers, has_phantom_token, warnings)?)))
    };
    wire.into_iter().map(policy).collect()
}

/// How old a verdict may be for this policy.
pub(super) fn cache_ttl(wire: &wire::Policy) -> Duration {
    wire.cache_ttl.map_or(defaults::CACHE_TTL, |length| length.0)
}

/// The policy of that name.
pub(super) fn named(
    policies: &BTreeMap<String, Rc<Policy>>,
    name: &str,
    path: &str,
) -> Result<Rc<Policy>, ConfigError> {
    let unknown = || ConfigError::new(path, format!("expected one of {}, got {name:?}", names(policies)));
    policies.get(name).cloned().ok_or_else(unknown)
}

/// The rules in their order.
pub(super) fn rules(
    wire: Vec<wire::Rule>,
    policies: &BTreeMap<String, Rc<Policy>>,
    warnings: &mut Vec<String>,
) -> Result<Vec<Rule>, ConfigError> {
    let mut rules: Vec<Rule> = Vec::new();
    for (index, wire::Rule { matches, policy }) in wire.into_iter().enumerate() {
        if let Some(first) = rules.iter().position(|rule| rule.matches.is_empty()) {
            warnings.push(format!("rules[{index}]: never reached, for rules[{first}] matches every request"));
        }
        let matches = match_of(&format!("rules[{index}].match"), matches)?;
        rules.push(Rule { matches, policy: named(policies, &policy, &format!("rules[{index}].policy"))? });
    }
    Ok(rules)
}

fn policy(
    name: String,
    wire: wire::Policy,
    providers: &BTreeMap<String, Rc<Provider>>,
    has_phantom_token: bool,
    warnings: &mut Vec<String>,
) -> Result<Policy, ConfigError> {
    let ttl = cache_ttl(&wire);
    let wire::Policy { strategy, provider, token_sources, cache_ttl: _, require, forward, allow_missing } = wire;
    let path = format!("policies.{name}");
    let at = |key: &str| format!("{path}.{key}");
    let authorization = match (forward.authorization, strategy) {
        (None, wire::Strategy::PhantomToken) | (Some(wire::Authorization::Jwt), _) => Authorization::Jwt,
        (None, _) | (Some(wire::Authorization::Original), _) => Authorization::Original,
        (Some(wire::Authorization::Remove), _) => Authorization::Remove,
    };
    if authorization == Authorization::Jwt && !has_phantom_token {
        let problem = "expected the section phantom_token, for this policy forwards a phantom token, got none";
        return Err(ConfigError::new(path, problem));
    }
    let longest = Duration::from_secs(24 * 60 * 60);
    Ok(Policy {
        strategy: match strategy {
            wire::Strategy::Allow => Strategy::Allow,
            wire::Strategy::Introspection | wire::Strategy::PhantomToken => {
                Strategy::Introspect(provider_of(&at("provider"), provider, providers)?)
            }
        },
        token_sources: sources(&at("token_sources"), token_sources, warnings)?,
        cache_ttl: check::length(&at("cache_ttl"), None, ttl, Duration::ZERO..=longest)?,
        require: requirements(&at("require"), require)?,
        authorization,
        claim_headers: claim_headers(&at("forward.claim_headers"), forward.claim_headers)?,
        allow_missing,
        name,
    })
}

fn provider_of(
    path: &str,
    name: Option<String>,
    providers: &BTreeMap<String, Rc<Provider>>,
) -> Result<Rc<Provider>, ConfigError> {
    let found = match &name {
        Some(name) => providers.get(name),
        None => providers.values().next().filter(|_| providers.len() == 1),
    };
    let got = name.map_or_else(|| "none".to_owned(), |name| format!("{name:?}"));
    found.cloned().ok_or_else(|| ConfigError::new(path, format!("expected one of {}, got {got}", names(providers))))
}

fn sources(
    path: &str,
    wire: Option<Vec<wire::TokenSource>>,
    warnings: &mut Vec<String>,
) -> Result<Vec<TokenSource>, ConfigError> {
    let Some(wire) = wire else { return Ok(vec![TokenSource::AuthorizationHeader]) };
    if wire.is_empty() {
        return Err(ConfigError::new(path, "expected at least one place to look for a token in, got none"));
    }
    let source = |source| match source {
        wire::TokenSource::AuthorizationHeader => Ok(TokenSource::AuthorizationHeader),
        wire::TokenSource::Header(name) => Ok(TokenSource::Header(check::header_name(path, name)?)),
        wire::TokenSource::Cookie(name) => {
            warnings.push(format!("{path}: a token in a cookie is sent by browsers unasked (RFC 6750 §5.3)"));
            Ok(TokenSource::Cookie(check::non_empty(path, name)?))
        }
    };
    wire.into_iter().map(source).collect()
}

fn requirements(path: &str, wire: wire::Require) -> Result<Requirements, ConfigError> {
    let wire::Require { scopes, any_scope, audiences, client_ids, claims, token_types } = wire;
    let scopes_of = |key: &str, scopes: Vec<String>| {
        scopes.into_iter().map(|scope| check::scope(&format!("{path}.{key}"), scope)).collect::<Result<Vec<_>, _>>()
    };
    let accepted = |(name, value)| match value {
        Value::Array(values) => (name, values),
        one => (name, vec![one]),
    };
    Ok(Requirements {
        scopes: scopes_of("scopes", scopes)?,
        any_scope: scopes_of("any_scope", any_scope)?,
        audiences,
        client_ids,
        claims: claims.into_iter().map(accepted).collect(),
        token_types: token_types.unwrap_or_else(|| defaults::TOKEN_TYPES.map(str::to_owned).to_vec()),
    })
}

fn claim_headers(path: &str, wire: BTreeMap<String, String>) -> Result<Vec<(String, String)>, ConfigError> {
    let header = |(name, claim)| {
        let path = format!("{path}.{name}");
        let name = check::header_name(&path, name)?;
        if name == "authorization" || name == "cookie" {
            return Err(ConfigError::new(path, format!("expected a header of its own, got {name:?}")));
        }
        Ok((name, check::non_empty(&path, claim)?))
    };
    wire.into_iter().map(header).collect()
}

fn match_of(path: &str, wire: wire::Match) -> Result<Match, ConfigError> {
    let wire::Match { hosts, path: exact, path_prefix, methods } = wire;
    let at = |key: &str| format!("{path}.{key}");
    let never = |key: &str| ConfigError::new(at(key), "expected at least one value, got none, which nothing matches");
    let list = |key: &str, values: Option<Vec<String>>| match values {
        Some(values) if values.is_empty() => Err(never(key)),
        values => Ok(values.unwrap_or_default()),
    };
    let hosts = list("hosts", hosts)?.into_iter().map(|host| host.to_ascii_lowercase()).collect();
    let methods = list("methods", methods)?;
    let exact = exact.map(|exact| check::path(&at("path"), exact)).transpose()?;
    let path_prefix = path_prefix.map(|prefix| check::path(&at("path_prefix"), prefix)).transpose()?;
    if let (Some(exact), Some(prefix)) = (&exact, &path_prefix)
        && !exact.starts_with(prefix.as_str())
    {
        let problem = format!("expected a path that begins with path_prefix {prefix:?}, got {exact:?}, which nothing matches");
        return Err(ConfigError::new(at("path"), problem));
    }
    Ok(Match { hosts, methods, path: exact, path_prefix })
}

fn names<T>(named: &BTreeMap<String, T>) -> String {
    named.keys().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}
