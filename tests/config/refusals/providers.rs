//! `providers`.

use serde_json::json;

use super::{refused, set};

const INTROSPECTION: &str = "providers.main.introspection";
const AUTH: &str = "providers.main.introspection.auth";

#[test]
fn providers() {
    refused(&[
        (
            "no provider",
            json!({"providers": {}}),
            "providers: expected at least one authorization server, got none",
        ),
        (
            "a provider without introspection",
            json!({"-providers.main.introspection": 0}),
            "providers.main.introspection: expected a value here or in jwks, got none",
        ),
        (
            "an empty issuer",
            json!({"providers.main.issuer": ""}),
            "providers.main.issuer: expected a text, got \"\"",
        ),
        (
            "tokens longer than any header",
            json!({"providers.main.token_format.max_length": 100_000}),
            "providers.main.token_format.max_length: expected a whole number from 1 to 65536, got 100000",
        ),
        (
            "tokens whose shortest is longer than their longest",
            json!({"providers.main.token_format": {"min_length": 20, "max_length": 10}}),
            "providers.main.token_format.min_length: expected a whole number from 1 to 10, got 20",
        ),
        (
            "a prefix that is no text",
            json!({"providers.main.token_format.prefix": 7}),
            "providers.main.token_format.prefix: expected a text, got a number (in YAML, such a text needs quotes)",
        ),
    ]);
}

#[test]
fn introspection() {
    refused(&[
        (
            "no cluster",
            json!({"-providers.main.introspection.cluster": 0}),
            "providers.main.introspection.cluster: expected a value, got none",
        ),
        (
            "an empty cluster",
            set(INTROSPECTION, "cluster", json!("")),
            "providers.main.introspection.cluster: expected a text, got \"\"",
        ),
        (
            "a URL as authority",
            set(INTROSPECTION, "authority", json!("https://as.example/")),
            "providers.main.introspection.authority: expected a host such as \"as.example\", got \"https://as.example/\"",
        ),
        (
            "a URL as path",
            set(INTROSPECTION, "path", json!("https://as.example/introspect")),
            "providers.main.introspection.path: expected a path such as \"/introspect\", got \"https://as.example/introspect\"",
        ),
        (
            "a duration without unit",
            set(INTROSPECTION, "timeout", json!("2")),
            "providers.main.introspection.timeout: expected a duration such as \"2s\", got \"2\"",
        ),
        (
            "a number as duration",
            set(INTROSPECTION, "timeout", json!(2)),
            "providers.main.introspection.timeout: expected a duration such as \"2s\", got 2",
        ),
        (
            "no time at all",
            set(INTROSPECTION, "timeout", json!("0s")),
            "providers.main.introspection.timeout: expected a duration from 1ms to 1m, got \"0s\"",
        ),
        (
            "too many retries",
            set(INTROSPECTION, "retries", json!(6)),
            "providers.main.introspection.retries: expected a whole number from 0 to 5, got 6",
        ),
        (
            "half a retry",
            set(INTROSPECTION, "retries", json!(0.5)),
            "providers.main.introspection.retries: expected a whole number from 0 to 5, got 0.5",
        ),
        (
            "a number in words",
            set(INTROSPECTION, "max_concurrent_calls", json!("1OO")),
            "providers.main.introspection.max_concurrent_calls: expected a whole number from 1 to 10000, got \"1OO\"",
        ),
        (
            "a hint that is no text",
            set(INTROSPECTION, "token_type_hint", json!(false)),
            "providers.main.introspection.token_type_hint: expected a text, got a boolean (in YAML, such a text needs quotes)",
        ),
        (
            "a parameter that the filter sets",
            set(INTROSPECTION, "parameters", json!({"token": "x"})),
            "providers.main.introspection.parameters.token: expected a parameter that the filter does not set itself, got \"token\"",
        ),
        (
            "a parameter that is no text",
            set(INTROSPECTION, "parameters", json!({"resource": 7})),
            "providers.main.introspection.parameters.resource: expected a text, got a number (in YAML, such a text needs quotes)",
        ),
        (
            "a header that is Envoy's business",
            set(INTROSPECTION, "headers", json!({"Host": "as.example"})),
            "providers.main.introspection.headers.Host: expected the name of a header that is free to use, got \"Host\"",
        ),
        (
            "a header twice",
            set(INTROSPECTION, "headers", json!({"X-A": "1", "x-a": "2"})),
            "providers.main.introspection.headers.x-a: expected every header once, got \"x-a\" again",
        ),
        (
            "a header with a line break",
            set(INTROSPECTION, "headers", json!({"x-key": "abc\n"})),
            "providers.main.introspection.headers.x-key: expected a value without control characters, got one with",
        ),
    ]);
}

