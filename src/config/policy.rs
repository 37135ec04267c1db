//! `policies`: what a kind of request needs.

use std::rc::Rc;
use std::time::Duration;

use serde_json::{Number, Value};

use super::choices::StrategyName;
use super::defaults;
use super::reader::{Item, Refused, Section, all, number};
use super::strategy::{named_providers, strategy, strategy_name};
use crate::credentials::TokenSource;
use crate::policy::{
    AllowMissing, Authorization, OpenStreams, Policy, Requirements, Strategy, UserAuthentication,
};
use crate::protected_resource::ResourceIdentifier;
use crate::provider::{Introspector, OriginKind, Provider};
use crate::sender_constrained::SenderConstrained;

/// The policies. The default one may be left out if its name is not changed: without a word about it, requests
/// need a phantom token. Tells the providers how long their verdicts are of use.
pub(super) fn policies(
    root: &Section<'_>,
    default_name: &str,
    providers: &mut Result<Vec<Provider>, Refused>,
    has_phantom_token: bool,
    resources: &Result<Vec<(&str, ResourceIdentifier)>, Refused>,
) -> Result<Vec<Rc<Policy>>, Refused> {
    let has_signals = root.get("revocation").is_some();
    let entries = root.entries("policies")?;
    let mut sections = all(entries.into_iter().map(|(name, item)| Ok((name, item.section(&KEYS)?))))?;
    if default_name == defaults::POLICY && sections.iter().all(|(name, _)| *name != default_name) {
        sections.push((default_name, root.left_out("policies", &[]).left_out(default_name, &KEYS)));
    }
    if let Ok(providers) = providers {
        // Whoever they name that is not there is found when the policy itself is read.
        sections.iter().for_each(|(_, section)| _ = keep_verdicts(section, providers));
    }
    all(sections.iter().map(|(name, section)| {
        let policy = policy(name, section, providers, (has_phantom_token, has_signals), resources);
        if !section.is_written() {
            section.spot.explain(NOT_WRITTEN);
        }
        policy.map(Rc::new)
    }))
}

/// An error about a policy that nobody has written down says where that comes from.
const NOT_WRITTEN: &str = "(this policy is not written down, and so has strategy phantom_token; write it, or name another as default_policy)";

const KEYS: [&str; 11] = [
    "strategy",
    "provider",
    "providers",
    "token_sources",
    "cache_ttl",
    "require",
    "resource",
    "forward",
    "allow_missing",
    "allow_preflight",
    "open_streams",
];

#[inline(never)]
fn policy(
    name: &str,
    section: &Section<'_>,
    providers: &Result<Vec<Provider>, Refused>,
    (has_phantom_token, has_signals): (bool, bool),
    resources: &Result<Vec<(&str, ResourceIdentifier)>, Refused>,
) -> Result<Policy, Refused> {
    let strategy_name = strategy_name(section)?;
    let other_key = section.any_key_but("strategy").filter(|_| strategy_name == StrategyName::Allow);
    if let Some(key) = other_key {
        return Err(
            section.error(key, "expected no such key under strategy allow, which reads no token, got one")
        );
    }
    let strategy = strategy(section, strategy_name, providers);
    let resource = section.get("resource").map(|item| resource(&item, resources)).transpose();
    let require = requirements(section, resource.as_ref().copied().unwrap_or_default());
    let token_sources = token_sources(section);
    let allow_missing = allow_missing(section);
    let open_streams = open_streams(section, has_signals, strategy_name);
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
    let (strategy, require, resource) = (strategy?, require?, resource?);
    if mints(&strategy, authorization, validated_authorization) && !has_phantom_token {
        let problem =
            "expected the section phantom_token, for this policy forwards a phantom token, got none";
        return Err(section.spot.refuse(problem));
    }
    if !strategy.validators().is_empty() && require.audiences.is_empty() {
        let warning =
            "a JWT that is for another API passes, too (RFC 9068 §4); name yours in require.audiences";
        section.warn("require.audiences", warning);
    } else if resource.is_some() && require.audiences.is_empty() {
        let warning = "a token that is for another API passes, too; left out, it is the resource";
        section.warn("require.audiences", warning);
    }
    let claim_headers = forward.get("claim_headers");
    let claim_headers =
        claim_headers.map(|item| item.headers(&["authorization", "cookie"], Item::claim_name)).transpose()?;
    Ok(Policy {
        name: name.to_owned(),
        strategy,
        token_sources: token_sources?,
        cache_ttl: cache_ttl(section),
        require,
        authorization,
        validated_authorization,
        claim_headers: claim_headers.unwrap_or_default(),
        allow_missing: allow_missing?,
        resource_metadata: resource.map(ResourceIdentifier::metadata_url),
        allow_preflight: section.boolean("allow_preflight", defaults::ALLOW_PREFLIGHT),
        open_streams: open_streams?,
    })
}

