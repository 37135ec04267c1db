//! The Envoys that contenders run in.

use base64ct::{Base64, Encoding};
use serde_json::{Value, json};

use crate::{
    contender::Contender,
    rig::{bootstrap::Bootstrap, gateway::plugin_with, host::Host},
    scenario::{Scenario, Upstream},
    surroundings::Surroundings,
    tokens::{ISSUER, KEY_ID},
};

/// Verdicts must not run out while hits are measured.
const LONGER_THAN_ANY_RUN: &str = "3600s";

/// The cluster that is asked about tokens.
const SERVER: &str = "authorization_server";

/// The Envoy of a contender in a scenario.
pub fn bootstrap(contender: Contender, scenario: &Scenario, around: &Surroundings) -> Bootstrap {
    let envoy = match contender {
        Contender::PhantomToken | Contender::DynamicModule | Contender::OtherBuild(_) => {
            Bootstrap::new(plugin(around, scenario.tokens))
                .cluster(SERVER, around.authorization_server.address())
        }
        Contender::LocalJwt | Contender::LocalJwtUncached => {
            let cache_ttl = if contender == Contender::LocalJwt { LONGER_THAN_ANY_RUN } else { "0s" };
            Bootstrap::new(local_plugin(cache_ttl)).cluster(SERVER, around.key_server.address())
        }
        Contender::Lua => Bootstrap::without_filter().cluster(SERVER, around.server_with_jwt.address()),
        Contender::ExtAuthz => Bootstrap::without_filter()
            .cluster("authorization_service", around.authorization_service.address()),
        _ => Bootstrap::without_filter(),
    };
    let mut envoy = envoy;
    if contender == Contender::DynamicModule {
        envoy.wasm_filter.host = Host::Native;
    }
    let envoy = match scenario.upstream {
        Upstream::Service => envoy,
        Upstream::None => envoy.route(json!({
            "match": {"prefix": "/"},
            "direct_response": {"status": 200, "body": {"inline_string": "ok"}},
        })),
    };
    let code = match contender {
        Contender::OtherBuild(number) => around.other_builds.get(number).cloned(),
        _ => None,
    };
    let filter = filter(contender, scenario.tokens, around);
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

fn filter(contender: Contender, tokens: usize, around: &Surroundings) -> Option<Value> {
    let (name, config) = match contender {
        Contender::Router
        | Contender::RouterAgain
        | Contender::PhantomToken
        | Contender::DynamicModule
        | Contender::OtherBuild(_)
        | Contender::LocalJwt
        | Contender::LocalJwtUncached => return None,
        Contender::HeaderMutation => (
            "header_mutation.v3.HeaderMutation",
            json!({
                "mutations": {"request_mutations": [
                    {"append": {"header": {"key": "x-native", "value": "1"}}},
                ]},
            }),
        ),
        Contender::TrivialWasm => ("wasm.v3.Wasm", wasm(include_str!("trivial.wat"))),
        Contender::SameCalls => ("wasm.v3.Wasm", wasm(include_str!("same-calls.wat"))),
        Contender::JwtAuthn | Contender::JwtAuthnUncached => {
            let mut provider = json!({
                "issuer": ISSUER,
                "forward": true,
                "local_jwks": {"inline_string": around.jwks()},
            });
            if contender == Contender::JwtAuthn {
                provider["jwt_cache_config"] = json!({"jwt_cache_size": tokens.max(100)});
            }
            let rule = json!({"match": {"prefix": "/"}, "requires": {"provider_name": "phantom"}});
            let config = json!({"providers": {"phantom": provider}, "rules": [rule]});
            ("jwt_authn.v3.JwtAuthentication", config)
        }
        Contender::Lua => (
            "lua.v3.Lua",
            json!({
                "default_source_code": {"inline_string": include_str!("cache.lua")},
            }),
        ),
        Contender::ExtAuthz => (
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
    Some(json!({"name": contender.name(), "typed_config": config}))
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
