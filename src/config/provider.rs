//! `providers`: authorization servers.

use std::time::Duration;

use super::authentication::authentication;
use super::defaults;
use super::error::ConfigError;
use super::fingerprint::{fingerprint, flat};
use super::reader::{Item, Section};
use crate::introspection::{BreakerLimits, Endpoint};
use crate::provider::{Provider, TokenFormat};
use crate::token::DigestSeed;

/// The providers. How old a verdict of theirs may get is for the policies to say.
pub(super) fn providers(root: &Section<'_>) -> Result<Vec<Provider>, ConfigError> {
    let providers = root.required("providers")?;
    let entries = providers.entries()?;
    if entries.is_empty() {
        return Err(providers.error("at least one authorization server", "none"));
    }
    entries.into_iter().map(|(name, item)| provider(name, item)).collect()
}

fn provider(name: &str, item: Item<'_>) -> Result<Provider, ConfigError> {
    let section = item.section(&["issuer", "introspection", "token_format"])?;
    let issuer = section.get("issuer").map(|issuer| issuer.text()).transpose()?;
    let introspection = endpoint(section.required("introspection")?, issuer)?;
    Ok(Provider {
        name: name.to_owned(),
        issuer: issuer.map(str::to_owned),
        token_format: token_format(&section)?,
        digest_seed: digest_seed(name, issuer, &introspection),
        introspection,
        max_cache_ttl: Duration::ZERO,
    })
}

fn endpoint(item: Item<'_>, issuer: Option<&str>) -> Result<Endpoint, ConfigError> {
    let section = item.section(&[
        "cluster",
        "authority",
        "path",
        "timeout",
        "retries",
        "auth",
        "token_type_hint",
        "parameters",
        "headers",
        "max_concurrent_calls",
        "breaker",
    ])?;
    let cluster = section.required("cluster")?;
    let authority =
        section.get("authority").map_or_else(|| cluster.text(), |authority| authority.authority())?;
    let hint =
        section.get("token_type_hint").map_or(Ok(defaults::TOKEN_TYPE_HINT), |hint| hint.any_text())?;
    let headers = section
        .get("headers")
        .map_or_else(|| Ok(Vec::new()), |item| item.headers(&[], Item::header_value))?;
    let timeouts = Duration::from_millis(1)..=Duration::from_secs(60);
    Ok(Endpoint {
        cluster: cluster.text()?.to_owned(),
        authority: authority.to_owned(),
        path: section.required("path")?.path()?.to_owned(),
        timeout: section.duration("timeout", defaults::INTROSPECTION_TIMEOUT, timeouts)?,
        retries: section.count("retries", defaults::INTROSPECTION_RETRIES, 0..=5)?,
        authentication: authentication(&section.required("auth")?, issuer)?,
        token_type_hint: hint.to_owned(),
        parameters: section.entries("parameters")?.into_iter().map(parameter).collect::<Result<_, _>>()?,
        headers,
        max_concurrent_calls: section.count(
            "max_concurrent_calls",
            defaults::MAX_CONCURRENT_CALLS,
            1..=10_000,
        )? as usize,
        breaker: breaker(&section)?,
    })
}

fn breaker(section: &Section<'_>) -> Result<BreakerLimits, ConfigError> {
    let section = section.section("breaker", &["failures", "max_hold"])?;
    let holds = Duration::from_millis(100)..=Duration::from_secs(5 * 60);
    Ok(BreakerLimits {
        failures: section.count("failures", defaults::BREAKER_FAILURES, 1..=1000)?,
        max_hold: section.duration("max_hold", defaults::BREAKER_MAX_HOLD, holds)?,
    })
}

/// A form parameter; none may occur twice (RFC 6749 §3.2).
fn parameter((name, item): (&str, Item<'_>)) -> Result<(String, String), ConfigError> {
    if OWN_PARAMETERS.contains(&name) {
        return Err(item.error("a parameter that the filter does not set itself", &format!("{name:?}")));
    }
    Ok((name.to_owned(), item.any_text()?.to_owned()))
}

fn token_format(section: &Section<'_>) -> Result<TokenFormat, ConfigError> {
    let section = section.section("token_format", &["prefix", "min_length", "max_length"])?;
    let max_length = section.count("max_length", defaults::TOKEN_MAX_LENGTH, 1..=65_536)?;
    let min_length = section.count("min_length", defaults::TOKEN_MIN_LENGTH, 1..=max_length)?;
    let prefix = section.get("prefix").map_or(Ok(""), |prefix| prefix.any_text())?;
    Ok(TokenFormat {
        prefix: prefix.to_owned(),
        min_length: min_length as usize,
        max_length: max_length as usize,
    })
}

/// Everything that may change the server's answer or what it means (RFC 7662 §2.2).
fn digest_seed(name: &str, issuer: Option<&str>, endpoint: &Endpoint) -> DigestSeed {
    let Endpoint { cluster, authority, path, authentication, token_type_hint, parameters, headers, .. } =
        endpoint;
    let identity = authentication.identity();
    DigestSeed::new(&fingerprint(&[
        &[name, issuer.unwrap_or_default(), cluster, authority, path, identity, token_type_hint],
        &flat(parameters.iter().map(|(name, value)| (name, value))),
        &flat(headers.iter().map(|(name, value)| (name, value))),
    ]))
}

/// What [`Endpoint::request`] puts into every form.
const OWN_PARAMETERS: [&str; 2] = ["token", "token_type_hint"];
