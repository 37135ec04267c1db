//! Secrets are never shown: not by `Debug`, which ends in logs, and not by errors.

use serde_json::{Value, json};

use crate::good::{CLIENT_SECRET, EC256, changed, parse};

const ED25519: &str = include_str!("../keys/ed25519.pem");
const HMAC_SECRET: &str = "T25lLCB0d28sIHRocmVlLCBmb3VyLCBmaXZlLCBzaXg";

/// Every secret that a configuration of these tests holds, in every form that a careless `Debug` could print.
fn forms_of_secrets() -> Vec<String> {
    let ec256: Value = serde_json::from_str(include_str!("../keys/ec256.jwk.json")).unwrap();
    let body = |pem: &str| pem.lines().nth(1).unwrap()[..40].to_owned();
    let as_bytes = |text: &[u8]| format!("{text:?}").trim_matches(['[', ']']).to_owned();
    vec![
        CLIENT_SECRET.to_owned(),
        as_bytes(CLIENT_SECRET.as_bytes()),
        body(EC256),
        body(ED25519),
        ec256["d"].as_str().unwrap().to_owned(),
        HMAC_SECRET.to_owned(),
        as_bytes(b"One, two, three, four, five, six"), // HMAC_SECRET, decoded
    ]
}

fn all_ways() -> Vec<Value> {
    let auth = |auth: Value| json!({"providers.main.issuer": "https://as.example", "providers.main.introspection.auth": auth});
    let key = |alg: &str, key: Value| json!({"phantom_token.signing_keys[0]": {"kid": "a", "alg": alg, "private_key": key}});
    let client_secret = json!({"inline": CLIENT_SECRET});
    vec![
        auth(json!({"client_secret_basic": {"client_id": "g", "client_secret": client_secret}})),
        auth(json!({"client_secret_post": {"client_id": "g", "client_secret": client_secret}})),
        auth(json!({"bearer": {"token": client_secret}})),
        auth(json!({"bearer": {"token": {"client_credentials": {
            "cluster": "as", "path": "/token",
            "auth": {"client_secret_basic": {"client_id": "g", "client_secret": client_secret}},
        }}}})),
        auth(json!({"private_key_jwt": {"client_id": "g", "private_key": {"inline": EC256}}})),
        key("ES256", json!({"inline": EC256})),
        key(
            "ES256",
            json!({"inline": serde_json::from_str::<Value>(include_str!("../keys/ec256.jwk.json")).unwrap()}),
        ),
        key("EdDSA", json!({"inline": ED25519})),
        key("HS256", json!({"inline": {"kty": "oct", "k": HMAC_SECRET}})),
    ]
}

#[test]
fn debug_shows_no_secret() {
    for changes in all_ways() {
        let config = parse(&changed(changes.clone())).unwrap();
        for shown in [format!("{config:?}"), format!("{config:#?}").replace([' ', '\n'], "")] {
            for secret in forms_of_secrets() {
                assert!(
                    !shown.contains(&secret) && !shown.contains(&secret.replace(' ', "")),
                    "{changes}: {secret}"
                );
            }
        }
    }
}

/// Each value of a configuration in turn is replaced by a secret, alone or wrapped, as if it had been put in the
/// wrong place.
#[test]
fn errors_show_no_secret_wherever_it_stands() {
    for changes in all_ways() {
        let config = changed(changes);
        for pointer in pointers(&config, "") {
            for secret in [json!(EC256), json!({"inline": EC256}), json!([EC256]), json!({"env": EC256})] {
                let mut config = config.clone();
                *config.pointer_mut(&pointer).unwrap() = secret;
                let Err(error) = parse(&config) else { continue };
                for secret in forms_of_secrets() {
                    assert!(!error.to_string().contains(&secret), "{pointer}: {error}");
                }
            }
        }
    }
}

/// Where a secret belongs, not even a short one is shown, however it is written.
#[test]
fn errors_show_nothing_of_what_stands_where_a_secret_should() {
    let secret = "hunter2";
    for wrong in [
        json!(secret),
        json!([secret]),
        json!({secret: secret}),
        json!({"inline": [secret]}),
        json!({"inline": {"d": secret}}),
        json!({"inline": secret, "env": secret}),
        json!({"env": {secret: secret}}),
        json!({"env": "hunter2!"}),
    ] {
        for path in [
            "phantom_token.signing_keys[0].private_key",
            "providers.main.introspection.auth.client_secret_basic.client_secret",
        ] {
            if let Err(error) = parse(&changed(json!({path: wrong}))) {
                assert!(!error.to_string().contains(secret), "{error}");
            }
        }
    }
}

/// JSON pointers of every value.
fn pointers(value: &Value, above: &str) -> Vec<String> {
    let below: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Array(elements) => {
            elements.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect()
        }
        _ => Vec::new(),
    };
    let pointers = below.into_iter().flat_map(|(key, value)| {
        let pointer = format!("{above}/{key}");
        let below = pointers(value, &pointer);
        [vec![pointer], below].concat()
    });
    pointers.collect()
}
