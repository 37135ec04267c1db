//! What is compared: one Envoy each, the same but for the HTTP filter in front of the router.

use std::borrow::Cow;

use base64ct::{Base64, Encoding};
use serde_json::{Value, json};

use crate::{
    rig::{bootstrap::Bootstrap, envoy::Envoy, gateway::plugin_with},
    scenario::{Scenario, Upstream},
    surroundings::Surroundings,
    tokens::{ISSUER, KEY_ID, Mint, Tokens},
};

/// Verdicts must not run out while hits are measured.
const LONGER_THAN_ANY_RUN: &str = "3600s";

/// The cluster that is asked about tokens.
const SERVER: &str = "authorization_server";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    Router,
    /// The router once more, in a process of its own: what two equal Envoys differ by.
    RouterAgain,
    /// A native filter that sets a header.
    HeaderMutation,
    /// A Wasm filter that sets a header.
    TrivialWasm,
    JwtAuthn,
    PhantomToken,
    /// Another build of the filter: the how manieth `--versus FILE`.
    OtherBuild(usize),
    Lua,
    ExtAuthz,
}

impl Contender {
    pub const ALL: [Self; 9] = [
        Self::Router,
        Self::RouterAgain,
        Self::HeaderMutation,
        Self::TrivialWasm,
        Self::JwtAuthn,
        Self::PhantomToken,
        Self::OtherBuild(0),
        Self::Lua,
        Self::ExtAuthz,
    ];

