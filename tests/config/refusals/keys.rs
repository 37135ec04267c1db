//! `providers.NAME.jwks` and `jwt`, and what of `introspection` needs them.

use serde_json::{Value, json};

use super::{refused, set};

const INTROSPECTION: &str = "providers.main.introspection";

/// With keys beside these changes.
fn with_keys(mut changes: Value) -> Value {
    changes["providers.main.issuer"] = "https://as.example".into();
    let jwks = &mut changes["providers.main.jwks"];
    if jwks.is_null() {
        *jwks = json!({"cluster": "as", "path": "/jwks"});
    }
    changes
}

#[test]
fn keys() {
    let (jwks, jwt) = ("providers.main.jwks", "providers.main.jwt");
    let algorithms = "ES256, ES384, RS256, RS384, RS512, PS256, PS384, PS512, EdDSA";
    refused(&[
        (
            "keys of nobody",
            json!({"providers.main.jwks": {"cluster": "as", "path": "/jwks"}}),
            "providers.main.issuer: expected a value, for jwks are the keys of an issuer, got none",
        ),
        (
            "a misspelt key",
            with_keys(set(jwks, "uri", json!("/jwks"))),
            "providers.main.jwks: expected one of the keys cluster, scheme, authority, path, timeout, refresh_interval, got \"uri\"",
        ),
        (
            "a URL instead of a section",
            with_keys(json!({"providers.main.jwks": "https://as.example/jwks"})),
            "providers.main.jwks: expected an object, got a string",
        ),
        (
            "no cluster",
            with_keys(json!({"providers.main.jwks": {"path": "/jwks"}})),
            "providers.main.jwks.cluster: expected a value, got none",
        ),
        (
            "no path",
            with_keys(json!({"providers.main.jwks": {"cluster": "as"}})),
            "providers.main.jwks.path: expected a value, got none",
        ),
        (
            "a URL as path",
            with_keys(set(jwks, "path", json!("https://as.example/jwks"))),
            "providers.main.jwks.path: expected a path such as \"/introspect\", got \"https://as.example/jwks\"",
        ),
        (
            "a URL as authority",
            with_keys(set(jwks, "authority", json!("https://as.example"))),
            "providers.main.jwks.authority: expected a host such as \"as.example\", got \"https://as.example\"",
        ),
        (
            "a fetch that takes minutes",
            with_keys(set(jwks, "timeout", json!("2m"))),
            "providers.main.jwks.timeout: expected a duration from 1ms to 1m, got \"2m\"",
        ),
        (
            "keys that are never fetched again",
            with_keys(set(jwks, "refresh_interval", json!("0s"))),
            "providers.main.jwks.refresh_interval: expected a duration from 1s to 24h, got \"0s\"",
        ),
        (
            "a misspelt rule",
            with_keys(set(jwt, "audiences", json!(["https://api.example"]))),
            "providers.main.jwt: expected one of the keys algorithms, types, leeway, got \"audiences\"",
        ),
        (
            "the algorithm that is none",
            with_keys(set(jwt, "algorithms", json!(["ES256", "none"]))),
            &format!("providers.main.jwt.algorithms[1]: expected one of {algorithms}, got \"none\""),
        ),
        (
            "an algorithm that verifies by what signs",
            with_keys(set(jwt, "algorithms", json!(["HS256"]))),
            &format!("providers.main.jwt.algorithms[0]: expected one of {algorithms}, got \"HS256\""),
        ),
        (
            "no algorithm",
            with_keys(set(jwt, "algorithms", json!([]))),
            "providers.main.jwt.algorithms: expected at least one value, got none",
        ),
        (
            "an algorithm instead of a list",
            with_keys(set(jwt, "algorithms", json!("ES256"))),
            "providers.main.jwt.algorithms: expected a list, got a string",
        ),
        (
            "no type",
            with_keys(set(jwt, "types", json!([]))),
            "providers.main.jwt.types: expected at least one value, got none",
        ),
        (
            "a type that is no text",
            with_keys(set(jwt, "types", json!([null]))),
            "providers.main.jwt.types[0]: expected a text, got null",
        ),
        (
            "clocks that differ by more than a few minutes",
            with_keys(set(jwt, "leeway", json!("10m"))),
            "providers.main.jwt.leeway: expected a duration from 0s to 5m, got \"10m\"",
        ),
    ]);
}

#[test]
fn replies() {
    refused(&[
        (
            "a form that does not exist",
            set(INTROSPECTION, "response", json!("signed")),
            "providers.main.introspection.response: expected one of json, jwt, application_jwt, got \"signed\"",
        ),
        (
            "a signed reply that nobody could verify",
            set(INTROSPECTION, "response", json!("jwt")),
            "providers.main.introspection.response: expected jwks beside introspection, for a signed reply is verified, got none",
        ),
        (
            "a JWT of the server's that nobody could verify",
            set(INTROSPECTION, "response", json!("application_jwt")),
            "providers.main.introspection.response: expected jwks beside introspection, for a signed reply is verified, got none",
        ),
        (
            "a signed reply for nobody",
            with_keys(json!({
                "providers.main.introspection.response": "jwt",
                "providers.main.introspection.auth": {"bearer": {"token": {"inline": "a"}}},
            })),
            "providers.main.introspection.response_audiences: expected at least one value, for auth names no client_id, got none",
        ),
        (
            "audiences of a reply that has none",
            set(INTROSPECTION, "response_audiences", json!(["gateway"])),
            "providers.main.introspection.response_audiences: expected no such key but with response jwt, got one",
        ),
        (
            "an audience instead of a list",
            with_keys(json!({
                "providers.main.introspection.response": "jwt",
                "providers.main.introspection.response_audiences": "gateway",
            })),
            "providers.main.introspection.response_audiences: expected a list, got a string",
        ),
        (
            "a member of a reply that is a JWT itself",
            with_keys(json!({
                "providers.main.introspection.response": "application_jwt",
                "providers.main.introspection.jwt_member": "jwt",
            })),
            "providers.main.introspection.jwt_member: expected no such key but with response json, got one",
        ),
        (
            "a member without name",
            set(INTROSPECTION, "jwt_member", json!(true)),
            "providers.main.introspection.jwt_member: expected a text, got a boolean (in YAML, such a text needs quotes)",
        ),
    ]);
}
