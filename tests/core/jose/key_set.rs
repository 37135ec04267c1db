//! Key sets as they come from outside: what is unfit is left out, and the rest serves (RFC 7517 §5).

use std::slice::from_ref;

use phantom_token_filter::jwt::{
    Algorithm, KeyError, KeySet, KeyWarning, UntrustedJwt, UnusableKey, Unverified,
};
use serde_json::{Value, json};

use super::{Refused::Unverified as Not, claims, verify};
use crate::support::issuer::{ALGORITHMS, encode, jwk, key_set, private_jwk, sign};
use crate::support::rustcrypto::RustCrypto;

fn parse(keys: &[Value]) -> (KeySet, Vec<KeyWarning>) {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

/// An RSA modulus of that many bits. Nobody has its private key; signatures are not what it is for.
fn modulus(bits: usize) -> String {
    let mut bytes = vec![0xff; bits.div_ceil(8)];
    bytes[0] >>= bytes.len() * 8 - bits;
    encode(&bytes)
}

#[test]
fn an_unfit_key_is_left_out_with_the_reason_and_the_others_serve() {
    let rsa = |more: Value| jwk(Algorithm::RS256, more);
    let ec = |more: Value| jwk(Algorithm::ES256, more);
    let ed = |more: Value| jwk(Algorithm::EdDSA, more);
    let key = |error| UnusableKey::Key(error);
    for (unfit, reason) in [
        (json!("key"), UnusableKey::NotAnObject),
        (json!(null), UnusableKey::NotAnObject),
        (json!([]), UnusableKey::NotAnObject),
        (json!({}), key(KeyError::NoMember("kty"))),
        (json!({"kty": 1}), key(KeyError::NoMember("kty"))),
        (json!({"kty": "PQK"}), key(KeyError::Unsupported)),
        (json!({"kty": "ec"}), key(KeyError::Unsupported)),
        (json!({"kty": "oct", "k": encode(&[1; 32]), "alg": "HS256"}), UnusableKey::Symmetric),
        // What it is for.
        (ec(json!({"use": "enc"})), UnusableKey::ForEncryption),
        (ec(json!({"use": ""})), UnusableKey::OtherUse),
        (ec(json!({"use": "SIG"})), UnusableKey::OtherUse),
        (ec(json!({"use": ["sig"]})), UnusableKey::OtherUse),
        (ec(json!({"use": 1})), UnusableKey::OtherUse),
        (ec(json!({"key_ops": []})), UnusableKey::OtherOperations),
        (ec(json!({"key_ops": ["sign"]})), UnusableKey::OtherOperations),
        (ec(json!({"key_ops": ["encrypt", "wrapKey"]})), UnusableKey::OtherOperations),
        (ec(json!({"key_ops": ["Verify"]})), UnusableKey::OtherOperations),
        (ec(json!({"key_ops": "verify"})), UnusableKey::OtherOperations),
        (ec(json!({"use": "enc", "key_ops": ["verify"]})), UnusableKey::ForEncryption),
        // Its algorithm.
        (ec(json!({"alg": "ES384"})), UnusableKey::OtherAlgorithm),
        (ec(json!({"alg": "RS256"})), UnusableKey::OtherAlgorithm),
        (ec(json!({"alg": "HS256"})), UnusableKey::OtherAlgorithm),
        (ec(json!({"alg": "none"})), UnusableKey::OtherAlgorithm),
        (ec(json!({"alg": "ECDH-ES"})), UnusableKey::OtherAlgorithm),
        (ec(json!({"alg": "es256"})), UnusableKey::OtherAlgorithm),
        (ec(json!({"alg": 256})), UnusableKey::OtherAlgorithm),
        (rsa(json!({"alg": "RSA-OAEP"})), UnusableKey::OtherAlgorithm),
        (rsa(json!({"alg": "ES256"})), UnusableKey::OtherAlgorithm),
        (ed(json!({"alg": "ES256"})), UnusableKey::OtherAlgorithm),
        (ed(json!({"alg": "Ed448"})), UnusableKey::OtherAlgorithm),
        // Its name.
        (ec(json!({"kid": 1})), UnusableKey::NoName),
        (ec(json!({"kid": ["a"]})), UnusableKey::NoName),
        // Its curve.
        (ec(json!({"crv": "P-521", "alg": "ES512"})), key(KeyError::Unsupported)),
        (ec(json!({"crv": "secp256k1", "alg": "ES256K"})), key(KeyError::Unsupported)),
        (ec(json!({"crv": "secp256k1"})), key(KeyError::Unsupported)),
        (ec(json!({"crv": "p-256"})), key(KeyError::Unsupported)),
        (ec(json!({"crv": 256})), key(KeyError::Unsupported)),
        (json!({"kty": "EC", "x": "AA", "y": "AA"}), key(KeyError::Unsupported)),
        (ed(json!({"crv": "Ed448"})), key(KeyError::Unsupported)),
        (ed(json!({"crv": "X25519"})), key(KeyError::Unsupported)),
        (ed(json!({"kty": "EC"})), key(KeyError::Unsupported)),
        (ec(json!({"kty": "OKP"})), key(KeyError::Unsupported)),
        // Its point.
        (ec(json!({"crv": "P-384", "alg": "ES384"})), key(KeyError::Malformed)),
        (ec(json!({"x": encode(&[1; 31])})), key(KeyError::Malformed)),
        (ec(json!({"x": encode(&[1; 33])})), key(KeyError::Malformed)),
        (ec(json!({"y": ""})), key(KeyError::Malformed)),
        (ec(json!({"y": null})), key(KeyError::NoMember("y"))),
        (ec(json!({"y": 7})), key(KeyError::NoMember("y"))),
        (ec(json!({"x": format!("A={}", encode(&[1; 32]))})), key(KeyError::NoMember("x"))),
        (ec(json!({"x": format!("{}\n", encode(&[1; 32]))})), key(KeyError::NoMember("x"))),
        // 32 bytes leave two bits of the last letter unused; here they are set.
        (ec(json!({"x": format!("{}B", "A".repeat(42))})), key(KeyError::NoMember("x"))),
        (ec(json!({"x": "+".repeat(43)})), key(KeyError::NoMember("x"))),
        (ed(json!({"x": encode(&[1; 31])})), key(KeyError::Malformed)),
        (ed(json!({"x": encode(&[2; 32])})), key(KeyError::Malformed)),
        // Points of small order, for which one signature holds over many texts: 0, 1 and p - 1 as y.
        (ed(json!({"x": encode(&[0; 32])})), key(KeyError::Malformed)),
        (ed(json!({"x": encode(&[&[1][..], &[0; 31]].concat())})), key(KeyError::Malformed)),
        (ed(json!({"x": encode(&[&[0xec][..], &[0xff; 30], &[0x7f]].concat())})), key(KeyError::Malformed)),
        // Its numbers.
        (rsa(json!({"n": modulus(512)})), key(KeyError::WeakRsa { bits: 512 })),
        (rsa(json!({"n": modulus(1024)})), key(KeyError::WeakRsa { bits: 1024 })),
        (rsa(json!({"n": modulus(2047)})), key(KeyError::WeakRsa { bits: 2047 })),
        (
            rsa(json!({"n": encode(&[&[0; 128][..], &[0xff; 128]].concat())})),
            key(KeyError::WeakRsa { bits: 1024 }),
        ),
        (rsa(json!({"n": ""})), key(KeyError::WeakRsa { bits: 0 })),
        (rsa(json!({"n": modulus(8193)})), key(KeyError::LongRsa { bits: 8193 })),
        (rsa(json!({"n": modulus(16384)})), key(KeyError::LongRsa { bits: 16384 })),
        (rsa(json!({"n": encode(&[&[0xff; 255][..], &[0xfe]].concat())})), key(KeyError::UnsafeRsa)),
        (rsa(json!({"e": ""})), key(KeyError::UnsafeRsa)),
        (rsa(json!({"e": encode(&[0])})), key(KeyError::UnsafeRsa)),
        (rsa(json!({"e": encode(&[1])})), key(KeyError::UnsafeRsa)),
        (rsa(json!({"e": encode(&[2])})), key(KeyError::UnsafeRsa)),
        (rsa(json!({"e": encode(&[1, 0, 0])})), key(KeyError::UnsafeRsa)),
        (rsa(json!({"e": encode(&[3, 0, 0, 0, 1])})), key(KeyError::UnsafeRsa)),
        (rsa(json!({"e": encode(&[0xff; 256])})), key(KeyError::UnsafeRsa)),
        (rsa(json!({"e": 65537})), key(KeyError::NoMember("e"))),
        (rsa(json!({"n": null})), key(KeyError::NoMember("n"))),
    ] {
        let good = jwk(Algorithm::ES384, json!({}));
        let (keys, warnings) = parse(&[unfit.clone(), good]);
        let skipped: Vec<_> =
            warnings.iter().filter(|warning| matches!(warning, KeyWarning::Skipped { .. })).collect();
        assert_eq!(skipped, [&KeyWarning::Skipped { index: 0, reason }], "{unfit}");
        assert_eq!(keys.len(), 1);
        assert!(verify(&keys, &sign(Algorithm::ES384, json!({}), &claims())).is_ok(), "{unfit}");
    }
}

#[test]
fn what_only_looks_unusual_serves() {
    let rsa = |more: Value| jwk(Algorithm::RS256, more);
    for (alg, unusual) in [
        (Algorithm::RS256, rsa(json!({"x5c": ["MIIB"], "x5t": 1, "x5u": "https://as.example", "iat": 7}))),
        (Algorithm::RS256, rsa(json!({"use": null, "alg": null, "kid": null}))),
        (Algorithm::RS256, rsa(json!({"key_ops": ["verify"]}))),
        (Algorithm::RS256, rsa(json!({"use": null, "key_ops": ["sign", "verify"]}))),
        // A leading zero, which some libraries leave before the modulus (RFC 7518 §6.3.1.1).
        (Algorithm::RS256, rsa(json!({"e": encode(&[0, 1, 0, 1])}))),
        (Algorithm::EdDSA, jwk(Algorithm::EdDSA, json!({"alg": "Ed25519"}))),
    ] {
        let (keys, warnings) = parse(from_ref(&unusual));
        assert_eq!(warnings, [], "{unusual}");
        assert!(verify(&keys, &sign(alg, json!({}), &claims())).is_ok(), "{unusual}");
    }
    for bits in [2048, 3072, 4095, 8192] {
        assert_eq!(parse(&[rsa(json!({ "n": modulus(bits) }))]).1, [], "{bits}");
    }
    for e in [&[3][..], &[17], &[1, 0, 1], &[1, 0xff, 0xff, 0xff, 0xff]] {
        assert_eq!(parse(&[rsa(json!({ "e": encode(e) }))]).1, [], "{e:?}");
    }
}

#[test]
fn a_point_beside_its_curve_verifies_nothing_and_disturbs_nobody() {
    for alg in [Algorithm::ES256, Algorithm::ES384] {
        let len = if alg == Algorithm::ES256 { 32 } else { 48 };
        let good = jwk(alg, json!({}));
        for beside in [
            json!({"x": good["y"], "y": good["x"]}),
            json!({"x": encode(&vec![0; len]), "y": encode(&vec![0; len])}),
            json!({"x": encode(&vec![0xff; len])}),
            json!({"y": encode(&vec![1; len])}),
        ] {
            let jwt = sign(alg, json!({}), &claims());
            let beside = jwk(alg, beside);
            assert_eq!(
                verify(&key_set(from_ref(&beside)), &jwt),
                Err(Not(Unverified::BadSignature)),
                "{beside}"
            );
            assert!(verify(&key_set(&[beside, good.clone()]), &jwt).is_ok());
        }
    }
}

#[test]
fn a_private_key_published_by_mistake_serves_as_a_public_one_and_is_reported() {
    for alg in [Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256] {
        let private: Value = serde_json::from_str(private_jwk(alg)).unwrap();
        let (keys, warnings) = parse(from_ref(&private));
        assert_eq!(warnings, [KeyWarning::PrivateKey { index: 0 }]);
        assert!(verify(&keys, &sign(alg, json!({"kid": null}), &claims())).is_ok());
        let printed = format!("{} {warnings:?}", warnings[0]);
        assert!(!printed.contains(private["d"].as_str().unwrap()));
        assert_eq!(keys.fingerprint(), key_set(&[public_half(&private)]).fingerprint());
    }
    let symmetric = json!({"kty": "oct", "k": "c2VjcmV0"});
    assert_eq!(
        parse(&[symmetric]).1,
        [
            KeyWarning::Skipped { index: 0, reason: UnusableKey::Symmetric },
            KeyWarning::PrivateKey { index: 0 }
        ]
    );
}

fn public_half(jwk: &Value) -> Value {
    let mut jwk = jwk.clone();
    jwk.as_object_mut()
        .unwrap()
        .retain(|name, _| !["d", "p", "q", "dp", "dq", "qi"].contains(&name.as_str()));
    jwk
}

#[test]
fn a_body_that_is_no_key_set_says_why() {
    let hundred = json!({"keys": vec![json!({}); 100]}).to_string();
    assert_eq!(KeySet::parse(hundred.as_bytes()).unwrap().1.len(), 100);
    let key = jwk(Algorithm::ES256, json!({})).to_string();
    let twice = r#"{"keys":[],"keys":[]}"#;
    for (body, wanted) in [
        ("{}", "expected a JSON object with the array \"keys\", got one without"),
        (r#"{"keys":{}}"#, "expected a JSON object with the array \"keys\", got one without"),
        (r#"{"keys":null}"#, "expected a JSON object with the array \"keys\", got one without"),
        (&key, "expected a JSON object with the array \"keys\", got one without"),
        ("[]", "expected a JSON object, got another JSON value"),
        ("", "expected a JSON object, got no valid JSON"),
        ("<html>", "expected a JSON object, got no valid JSON"),
        (twice, "a JSON member occurs twice"),
        (r#"{"keys":[]}{}"#, "expected a JSON object, got no valid JSON"),
        (r#"{"keys":[}"#, "expected a JSON object, got no valid JSON"),
    ] {
        assert_eq!(KeySet::parse(body.as_bytes()).unwrap_err().to_string(), wanted, "{body}");
    }
}

#[test]
fn a_broken_key_spoils_itself_only() {
    let good = jwk(Algorithm::ES256, json!({})).to_string();
    let twice = good.replacen('{', r#"{"alg":"RS256","#, 1);
    for (broken, reason) in [
        (twice.as_str(), UnusableKey::DuplicateMember),
        (r#"{"kty":"EC","kty":"EC"}"#, UnusableKey::DuplicateMember),
        ("7", UnusableKey::NotAnObject),
        (r#"[{"a":1,"a":2}]"#, UnusableKey::DuplicateMember),
    ] {
        let body = format!(r#"{{"other":{{"a":1,"a":2}},"keys":[{broken},{good}]}}"#);
        let (keys, warnings) = KeySet::parse(body.as_bytes()).unwrap();
        assert_eq!(warnings, [KeyWarning::Skipped { index: 0, reason }], "{broken}");
        assert!(verify(&keys, &sign(Algorithm::ES256, json!({}), &claims())).is_ok());
    }
}

#[test]
fn null_members_and_padding_are_as_nothing() {
    for alg in ALGORITHMS {
        let key = jwk(alg, json!({})).as_object().unwrap().clone();
        let mut padded = key.clone();
        for name in ["n", "x", "y", "e"] {
            if let Some(text) = key.get(name).and_then(Value::as_str) {
                let padding = "=".repeat((4 - text.len() % 4) % 4);
                padded.insert(name.to_owned(), json!(format!("{text}{padding}")));
            }
        }
        padded.extend(
            json!({"use": null, "key_ops": null, "alg": null, "kid": null}).as_object().unwrap().clone(),
        );
        let (keys, warnings) = parse(&[Value::Object(padded)]);
        assert_eq!(warnings, [], "{alg:?}");
        assert!(verify(&keys, &sign(alg, json!({}), &claims())).is_ok(), "{alg:?}");
    }
}

#[test]
fn of_many_keys_the_first_hundred_serve() {
    let mut keys = vec![jwk(Algorithm::ES256, json!({}))];
    keys.extend(vec![jwk(Algorithm::RS256, json!({})); 100]);
    let (keys, warnings) = parse(&keys);
    assert_eq!((keys.len(), warnings), (100, vec![KeyWarning::TooMany]));
    assert!(verify(&keys, &sign(Algorithm::ES256, json!({}), &claims())).is_ok());
}

#[test]
fn pss_is_for_keys_that_name_it_and_for_few_of_them() {
    let (unnamed, named) = (jwk(Algorithm::PS256, json!({"alg": null})), jwk(Algorithm::PS256, json!({})));
    let jwt = sign(Algorithm::PS256, json!({}), &claims());
    assert!(verify(&key_set(from_ref(&unnamed)), &jwt).is_ok(), "where `jwt.algorithms` names it");
    let refused = verify(&key_set(from_ref(&unnamed)).without_unnamed_pss(), &jwt);
    assert_eq!(refused.map(|_| ()), Err(Not(Unverified::AlgorithmNotAllowed)));
    assert!(verify(&key_set(from_ref(&named)).without_unnamed_pss(), &jwt).is_ok());
    let rs256 = sign(Algorithm::RS256, json!({"kid": "PS256"}), &claims());
    assert!(verify(&key_set(from_ref(&unnamed)).without_unnamed_pss(), &rs256).is_ok());
    // Of keys that a JWT does not name, two are tried.
    let other = |kid: &str| jwk(Algorithm::PS256, json!({"kid": kid, "n": modulus(2048)}));
    let nameless = sign(Algorithm::PS256, json!({"kid": null}), &claims());
    assert!(verify(&key_set(&[other("a"), named.clone()]), &nameless).is_ok());
    let third = verify(&key_set(&[other("a"), other("b"), named]), &nameless);
    assert_eq!(third.map(|_| ()), Err(Not(Unverified::UnknownKey)));
}

#[test]
fn an_empty_set_verifies_nothing() {
    let (keys, warnings) = parse(&[]);
    assert!(keys.is_empty() && warnings.is_empty());
    for alg in ALGORITHMS {
        for kid in [json!(null), json!("a")] {
            let outcome = verify(&keys, &sign(alg, json!({ "kid": kid }), &claims()));
            assert_eq!(outcome, Err(Not(Unverified::UnknownKey)));
        }
    }
}

#[test]
fn a_fingerprint_stands_for_what_verifies() {
    let of = |keys: &[Value]| key_set(keys).fingerprint();
    let [a, b] = [Algorithm::ES256, Algorithm::EdDSA].map(|alg| jwk(alg, json!({})));
    let both = of(&[a.clone(), b.clone()]);
    assert_eq!(both, of(&[b.clone(), a.clone()]), "the order does not matter");
    assert_eq!(both, of(&[a.clone(), b.clone(), json!({"kty": "oct"})]), "nor do keys that are left out");
    assert_eq!(of(from_ref(&a)), of(&[jwk(Algorithm::ES256, json!({"x5t": "a"}))]), "nor what is not used");
    let mut seen = vec![both];
    for other in [
        vec![],
        vec![a.clone()],
        vec![b],
        vec![jwk(Algorithm::ES256, json!({"kid": "b"}))],
        vec![jwk(Algorithm::ES256, json!({"kid": ""}))],
        vec![jwk(Algorithm::ES256, json!({"kid": null}))],
        vec![jwk(Algorithm::ES256, json!({"alg": null}))],
        vec![jwk(Algorithm::ES256, json!({"kid": null, "alg": null}))],
        vec![jwk(Algorithm::ES256, json!({"x": a["y"]}))],
        vec![jwk(Algorithm::RS256, json!({"kid": null}))],
        vec![jwk(Algorithm::RS512, json!({"kid": null}))],
    ] {
        let fingerprint = of(&other);
        assert!(!seen.contains(&fingerprint), "{other:?}");
        seen.push(fingerprint);
    }
}

#[test]
fn warnings_say_where_and_why_and_show_no_key() {
    let weak = jwk(Algorithm::RS256, json!({"n": modulus(1024), "kid": "hunter2"}));
    let enc = jwk(Algorithm::ES256, json!({"use": "enc", "kid": "hunter2"}));
    let (_, warnings) = parse(&[weak, enc, json!({"kty": "oct", "k": "hunter2", "kid": "hunter2"})]);
    let printed: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        printed,
        [
            "keys[0]: not used: expected an RSA key of at least 2048 bits, got 1024",
            "keys[1]: not used: expected the \"use\" \"sig\", got \"enc\"",
            "keys[2]: not used: expected a public key, got a symmetric one",
            "keys[2]: expected a public key, got a private one, which is no secret any more",
        ]
    );
}

#[test]
fn a_key_that_the_host_refuses_does_not_hide_the_next() {
    // No name in the token: the first key fits by its type, and the host cannot even read it.
    let beside = jwk(Algorithm::ES256, json!({"kid": "a", "x": encode(&[0xff; 32])}));
    let good = jwk(Algorithm::ES256, json!({"kid": "b"}));
    let jwt = sign(Algorithm::ES256, json!({"kid": null}), &claims());
    let jwt = UntrustedJwt::parse(jwt.as_bytes()).unwrap();
    assert!(key_set(&[beside, good]).verify(&jwt, &ALGORITHMS, &RustCrypto).is_ok());
}
