//! The configuration as operators write it. Types and keys are checked here, meaning in the modules beside.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::scalar::{Count, Length, SecretSource};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    pub(super) providers: BTreeMap<String, Provider>,
    pub(super) phantom_token: Option<PhantomToken>,
    #[serde(default)]
    pub(super) policies: BTreeMap<String, Policy>,
    pub(super) default_policy: Option<String>,
    #[serde(default)]
    pub(super) rules: Vec<Rule>,
    #[serde(default)]
    pub(super) policy_from: PolicyFrom,
    #[serde(default)]
    pub(super) cache: Cache,
    #[serde(default)]
    pub(super) challenge: Challenge,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Provider {
    pub(super) issuer: Option<String>,
    pub(super) introspection: Introspection,
    #[serde(default)]
    pub(super) token_format: TokenFormat,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Introspection {
    pub(super) cluster: String,
    pub(super) authority: Option<String>,
    pub(super) path: String,
    pub(super) timeout: Option<Length>,
    pub(super) retries: Option<Count>,
    pub(super) auth: Auth,
    pub(super) token_type_hint: Option<String>,
    #[serde(default)]
    pub(super) parameters: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    pub(super) max_concurrent_calls: Option<Count>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Auth {
    ClientSecretBasic {
        client_id: String,
        client_secret: SecretSource,
        #[serde(default)]
        encoding: Encoding,
    },
    ClientSecretPost {
        client_id: String,
        client_secret: SecretSource,
    },
    PrivateKeyJwt {
        client_id: String,
        private_key: SecretSource,
        alg: Option<Algorithm>,
        kid: Option<String>,
        audience: Option<String>,
    },
    Bearer {
        token: SecretSource,
    },
    None {
        client_id: String,
    },
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Encoding {
    #[default]
    Form,
    Raw,
}

#[derive(Clone, Copy, Deserialize)]
#[expect(clippy::upper_case_acronyms, reason = "the names of RFC 7518")]
pub(super) enum Algorithm {
    ES256,
    ES384,
    RS256,
    EdDSA,
    HS256,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenFormat {
    pub(super) prefix: Option<String>,
    pub(super) min_length: Option<Count>,
    pub(super) max_length: Option<Count>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PhantomToken {
    pub(super) issuer: String,
    #[serde(default)]
    pub(super) audiences: Vec<String>,
    pub(super) ttl: Option<Length>,
    pub(super) signing_keys: Vec<SigningKey>,
    #[serde(default)]
    pub(super) claims: Claims,
    pub(super) jwks_path: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SigningKey {
    pub(super) kid: String,
    pub(super) alg: Algorithm,
    pub(super) private_key: Option<SecretSource>,
    pub(super) public_key: Option<PublicKeySource>,
}

/// A public key needs no secrecy: besides the forms of a secret it may stand as it is.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum PublicKeySource {
    Text(String),
    Source(SecretSource),
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Claims {
    pub(super) include: Option<Vec<String>>,
    #[serde(default)]
    pub(super) exclude: Vec<String>,
    #[serde(default)]
    pub(super) rename: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) add: Map<String, Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Policy {
    #[serde(default)]
    pub(super) strategy: Strategy,
    pub(super) provider: Option<String>,
    pub(super) token_sources: Option<Vec<TokenSource>>,
    pub(super) cache_ttl: Option<Length>,
    #[serde(default)]
    pub(super) require: Require,
    #[serde(default)]
    pub(super) forward: Forward,
    #[serde(default)]
    pub(super) allow_missing: bool,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Strategy {
    #[default]
    PhantomToken,
    Introspection,
    Allow,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum TokenSource {
    AuthorizationHeader,
    Header(String),
    Cookie(String),
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Require {
    #[serde(default)]
    pub(super) scopes: Vec<String>,
    #[serde(default)]
    pub(super) any_scope: Vec<String>,
    #[serde(default)]
    pub(super) audiences: Vec<String>,
    #[serde(default)]
    pub(super) client_ids: Vec<String>,
    #[serde(default)]
    pub(super) claims: BTreeMap<String, Value>,
    pub(super) token_types: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Forward {
    pub(super) authorization: Option<Authorization>,
    #[serde(default)]
    pub(super) claim_headers: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Authorization {
    Jwt,
    Original,
    Remove,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    #[serde(rename = "match", default)]
    pub(super) matches: Match,
    pub(super) policy: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Match {
    pub(super) hosts: Option<Vec<String>>,
    pub(super) path: Option<String>,
    pub(super) path_prefix: Option<String>,
    pub(super) methods: Option<Vec<String>>,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum PolicyFrom {
    #[default]
    Rules,
    RouteMetadata,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cache {
    pub(super) max_entries: Option<Count>,
    pub(super) max_negative_entries: Option<Count>,
    pub(super) negative_ttl: Option<Length>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Challenge {
    pub(super) realm: Option<String>,
    pub(super) error_description: Option<bool>,
}
