use serde_json::json;

use super::refused;

#[test]
fn proofs() {
    let with = |key: &str, value: serde_json::Value| {
        let mut dpop = json!({"origins": ["https://api.example"]});
        dpop[key] = value;
        json!({"dpop": dpop})
    };
    let origin = "a URL such as \"https://api.example\", without user, query and fragment";
    for (origin_there, got) in [
        ("api.example", "\"api.example\""),
        ("https://", "\"https://\""),
        ("https://me@api.example", "\"https://me@api.example\""),
        ("https://api.example/?a=b", "\"https://api.example/?a=b\""),
        ("https://api.example/#a", "\"https://api.example/#a\""),
        ("ftp://api.example", "\"ftp://api.example\""),
        ("https://api.example:port", "\"https://api.example:port\""),
    ] {
        let error = format!("dpop.origins[0]: expected {origin}, got {got}");
        refused(&[(origin_there, with("origins", json!([origin_there])), &error)]);
    }
    refused(&[
        ("proofs for nowhere", json!({"dpop": {}}), "dpop.origins: expected a value, got none"),
        ("no origin", with("origins", json!([])), "dpop.origins: expected at least one origin, got none"),
        (
            "proofs by a shared secret",
            with("algorithms", json!(["HS256"])),
            "dpop.algorithms[0]: expected one of ES256, ES384, RS256, RS384, RS512, PS256, PS384, PS512, EdDSA, got \"HS256\"",
        ),
        (
            "by nothing",
            with("algorithms", json!([])),
            "dpop.algorithms: expected at least one algorithm, got none",
        ),
        (
            "proofs for ever",
            with("max_age", json!("1h")),
            "dpop.max_age: expected a duration from 1s to 5m, got \"1h\"",
        ),
        (
            "no clock at all",
            with("leeway", json!("2m")),
            "dpop.leeway: expected a duration from 0s to 1m, got \"2m\"",
        ),
        (
            "a secret for nothing",
            with("nonce_secret", json!({"inline": "x"})),
            "dpop.nonce_secret: expected none without `nonce: required`, got one",
        ),
        (
            "a secret that can be guessed",
            json!({"dpop": {"origins": ["https://a"], "nonce": "required", "nonce_secret": {"inline": "x"}}}),
            "dpop.nonce_secret: expected a secret of at least 32 bytes, got 1",
        ),
        (
            "nonces without a secret",
            json!({
                "dpop": {"origins": ["https://a"], "nonce": "required"},
                "-phantom_token": null,
                "policies.default.strategy": "introspection",
            }),
            "dpop.nonce_secret: expected a secret, for there is no phantom_token whose key could stand in, got none",
        ),
        (
            "no room",
            with("max_proofs", json!(1)),
            "dpop.max_proofs: expected a whole number from 100000 to 10000000, got 1",
        ),
    ]);
}

#[test]
fn client_certificates() {
    refused(&[
        (
            "a place that there is not",
            json!({"client_certificate.from": "header"}),
            "client_certificate.from: expected one of connection, xfcc, got \"header\"",
        ),
        (
            "an element of a header that is not read",
            json!({"client_certificate.xfcc_element": 1}),
            "client_certificate.xfcc_element: expected none without `from: xfcc`, got one",
        ),
        (
            "an element before the first",
            json!({"client_certificate": {"from": "xfcc", "xfcc_element": -1}}),
            "client_certificate.xfcc_element: expected a whole number from 0 to 15, got -1",
        ),
        (
            "a rule that there is not",
            json!({"policies.default.require.sender_constrained": "required"}),
            "policies.default.require.sender_constrained: expected one of verify, require, ignore, got \"required\"",
        ),
    ]);
}