    /// On the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Router => "router",
            Self::RouterAgain => "router-again",
            Self::HeaderMutation => "header-mutation",
            Self::TrivialWasm => "trivial-wasm",
            Self::JwtAuthn => "jwt-authn",
            Self::PhantomToken => "phantom-token",
            Self::OtherBuild(_) => "other-build",
            Self::Lua => "lua",
            Self::ExtAuthz => "ext-authz",
        }
    }

    /// In tables and plots.
    pub fn title(self) -> Cow<'static, str> {
        let title = match self {
            Self::Router => "router only",
            Self::RouterAgain => "router only, once more",
            Self::HeaderMutation => "header_mutation, one header",
            Self::TrivialWasm => "Wasm, one header",
            Self::JwtAuthn => "jwt_authn ES256, cached",
            Self::PhantomToken => "this filter, cache hit",
            Self::OtherBuild(number) => return format!("this filter, other build {}", number + 1).into(),
            Self::Lua => "Lua, table cache",
            Self::ExtAuthz => "ext_authz to a no-op service",
        };
        title.into()
    }

    pub fn tokens(self, mint: &Mint, count: usize) -> Tokens {
        match self {
            Self::JwtAuthn => mint.jwts(count),
            _ => mint.opaque(count),
        }
    }

    /// Whether it looks at tokens: then it remembers them, and the upstream gets a JWT.
    pub fn knows_tokens(self) -> bool {
        matches!(self, Self::JwtAuthn | Self::PhantomToken | Self::OtherBuild(_) | Self::Lua)
    }

    pub fn is_this_filter(self) -> bool {
        matches!(self, Self::PhantomToken | Self::OtherBuild(_))
    }

    /// A header that the upstream gets besides.
    pub fn sets_header(self) -> Option<&'static str> {
        match self {
            Self::HeaderMutation => Some("x-native: 1"),
            Self::TrivialWasm => Some("x-wasm: 1"),
            _ => None,
        }
    }

    /// Its Envoy.
    pub fn bootstrap(self, scenario: &Scenario, around: &Surroundings) -> Bootstrap {
        let envoy = match self {
            Self::PhantomToken | Self::OtherBuild(_) => Bootstrap::new(plugin(around, scenario.tokens))
                .cluster(SERVER, around.authorization_server.address()),
            Self::Lua => Bootstrap::without_filter().cluster(SERVER, around.server_with_jwt.address()),
            Self::ExtAuthz => Bootstrap::without_filter()
                .cluster("authorization_service", around.authorization_service.address()),
            _ => Bootstrap::without_filter(),
        };
        let envoy = match scenario.upstream {
            Upstream::Service => envoy,
            Upstream::None => envoy.route(json!({
                "match": {"prefix": "/"},
                "direct_response": {"status": 200, "body": {"inline_string": "ok"}},
            })),
        };
        let code = match self {
            Self::OtherBuild(number) => around.other_builds.get(number).cloned(),
            _ => None,
        };
        let filter = self.filter(scenario.tokens, around);
        envoy.workers(scenario.workers).cluster("upstream", around.upstream.address()).adjust(move |main| {
            main.as_object_mut().expect("an object").remove("access_log"); // it would cost all the same
            let filters = main["http_filters"].as_array_mut().expect("filters");
            if let Some(filter) = filter {
                filters.insert(0, filter);
            }
            if let Some(file) = code {
                filters[0]["typed_config"]["config"]["vm_config"]["code"]["local"]["filename"] = json!(file);
            }
        })
    }

    /// Requests of which its Envoy did not know the token, so far.
    pub async fn misses(self, envoy: &Envoy) -> u64 {
        let counter = match self {
            Self::PhantomToken | Self::OtherBuild(_) | Self::Lua => {
                "cluster.authorization_server.upstream_rq_total"
            }
            Self::JwtAuthn => "jwt_cache_miss",
            _ => return 0,
        };
        envoy.stats(&format!("{counter}$")).await.values().sum()
    }

    fn filter(self, tokens: usize, around: &Surroundings) -> Option<Value> {
        let (name, config) = match self {
            Self::Router | Self::RouterAgain | Self::PhantomToken | Self::OtherBuild(_) => return None,
            Self::HeaderMutation => (
                "header_mutation.v3.HeaderMutation",
                json!({
                    "mutations": {"request_mutations": [
                        {"append": {"header": {"key": "x-native", "value": "1"}}},
                    ]},
                }),
            ),
            Self::TrivialWasm => (
                "wasm.v3.Wasm",
                json!({"config": {
                    "name": "trivial",
                    "vm_config": {
                        "vm_id": "trivial",
                        "runtime": "envoy.wasm.runtime.v8",
                        "code": {"local": {"inline_bytes": Base64::encode_string(&trivial_wasm())}},
                    },
                }}),
            ),
            Self::JwtAuthn => (
                "jwt_authn.v3.JwtAuthentication",
                json!({
                    "providers": {"phantom": {
                        "issuer": ISSUER,
                        "forward": true,
                        "local_jwks": {"inline_string": around.jwks()},
                        "jwt_cache_config": {"jwt_cache_size": tokens.max(100)},
                    }},
                    "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "phantom"}}],
                }),
            ),
            Self::Lua => (
                "lua.v3.Lua",
                json!({
                    "default_source_code": {"inline_string": include_str!("cache.lua")},
                }),
            ),
            Self::ExtAuthz => (
                "ext_authz.v3.ExtAuthz",
                json!({
                    "http_service": {"server_uri": {
                        "uri": "http://authorization.example",
                        "cluster": "authorization_service",
                        "timeout": "2s",
                    }},
                }),
            ),
        };
        let mut config = config;
        config["@type"] = json!(format!("type.googleapis.com/envoy.extensions.filters.http.{name}"));
        Some(json!({"name": self.name(), "typed_config": config}))
    }
}

/// The filter's configuration: the smallest useful one, but for times and sizes.
fn plugin(around: &Surroundings, tokens: usize) -> Value {
    let mut plugin = plugin_with(&around.key);
    plugin["phantom_token"]["signing_keys"][0]["kid"] = json!(KEY_ID);
    plugin["phantom_token"]["ttl"] = json!(LONGER_THAN_ANY_RUN);
    plugin["policies"] = json!({"default": {"cache_ttl": LONGER_THAN_ANY_RUN}});
    plugin["cache"] = json!({"max_entries": (10 * tokens).max(10_000)});
    plugin
}

fn trivial_wasm() -> Vec<u8> {
    wat::parse_str(include_str!("trivial.wat")).expect("a module in text form")
}
