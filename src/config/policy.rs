//! `policies`: what a kind of request needs.

use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;

use super::defaults;
use super::error::ConfigError;
use super::reader::{Item, Section};
use crate::credentials::TokenSource;
use crate::policy::{Authorization, Policy, Requirements, Strategy};
use crate::provider::{Introspector, OriginKind, Provider, Validator};

/// The policies. The default one may be left out if its name is not changed: without a word about it, requests
/// need a phantom token. Tells the providers how long their verdicts are of use.
pub(super) fn policies(
    root: &Section<'_>,
    default_name: &str,
    providers: &mut [Provider],
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
    let providers = &*providers;
    let policy = |(name, section)| Ok(Rc::new(policy(name, &section, providers, has_phantom_token)?));
    sections.into_iter().map(policy).collect()
}

/// `strategy` as it is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum StrategyName {
    Allow,
    Auto,
    Introspection,
    Jwt,
    JwtAndIntrospection,
    PhantomToken,
}

const KEYS: [&str; 8] = [
    "strategy",
    "provider",
    "providers",
    "token_sources",
    "cache_ttl",
    "require",
    "forward",
    "allow_missing",
];

fn policy(
    name: &str,
    section: &Section<'_>,
    providers: &[Provider],
    has_phantom_token: bool,
) -> Result<Policy, ConfigError> {
    let strategy_name = strategy_name(section)?;
    let other_key = section.any_key_but("strategy").filter(|_| strategy_name == StrategyName::Allow);
    if let Some(key) = other_key {
        return Err(
            section.error(key, "expected no such key under strategy allow, which reads no token, got one")
        );
    }
    let strategy = strategy(section, strategy_name, providers)?;
    let forward = section.section("forward", &["authorization", "claim_headers"])?;
    let (authorization, validated_authorization) = match forward.get("authorization") {
        Some(item) => {
            let authorization = item.one_of(&AUTHORIZATIONS)?;
            (authorization, authorization)
        }
        None => match strategy_name {
            StrategyName::PhantomToken => (Authorization::Jwt, Authorization::Jwt),
            // A JWT that was validated here needs no other in its place.
            StrategyName::Auto => (Authorization::Jwt, Authorization::Original),
            _ => (Authorization::Original, Authorization::Original),
        },
    };
    let gives_jwt = |it: &&Rc<Introspector>| it.origin.kind == OriginKind::IntrospectedWithJwt;
    let introspectors = strategy.introspectors();
    let is_minted = authorization == Authorization::Jwt && !introspectors.iter().all(gives_jwt)
        || validated_authorization == Authorization::Jwt && !strategy.validators().is_empty();
    if is_minted && !has_phantom_token {
        let problem =
            "expected the section phantom_token, for this policy forwards a phantom token, got none";
        return Err(ConfigError::new(section.path.as_str(), problem));
    }
    let require = requirements(section)?;
    if !strategy.validators().is_empty() && require.audiences.is_empty() {
        let warning =
            "a JWT that is for another API passes, too (RFC 9068 §4); name yours in require.audiences";
        section.warn("require.audiences", warning);
    }
    let claim_headers = forward.get("claim_headers");
    let claim_headers =
        claim_headers.map(|item| item.headers(&["authorization", "cookie"], Item::text)).transpose()?;
    Ok(Policy {
        name: name.to_owned(),
        strategy,
        token_sources: token_sources(section)?,
        cache_ttl: cache_ttl(section)?,
        require,
        authorization,
        validated_authorization,
        claim_headers: claim_headers.unwrap_or_default(),
        allow_missing: section.boolean("allow_missing", defaults::ALLOW_MISSING)?,
    })
}

fn strategy_name(section: &Section<'_>) -> Result<StrategyName, ConfigError> {
    section.get("strategy").map_or(Ok(defaults::STRATEGY), |strategy| strategy.one_of(&STRATEGIES))
}

fn strategy(
    section: &Section<'_>,
    name: StrategyName,
    providers: &[Provider],
) -> Result<Strategy, ConfigError> {
    let named = || named_providers(section, name, providers);
    Ok(match name {
        StrategyName::Allow => Strategy::Allow,
        StrategyName::Auto => {
            let named = named()?;
            let mut validators = Vec::new();
            for (_, provider) in named.iter().filter(|(_, provider)| provider.validator.is_some()) {
                validators.push(validator(section, provider)?);
            }
            distinct_issuers(section, &validators)?;
            let introspector = named.iter().find_map(|(_, provider)| provider.introspector.clone());
            match introspector {
                Some(introspector) if !validators.is_empty() => Strategy::Auto(validators, introspector),
                Some(_) => return Err(section.error("provider", &wants("jwks and issuer", &named))),
                None => return Err(section.error("provider", &wants("introspection", &named))),
            }
        }
        StrategyName::Introspection | StrategyName::PhantomToken => {
            let named = named()?;
            match named.as_slice() {
                [(_, provider)] => Strategy::Introspect(introspector(section, provider)?),
                _ => return Err(section.error("providers", "expected one provider, got several")),
            }
        }
        StrategyName::Jwt => {
            let validators: Vec<_> =
                named()?.iter().map(|(_, it)| validator(section, it)).collect::<Result<_, _>>()?;
            distinct_issuers(section, &validators)?;
            Strategy::Jwt(validators)
        }
        StrategyName::JwtAndIntrospection => {
            let named = named()?;
            let both = named.iter().map(|(_, it)| Ok((validator(section, it)?, introspector(section, it)?)));
            let both: Vec<_> = both.collect::<Result<_, ConfigError>>()?;
            distinct_issuers(section, &both.iter().map(|(it, _)| Rc::clone(it)).collect::<Vec<_>>())?;
            Strategy::JwtAndIntrospection(both)
        }
    })
}

