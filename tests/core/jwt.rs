//! Phantom tokens and the keys that sign them, natively: RustCrypto stands where Envoy's own crypto does.

use base64ct::{Base64UrlUnpadded, Encoding};
use phantom_token_filter::jwt::{
    Algorithm, KeyError, PrivateKey, PublicKey, SignError, Signatures, SigningKey,
};
use serde_json::{Value, json};

use crate::support::rustcrypto::{self, NoSignatures, RustCrypto};
use crate::support::{Request, START, Worker, active, config, part};

fn key(alg: Algorithm, text: &str) -> SigningKey {
    SigningKey::new(alg, Some("k".to_owned()), PrivateKey::parse(text).unwrap()).unwrap()
}

fn verifies(public: &PublicKey, alg: Algorithm, signature: &[u8], text: &[u8]) -> bool {
    let der = match public {
        PublicKey::Ed25519(key) => {
            let key = ed25519_dalek::VerifyingKey::from_bytes(key).unwrap();
            return key.verify_strict(text, &signature.try_into().unwrap()).is_ok();
        }
        PublicKey::Ec { .. } if alg == Algorithm::ES256 => {
            p256::ecdsa::Signature::from_slice(signature).unwrap().to_der().as_bytes().to_vec()
        }
        PublicKey::Ec { .. } => {
            p384::ecdsa::Signature::from_slice(signature).unwrap().to_der().as_bytes().to_vec()
        }
        PublicKey::Rsa { .. } => signature.to_vec(),
    };
    let hash = if alg == Algorithm::ES384 { "sha384" } else { "sha256" };
    RustCrypto.verify(hash, &public.to_spki_der().unwrap(), &der, text).unwrap()
}

/// An example of the JOSE cookbook (RFC 7520 §4, RFC 8037 appendix A): a key, a text, and the one signature.
fn cookbook(name: &str) -> (SigningKey, Value) {
    let path = format!("{}/tests/vectors/rfc7520/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let vector: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let alg = vector["input"]["alg"].as_str().unwrap();
    let alg = Algorithm::ALL.into_iter().find(|candidate| candidate.name() == alg).unwrap();
    (key(alg, &vector["input"]["key"].to_string()), vector)
}

const RSA: &str = "jws-4_1.rsa_v15_signature";
const ED25519: &str = "curve25519-jws";
const HMAC: &str = "jws-4_4.hmac-sha2_integrity_protection";

#[test]
fn what_every_algorithm_signs_its_published_key_verifies() {
    let ec = [(Algorithm::ES256, rustcrypto::es256_pem()), (Algorithm::ES384, rustcrypto::es384_pem())];
    for key in
        ec.map(|(alg, pem)| key(alg, pem)).into_iter().chain([RSA, ED25519].map(|name| cookbook(name).0))
    {
        let alg = key.alg();
        key.try_out(&RustCrypto).unwrap();
        let signature = key.sign(&RustCrypto, b"text").unwrap();
        let published = key.to_public_jwk().unwrap();
        let public = PublicKey::from_jwk(&published).unwrap();
        assert!(verifies(&public, alg, &signature, b"text"), "{alg:?}");
        assert!(!verifies(&public, alg, &signature, b"tex"), "{alg:?}");
        assert_eq!((&published["alg"], &published["use"]), (&json!(alg.name()), &json!("sig")));
        for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert!(!published.contains_key(private), "{alg:?} publishes {private}");
        }
    }
}

#[test]
fn the_cookbooks_examples_are_signed_to_the_byte() {
    for name in [RSA, ED25519, HMAC] {
        let (key, vector) = cookbook(name);
        let signature =
            key.sign(&RustCrypto, vector["signing"]["sig-input"].as_str().unwrap().as_bytes()).unwrap();
        assert_eq!(Base64UrlUnpadded::encode_string(&signature), vector["signing"]["sig"], "{name}");
    }
}

#[test]
fn a_symmetric_key_is_never_published() {
    assert_eq!(cookbook(HMAC).0.to_public_jwk(), None);
}

