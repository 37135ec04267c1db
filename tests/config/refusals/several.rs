//! All that is wrong is said at once, and nothing that only follows from it.

use serde_json::json;

use super::errors_of;

#[test]
fn mistakes_in_every_part_are_told_in_one_go() {
    let errors = errors_of(json!({
        "providers.main.introspection.timeout": 2,
        "providers.main.introspection.retries": 9,
        "-providers.main.introspection.path": 0,
        "providers.main.introspection.auth": {"client_secret_basic": {"client_id": "gateway", "client_secret": {"env": "MISSING"}}},
        "providers.main.introspection.breaker": {"failures": 0, "max_hold": "1d"},
        "providers.other": {"issuer": "https://other.example"},
        "phantom_token.ttl": "0s",
        "phantom_token.signing_keys": [],
        "policies.default": {"provider": "main", "cache_tttl": "5s", "require": {"scopes": ["a b", "c", "d e"]}},
        "policies.payments": {"strategy": "introspect", "provider": "main"},
        "policies.banking": {"provider": "partner"},
        "rules": [{"match": {"path": "x"}, "policy": "defautl"}, {"match": {"methods": ["get"]}}],
        "cache": {"max_entries": 0, "jitter": 2},
        "revocation": {"admin": {"path": "/revoke", "token": {"inline": "short"}}},
        "challenge.realm": "\"",
        "unheard_of": 1,
    }));
    let paths: Vec<&str> = errors.iter().map(|error| error.split_once(": ").expect("a path").0).collect();
    assert_eq!(
        paths,
        [
            "configuration",
            "providers.main.introspection.path",
            "providers.main.introspection.auth.client_secret_basic.client_secret.env",
            "providers.main.introspection.breaker.failures",
            "providers.main.introspection.breaker.max_hold",
            "providers.main.introspection.timeout",
            "providers.main.introspection.retries",
            "providers.other.introspection",
            "phantom_token.ttl",
            "phantom_token.signing_keys",
            "policies.default",
            "policies.banking.provider",
            "policies.default.require.scopes[0]",
            "policies.default.require.scopes[2]",
            "policies.payments.strategy",
            "revocation.admin.token",
            "rules[0].match.path",
            "rules[0].policy",
            "rules[1].match.methods[0]",
            "rules[1].policy",
            "cache.max_entries",
            "cache.jitter",
            "challenge.realm",
        ],
        "{errors:#?}"
    );
}

#[test]
fn every_unknown_key_is_told() {
    let errors = errors_of(json!({"cache": {"ttl": "5s", "size": 3}}));
    assert_eq!(errors.len(), 2, "{errors:?}");
}

#[test]
fn a_misspelt_key_is_named_before_the_one_that_is_missing() {
    let errors = errors_of(json!({
        "-providers.main.introspection.cluster": 0,
        "providers.main.introspection.clustr": "authorization_server",
    }));
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].ends_with("got \"clustr\""), "{errors:?}");
    assert_eq!(errors[1], "providers.main.introspection.cluster: expected a value, got none");
}

#[test]
fn who_names_what_is_wrong_itself_is_not_blamed() {
    let errors = errors_of(json!({
        "providers.main.introspection.path": "no path",
        "policies.default": {"strategy": "phantom_token", "provider": "main"},
        "rules": [{"match": {"path": "/"}, "policy": "default"}],
        "revocation": {"endpoint": {"path": "/revoke", "provider": "main"}},
        "default_policy": "default",
    }));
    assert_eq!(errors.len(), 1, "{errors:?}");
}

#[test]
fn every_wrong_signing_key_is_told() {
    let errors = errors_of(json!({"phantom_token.signing_keys": [
        {"kid": "1", "alg": "ES256", "private_key": {"inline": "none"}},
        {"kid": "2", "alg": "ES257", "private_key": {"env": "SIGNING_KEY"}},
        {"alg": "ES256", "private_key": {"env": "SIGNING_KEY"}},
        {"kid": "3", "alg": "ES256", "public_key": "none"},
        {"kid": "2", "alg": "ES256"},
    ]}));
    let paths: Vec<&str> = errors.iter().map(|error| error.split_once(": ").expect("a path").0).collect();
    let keys = ["[0].private_key", "[1].alg", "[2].kid", "[3].public_key", "[4].kid"];
    assert_eq!(paths, keys.map(|key| format!("phantom_token.signing_keys{key}")), "{errors:#?}");
}
