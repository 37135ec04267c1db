//! Which algorithm verifies is for the issuer and the key to say, never for the token (RFC 8725 §3.1).

use std::slice::from_ref;

use phantom_token_filter::jwt::{Algorithm, UntrustedJwt, Unverified};
use serde_json::{Value, json};

use super::{Refused::Unverified as Not, all_keys, claims, verify};
use crate::support::issuer::{ALGORITHMS, encode, jwk, key_set, sign};
use crate::support::rustcrypto::RustCrypto;

#[test]
fn what_an_issuer_signs_is_believed() {
    for alg in ALGORITHMS {
        let verified = verify(&all_keys(), &sign(alg, json!({"typ": "at+jwt"}), &claims())).unwrap();
        assert_eq!(Value::Object(verified.claims().clone()), claims(), "{alg:?}");
        assert_eq!((verified.alg(), verified.typ()), (alg, Some("at+jwt")));
    }
}

#[test]
fn an_unsigned_jwt_is_refused_however_none_is_spelled() {
    for alg in ["none", "None", "NONE", "nOnE", "", " none", "null"] {
        let header = encode(json!({"alg": alg, "kid": "RS256"}).to_string().as_bytes());
        let payload = encode(claims().to_string().as_bytes());
        let signed = sign(Algorithm::RS256, json!({"alg": alg}), &claims());
        for jwt in [format!("{header}.{payload}."), format!("{header}.{payload}.AA"), signed] {
            assert_eq!(verify(&all_keys(), &jwt), Err(Not(Unverified::AlgorithmNotAllowed)), "{alg:?}");
        }
    }
}

#[test]
fn an_algorithm_must_be_allowed_to_the_letter() {
    for alg in
        ["rs256", "RS256 ", "Rs256", "RS-256", "SHA256withRSA", "RS1", "ES256K", "ES512", "Ed448", "HS256"]
    {
        let jwt = sign(Algorithm::RS256, json!({"alg": alg}), &claims());
        assert_eq!(verify(&all_keys(), &jwt), Err(Not(Unverified::AlgorithmNotAllowed)), "{alg}");
    }
    for alg in ALGORITHMS {
        let jwt = sign(alg, json!({}), &claims());
        let jwt = UntrustedJwt::parse(jwt.as_bytes()).unwrap();
        let others: Vec<_> = ALGORITHMS.into_iter().filter(|other| *other != alg).collect();
        assert_eq!(all_keys().verify(&jwt, &others, &RustCrypto), Err(Unverified::AlgorithmNotAllowed));
        assert!(all_keys().verify(&jwt, &[alg], &RustCrypto).is_ok());
    }
}

#[test]
fn ed25519_is_another_name_for_eddsa() {
    for (name, own) in [("Ed25519", "EdDSA"), ("EdDSA", "Ed25519"), ("Ed25519", "Ed25519")] {
        let keys = key_set(&[jwk(Algorithm::EdDSA, json!({"alg": own}))]);
        let jwt = sign(Algorithm::EdDSA, json!({"alg": name}), &claims());
        assert_eq!(verify(&keys, &jwt).unwrap().alg(), Algorithm::EdDSA);
    }
}

#[test]
fn a_public_key_is_never_an_hmac_secret() {
    use hmac::{KeyInit, Mac};
    let jwk = jwk(Algorithm::RS256, json!({"alg": null}));
    let pem = include_str!("../../keys/rsa2048.public.pem");
    for secret in [pem.to_owned(), pem.trim().to_owned(), jwk.to_string(), String::new()] {
        let text = [json!({"alg": "HS256", "kid": "RS256"}), claims()]
            .map(|part| encode(part.to_string().as_bytes()))
            .join(".");
        let mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        let jwt = format!("{text}.{}", encode(&mac.chain_update(&text).finalize().into_bytes()));
        let untrusted = UntrustedJwt::parse(jwt.as_bytes()).unwrap();
        let outcome = key_set(from_ref(&jwk)).verify(&untrusted, &Algorithm::ALL, &RustCrypto);
        assert_eq!(outcome, Err(Unverified::AlgorithmNotAllowed));
    }
}

#[test]
fn a_key_verifies_by_its_own_algorithm_only() {
    // Made by the right key, with an algorithm that the key could do, and that its publisher ruled out.
    for (own, other) in [
        (Algorithm::PS256, Algorithm::RS256),
        (Algorithm::RS256, Algorithm::PS256),
        (Algorithm::RS256, Algorithm::RS512),
        (Algorithm::PS512, Algorithm::PS256),
        (Algorithm::ES256, Algorithm::EdDSA),
        (Algorithm::ES384, Algorithm::ES256),
    ] {
        let keys = key_set(&[jwk(own, json!({"kid": "k"}))]);
        let jwt = sign(other, json!({"kid": "k"}), &claims());
        assert_eq!(verify(&keys, &jwt), Err(Not(Unverified::AlgorithmNotAllowed)), "{own:?} {other:?}");
    }
    // One that says nothing of its algorithm does all that its type can.
    let keys = key_set(&[jwk(Algorithm::RS256, json!({"kid": "k", "alg": null}))]);
    for alg in ALGORITHMS.into_iter().filter(|alg| !["EdDSA", "ES256", "ES384"].contains(&alg.name())) {
        assert!(verify(&keys, &sign(alg, json!({"kid": "k"}), &claims())).is_ok(), "{alg:?}");
    }
}

#[test]
fn a_signature_by_one_algorithm_is_none_by_another() {
    let keys = key_set(&[jwk(Algorithm::RS256, json!({"kid": null, "alg": null}))]);
    for claimed in ALGORITHMS {
        for made in ALGORITHMS.into_iter().filter(|made| *made != claimed) {
            let jwt = sign(made, json!({"alg": claimed.name(), "kid": null}), &claims());
            assert_eq!(verify(&keys, &jwt), Err(Not(Unverified::UnknownKey)), "{made:?} as {claimed:?}");
        }
    }
}
