//! `phantom_token`: the JWT that replaces the opaque token.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::error::ConfigError;
use super::scalar::SecretSource;
use super::{check, defaults, wire};
use crate::jwt::{self, Algorithm, ClaimMapping, PhantomToken, PhantomTokenId, PrivateKey, PublicKey, SigningKey};

/// How phantom tokens are made, and the path of the key set.
pub(super) fn phantom_token(
    wire: wire::PhantomToken,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<(PhantomToken, String), ConfigError> {
    let wire::PhantomToken { issuer, audiences, ttl, signing_keys, claims, jwks_path } = wire;
    let issuer = check::non_empty("phantom_token.issuer", issuer)?;
    let ttls = Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60);
    let ttl = check::length("phantom_token.ttl", ttl, defaults::PHANTOM_TOKEN_TTL, ttls)?;
    let (signing_key, published_keys) = keys(signing_keys, env)?;
    let claims = mapping(claims)?;
    let jwks_path = match jwks_path {
        None => defaults::JWKS_PATH.to_owned(),
        Some(off) if off.is_empty() => off,
        Some(path) => check::path("phantom_token.jwks_path", path)?,
    };
    let id = id(&issuer, &audiences, ttl, &signing_key, &claims);
    Ok((PhantomToken { issuer, audiences, ttl, signing_key, published_keys, claims, id }, jwks_path))
}

/// The key that signs, and all that are published: rotation needs both.
fn keys(
    wire: Vec<wire::SigningKey>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<(SigningKey, Vec<serde_json::Map<String, serde_json::Value>>), ConfigError> {
    let mut signing = None;
    let mut published = Vec::new();
    let mut kids = BTreeSet::new();
    for (index, wire::SigningKey { kid, alg, private_key, public_key }) in wire.into_iter().enumerate() {
        let path = format!("phantom_token.signing_keys[{index}]");
        let alg = algorithm(alg);
        let kid = check::non_empty(&format!("{path}.kid"), kid)?;
        if !kids.insert(kid.clone()) {
            return Err(ConfigError::new(format!("{path}.kid"), format!("expected a kid of its own, got {kid:?} again")));
        }
        match (private_key, public_key) {
            (Some(private_key), None) => {
                let key = signing_key(&format!("{path}.private_key"), alg, Some(kid), private_key, env)?;
                published.extend(key.to_public_jwk());
                signing.get_or_insert(key);
            }
            (None, Some(public_key)) if index > 0 => {
                let path = format!("{path}.public_key");
                let text = match public_key {
                    wire::PublicKeySource::Text(text) => text,
                    wire::PublicKeySource::Source(source) => check::secret(&path, source, env)?.secret().to_owned(),
                };
                let key = PublicKey::parse(&text).and_then(|key| jwt::published_key(&key, alg, &kid));
                published.push(key.map_err(|reason| ConfigError::new(path, reason))?);
            }
            (None, Some(_)) => {
                let problem = "expected a private key, for the first key signs, got a public one";
                return Err(ConfigError::new(path, problem));
            }
            (private_key, _) => {
                let got = if private_key.is_some() { "both" } else { "neither" };
                return Err(ConfigError::new(path, format!("expected private_key or public_key, got {got}")));
            }
        }
    }
    let none = || ConfigError::new("phantom_token.signing_keys", "expected at least one key, got none");
    Ok((signing.ok_or_else(none)?, published))
}

/// A key that signs by `alg`.
pub(super) fn signing_key(
    path: &str,
    alg: Algorithm,
    kid: Option<String>,
    source: SecretSource,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<SigningKey, ConfigError> {
    let text = check::secret(path, source, env)?;
    let key = PrivateKey::parse(text.secret()).and_then(|key| SigningKey::new(alg, kid, key));
    key.map_err(|reason| ConfigError::new(path, reason))
}

pub(super) fn algorithm(wire: wire::Algorithm) -> Algorithm {
    match wire {
        wire::Algorithm::ES256 => Algorithm::ES256,
        wire::Algorithm::ES384 => Algorithm::ES384,
        wire::Algorithm::EdDSA => Algorithm::EdDSA,
        wire::Algorithm::HS256 => Algorithm::HS256,
        wire::Algorithm::RS256 => Algorithm::RS256,
    }
}

fn mapping(wire: wire::Claims) -> Result<ClaimMapping, ConfigError> {
    let wire::Claims { include, exclude, rename, add } = wire;
    let own = |path: String, name: &str| {
        let problem = format!("expected a claim that the filter does not set itself, got {name:?}");
        if PhantomToken::OWN_CLAIMS.contains(&name) { Err(ConfigError::new(path, problem)) } else { Ok(()) }
    };
    for (from, to) in &rename {
        own(format!("phantom_token.claims.rename.{from}"), to)?;
    }
    for name in add.keys() {
        own(format!("phantom_token.claims.add.{name}"), name)?;
    }
    let include = include.filter(|names| !names.iter().any(|name| name == "*"));
    let include = include.map(|names| names.into_iter().collect());
    Ok(ClaimMapping { include, exclude: exclude.into_iter().collect(), rename, add })
}

fn id(issuer: &str, audiences: &[String], ttl: Duration, key: &SigningKey, claims: &ClaimMapping) -> PhantomTokenId {
    let ClaimMapping { include, exclude, rename, add } = claims;
    let key = (key.alg().name(), key.kid(), key.fingerprint());
    let all = json!([issuer, audiences, ttl.as_millis() as u64, key, include, exclude, rename, add]);
    let digest: [u8; 32] = Sha256::digest(all.to_string()).into();
    digest.first_chunk().copied().unwrap_or_default()
}