/// Without a word about it, what signals withdraw ends what is open, if any come in here.
fn open_streams(
    section: &Section<'_>,
    has_signals: bool,
    strategy: StrategyName,
) -> Result<OpenStreams, Refused> {
    let section = section.section("open_streams", &["on_revocation", "on_expiry", "recheck"])?;
    let recheck = section.duration("recheck", defaults::RECHECK, Duration::ZERO..=MAX_RECHECK);
    let asks_nobody = strategy == StrategyName::Jwt && !recheck.is_zero();
    if let Some(item) = section.get("recheck").filter(|_| asks_nobody) {
        return Err(item.wrong("0s, for under jwt nobody is asked"));
    }
    Ok(OpenStreams {
        on_revocation: section.boolean("on_revocation", has_signals),
        on_expiry: section.boolean("on_expiry", defaults::END_ON_EXPIRY),
        recheck,
    })
}

const MAX_RECHECK: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether some request under such a policy gets a phantom token: one that asks a server which gives the JWT
/// itself needs none of ours.
pub(super) fn mints(strategy: &Strategy, asked: Authorization, validated: Authorization) -> bool {
    let is_given = |it: &Rc<Introspector>| it.origin.kind == OriginKind::IntrospectedWithJwt;
    match strategy {
        Strategy::Allow => false,
        Strategy::Auto(_, introspector) => {
            validated == Authorization::Jwt || asked == Authorization::Jwt && !is_given(introspector)
        }
        Strategy::Introspect(introspector) => asked == Authorization::Jwt && !is_given(introspector),
        Strategy::Jwt(_) | Strategy::JwtAndIntrospection(_) => validated == Authorization::Jwt,
    }
}

/// The resource that a policy names.
fn resource<'r>(
    item: &Item<'_>,
    resources: &'r Result<Vec<(&str, ResourceIdentifier)>, Refused>,
) -> Result<&'r ResourceIdentifier, Refused> {
    let name = item.text()?;
    let resources = resources.as_ref().map_err(|refused| *refused)?;
    let named = resources.iter().find(|(other, _)| *other == name);
    named.map(|(_, resource)| resource).ok_or_else(|| item.wrong("a name in protected_resources"))
}

fn allow_missing(section: &Section<'_>) -> Result<AllowMissing, Refused> {
    let Some(item) = section.get("allow_missing") else { return Ok(defaults::ALLOW_MISSING) };
    match item.value {
        Value::Bool(false) => Ok(AllowMissing::Never),
        Value::Bool(true) => Ok(AllowMissing::Missing),
        Value::String(text) if text == "missing_or_invalid" => Ok(AllowMissing::MissingOrInvalid),
        _ => Err(item.wrong("true, false or missing_or_invalid")),
    }
}

fn cache_ttl(section: &Section<'_>) -> Duration {
    section.duration("cache_ttl", defaults::CACHE_TTL, Duration::ZERO..=Duration::from_secs(24 * 60 * 60))
}