#[test]
fn authentication() {
    let ways = "expected exactly one of client_secret_basic, client_secret_post, client_secret, private_key_jwt, bearer, none";
    refused(&[
        (
            "no authentication",
            json!({"-providers.main.introspection.auth": 0}),
            "providers.main.introspection.auth: expected a value, got none",
        ),
        (
            "an unknown way",
            set(INTROSPECTION, "auth", json!({"basic": {}})),
            &format!("{AUTH}: {ways}, got basic"),
        ),
        (
            "two ways",
            set(AUTH, "none", json!({"client_id": "gateway"})),
            &format!("{AUTH}: {ways}, got client_secret_basic, none"),
        ),
        ("no way", set(INTROSPECTION, "auth", json!({})), &format!("{AUTH}: {ways}, got no key")),
        (
            "a way without settings",
            set(INTROSPECTION, "auth", json!("none")),
            &format!("{AUTH}: {ways}, got a string"),
        ),
        (
            "no client_id",
            set(INTROSPECTION, "auth", json!({"client_secret_post": {}})),
            &format!("{AUTH}.client_secret_post.client_id: expected a value, got none"),
        ),
        (
            "an unknown encoding",
            set(AUTH, "client_secret_basic.encoding", json!("url")),
            &format!("{AUTH}.client_secret_basic.encoding: expected one of form, raw, got \"url\""),
        ),
        (
            "a colon that the server would take for the end of the client_id",
            json!({
                (format!("{AUTH}.client_secret_basic.encoding")): "raw",
                (format!("{AUTH}.client_secret_basic.client_id")): "urn:gateway",
            }),
            &format!(
                "{AUTH}.client_secret_basic.client_id: expected a client_id without a colon, which encoding raw could not tell from the secret, got \"urn:gateway\""
            ),
        ),
        (
            "an assertion without audience",
            set(
                INTROSPECTION,
                "auth",
                json!({"private_key_jwt": {"client_id": "gateway", "private_key": {"env": "SIGNING_KEY"}}}),
            ),
            &format!(
                "{AUTH}.private_key_jwt.audience: expected a value, or the provider's issuer, got neither"
            ),
        ),
    ]);
}

#[test]
fn secrets() {
    let path = format!("{AUTH}.client_secret_basic.client_secret");
    let wanted = "expected {env: NAME} or {inline: \"...\"}";
    refused(&[
        ("a bare secret", json!({(&*path): "hunter2"}), &format!("{path}: {wanted}, got a string")),
        ("a secret of digits", json!({(&*path): 1234}), &format!("{path}: {wanted}, got a number")),
        (
            "a secret as key",
            json!({(&*path): {"hunter2": null}}),
            &format!("{path}: {wanted}, got another object"),
        ),
        (
            "two sources",
            json!({(&*path): {"inline": "hunter2", "env": "A"}}),
            &format!("{path}: {wanted}, got another object"),
        ),
        (
            "a list of secrets",
            json!({(&*path): {"inline": ["hunter2"]}}),
            &format!("{path}: {wanted}, got another object"),
        ),
        (
            "an empty secret",
            json!({(&*path): {"inline": ""}}),
            &format!("{path}: expected a secret, got an empty one"),
        ),
        (
            "an empty variable",
            json!({(&*path): {"env": "EMPTY"}}),
            &format!("{path}: expected a secret, got an empty one"),
        ),
        (
            "a variable that is not there",
            json!({(&*path): {"env": "NO_SUCH_VARIABLE"}}),
            &format!(
                "{path}.env: expected the environment variable NO_SUCH_VARIABLE, got none (add it to vm_config.environment_variables.host_env_keys and to Envoy's own environment)"
            ),
        ),
        (
            "a secret in place of a variable's name",
            json!({(&*path): {"env": "hunter2!"}}),
            &format!("{path}.env: expected the name of a variable, got a string"),
        ),
        (
            "a line break at the end of a secret",
            json!({(&*path): {"env": "WITH_LINE_BREAK"}}),
            &format!(
                "{path}: expected a secret without control characters, got one with (is there a line break at its end?)"
            ),
        ),
    ]);
}
