//! What is refused, and in which words: `path: expected this, got that`.

mod discovery;
mod keys;
mod phantom_token;
mod policies;
mod protected_resources;
mod providers;
mod revocation;
mod sender_constrained;
mod several;

use phantom_token_filter::config::Config;
use serde_json::{Value, json};

use crate::good::{changed, env, parse_all};

/// Sentence, changes of the smallest configuration, error: this one, and none that follows from it.
fn refused(cases: &[(&str, Value, &str)]) {
    for (sentence, changes, error) in cases {
        assert_eq!(errors_of(changes.clone()), [*error], "{sentence}");
    }
}

/// All that is wrong with the smallest configuration after these changes.
fn errors_of(changes: Value) -> Vec<String> {
    let errors = parse_all(&changed(changes)).expect_err("accepted");
    errors.iter().map(ToString::to_string).collect()
}

/// A change of one value under `section`.
fn set(section: &str, key: &str, value: Value) -> Value {
    json!({(format!("{section}.{key}")): value})
}

#[test]
fn what_is_no_object_at_all() {
    for (text, error) in [
        ("", "providers: expected a value, got none"),
        ("{}", "providers: expected a value, got none"),
        ("[]", "configuration: expected a google.protobuf.Struct or a JSON object, got another JSON value"),
        (
            "providers:\n  main: {}",
            "configuration: expected a google.protobuf.Struct or a JSON object, got neither (not JSON at line 1, column 1)",
        ),
        (
            "{\"providers\": {}",
            "configuration: expected a google.protobuf.Struct or a JSON object, got neither (not JSON at line 1, column 16)",
        ),
        (
            "{\"cache\": {}, \"cache\": {}}",
            "configuration: expected a google.protobuf.Struct or a JSON object, got a JSON object with a key that occurs twice",
        ),
    ] {
        assert_eq!(Config::parse(text.as_bytes(), &env).unwrap_err()[0].to_string(), error, "{text}");
    }
}

#[test]
fn keys() {
    refused(&[
        (
            "a misspelt key at the top",
            json!({"provider": {}}),
            "configuration: expected one of the keys providers, phantom_token, policies, default_policy, rules, policy_from, cache, client_certificate, dpop, protected_resources, revocation, challenge, access_log, got \"provider\"",
        ),
        (
            "a key without a value",
            json!({"policies.default.require.scopes": null}),
            "policies.default.require.scopes: expected a list, got null",
        ),
        ("a text instead of a section", json!({"cache": "big"}), "cache: expected an object, got a string"),
        (
            "a list instead of a section",
            json!({"challenge": []}),
            "challenge: expected an object, got a list",
        ),
    ]);
}

#[test]
fn cache_and_challenge() {
    refused(&[
        (
            "an empty cache",
            json!({"cache.max_entries": 0}),
            "cache.max_entries: expected a whole number from 1 to 1000000, got 0",
        ),
        (
            "a negative cache",
            json!({"cache.max_negative_entries": -1}),
            "cache.max_negative_entries: expected a whole number from 1 to 1000000, got -1",
        ),
        (
            "inactive tokens for hours",
            json!({"cache.negative_ttl": "2h"}),
            "cache.negative_ttl: expected a duration from 0s to 1h, got \"2h\"",
        ),
        (
            "a renewal after its time",
            json!({"cache.refresh_ahead": 1.2}),
            "cache.refresh_ahead: expected a number from 0 to 1, got 1.2",
        ),
        (
            "a jitter in words",
            json!({"cache.jitter": "10%"}),
            "cache.jitter: expected a number from 0 to 1, got \"10%\"",
        ),
        (
            "stale verdicts for days",
            json!({"cache.stale_if_error": "48h"}),
            "cache.stale_if_error: expected a duration from 0s to 24h, got \"48h\"",
        ),
        (
            "a hold that is none",
            json!({"providers.main.introspection.breaker": {"max_hold": "0s"}}),
            "providers.main.introspection.breaker.max_hold: expected a duration from 100ms to 5m, got \"0s\"",
        ),
        (
            "a realm that ends its quotes",
            json!({"challenge.realm": "a\", b=\"c"}),
            "challenge.realm: expected ASCII without quotes and backslashes, got \"a\\\", b=\\\"c\"",
        ),
        (
            "a text instead of a boolean",
            json!({"challenge.error_description": 1}),
            "challenge.error_description: expected true or false, got 1",
        ),
    ]);
}
