//! `keygen`: what it prints works as `signing_keys`.

use phantom_token_filter::config::Config;
use phantom_token_filter::jwt::{PrivateKey, PublicKey};
use serde_json::{Value, json};

use crate::run::tool;

/// PEM and JWK; the JWK alone for a secret.
fn keys(alg: &str) -> (Option<String>, Value) {
    let said = tool(&["keygen", alg], &[]);
    assert_eq!(said.code, 0, "{}", said.errors);
    let (jwk, pem) = said
        .text
        .trim_end()
        .lines()
        .rev()
        .collect::<Vec<_>>()
        .split_first()
        .map(|(jwk, pem)| {
            let pem: Vec<&str> = pem.iter().rev().copied().collect();
            (serde_json::from_str(jwk).unwrap(), pem.join("\n"))
        })
        .unwrap();
    (Some(pem).filter(|pem| !pem.is_empty()), jwk)
}

#[test]
fn what_it_prints_works_as_signing_keys() {
    for alg in ["ES256", "ES384", "RS256", "EdDSA"] {
        let (pem, jwk) = keys(alg);
        let pem = pem.expect("a PEM");
        let public = PrivateKey::parse(&pem).unwrap().public().unwrap();
        assert_eq!(PublicKey::parse(&jwk.to_string()).unwrap(), public, "{alg}: two halves of one key");
        assert!(jwk.get("d").is_none() && jwk["alg"] == alg, "{alg}");
        let (_, other) = keys(alg);
        assert_ne!(jwk["kid"], other["kid"]);
        let config = config(json!([
            {"kid": jwk["kid"], "alg": alg, "private_key": {"inline": pem}},
            {"kid": other["kid"], "alg": alg, "public_key": {"inline": other.to_string()}},
        ]));
        assert_eq!(config.phantom_token.unwrap().published_keys.len(), 2);
    }
}

#[test]
fn a_secret_is_a_jwk_and_has_nothing_to_publish() {
    let (pem, jwk) = keys("HS256");
    assert_eq!(pem, None);
    let config = config(json!([{"kid": "1", "alg": "HS256", "private_key": {"inline": jwk}}]));
    assert!(config.phantom_token.unwrap().published_keys.is_empty());
}

#[test]
fn an_algorithm_that_nobody_signs_by_is_no_usage() {
    let said = tool(&["keygen", "RS512"], &[]);
    assert_eq!(said.code, 2);
    assert!(said.errors.contains("ES256"), "{}", said.errors);
}

fn config(signing_keys: Value) -> Config {
    let config = json!({
        "providers": {"main": {"issuer": "https://as.example", "introspection": {
            "cluster": "as", "path": "/introspect", "auth": {"none": {}}}}},
        "phantom_token": {"issuer": "https://gateway.example", "signing_keys": signing_keys},
    });
    Config::parse(config.to_string().as_bytes(), &|_| None).unwrap()
}
