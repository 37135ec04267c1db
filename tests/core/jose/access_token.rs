//! What makes an access token of a JWT (RFC 9068 §4).

use std::time::Duration;

use phantom_token_filter::claims::ClaimNames;
use phantom_token_filter::claims::{BadMember, ClaimsBuf};
use phantom_token_filter::jwt::{Algorithm, BadJwt, JwtRules, MalformedJwt, SignError, Unverified};
use phantom_token_filter::token::UnixMillis;
use serde_json::{Value, json};

use super::all_keys;
use crate::support::START;
use crate::support::issuer::{ALGORITHMS, sign, sign_text};
use crate::support::rustcrypto::{NoSignatures, RustCrypto};

const ISSUER: &str = "https://as.example";

fn rules() -> JwtRules {
    JwtRules {
        issuer: ISSUER.to_owned(),
        algorithms: ALGORITHMS.to_vec(),
        types: vec!["at+jwt".to_owned()],
        leeway: Duration::from_secs(30),
        claim_names: ClaimNames::default(),
    }
}

/// The claims of a good access token, with the members in `more`; a `null` takes one away.
fn claims(more: Value) -> Value {
    let now = START.as_secs();
    let mut claims = json!({"iss": ISSUER, "aud": "https://api.example", "sub": "alice", "client_id": "app",
                            "scope": "read write", "jti": "1", "iat": now, "exp": now + 600});
    let members = claims.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    members.retain(|_, value| !value.is_null());
    claims
}

fn verify_at(rules: &JwtRules, typ: Value, claims: &Value, now: UnixMillis) -> Result<ClaimsBuf, BadJwt> {
    let jwt = sign(Algorithm::EdDSA, json!({ "typ": typ }), claims);
    rules.verify(jwt.as_bytes(), &all_keys(), &RustCrypto, now)
}

fn verify(claims: &Value) -> Result<ClaimsBuf, BadJwt> {
    verify_at(&rules(), json!("at+jwt"), claims, START)
}

#[test]
fn a_good_token_gives_its_claims() {
    for alg in ALGORITHMS {
        let jwt = sign(alg, json!({"typ": "at+jwt"}), &claims(json!({"roles": ["reader"]})));
        let buf = rules().verify(jwt.as_bytes(), &all_keys(), &RustCrypto, START).unwrap();
        let view = buf.view();
        assert_eq!(view.scopes().collect::<Vec<_>>(), [b"read".as_slice(), b"write"]);
        assert_eq!(view.audiences().collect::<Vec<_>>(), [b"https://api.example"]);
        assert_eq!((view.sub, view.client_id), (Some(b"alice".as_slice()), Some(b"app".as_slice())));
        assert_eq!(view.exp, Some(START.plus(Duration::from_secs(600))));
        assert_eq!(view.members()["roles"], json!(["reader"]));
    }
}

#[test]
fn the_type_is_an_access_tokens() {
    let types =
        |types: &[&str]| JwtRules { types: types.iter().map(|&typ| typ.to_owned()).collect(), ..rules() };
    let strict = types(&["at+jwt"]);
    let long = types(&["application/at+jwt"]);
    let lenient = types(&["at+jwt", "JWT", ""]);
    let none = types(&[]);
    for (rules, typ, good) in [
        (&strict, json!("at+jwt"), true),
        (&strict, json!("AT+JWT"), true),
        (&strict, json!("application/at+jwt"), true),
        (&strict, json!("Application/at+JWT"), true),
        (&long, json!("at+jwt"), true),
        (&long, json!("application/at+jwt"), true),
        // ID tokens, logout tokens, introspection responses, proofs, events: all signed by the same keys.
        (&strict, json!("JWT"), false),
        (&strict, json!(null), false),
        (&strict, json!(""), false),
        (&strict, json!("logout+jwt"), false),
        (&strict, json!("token-introspection+jwt"), false),
        (&strict, json!("dpop+jwt"), false),
        (&strict, json!("secevent+jwt"), false),
        (&strict, json!("statuslist+jwt"), false),
        (&strict, json!("at+jwt "), false),
        (&strict, json!("at+jw"), false),
        (&strict, json!("text/at+jwt"), false),
        (&strict, json!("application/application/at+jwt"), false),
        (&strict, json!("application/"), false),
        (&lenient, json!("jwt"), true),
        (&lenient, json!(null), true),
        (&lenient, json!("logout+jwt"), false),
        (&none, json!("at+jwt"), false),
        (&none, json!(null), false),
    ] {
        let outcome = verify_at(rules, typ.clone(), &claims(json!({})), START).map(|_| ());
        assert_eq!(outcome, if good { Ok(()) } else { Err(BadJwt::OtherType) }, "{typ} {:?}", rules.types);
    }
}