#[test]
fn a_key_of_another_type_than_the_algorithm_is_refused() {
    let ec = rustcrypto::es256_pem();
    for alg in Algorithm::ALL {
        let outcome = SigningKey::new(alg, None, PrivateKey::parse(ec).unwrap());
        assert_eq!(outcome.is_ok(), alg == Algorithm::ES256, "{alg:?}");
    }
    let short = json!({"kty": "oct", "k": Base64UrlUnpadded::encode_string(&[1; 31])}).to_string();
    let outcome = SigningKey::new(Algorithm::HS256, None, PrivateKey::parse(&short).unwrap());
    assert_eq!(outcome.unwrap_err(), KeyError::ShortSecret);
}

#[test]
fn what_is_no_key_says_why_and_shows_nothing() {
    let [rsa, ed25519] = [RSA, ED25519].map(|name| cookbook(name).1["input"]["key"].clone());
    let without = |jwk: &Value, name: &str| {
        let mut jwk = jwk.clone();
        jwk.as_object_mut().unwrap().remove(name);
        jwk.to_string()
    };
    let weak =
        json!({"kty": "RSA", "n": Base64UrlUnpadded::encode_string(&[0xff; 128]), "e": "AQAB", "d": "AQAB"});
    let mut other_half = ed25519.clone();
    other_half["x"] = json!(Base64UrlUnpadded::encode_string(&[7; 32]));
    for (text, wanted) in [
        ("hunter2".to_owned(), KeyError::NotAPrivateKey),
        (String::new(), KeyError::NotAPrivateKey),
        ("{\"hunter2\"}".to_owned(), KeyError::Malformed),
        ("{}".to_owned(), KeyError::NoMember("kty")),
        (
            "-----BEGIN EC PRIVATE KEY-----\nAA==\n-----END EC PRIVATE KEY-----\n".to_owned(),
            KeyError::OtherPem,
        ),
        ("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n".to_owned(), KeyError::Malformed),
        (
            json!({"kty": "EC", "crv": "secp256k1", "x": "", "y": "", "d": ""}).to_string(),
            KeyError::Unsupported,
        ),
        (
            json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "d": "AA"}).to_string(),
            KeyError::Malformed,
        ),
        (weak.to_string(), KeyError::WeakRsa { bits: 1024 }),
        (without(&rsa, "qi"), KeyError::NoMember("qi")),
        (without(&rsa, "d"), KeyError::NoMember("d")),
        (without(&ed25519, "d"), KeyError::NoMember("d")),
        (other_half.to_string(), KeyError::Malformed),
    ] {
        let error = PrivateKey::parse(&text).unwrap_err();
        assert_eq!(error, wanted, "{text}");
        assert!(!error.to_string().contains("hunter2"));
    }
    assert_eq!(PublicKey::parse(rustcrypto::es256_pem()).unwrap_err(), KeyError::NotAPublicKey);
}

#[test]
fn a_key_is_tried_out_at_the_start() {
    let es256 = key(Algorithm::ES256, rustcrypto::es256_pem());
    assert_eq!(es256.try_out(&NoSignatures), Err(SignError::NotOffered));
    // Two halves that do not belong together: d of one key, x and y of another.
    let jwk = |scalar: &[u8; 32]| {
        let public = p256::SecretKey::from_slice(scalar).unwrap().public_key();
        let point = p256::elliptic_curve::sec1::ToSec1Point::to_sec1_point(&public, false);
        (
            Base64UrlUnpadded::encode_string(point.x().unwrap()),
            Base64UrlUnpadded::encode_string(point.y().unwrap()),
        )
    };
    let (x, y) = jwk(&[2; 32]);
    let d = Base64UrlUnpadded::encode_string(&[1; 32]);
    let torn = json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "d": d}).to_string();
    let refused =
        PrivateKey::parse(&torn).ok().map(|parsed| SigningKey::new(Algorithm::ES256, None, parsed).unwrap());
    assert!(refused.is_none_or(|key| key.try_out(&RustCrypto).is_err()));
}

