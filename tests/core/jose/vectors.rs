//! What RFCs and real servers signed.

use std::collections::BTreeMap;
use std::fs;

use phantom_token_filter::jwt::{KeySet, Unverified, looks_like_jwt};
use serde_json::Value;

use super::{Refused::Unverified as Not, verify};
use crate::support::issuer::key_set;

#[test]
fn the_rfcs_examples_are_judged_right() {
    for vector in vectors("rfc.json").as_array().unwrap() {
        let Some(text) = vector["jws"].as_str() else { continue };
        let (name, alg) = (vector["name"].as_str().unwrap(), vector["alg"].as_str());
        let keys = key_set(&[vector["jwk"].clone()]);
        let outcome = verify(&keys, text);
        match (name, alg) {
            // A symmetric key, and an example without a key.
            ("RFC7515-A.1-HS256", _) => assert_eq!(outcome, Err(Not(Unverified::AlgorithmNotAllowed))),
            (_, None) => assert_eq!(outcome, Err(Not(Unverified::UnknownKey)), "{name}"),
            // Signed, and not JSON.
            ("RFC8037-A.4-EdDSA", _) => assert_eq!(outcome, Err(Not(Unverified::NotClaims))),
            (_, Some(alg)) => assert_eq!(outcome.unwrap().alg().name(), alg, "{name}"),
        }
    }
}

#[test]
fn the_cookbooks_examples_are_judged_right() {
    // Their payloads are not JSON: that is only found out when the signature has held.
    for (name, reason) in [
        ("curve25519-jws", Unverified::NotClaims),
        ("jws-4_1.rsa_v15_signature", Unverified::NotClaims),
        ("jws-4_2.rsa-pss_signature", Unverified::NotClaims),
        ("jws-4_3.ecdsa_signature", Unverified::AlgorithmNotAllowed),
        ("jws-4_4.hmac-sha2_integrity_protection", Unverified::AlgorithmNotAllowed),
    ] {
        let vector = vectors(&format!("rfc7520/{name}.json"));
        let keys = key_set(&[vector["input"]["key"].clone()]);
        assert_eq!(verify(&keys, vector["output"]["compact"].as_str().unwrap()), Err(Not(reason)), "{name}");
    }
}

/// Everything in the recordings that has the form of a JWT.
fn recorded_jwts(folder: &str) -> BTreeMap<String, String> {
    let mut jwts = BTreeMap::new();
    for file in fs::read_dir(format!("{}/tests/vectors/{folder}", env!("CARGO_MANIFEST_DIR"))).unwrap() {
        let file = file.unwrap();
        let text = fs::read_to_string(file.path()).unwrap();
        let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || "-_.".contains(letter)));
        for word in words.filter(|word| looks_like_jwt(word.as_bytes())) {
            jwts.insert(word.to_owned(), file.file_name().into_string().unwrap());
        }
    }
    jwts
}

#[test]
fn what_real_servers_signed_is_believed() {
    let keys = ["oidc-provider", "glewlwyd"].map(|server| {
        let jwks = vectors(&format!("jwt/{server}.jwks.json"));
        let (keys, warnings) = KeySet::parse(jwks["response"]["body"].as_str().unwrap().as_bytes()).unwrap();
        assert_eq!(warnings, [], "{server}");
        keys
    });
    let (mut believed, mut refused) = (BTreeMap::<_, usize>::new(), BTreeMap::<_, usize>::new());
    for (jwt, file) in [recorded_jwts("jwt"), recorded_jwts("recordings")].into_iter().flatten() {
        let keys = match file.split('.').next() {
            Some("oidc-provider") => &keys[0],
            Some("glewlwyd") => &keys[1],
            _ => continue, // whose keys are not here
        };
        match verify(keys, &jwt) {
            Ok(verified) => *believed.entry(verified.alg().name()).or_default() += 1,
            Err(reason) => *refused.entry((file, format!("{reason:?}"))).or_default() += 1,
        }
    }
    assert_eq!(
        believed.keys().copied().collect::<Vec<_>>(),
        ["ES256", "EdDSA", "PS256", "RS256"],
        "{believed:?}"
    );
    let refused: Vec<_> =
        refused.iter().map(|((file, reason), _)| (file.as_str(), reason.as_str())).collect();
    assert_eq!(
        refused,
        [
            ("glewlwyd.introspect-tampered-jwt.json", "Unverified(BadSignature)"),
            // The filter's own client assertions, which the server does not sign.
            ("oidc-provider.introspect-accept-jwt9701-es256.json", "Unverified(UnknownKey)"),
            ("oidc-provider.introspect-pkjwt-active.json", "Unverified(UnknownKey)"),
            ("oidc-provider.introspect-pkjwt-aud-introspection.json", "Unverified(UnknownKey)"),
            ("oidc-provider.introspect-pkjwt-aud-token.json", "Unverified(UnknownKey)"),
        ]
    );
}

fn vectors(path: &str) -> Value {
    serde_json::from_slice(&fs::read(format!("{}/tests/vectors/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap())
        .unwrap()
}
