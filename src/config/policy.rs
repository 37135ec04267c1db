//! `policies`: what a kind of request needs.

use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;

use super::defaults;
use super::error::ConfigError;
use super::reader::{Item, Section};
use crate::credentials::TokenSource;
use crate::policy::{Authorization, Policy, Requirements, Strategy};
use crate::provider::Provider;

/// The policies. The default one may be left out if its name is not changed: without a word about it, requests
/// need a phantom token. Tells the providers how long their verdicts are of use.
pub(super) fn policies(
    root: &Section<'_>,
    default_name: &str,
    providers: &mut [Rc<Provider>],
    has_phantom_token: bool,
) -> Result<Vec<Rc<Policy>>, ConfigError> {
    let mut sections = Vec::new();
    for (name, item) in root.entries("policies")? {
        sections.push((name, item.section(&KEYS)?));
    }
    if default_name == defaults::POLICY && sections.iter().all(|(name, _)| *name != default_name) {
        sections.push((default_name, root.left_out("policies", &[]).left_out(default_name, &KEYS)));
    }
    for (_, section) in &sections {
        keep_verdicts(section, providers)?;
    }
    let policy = |(name, section)| Ok(Rc::new(policy(name, &section, providers, has_phantom_token)?));
    sections.into_iter().map(policy).collect()
}

/// `strategy` as it is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum StrategyName {
    Allow,
    Introspection,
    PhantomToken,
}

const KEYS: [&str; 7] =
    ["strategy", "provider", "token_sources", "cache_ttl", "require", "forward", "allow_missing"];

fn policy(
    name: &str,
    section: &Section<'_>,
    providers: &mut [Rc<Provider>],
    has_phantom_token: bool,
) -> Result<Policy, ConfigError> {
    let strategy = strategy(section)?;
    let other_key = section.any_key_but("strategy").filter(|_| strategy == StrategyName::Allow);
    if let Some(key) = other_key {
        return Err(
            section.error(key, "expected no such key under strategy allow, which reads no token, got one")
        );
    }
    let forward = section.section("forward", &["authorization", "claim_headers"])?;
    let authorization = match forward.get("authorization") {
        Some(item) => item.one_of(&AUTHORIZATIONS)?,
        None if strategy == StrategyName::PhantomToken => Authorization::Jwt,
        None => Authorization::Original,
    };
    if authorization == Authorization::Jwt && !has_phantom_token {
        let problem =
            "expected the section phantom_token, for this policy forwards a phantom token, got none";
        return Err(ConfigError::new(section.path.as_str(), problem));
    }
    let claim_headers = forward.get("claim_headers");
    let claim_headers =
        claim_headers.map(|item| item.headers(&["authorization", "cookie"], Item::text)).transpose()?;
    Ok(Policy {
        name: name.to_owned(),
        strategy: match strategy {
            StrategyName::Allow => Strategy::Allow,
            StrategyName::Introspection | StrategyName::PhantomToken => {
                Strategy::Introspect(Rc::clone(provider_of(section, providers)?))
            }
        },
        token_sources: token_sources(section)?,
        cache_ttl: cache_ttl(section)?,
        require: requirements(section)?,
        authorization,
        claim_headers: claim_headers.unwrap_or_default(),
        allow_missing: section.boolean("allow_missing", defaults::ALLOW_MISSING)?,
    })
}

fn strategy(section: &Section<'_>) -> Result<StrategyName, ConfigError> {
    section.get("strategy").map_or(Ok(defaults::STRATEGY), |strategy| strategy.one_of(&STRATEGIES))
}

fn cache_ttl(section: &Section<'_>) -> Result<Duration, ConfigError> {
    section.duration("cache_ttl", defaults::CACHE_TTL, Duration::ZERO..=Duration::from_secs(24 * 60 * 60))
}

/// A provider's verdicts are kept as long as they are of use to any policy.
fn keep_verdicts(section: &Section<'_>, providers: &mut [Rc<Provider>]) -> Result<(), ConfigError> {
    if strategy(section)? != StrategyName::Allow
        && let Some(provider) = Rc::get_mut(provider_of(section, providers)?)
    {
        provider.max_cache_ttl = provider.max_cache_ttl.max(cache_ttl(section)?);
    }
    Ok(())
}