#[test]
fn claims_are_included_excluded_renamed_and_added() {
    let claims = |rules: Value| {
        let mut worker = Worker::new(config(json!({"phantom_token": {"claims": rules}})));
        let mut reply = active();
        reply["tenant"] = json!("acme");
        reply["iss"] = json!("https://as.example");
        worker.call(&Request::bearer("tok"), &reply).claims()
    };
    let all = claims(json!({}));
    assert_eq!((&all["tenant"], &all["iss"]), (&json!("acme"), &json!("https://gateway.example")));
    assert!(all.get("active").is_none());
    assert_eq!(all["jti"].as_str().unwrap().len(), 22);
    assert_eq!(all["iat"], START.as_secs());

    let few =
        claims(json!({"include": ["sub", "tenant"], "rename": {"tenant": "org"}, "add": {"zone": [1, 2]}}));
    assert_eq!((&few["org"], &few["zone"], &few["sub"]), (&json!("acme"), &json!([1, 2]), &json!("alice")));
    assert!(few.get("scope").is_none() && few.get("tenant").is_none());

    assert_eq!(claims(json!({"include": ["tenant"]})).get("sub"), None, "a user must not turn into a client");
    let moved = claims(json!({"rename": {"sub": "user"}}));
    assert_eq!((moved.get("sub"), &moved["user"]), (None, &json!("alice")));
    let swapped = claims(json!({"rename": {"client_id": "tenant", "tenant": "client_id"}}));
    assert_eq!((&swapped["tenant"], &swapped["client_id"]), (&json!("app"), &json!("acme")));
    assert_eq!(claims(json!({"rename": {"client_id": "tenant"}}))["tenant"], "app");

    let renamed = claims(json!({"rename": {"iss": "as_iss"}, "exclude": ["sub"]}));
    assert_eq!(
        (&renamed["as_iss"], &renamed["iss"]),
        (&json!("https://as.example"), &json!("https://gateway.example"))
    );
    assert!(renamed.get("sub").is_none());
}

#[test]
fn exp_is_the_earlier_of_the_tokens_own_and_ttl() {
    for (ttl, exp) in [("5m", START.as_secs() + 300), ("1h", START.as_secs() + 600)] {
        let mut worker = Worker::new(config(json!({"phantom_token": {"ttl": ttl}})));
        assert_eq!(worker.call(&Request::bearer("tok"), &active()).claims()["exp"], exp, "{ttl}");
    }
    let mut endless = active();
    endless.as_object_mut().unwrap().remove("exp");
    let mut worker = Worker::new(config(json!({})));
    assert_eq!(worker.call(&Request::bearer("tok"), &endless).claims()["exp"], START.as_secs() + 300);
}

#[test]
fn aud_is_the_configured_one_or_the_introspected_one() {
    let aud = |audiences: Value, introspected: Value| {
        let mut worker = Worker::new(config(json!({"phantom_token": {"audiences": audiences}})));
        let mut reply = active();
        reply["aud"] = introspected;
        worker.call(&Request::bearer("tok"), &reply).claims().get("aud").cloned()
    };
    assert_eq!(aud(json!([]), json!("a")), Some(json!("a")));
    assert_eq!(aud(json!([]), json!(["a", "b"])), Some(json!(["a", "b"])));
    assert_eq!(aud(json!([]), json!(null)), None);
    assert_eq!(aud(json!(["c"]), json!("a")), Some(json!("c")));
}

#[test]
fn a_client_that_acts_for_itself_is_its_own_subject() {
    let mut worker = Worker::new(config(json!({})));
    let jwt = worker
        .call(&Request::bearer("tok"), &json!({"active": true, "client_id": "robot", "scope": "run"}))
        .jwt();
    assert_eq!(part(&jwt, 1)["sub"], "robot");
}

#[test]
fn a_client_assertion_is_signed_anew_for_each_try() {
    let auth = json!({"private_key_jwt": {"client_id": "gw", "private_key": {"inline": rustcrypto::es256_pem()},
                                          "kid": "assert", "audience": "https://as.example"}});
    let mut full = config(json!({"providers": {"main": {"introspection": {"retries": 1}}}}));
    full["providers"]["main"]["introspection"]["auth"] = auth;
    let mut worker = Worker::new(full);
    worker.receive(&Request::bearer("tok"));
    worker.give_turns();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let form = String::from_utf8(worker.calls[0].1.body.clone()).unwrap();
        assert!(form.contains(
            "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"
        ));
        let jwt = form.split("client_assertion=").nth(1).unwrap().to_owned();
        let claims = part(&jwt, 1);
        assert_eq!(
            (&claims["iss"], &claims["sub"], &claims["aud"]),
            (&json!("gw"), &json!("gw"), &json!("https://as.example"))
        );
        assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 60);
        assert_eq!(part(&jwt, 0), json!({"alg": "ES256", "kid": "assert", "typ": "JWT"}));
        ids.push(claims["jti"].clone());
        worker.fail_call();
    }
    assert_ne!(ids[0], ids[1]);
}
