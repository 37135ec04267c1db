//! The authorization server, played by what the operator has at hand: a reply that was recorded, or claims.

use base64ct::{Base64UrlUnpadded, Encoding};
use clap::ValueEnum;
use phantom_token_filter::config::Config;
use phantom_token_filter::discovery::Discovery;
use phantom_token_filter::http::HttpCall;
use phantom_token_filter::jwt::{PrivateKey, SigningKey};
use phantom_token_filter::policy::{Policy, Strategy};
use phantom_token_filter::provider::Validator;
use phantom_token_filter::target::{Target, Whereabouts};
use phantom_token_filter::token::UnixMillis;
use serde_json::{Map, Value, json};

use crate::keygen::{Keys, Signing};
use phantom_token_filter::jwt::RustCrypto;

/// What is known of the token.
pub(super) enum Known {
    /// The claims of an active one.
    Claims(Map<String, Value>),
    /// What the server answered when it was asked.
    Reply(Vec<u8>),
}

/// A server that knows one token.
pub(super) struct Server {
    known: Known,
    /// The token, as a client would send it.
    pub(super) token: String,
    /// The key set that its JWTs are verified with.
    keys: Value,
}

impl Server {
    /// A server whose token fits a policy; a JWT where that validates one.
    pub(super) fn new(known: Known, policy: &Policy, now: UnixMillis) -> Result<Self, String> {
        let introspectors = policy.strategy.introspectors();
        if introspectors.iter().any(|it| it.endpoint.response.signed().is_some()) {
            return Err(
                "replies that the server signs (response: jwt or application_jwt) cannot be played here"
                    .to_owned(),
            );
        }
        let claims = match &known {
            Known::Claims(claims) => claims.clone(),
            Known::Reply(reply) => serde_json::from_slice(reply).unwrap_or_default(),
        };
        let (token, keys) = match validator(policy, &claims) {
            Some(validator) => jwt(validator, claims, now)?,
            None => ("token-to-be-explained".to_owned(), json!({"keys": []})),
        };
        Ok(Self { known, token, keys })
    }

    /// The answer to a call; `None` if it is not one that this server is asked.
    pub(super) fn answer(&self, config: &Config, call: &HttpCall) -> Option<(&'static str, Vec<u8>)> {
        let header =
            |wanted: &str| call.headers.iter().find(|(name, _)| name == wanted).map(|(_, it)| it.as_str());
        let is_at = |whereabouts: &Whereabouts, found: &str| {
            let path = whereabouts.written().map_or(found, |target| &target.path);
            whereabouts.cluster() == call.cluster && header(":path") == Some(path)
        };
        let mut introspectors = config.providers.iter().filter_map(|provider| provider.introspector.as_ref());
        let is_introspection = header(":method") == Some("POST")
            && introspectors.any(|it| is_at(&it.endpoint.whereabouts, INTROSPECTION));
        let mut validators = config.providers.iter().filter_map(|provider| provider.validator.as_ref());
        let is_keys = validators.any(|it| is_at(&it.jwks.whereabouts, KEYS));
        let mut discoveries = config.providers.iter().filter_map(|provider| provider.discovery.as_ref());
        let is_document = |target: &Target| {
            target.cluster == call.cluster
                && header(":authority") == Some(&target.authority)
                && header(":path") == Some(&target.path)
        };
        if let Some(discovery) = discoveries.find(|it| it.documents.iter().any(is_document)) {
            return Some(("application/json", metadata(discovery).to_string().into_bytes()));
        }
        if is_introspection {
            Some(match &self.known {
                Known::Reply(reply) => ("application/json", reply.clone()),
                Known::Claims(claims) => {
                    let mut reply = claims.clone();
                    reply.insert("active".to_owned(), true.into());
                    ("application/json", Value::Object(reply).to_string().into_bytes())
                }
            })
        } else {
            is_keys.then(|| ("application/json", self.keys.to_string().into_bytes()))
        }
    }
}

/// What a server says of itself: endpoints that are called as the members that they stand in.
fn metadata(discovery: &Discovery) -> Value {
    let origin = discovery.allowed_hosts.first().map(|host| format!("https://{host}")).unwrap_or_default();
    json!({
        "issuer": discovery.issuer,
        "introspection_endpoint": format!("{origin}{INTROSPECTION}"),
        "jwks_uri": format!("{origin}{KEYS}"),
    })
}

/// Where a server is asked that has its metadata from here.
const INTROSPECTION: &str = "/introspection_endpoint";

/// Where the keys of such a server are.
const KEYS: &str = "/jwks_uri";

/// Who would validate a token with these claims here; under `auto` only the server that they name.
fn validator<'p>(policy: &'p Policy, claims: &Map<String, Value>) -> Option<&'p Validator> {
    let is_named = |validator: &&Validator| {
        claims.get("iss").and_then(Value::as_str) == Some(validator.rules.issuer.as_str())
    };
    let validators = policy.strategy.validators();
    let mut validators = validators.iter().map(|validator| &***validator);
    match policy.strategy {
        Strategy::Auto(..) => validators.find(is_named),
        _ => {
            let first = validators.clone().next();
            validators.find(is_named).or(first)
        }
    }
}

/// A JWT access token (RFC 9068) with these claims, and the keys that verify it.
fn jwt(
    validator: &Validator,
    mut claims: Map<String, Value>,
    now: UnixMillis,
) -> Result<(String, Value), String> {
    let rules = &validator.rules;
    let signing =
        rules.algorithms.iter().find_map(|algorithm| Signing::from_str(algorithm.name(), false).ok());
    let signing = signing.ok_or_else(|| {
        let names: Vec<&str> = rules.algorithms.iter().map(|algorithm| algorithm.name()).collect();
        format!("no JWT can be made here that is signed by {}", names.join(" or "))
    })?;
    let broken = || "no key could be made".to_owned();
    let Some(Keys::Pair { pem, public }) = Keys::generate(signing) else { return Err(broken()) };
    let algorithm =
        rules.algorithms.iter().copied().find(|it| it.name() == signing.name()).ok_or_else(broken)?;
    let key = PrivateKey::parse(&pem)
        .and_then(|key| SigningKey::new(algorithm, None, key))
        .map_err(|_| broken())?;
    claims.entry("iss").or_insert_with(|| rules.issuer.as_str().into());
    claims.entry("iat").or_insert_with(|| now.as_secs().into());
    claims.entry("exp").or_insert_with(|| (now.as_secs() + 300).into());
    claims.remove("active");
    let typ = rules.types.first().map_or("at+jwt", String::as_str);
    let header = json!({"alg": algorithm.name(), "kid": public.get("kid"), "typ": typ});
    let text = [header, Value::Object(claims)].map(|part| encode(part.to_string().as_bytes())).join(".");
    let signature = key.sign(&RustCrypto, text.as_bytes()).map_err(|reason| reason.to_string())?;
    Ok((format!("{text}.{}", encode(&signature)), json!({"keys": [public]})))
}

fn encode(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}