#[test]
fn the_issuer_is_the_providers_to_the_letter() {
    for iss in [
        json!(null),
        json!(""),
        json!("https://as.example/"),
        json!("https://AS.example"),
        json!("http://as.example"),
        json!("https://as.example.attacker.example"),
        json!(" https://as.example"),
    ] {
        assert_eq!(verify(&claims(json!({ "iss": iss }))), Err(BadJwt::OtherIssuer), "{iss}");
    }
    for iss in [json!(1), json!([ISSUER]), json!({"a": ISSUER})] {
        assert_eq!(verify(&claims(json!({ "iss": iss }))), Err(BadJwt::BadClaim(BadMember("iss"))), "{iss}");
    }
}

#[test]
fn times_are_judged_with_leeway() {
    let secs = Duration::from_secs;
    let exp = START.plus(secs(600));
    let at = |now| verify_at(&rules(), json!("at+jwt"), &claims(json!({})), now).map(|_| ());
    assert_eq!(at(exp), Ok(()));
    assert_eq!(at(UnixMillis::from_millis(exp.as_millis() + 29_999)), Ok(()));
    assert_eq!(at(exp.plus(secs(30))), Err(BadJwt::Expired));
    assert_eq!(at(UnixMillis::MAX), Err(BadJwt::Expired));
    let exact = JwtRules { leeway: Duration::ZERO, ..rules() };
    let at = |now| verify_at(&exact, json!("at+jwt"), &claims(json!({})), now).map(|_| ());
    assert_eq!(at(UnixMillis::from_millis(exp.as_millis() - 1)), Ok(()));
    assert_eq!(at(exp), Err(BadJwt::Expired));
    for name in ["nbf", "iat"] {
        for (ahead, outcome) in [(0, Ok(())), (30, Ok(())), (31, Err(BadJwt::NotYetValid))] {
            let claims = claims(json!({ name: START.as_secs() + ahead }));
            assert_eq!(verify(&claims).map(|_| ()), outcome, "{name} {ahead}");
        }
        assert!(verify(&claims(json!({ name: 0 }))).is_ok());
        assert!(verify(&claims(json!({ name: null }))).is_ok(), "only exp must be there");
    }
}

#[test]
fn a_numeric_date_is_a_number() {
    let soon = START.as_secs() + 60;
    for good in [json!(soon), json!(soon as f64 + 0.5), json!(1e12), json!(u64::MAX), json!(1e300)] {
        assert!(verify(&claims(json!({ "exp": good }))).is_ok(), "{good}");
    }
    for past in [json!(0), json!(-1), json!(-1e300), json!(START.as_secs() - 31), json!(i64::MIN)] {
        assert_eq!(verify(&claims(json!({ "exp": past }))), Err(BadJwt::Expired), "{past}");
    }
    for (name, bad) in [
        ("exp", json!(soon.to_string())),
        ("exp", json!(true)),
        ("exp", json!([soon])),
        ("exp", json!("")),
        ("exp", json!({"a": soon})),
        ("nbf", json!("0")),
        ("iat", json!("0")),
        ("iat", json!(false)),
    ] {
        assert_eq!(
            verify(&claims(json!({ name: bad }))),
            Err(BadJwt::BadClaim(BadMember(name))),
            "{name} {bad}"
        );
    }
    assert_eq!(verify(&claims(json!({"exp": null}))), Err(BadJwt::BadClaim(BadMember("exp"))), "no end");
}

