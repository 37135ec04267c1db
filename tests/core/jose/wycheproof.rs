//! Project Wycheproof: signatures that look right and are not, and some that look wrong and are right.
//!
//! Its texts are no JWTs, so the key set is asked without one. ECDSA signatures in DER are brought into JOSE form
//! first, if they are any.

use phantom_token_filter::jwt::{Algorithm, KeySet};
use serde_json::json;
use wycheproof::{HashFunction, Mgf, TestResult, ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

use crate::support::issuer::{encode, key_set};
use crate::support::rustcrypto::RustCrypto;

fn verifies(keys: &KeySet, alg: Algorithm, text: &[u8], signature: &[u8]) -> bool {
    keys.verify_signature(alg, None, text, signature, &RustCrypto).is_ok()
}

/// How many signatures were judged.
#[derive(Debug, Default, PartialEq)]
struct Judged {
    good: usize,
    bad: usize,
}

impl Judged {
    fn count(&mut self, verifies: bool, wanted: TestResult, case: &str) {
        match wanted {
            TestResult::Valid => assert!(verifies, "{case} is good"),
            TestResult::Invalid => assert!(!verifies, "{case} is bad"),
            TestResult::Acceptable => {}
        }
        if verifies { self.good += 1 } else { self.bad += 1 }
    }
}

fn rsa_keys(n: &[u8], e: &[u8]) -> KeySet {
    key_set(&[json!({"kty": "RSA", "n": encode(n), "e": encode(e)})])
}

/// Without the zeros before it, at that length.
fn padded(number: &[u8], len: usize) -> Vec<u8> {
    let start = number.iter().position(|&byte| byte != 0).unwrap_or(number.len());
    let number = &number[start..];
    [vec![0; len - number.len()], number.to_vec()].concat()
}

#[test]
fn ecdsa_signatures_are_judged_right() {
    use ecdsa::TestName::*;
    let mut judged = Judged::default();
    for (name, alg, crv, len) in [
        (EcdsaSecp256r1Sha256P1363, Algorithm::ES256, "P-256", 32),
        (EcdsaSecp256r1Sha256, Algorithm::ES256, "P-256", 32),
        (EcdsaSecp384r1Sha384P1363, Algorithm::ES384, "P-384", 48),
        (EcdsaSecp384r1Sha384, Algorithm::ES384, "P-384", 48),
    ] {
        let is_der = matches!(name, EcdsaSecp256r1Sha256 | EcdsaSecp384r1Sha384);
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let [x, y] =
                [&group.key.affine_x, &group.key.affine_y].map(|number| encode(&padded(number, len)));
            let keys = key_set(&[json!({"kty": "EC", "crv": crv, "x": x, "y": y})]);
            assert_eq!(keys.len(), 1);
            for test in group.tests {
                let signature = if is_der { from_der(alg, &test.sig) } else { Some(test.sig.to_vec()) };
                let verifies = signature.is_some_and(|signature| verifies(&keys, alg, &test.msg, &signature));
                judged.count(verifies, test.result, &format!("{name:?} {}: {}", test.tc_id, test.comment));
            }
        }
    }
    assert!(judged.good > 400 && judged.bad > 700, "{judged:?}");
}

fn from_der(alg: Algorithm, der: &[u8]) -> Option<Vec<u8>> {
    match alg {
        Algorithm::ES256 => {
            p256::ecdsa::Signature::from_der(der).ok().map(|signature| signature.to_bytes().to_vec())
        }
        _ => p384::ecdsa::Signature::from_der(der).ok().map(|signature| signature.to_bytes().to_vec()),
    }
}

#[test]
fn eddsa_signatures_are_judged_right() {
    let mut judged = Judged::default();
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        let keys = key_set(&[json!({"kty": "OKP", "crv": "Ed25519", "x": encode(&group.key.pk)})]);
        for test in group.tests {
            let verifies = verifies(&keys, Algorithm::EdDSA, &test.msg, &test.sig);
            judged.count(verifies, test.result, &format!("{}: {}", test.tc_id, test.comment));
        }
    }
    assert!(judged.good > 70 && judged.bad > 50, "{judged:?}");
}

#[test]
fn rsa_pkcs1_signatures_are_judged_right() {
    use rsa_pkcs1_verify::TestName::*;
    let mut judged = Judged::default();
    for (name, alg) in [
        (Rsa2048Sha256, Algorithm::RS256),
        (Rsa2048Sha384, Algorithm::RS384),
        (Rsa2048Sha512, Algorithm::RS512),
        (Rsa3072Sha256, Algorithm::RS256),
        (Rsa3072Sha384, Algorithm::RS384),
        (Rsa3072Sha512, Algorithm::RS512),
        (Rsa4096Sha256, Algorithm::RS256),
        (Rsa4096Sha384, Algorithm::RS384),
        (Rsa4096Sha512, Algorithm::RS512),
        (Rsa8192Sha256, Algorithm::RS256),
        (Rsa8192Sha384, Algorithm::RS384),
        (Rsa8192Sha512, Algorithm::RS512),
    ] {
        for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            let keys = rsa_keys(&group.key.n, &group.key.e);
            assert_eq!(keys.len(), 1, "{name:?}");
            for test in group.tests {
                let verifies = verifies(&keys, alg, &test.msg, &test.sig);
                judged.count(verifies, test.result, &format!("{name:?} {}: {}", test.tc_id, test.comment));
            }
        }
    }
    assert!(judged.good > 80 && judged.bad > 3_000, "{judged:?}");
}

#[test]
fn rsa_signatures_by_a_hash_that_jose_has_not_are_refused() {
    use rsa_pkcs1_verify::TestName::*;
    for name in [Rsa2048Sha224, Rsa2048Sha3_256, Rsa2048Sha512_256] {
        for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            let keys = rsa_keys(&group.key.n, &group.key.e);
            for test in group.tests.iter().filter(|test| test.result == TestResult::Valid) {
                for alg in [Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256] {
                    assert!(!verifies(&keys, alg, &test.msg, &test.sig), "{name:?} {}", test.tc_id);
                }
            }
        }
    }
}

#[test]
fn rsa_pss_signatures_are_judged_right() {
    let (mut judged, mut other) = (Judged::default(), 0);
    for name in rsa_pss_verify::TestName::all() {
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            let keys = rsa_keys(&group.key.n, &group.key.e);
            let (alg, salt_len) = match group.hash {
                HashFunction::Sha2_256 => (Algorithm::PS256, 32),
                HashFunction::Sha2_384 => (Algorithm::PS384, 48),
                HashFunction::Sha2_512 => (Algorithm::PS512, 64),
                _ => (Algorithm::PS256, usize::MAX),
            };
            // RFC 7518 §3.5 leaves one choice of parameters; a signature by any other is none.
            let is_jose = matches!(group.mgf, Mgf::Mgf1)
                && group.mgf_hash == Some(group.hash)
                && group.salt_size == salt_len
                && group.key_size >= 2048;
            for test in group.tests {
                let verifies = verifies(&keys, alg, &test.msg, &test.sig);
                let case = format!("{name:?} {}: {}", test.tc_id, test.comment);
                if is_jose {
                    judged.count(verifies, test.result, &case);
                } else if test.result == TestResult::Valid {
                    assert!(!verifies, "{case} has other parameters");
                    other += 1;
                }
            }
        }
    }
    assert!(judged.good > 400 && judged.bad > 200 && other > 500, "{judged:?} {other}");
}
