//! What the documentation shows, word for word through Envoy's own reader of YAML: `envoy --mode validate` runs the filter's
//! own check. One Envoy reads all of it.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::rig::{ROOT, envoy::validate, wasm_filter::wasm_file};

const KEY: &str = include_str!("../../keys/ec256.pem");

const SMALLEST: [(&str, &str); 2] = [
    (
        "providers",
        "providers:\n  main:\n    introspection:\n      cluster: authorization_server\n      path: /introspect\n      auth: {none: {client_id: gateway}}\n",
    ),
    (
        "phantom_token",
        "phantom_token:\n  issuer: https://gateway.example\n  signing_keys: [{kid: 2026-11-27, alg: ES256, private_key: {env: SIGNING_KEY}}]\n",
    ),
];

/// Every example of README, docs and envoy/, and with them every key: a test of the documentation sees to that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_example_is_accepted_as_envoy_reads_it() {
    let examples = examples();
    assert!(examples.len() > 20, "{}", examples.len());
    let mut filters: Vec<String> = examples.iter().map(|yaml| as_struct(yaml)).collect();
    // The same as JSON: in a string, as Istio sends it, and in a `Struct`.
    for yaml in &examples {
        let json: Value = serde_yaml_ng::from_str(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
        filters.push(as_string(&json));
        filters.push(as_struct(&json.to_string()));
    }
    let (accepted, log) = validated(&filters).await;
    assert!(accepted, "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_may_be_written_as_yaml_has_them() {
    let mut configurations = Vec::new();
    for written in ["0.5", ".5", "5e-1", "0", "1", "1.0", "\"0.5\""] {
        configurations.push(with(&format!("cache: {{refresh_ahead: {written}, jitter: {written}}}\n")));
    }
    for written in ["300", "3e2", "300.0", "\"300\"", "0x12c"] {
        configurations.push(with(&format!("cache: {{max_entries: {written}}}\n")));
    }
    for written in ["0.5", "1e3", "9007199254740993", "2026-11-27", "no", "~n"] {
        configurations
            .push(with(&format!("policies: {{default: {{require: {{claims: {{level: {written}}}}}}}}}\n")));
    }
    for written in ["2026-11-27", "2026-11", "1e3", ".5", "\"1\"", "\"no\""] {
        configurations.push(with("").replace("2026-11-27", written));
    }
    let filters: Vec<String> = configurations.iter().map(|yaml| as_struct(yaml)).collect();
    let (accepted, log) = validated(&filters).await;
    assert!(accepted, "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_yaml_takes_for_something_else_is_refused_with_the_reason() {
    let scopes = "policies: {default: {require: {scopes: [no]}}}\n";
    for (yaml, problem) in [
        (
            with(scopes),
            "policies.default.require.scopes[0]: expected one scope without spaces, got false (in YAML, such a text needs quotes)",
        ),
        (
            with("").replace("2026-11-27", "2026"),
            "phantom_token.signing_keys[0].kid: expected a text, got 2026 (in YAML, such a text needs quotes)",
        ),
        (with("cache: {jitter: 1.5}\n"), "cache.jitter: expected a number from 0 to 1, got \"1.5\""),
        (with("cache: {jitter: }\n"), "cache.jitter: expected a number from 0 to 1, got null"),
    ] {
        let (accepted, log) = validated(&[as_struct(&yaml)]).await;
        assert!(!accepted && log.contains(problem), "{problem}\n{log}");
    }
}

/// The smallest configuration, and more.
fn with(more: &str) -> String {
    [SMALLEST[0].1, SMALLEST[1].1, more].concat()
}

/// What Envoy says of a configuration with these filters.
async fn validated(filters: &[String]) -> (bool, String) {
    let mut yaml = BOOTSTRAP.to_owned();
    for (number, configuration) in filters.iter().enumerate() {
        yaml.push_str(&FILTER.replace("NUMBER", &number.to_string()).replace("MODULE", &wasm_file()));
        for line in configuration.lines() {
            yaml.push_str(&format!("{:18}{line}\n", ""));
        }
    }
    yaml.push_str(ROUTER);
    validate(&yaml.replace("VARIABLES", &ENVIRONMENT.map(|(name, _)| name).join(", ")), &ENVIRONMENT).await
}

/// What the examples expect.
const ENVIRONMENT: [(&str, &str); 13] = [
    ("GATEWAY_CLIENT_SECRET", "secret"),
    ("SIGNING_KEY", KEY),
    ("NEXT_SIGNING_KEY", KEY),
    ("CLIENT_KEY", KEY),
    ("OLD_PUBLIC_KEY", include_str!("../../keys/ec256.public.pem")),
    ("INTROSPECTION_TOKEN", "secret"),
    ("SSF_PUSH_TOKEN", "a-secret-of-some-length"),
    ("SSF_POLL_TOKEN", "a-secret-of-some-length"),
    ("REVOCATION_TOKEN", "a-secret-of-some-length"),
    ("NONCE_SECRET", "a-secret-of-thirty-two-bytes-or-more"),
    ("HOSTNAME", "gateway-1"),
    ("ETCD_PASSWORD", "secret"),
    ("ETCD_TOKEN", "secret"),
];

fn as_struct(yaml: &str) -> String {
    let value: String = yaml.lines().map(|line| format!("  {line}\n")).collect();
    format!("\"@type\": type.googleapis.com/google.protobuf.Struct\nvalue:\n{value}")
}

fn as_string(json: &Value) -> String {
    format!(
        "\"@type\": type.googleapis.com/google.protobuf.StringValue\nvalue: {}\n",
        json!(json.to_string())
    )
}

/// Every configuration of the filter in the pages and in the samples, as it is written there. One that shows some
/// sections only is completed.
fn examples() -> Vec<String> {
    let mut examples = Vec::new();
    for folder in ["", "docs", "envoy", "envoy/examples"] {
        for file in Path::new(ROOT).join(folder).read_dir().expect(folder) {
            let file = file.expect("a file").path();
            let text = || fs::read_to_string(&file).expect("a text");
            match file.extension().and_then(|extension| extension.to_str()) {
                Some("md") => {
                    for block in text().split("```yaml\n").skip(1) {
                        in_block(block.split("```").next().expect("an end"), &mut examples);
                    }
                }
                Some("yaml") => in_block(&text(), &mut examples),
                _ => {}
            }
        }
    }
    examples
}

fn in_block(yaml: &str, examples: &mut Vec<String>) {
    let begins = |key: &str| yaml.lines().any(|line| line.starts_with(&format!("{key}:")));
    if ["providers", "phantom_token", "policies", "cache", "revocation", "rules"].into_iter().any(begins) {
        let mut whole = yaml.to_owned();
        for (key, section) in SMALLEST {
            // Where providers and policies are there, they say whether phantom tokens are made.
            let is_theirs = key == "phantom_token" && begins("providers") && begins("policies");
            if !begins(key) && !is_theirs {
                whole.push_str(section);
            }
        }
        examples.push(whole);
        return;
    }
    // The block under `value:` or `pluginConfig:` that begins with the filter's own sections.
    let lines: Vec<&str> = yaml.lines().collect();
    let depth = |line: &str| line.len() - line.trim_start().len();
    for (number, line) in lines.iter().enumerate() {
        if line.trim() != "providers:" || line.starts_with("providers:") {
            continue;
        }
        let above = depth(lines[number - 1]);
        let block: String = lines[number..]
            .iter()
            .take_while(|line| line.trim().is_empty() || depth(line) > above)
            .map(|line| format!("{}\n", line.get(depth(lines[number])..).unwrap_or_default()))
            .collect();
        // One with a type of its own belongs to another filter, and a list of them to a SecurityPolicy of Envoy Gateway's.
        let is_a_list = block.lines().nth(1).is_some_and(|line| line.trim_start().starts_with("- "));
        if !lines[number - 1].contains("@type") && !is_a_list {
            examples.push(block);
        }
    }
}

const BOOTSTRAP: &str = r#"static_resources:
  listeners:
  - name: main
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: main
          route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 404}}]}]}
          http_filters:
"#;

const FILTER: &str = r#"          - name: filter_NUMBER
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config:
                name: filter_NUMBER
                vm_config:
                  vm_id: phantom_token_filter
                  runtime: envoy.wasm.runtime.v8
                  code: {local: {filename: "MODULE"}}
                  environment_variables:
                    host_env_keys: [VARIABLES]
                configuration:
"#;

const ROUTER: &str = r#"          - name: router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
"#;
