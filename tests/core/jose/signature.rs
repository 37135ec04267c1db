//! Signatures that are almost right.

use phantom_token_filter::jwt::{Algorithm, SignError, UntrustedJwt, Unverified};
use serde_json::json;

use super::{Refused::Unverified as Not, all_keys, claims, parts, verify};
use crate::support::issuer::{ALGORITHMS, encode, sign, signature};
use crate::support::rustcrypto::NoSignatures;

#[test]
fn a_changed_bit_anywhere_is_noticed() {
    let keys = all_keys();
    for alg in ALGORITHMS {
        let jwt = sign(alg, json!({}), &claims());
        let [header, payload, signature] = parts(&jwt);
        for bit in 0..signature.len() * 8 {
            let mut signature = signature.clone();
            signature[bit / 8] ^= 1 << (bit % 8);
            let forged = [&header, &payload, &signature].map(|part| encode(part)).join(".");
            assert_eq!(verify(&keys, &forged), Err(Not(Unverified::BadSignature)), "{alg:?} bit {bit}");
        }
        for bit in 0..payload.len() * 8 {
            let mut payload = payload.clone();
            payload[bit / 8] ^= 1 << (bit % 8);
            let forged = [&header, &payload, &signature].map(|part| encode(part)).join(".");
            assert_eq!(verify(&keys, &forged), Err(Not(Unverified::BadSignature)), "{alg:?} bit {bit}");
        }
        for bit in 0..header.len() * 8 {
            let mut header = header.clone();
            header[bit / 8] ^= 1 << (bit % 8);
            let forged = [&header, &payload, &signature].map(|part| encode(part)).join(".");
            assert!(verify(&keys, &forged).is_err(), "{alg:?} bit {bit}");
        }
    }
}

#[test]
fn a_changed_letter_anywhere_is_noticed() {
    // Not the bytes but their encoding: two texts must not stand for the same JWT, or a withdrawn one comes back
    // under another digest.
    let keys = all_keys();
    for alg in [Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256] {
        let jwt = sign(alg, json!({}), &claims());
        for at in 0..jwt.len() {
            for letter in ["A", "_", "=", "+", "/", " ", "\n", "%", ".", ""] {
                let mut forged = jwt.clone();
                forged.replace_range(at..=at, letter);
                assert!(forged == jwt || verify(&keys, &forged).is_err(), "{alg:?} {at} {letter:?}");
                let mut longer = jwt.clone();
                longer.insert_str(at, letter);
                assert!(longer == jwt || verify(&keys, &longer).is_err(), "{alg:?} {at} {letter:?}");
            }
        }
    }
}

#[test]
fn an_ecdsa_signature_is_two_numbers_of_full_length_and_never_zero() {
    let order = [
        (Algorithm::ES256, "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"),
        (
            Algorithm::ES384,
            "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
        ),
    ];
    for (alg, order) in order {
        let len = order.len() / 2;
        let n: Vec<u8> =
            (0..len).map(|at| u8::from_str_radix(&order[2 * at..2 * at + 2], 16).unwrap()).collect();
        let jwt = sign(alg, json!({}), &claims());
        let (text, _) = jwt.rsplit_once('.').unwrap();
        let good = signature(alg, text.as_bytes());
        let (r, s) = good.split_at(len);
        let (zero, one, max) = (vec![0; len], [vec![0; len - 1], vec![1]].concat(), vec![0xff; len]);
        let der = if len == 32 {
            p256::ecdsa::Signature::from_slice(&good).unwrap().to_der().as_bytes().to_vec()
        } else {
            p384::ecdsa::Signature::from_slice(&good).unwrap().to_der().as_bytes().to_vec()
        };
        for forged in [
            [&zero[..], &zero].concat(),
            [r, &zero].concat(),
            [&zero, s].concat(),
            [&n[..], &n].concat(),
            [r, &n].concat(),
            [&n, s].concat(),
            [&one[..], &one].concat(),
            [&one[..], &zero].concat(),
            [&max[..], &max].concat(),
            [r, r].concat(),
            [s, r].concat(),
            r.to_vec(),
            good[..2 * len - 1].to_vec(),
            good[1..].to_vec(),
            [&good[..], &[0]].concat(),
            [&[0], &good[..]].concat(),
            [&[0], r, &[0], s].concat(),
            [&good[..], &good].concat(),
            vec![],
            vec![0],
            der,
        ] {
            assert_forged(alg, text, &forged);
        }
    }
}

#[test]
fn a_signature_of_another_length_is_none() {
    for alg in ALGORITHMS {
        let jwt = sign(alg, json!({}), &claims());
        let (text, _) = jwt.rsplit_once('.').unwrap();
        let good = signature(alg, text.as_bytes());
        for forged in [
            vec![],
            vec![0; good.len()],
            vec![0xff; good.len()],
            good[..good.len() - 1].to_vec(),
            good[1..].to_vec(),
            [&good[..], &[0]].concat(),
            [&[0], &good[..]].concat(),
        ] {
            assert_forged(alg, text, &forged);
        }
    }
}

#[test]
fn a_host_that_verifies_nothing_is_no_verdict() {
    for alg in ALGORITHMS {
        let jwt = sign(alg, json!({}), &claims());
        let jwt = UntrustedJwt::parse(jwt.as_bytes()).unwrap();
        let outcome = all_keys().verify(&jwt, &ALGORITHMS, &NoSignatures).map(|_| ());
        let by_host = !["EdDSA", "PS256", "PS384", "PS512"].contains(&alg.name());
        let wanted = if by_host { Err(Unverified::Host(SignError::NotOffered)) } else { Ok(()) };
        assert_eq!(outcome, wanted, "{alg:?}");
    }
}

#[track_caller]
fn assert_forged(alg: Algorithm, text: &str, signature: &[u8]) {
    let jwt = format!("{text}.{}", encode(signature));
    assert_eq!(verify(&all_keys(), &jwt), Err(Not(Unverified::BadSignature)), "{alg:?} {signature:02x?}");
}