#[test]
fn claims_have_the_types_that_rfc_7519_gives_them() {
    for (name, bad) in [
        ("sub", json!(1)),
        ("sub", json!(["alice"])),
        ("jti", json!(1)),
        ("client_id", json!({})),
        ("aud", json!(1)),
        ("aud", json!({"a": "b"})),
        ("aud", json!(["a", 1])),
        ("scope", json!(7)),
        ("sid", json!(1)),
    ] {
        assert_eq!(
            verify(&claims(json!({ name: bad }))),
            Err(BadJwt::BadClaim(BadMember(name))),
            "{name} {bad}"
        );
    }
    // `null` is a value, and not one of theirs.
    for name in ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id"] {
        let mut claims = claims(json!({}));
        claims[name] = Value::Null;
        assert_eq!(verify(&claims), Err(BadJwt::BadClaim(BadMember(name))), "{name}");
    }
    assert_eq!(verify(&claims(json!({"aud": ["a", "b"]}))).unwrap().view().audiences().count(), 2);
}

#[test]
fn claims_are_read_when_the_signature_has_held_and_not_before() {
    let expired = claims(json!({"exp": 1, "iss": "https://attacker.example"}));
    let jwt = sign(Algorithm::EdDSA, json!({"typ": "at+jwt"}), &expired);
    let (text, signature) = jwt.rsplit_once('.').unwrap();
    let forged = format!("{text}.{}A{}", &signature[..40], &signature[41..]);
    for (jwt, reason) in [(forged, BadJwt::Unverified(Unverified::BadSignature)), (jwt, BadJwt::OtherIssuer)]
    {
        assert_eq!(rules().verify(jwt.as_bytes(), &all_keys(), &RustCrypto, START), Err(reason));
    }
}

#[test]
fn every_refusal_has_its_word_for_the_access_log() {
    let good = claims(json!({}));
    let typ = || json!({"typ": "at+jwt"});
    let verify = |jwt: &str| rules().verify(jwt.as_bytes(), &all_keys(), &RustCrypto, START).unwrap_err();
    let with = |more: Value| {
        let mut header = typ();
        header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        header
    };
    let bad_signature = {
        let mut jwt = sign(Algorithm::EdDSA, typ(), &good);
        jwt.replace_range(jwt.len() - 40..jwt.len() - 38, "AA");
        jwt
    };
    for (jwt, reason) in [
        ("mF_9.B5f-4.1JqM".to_owned(), "jwt_malformed"),
        (sign(Algorithm::EdDSA, with(json!({"alg": "none"})), &good), "jwt_algorithm"),
        (sign(Algorithm::EdDSA, with(json!({"kid": "x"})), &good), "jwt_unknown_key"),
        (bad_signature, "jwt_signature"),
        (sign(Algorithm::EdDSA, json!({}), &good), "jwt_type"),
        (sign_text(Algorithm::EdDSA, r#"{"alg":"EdDSA","typ":"at+jwt"}"#, "[]"), "jwt_not_claims"),
        (sign(Algorithm::EdDSA, typ(), &claims(json!({"exp": "1"}))), "jwt_not_claims"),
        (sign(Algorithm::EdDSA, typ(), &claims(json!({"exp": 1}))), "token_expired"),
        (sign(Algorithm::EdDSA, typ(), &claims(json!({"nbf": 1e10}))), "token_not_yet_valid"),
        (sign(Algorithm::EdDSA, typ(), &claims(json!({"iss": "x"}))), "token_of_other_issuer"),
    ] {
        let bad = verify(&jwt);
        assert_eq!(bad.reason(), reason, "{bad}");
        assert_eq!(bad.newer_keys_may_help(), reason == "jwt_unknown_key");
        assert!(!bad.to_string().contains("alice") && !bad.to_string().is_empty());
        assert_eq!(bad.host_failure(), None);
    }
    let jwt = sign(Algorithm::ES256, typ(), &good);
    let bad = rules().verify(jwt.as_bytes(), &all_keys(), &NoSignatures, START).unwrap_err();
    assert_eq!((bad.reason(), bad.host_failure()), ("jwt_not_verifiable", Some(&SignError::NotOffered)));
    assert_eq!(verify("a.b"), BadJwt::Malformed(MalformedJwt::NotCompact));
}
