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
    /// A Wasm filter that makes the host calls of this one, and no more.
    SameCalls,
    JwtAuthn,
    /// The same without its cache: each request verifies a signature.
    JwtAuthnUncached,
    PhantomToken,
    /// Another build of the filter: the how manieth `--versus FILE`.
    OtherBuild(usize),
    /// This filter with `strategy: jwt`.
    LocalJwt,
    /// The same with `cache_ttl: 0s`: each request verifies a signature.
    LocalJwtUncached,
    Lua,
    ExtAuthz,
}

impl Contender {
    pub const ALL: [Self; 13] = [
        Self::Router,
        Self::RouterAgain,
        Self::HeaderMutation,
        Self::TrivialWasm,
        Self::SameCalls,
        Self::JwtAuthn,
        Self::JwtAuthnUncached,
        Self::PhantomToken,
        Self::OtherBuild(0),
        Self::LocalJwt,
        Self::LocalJwtUncached,
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
            Self::SameCalls => "same-calls",
            Self::JwtAuthn => "jwt-authn",
            Self::JwtAuthnUncached => "jwt-authn-uncached",
            Self::PhantomToken => "phantom-token",
            Self::OtherBuild(_) => "other-build",
            Self::LocalJwt => "local-jwt",
            Self::LocalJwtUncached => "local-jwt-uncached",
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
            Self::SameCalls => "Wasm, this filter’s host calls alone",
            Self::JwtAuthn => "jwt_authn ES256, cached",
            Self::JwtAuthnUncached => "jwt_authn ES256, verified each time",
            Self::PhantomToken => "this filter, cache hit",
            Self::OtherBuild(number) => return format!("this filter, other build {}", number + 1).into(),
            Self::LocalJwt => "this filter, JWT ES256, cached",
            Self::LocalJwtUncached => "this filter, JWT ES256, verified each time",
            Self::Lua => "Lua, table cache",
            Self::ExtAuthz => "ext_authz to a no-op service",
        };
        title.into()
    }

    pub fn tokens(self, mint: &Mint, count: usize) -> Tokens {
        match self {
            Self::JwtAuthn | Self::JwtAuthnUncached | Self::LocalJwt | Self::LocalJwtUncached => {
                mint.jwts(count)
            }
            _ => mint.opaque(count),
        }
    }

    /// Whether it looks at tokens: then it remembers them, and the upstream gets a JWT.
    pub fn knows_tokens(self) -> bool {
        !matches!(
            self,
            Self::Router | Self::RouterAgain | Self::HeaderMutation | Self::TrivialWasm | Self::ExtAuthz
        )
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
            Self::LocalJwt | Self::LocalJwtUncached => {
                let cache_ttl = if self == Self::LocalJwt { LONGER_THAN_ANY_RUN } else { "0s" };
                Bootstrap::new(local_plugin(cache_ttl)).cluster(SERVER, around.key_server.address())
            }
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
            Self::LocalJwt => "phantom_token.cache.miss",
            _ => return 0,
        };
        envoy.stats(&format!("{counter}$")).await.values().sum()
    }

    fn filter(self, tokens: usize, around: &Surroundings) -> Option<Value> {
        let (name, config) = match self {
            Self::Router
            | Self::RouterAgain
            | Self::PhantomToken
            | Self::OtherBuild(_)
            | Self::LocalJwt
            | Self::LocalJwtUncached => return None,
            Self::HeaderMutation => (
                "header_mutation.v3.HeaderMutation",
                json!({
                    "mutations": {"request_mutations": [
                        {"append": {"header": {"key": "x-native", "value": "1"}}},
                    ]},
                }),
            ),
            Self::TrivialWasm => ("wasm.v3.Wasm", wasm(include_str!("trivial.wat"))),
            Self::SameCalls => ("wasm.v3.Wasm", wasm(include_str!("same-calls.wat"))),
            Self::JwtAuthn | Self::JwtAuthnUncached => {
                let mut provider = json!({
                    "issuer": ISSUER,
                    "forward": true,
                    "local_jwks": {"inline_string": around.jwks()},
                });
                if self == Self::JwtAuthn {
                    provider["jwt_cache_config"] = json!({"jwt_cache_size": tokens.max(100)});
                }
                let rule = json!({"match": {"prefix": "/"}, "requires": {"provider_name": "phantom"}});
                let config = json!({"providers": {"phantom": provider}, "rules": [rule]});
                ("jwt_authn.v3.JwtAuthentication", config)
            }
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

/// The filter's configuration where it validates JWTs itself.
fn local_plugin(cache_ttl: &str) -> Value {
    json!({
        "providers": {"main": {"issuer": ISSUER, "jwks": {"cluster": SERVER, "path": "/jwks"}}},
        "policies": {"default": {
            "strategy": "jwt",
            "cache_ttl": cache_ttl,
            "require": {"audiences": ["https://api.example"]},
        }},
    })
}

/// A module in text form as a filter.
fn wasm(text: &str) -> Value {
    let module = wat::parse_str(text).expect("a module in text form");
    json!({"config": {
        "name": "assembly",
        "vm_config": {
            "vm_id": "assembly",
            "runtime": "envoy.wasm.runtime.v8",
            "code": {"local": {"inline_bytes": Base64::encode_string(&module)}},
        },
    }})
}