/// The provider that the policy names; if there is but one, it needs no naming.
fn provider_of<'p>(
    section: &Section<'_>,
    providers: &'p mut [Rc<Provider>],
) -> Result<&'p mut Rc<Provider>, ConfigError> {
    let item = section.get("provider");
    let names: Vec<String> = providers.iter().map(|provider| provider.name.clone()).collect();
    let wanted = || format!("one of {}", names.join(", "));
    match (item, providers) {
        (None, [only]) => Ok(only),
        (None, _) => Err(section.error("provider", &format!("expected {}, got none", wanted()))),
        (Some(item), providers) => providers
            .iter_mut()
            .find(|provider| item.value == provider.name.as_str())
            .ok_or_else(|| item.wrong(&wanted())),
    }
}

fn token_sources(section: &Section<'_>) -> Result<Vec<TokenSource>, ConfigError> {
    let Some(list) = section.get("token_sources") else { return Ok(vec![defaults::TOKEN_SOURCE]) };
    let mut sources = Vec::new();
    for item in list.elements()? {
        let source = token_source(&item)?;
        if sources.contains(&source) {
            return Err(item.error("a place of its own", "one that was named before"));
        }
        sources.push(source);
    }
    if sources.is_empty() {
        Err(list.error("at least one place to look for a token in", "none"))
    } else {
        Ok(sources)
    }
}

fn token_source(item: &Item<'_>) -> Result<TokenSource, ConfigError> {
    if item.value == "authorization_header" {
        return Ok(TokenSource::AuthorizationHeader);
    }
    match item.only_member(&[("header", true), ("cookie", false)]) {
        Some((true, name)) => {
            let header = name.header_name(name.text()?, &["authorization", "cookie"])?;
            Ok(TokenSource::Header(header))
        }
        Some((false, name)) => {
            item.warn("a token in a cookie is sent by browsers unasked (RFC 6750 §5.3)");
            Ok(TokenSource::Cookie(name.cookie_name()?.to_owned()))
        }
        None => Err(item.wrong("authorization_header, {header: NAME} or {cookie: NAME}")),
    }
}

fn requirements(section: &Section<'_>) -> Result<Requirements, ConfigError> {
    let keys = &["scopes", "any_scope", "audiences", "client_ids", "claims", "token_types"];
    let section = section.section("require", keys)?;
    let scopes = |key| -> Result<Vec<String>, ConfigError> {
        section.elements(key)?.iter().map(|scope| scope.scope().map(str::to_owned)).collect()
    };
    let token_types = match section.get("token_types") {
        Some(_) => section.texts("token_types")?,
        None => defaults::TOKEN_TYPES.map(str::to_owned).to_vec(),
    };
    Ok(Requirements {
        scopes: scopes("scopes")?,
        any_scope: scopes("any_scope")?,
        audiences: section.texts("audiences")?,
        client_ids: section.texts("client_ids")?,
        claims: section.entries("claims")?.iter().map(accepted_values).collect::<Result<_, _>>()?,
        token_types,
    })
}

/// A member and the values that it may have.
fn accepted_values((name, item): &(&str, Item<'_>)) -> Result<(String, Vec<Value>), ConfigError> {
    let values = match item.value {
        Value::Array(_) => item.elements()?,
        _ => vec![item.clone()],
    };
    if values.is_empty() {
        return Err(item.error("at least one value", "none"));
    }
    let value = |item: Item<'_>| match item.value {
        Value::String(_) | Value::Number(_) | Value::Bool(_) => Ok(item.value.clone()),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            Err(item.wrong("a text, a number, true or false"))
        }
    };
    Ok(((*name).to_owned(), values.into_iter().map(value).collect::<Result<_, _>>()?))
}

const STRATEGIES: [(&str, StrategyName); 3] = [
    ("phantom_token", StrategyName::PhantomToken),
    ("introspection", StrategyName::Introspection),
    ("allow", StrategyName::Allow),
];

const AUTHORIZATIONS: [(&str, Authorization); 3] =
    [("jwt", Authorization::Jwt), ("original", Authorization::Original), ("remove", Authorization::Remove)];
