//! `providers`: authorization servers.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::error::ConfigError;
use super::{check, defaults, phantom_token, wire};
use crate::introspection::{ClientAuthentication, Endpoint, SecretEncoding};
use crate::jwt::Algorithm;
use crate::provider::{Provider, TokenFormat};
use crate::token::DigestSeed;

/// The providers by name. `policies` tell how old a verdict of each may get.
pub(super) fn providers(
    wire: BTreeMap<String, wire::Provider>,
    policies: &BTreeMap<String, wire::Policy>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, Rc<Provider>>, ConfigError> {
    if wire.is_empty() {
        return Err(ConfigError::new("providers", "expected at least one authorization server, got none"));
    }
    let max_cache_ttl = policies.values().map(super::policy::cache_ttl).max().unwrap_or_default();
    let provider = |(name, wire)| Ok((String::clone(&name), Rc::new(provider(name, wire, max_cache_ttl, env)?)));
    wire.into_iter().map(provider).collect()
}

fn provider(
    name: String,
    wire: wire::Provider,
    max_cache_ttl: Duration,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Provider, ConfigError> {
    let wire::Provider { issuer, introspection, token_format } = wire;
    let path = format!("providers.{name}");
    let issuer = issuer.map(|issuer| check::non_empty(&format!("{path}.issuer"), issuer)).transpose()?;
    let introspection = endpoint(&format!("{path}.introspection"), introspection, issuer.as_deref(), env)?;
    let token_format = format_of(&format!("{path}.token_format"), token_format)?;
    let digest_seed = DigestSeed::new(&fingerprint(&name, issuer.as_deref(), &introspection));
    Ok(Provider { name, issuer, introspection, token_format, digest_seed, max_cache_ttl })
}

fn endpoint(
    path: &str,
    wire: wire::Introspection,
    issuer: Option<&str>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Endpoint, ConfigError> {
    let wire::Introspection {
        cluster,
        authority,
        path: endpoint_path,
        timeout,
        retries,
        auth,
        token_type_hint,
        parameters,
        headers,
        max_concurrent_calls,
    } = wire;
    let at = |key: &str| format!("{path}.{key}");
    let cluster = check::non_empty(&at("cluster"), cluster)?;
    let authority = authority.unwrap_or_else(|| cluster.clone());
    let is_authority = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:[]%!$&'()*+,;=".contains(&byte);
    if authority.is_empty() || !authority.bytes().all(is_authority) {
        return Err(ConfigError::new(at("authority"), format!("expected a host such as \"as.example\", got {authority:?}")));
    }
    let header = |(name, value)| {
        let path = format!("{path}.headers.{name}");
        Ok((check::header_name(&path, name)?, check::header_value(&path, value)?))
    };
    let timeouts = Duration::from_millis(1)..=Duration::from_secs(60);
    Ok(Endpoint {
        authority,
        path: check::path(&at("path"), endpoint_path)?,
        timeout: check::length(&at("timeout"), timeout, defaults::INTROSPECTION_TIMEOUT, timeouts)?,
        retries: check::count(&at("retries"), retries, defaults::INTROSPECTION_RETRIES, 0..=5)?,
        authentication: authentication(&at("auth"), auth, issuer, env)?,
        token_type_hint: token_type_hint.unwrap_or_else(|| defaults::TOKEN_TYPE_HINT.to_owned()),
        parameters: parameters.into_iter().collect(),
        headers: headers.into_iter().map(header).collect::<Result<_, ConfigError>>()?,
        max_concurrent_calls: check::count(
            &at("max_concurrent_calls"),
            max_concurrent_calls,
            defaults::MAX_CONCURRENT_CALLS,
            1..=10_000,
        )? as usize,
        cluster,
    })
}

fn authentication(
    path: &str,
    wire: wire::Auth,
    issuer: Option<&str>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<ClientAuthentication, ConfigError> {
    let secret = |key: &str, source| check::secret(&format!("{path}.{key}"), source, env);
    Ok(match wire {
        wire::Auth::Bearer { token } => ClientAuthentication::Bearer { token: secret("bearer.token", token)? },
        wire::Auth::ClientSecretBasic { client_id, client_secret, encoding } => ClientAuthentication::ClientSecretBasic {
            client_id,
            client_secret: secret("client_secret_basic.client_secret", client_secret)?,
            encoding: match encoding {
                wire::Encoding::Form => SecretEncoding::Form,
                wire::Encoding::Raw => SecretEncoding::Raw,
            },
        },
        wire::Auth::ClientSecretPost { client_id, client_secret } => ClientAuthentication::ClientSecretPost {
            client_id,
            client_secret: secret("client_secret_post.client_secret", client_secret)?,
        },
        wire::Auth::None { client_id } => ClientAuthentication::None { client_id },
        wire::Auth::PrivateKeyJwt { client_id, private_key, alg, kid, audience } => {
            let path = format!("{path}.private_key_jwt");
            let alg = alg.map_or(Algorithm::ES256, phantom_token::algorithm);
            let key = phantom_token::signing_key(&format!("{path}.private_key"), alg, kid, private_key, env)?;
            let audience = audience.or_else(|| issuer.map(str::to_owned)).ok_or_else(|| {
                ConfigError::new(format!("{path}.audience"), "expected a value, or the provider's issuer, got neither")
            })?;
            ClientAuthentication::PrivateKeyJwt { client_id, key, audience }
        }
    })
}

fn format_of(path: &str, wire: wire::TokenFormat) -> Result<TokenFormat, ConfigError> {
    let wire::TokenFormat { prefix, min_length, max_length } = wire;
    let at = |key: &str| format!("{path}.{key}");
    let max_length = check::count(&at("max_length"), max_length, defaults::TOKEN_MAX_LENGTH, 1..=65_536)?;
    let min_length = check::count(&at("min_length"), min_length, defaults::TOKEN_MIN_LENGTH, 1..=max_length)?;
    Ok(TokenFormat {
        prefix: prefix.unwrap_or_default(),
        min_length: min_length as usize,
        max_length: max_length as usize,
    })
}

/// Everything that may change the server's answer or what it means (RFC 7662 §2.2).
fn fingerprint(name: &str, issuer: Option<&str>, endpoint: &Endpoint) -> [u8; 32] {
    let Endpoint { cluster, authority, path, authentication, token_type_hint, parameters, headers, .. } = endpoint;
    let identity = authentication.identity();
    let all = json!([name, issuer, cluster, authority, path, identity, token_type_hint, parameters, headers]);
    Sha256::digest(all.to_string()).into()
}