/// A provider's verdicts are kept as long as they are of use to any policy.
fn keep_verdicts(section: &Section<'_>, providers: &mut [Provider]) -> Result<(), Refused> {
    let name = strategy_name(section)?;
    if name == StrategyName::Allow {
        return Ok(());
    }
    let ttl = cache_ttl(section);
    let named: Vec<usize> =
        named_providers(section, name, providers)?.iter().map(|named| named.index).collect();
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

fn token_sources(section: &Section<'_>) -> Result<Vec<TokenSource>, Refused> {
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

fn token_source(item: &Item<'_>) -> Result<TokenSource, Refused> {
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

/// A token is for the resource, unless something else is written down.
fn requirements(
    section: &Section<'_>,
    resource: Option<&ResourceIdentifier>,
) -> Result<Requirements, Refused> {
    let section = section.section("require", &REQUIRE_KEYS)?;
    let scopes = |key| -> Result<Vec<String>, Refused> {
        all(section.elements(key)?.iter().map(|scope| scope.scope().map(str::to_owned)))
    };
    let token_types = match section.get("token_types") {
        Some(_) => section.texts("token_types")?,
        None => defaults::TOKEN_TYPES.map(str::to_owned).to_vec(),
    };
    let audiences = match (section.get("audiences"), resource) {
        (None, Some(resource)) => vec![resource.as_str().to_owned()],
        _ => section.texts("audiences")?,
    };
    Ok(Requirements {
        scopes: scopes("scopes")?,
        any_scope: scopes("any_scope")?,
        audiences,
        client_ids: section.texts("client_ids")?,
        claims: (section.entries("claims")?.iter())
            .map(|(name, item)| accepted_values(name, item))
            .collect::<Result<_, _>>()?,
        token_types,
        sender_constrained: sender_constrained(&section)?,
        user_authentication: user_authentication(&section)?,
    })
}

fn sender_constrained(section: &Section<'_>) -> Result<SenderConstrained, Refused> {
    let key = "sender_constrained";
    let Some(item) = section.get(key) else { return Ok(defaults::SENDER_CONSTRAINED) };
    let rule = item.one_of(&SENDER_CONSTRAINED)?;
    if rule == SenderConstrained::Ignore {
        item.warn("whoever has stolen a token that is bound to its holder (RFC 9449, RFC 8705) can use it");
    }
    Ok(rule)
}

fn user_authentication(section: &Section<'_>) -> Result<UserAuthentication, Refused> {
    let ages = Duration::ZERO..=Duration::from_secs(365 * 24 * 60 * 60);
    let max_age = section.duration("max_age", defaults::MAX_AGE, ages);
    if max_age.subsec_nanos() != 0 {
        return Err(section.error("max_age", "expected whole seconds, got a part of one"));
    }
    Ok(UserAuthentication {
        acr_values: (section.elements("acr_values")?.iter())
            .map(|value| value.acr().map(str::to_owned))
            .collect::<Result<_, _>>()?,
        max_age: Some(max_age).filter(|max_age| !max_age.is_zero()),
    })
}

/// A member and the values that it may have.
fn accepted_values(name: &str, item: &Item<'_>) -> Result<(String, Vec<Value>), Refused> {
    item.claim_named(name)?;
    let values = match item.value {
        Value::Array(_) => item.elements()?,
        _ => vec![*item],
    };
    if values.is_empty() {
        return Err(item.error("at least one value", "none"));
    }
    let mut accepted = Vec::new();
    for item in values {
        match item.value {
            Value::String(_) | Value::Number(_) | Value::Bool(_) => {
                accepted.push(item.exact()?.value.clone())
            }
            Value::Null | Value::Array(_) | Value::Object(_) => {
                return Err(item.wrong("a text, a number, true or false"));
            }
        }
    }
    // What is a text here may have been written as a number, in YAML.
    let numbers: Vec<Value> = accepted.iter().filter_map(Value::as_str).filter_map(number_of_text).collect();
    accepted.extend(numbers);
    Ok((name.to_owned(), accepted))
}

/// The number that a text stands for if Envoy's YAML made a text of a number.
fn number_of_text(text: &str) -> Option<Value> {
    let is_whole = text.strip_prefix('-').unwrap_or(text).bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<i64>() {
        Ok(whole) if is_whole => Some(whole.into()),
        _ => Number::from_f64(number(&Value::from(text))?).map(Value::Number),
    }
}

const REQUIRE_KEYS: [&str; 9] = [
    "scopes",
    "any_scope",
    "audiences",
    "client_ids",
    "claims",
    "token_types",
    "sender_constrained",
    "acr_values",
    "max_age",
];

const SENDER_CONSTRAINED: [(&str, SenderConstrained); 3] = [
    ("verify", SenderConstrained::Verify),
    ("require", SenderConstrained::Require),
    ("ignore", SenderConstrained::Ignore),
];

const AUTHORIZATIONS: [(&str, Authorization); 3] =
    [("jwt", Authorization::Jwt), ("original", Authorization::Original), ("remove", Authorization::Remove)];