/// The side of a provider that is asked.
fn introspector(section: &Section<'_>, provider: &Provider) -> Result<Rc<Introspector>, ConfigError> {
    let wanted = || section.error("provider", &wants("introspection", &[(0, provider)]));
    provider.introspector.clone().ok_or_else(wanted)
}

/// The side of a provider whose JWTs are validated here.
fn validator(section: &Section<'_>, provider: &Provider) -> Result<Rc<Validator>, ConfigError> {
    let wanted = || section.error("provider", &wants("jwks and issuer", &[(0, provider)]));
    provider.validator.clone().ok_or_else(wanted)
}

fn wants(keys: &str, providers: &[(usize, &Provider)]) -> String {
    let names: Vec<&str> = providers.iter().map(|(_, provider)| provider.name.as_str()).collect();
    format!("expected a provider with {keys} for this strategy, got {} without", names.join(", "))
}

/// Of two providers with one issuer, the second would never be chosen.
fn distinct_issuers(section: &Section<'_>, validators: &[Rc<Validator>]) -> Result<(), ConfigError> {
    for (index, validator) in validators.iter().enumerate() {
        let issuer = &validator.rules.issuer;
        if validators.iter().take(index).any(|other| other.rules.issuer == *issuer) {
            let problem = format!("expected providers with an issuer of their own, got {issuer:?} twice");
            return Err(section.error("providers", &problem));
        }
    }
    Ok(())
}

fn cache_ttl(section: &Section<'_>) -> Result<Duration, ConfigError> {
    section.duration("cache_ttl", defaults::CACHE_TTL, Duration::ZERO..=Duration::from_secs(24 * 60 * 60))
}

/// A provider's verdicts are kept as long as they are of use to any policy.
fn keep_verdicts(section: &Section<'_>, providers: &mut [Provider]) -> Result<(), ConfigError> {
    let name = strategy_name(section)?;
    if name == StrategyName::Allow {
        return Ok(());
    }
    let ttl = cache_ttl(section)?;
    let named: Vec<usize> =
        named_providers(section, name, providers)?.iter().map(|(index, _)| *index).collect();
    for (_, provider) in providers.iter_mut().enumerate().filter(|(index, _)| named.contains(index)) {
        let introspector = provider.introspector.as_mut().and_then(Rc::get_mut);
        let validator = provider.validator.as_mut().and_then(Rc::get_mut);
        let origins = introspector.into_iter().map(|it| &mut it.origin);
        let origins =
            origins.chain(validator.into_iter().flat_map(|it| [&mut it.origin, &mut it.asked_origin]));
        for origin in origins.filter_map(Rc::get_mut) {
            origin.max_cache_ttl = origin.max_cache_ttl.max(ttl);
        }
    }
    Ok(())
}

/// The providers that the policy names, with their places; if there is but one, it needs no naming.
fn named_providers<'p>(
    section: &Section<'_>,
    name: StrategyName,
    providers: &'p [Provider],
) -> Result<Vec<(usize, &'p Provider)>, ConfigError> {
    let wanted = || {
        let names: Vec<&str> = providers.iter().map(|provider| provider.name.as_str()).collect();
        format!("one of {}", names.join(", "))
    };
    let find = |item: &Item<'_>| {
        let mut places = providers.iter().enumerate();
        places.find(|(_, provider)| item.value == provider.name.as_str()).ok_or_else(|| item.wrong(&wanted()))
    };
    match (section.get("provider"), section.get("providers")) {
        (Some(_), Some(list)) => Err(list.error("provider or providers", "both")),
        (Some(item), None) => Ok(vec![find(&item)?]),
        (None, Some(list)) if matches!(name, StrategyName::Introspection | StrategyName::PhantomToken) => {
            Err(list.error("provider, for this strategy asks one", "providers"))
        }
        (None, Some(list)) => {
            let elements = list.elements()?;
            if elements.is_empty() {
                return Err(list.error("at least one provider", "none"));
            }
            elements.iter().map(find).collect()
        }
        (None, None) => match providers {
            [only] => Ok(vec![(0, only)]),
            _ => Err(section.error("provider", &format!("expected {}, got none", wanted()))),
        },
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

const STRATEGIES: [(&str, StrategyName); 6] = [
    ("phantom_token", StrategyName::PhantomToken),
    ("introspection", StrategyName::Introspection),
    ("jwt", StrategyName::Jwt),
    ("jwt_and_introspection", StrategyName::JwtAndIntrospection),
    ("auto", StrategyName::Auto),
    ("allow", StrategyName::Allow),
];

const AUTHORIZATIONS: [(&str, Authorization); 3] =
    [("jwt", Authorization::Jwt), ("original", Authorization::Original), ("remove", Authorization::Remove)];
