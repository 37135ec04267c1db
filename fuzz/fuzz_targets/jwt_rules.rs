//! The rules for JWT access tokens (RFC 9068 §4), over claims whose signature has held: what passes is checked once more
//! by other code, and a change that makes it bad makes it refused. The first line of the input is `typ`, the rest the
//! claims.
#![no_main]
use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};
use libfuzzer_sys::fuzz_target;
use phantom_token_filter::claims::{ClaimNames, ClaimsBuf};
use phantom_token_filter::fuzzing::Believing;
use phantom_token_filter::jwt::{Algorithm, BadJwt, JwtRules, KeySet};
use phantom_token_filter::policy::{Denial, Expectation, Requirements, decide};
use phantom_token_filter::sender_constrained::Possession;
use phantom_token_filter::token::{Scheme, UnixMillis};
use serde_json::{Map, Value, json};

const ISSUER: &str = "https://as.example";
const AUDIENCE: &str = "https://api.example";
const NOW: u64 = 1_795_377_648;
const LEEWAY: u64 = 10;
/// Who shows nothing but the token.
const BEARER: Possession<'_> = Possession { scheme: Scheme::Bearer, shown: None, verifier: None };

thread_local! {
    // RFC 7515 §A.3.
    static KEYS: KeySet = KeySet::parse(br#"{"keys": [{"kty": "EC", "crv": "P-256", "kid": "k",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#)
        .expect("a key set").0;
}

fn rules(types: &[&str]) -> JwtRules {
    JwtRules {
        issuer: ISSUER.to_owned(),
        algorithms: vec![Algorithm::ES256],
        types: types.iter().map(|&typ| typ.to_owned()).collect(),
        leeway: Duration::from_secs(LEEWAY),
        claim_names: ClaimNames::default(),
    }
}

/// A JWT of these claims, as it is verified under `rules`.
fn verify(rules: &JwtRules, header: &Value, payload: &[u8]) -> Result<ClaimsBuf, BadJwt> {
    let parts = [header.to_string().as_bytes(), payload, &[1; 64]].map(Base64UrlUnpadded::encode_string);
    KEYS.with(|keys| rules.verify(parts.join(".").as_bytes(), keys, &Believing, UnixMillis::from_secs(NOW)))
}

fn header(typ: &str) -> Value {
    if typ.is_empty() {
        json!({"alg": "ES256", "kid": "k"})
    } else {
        json!({"alg": "ES256", "kid": "k", "typ": typ})
    }
}

/// Whether a member is a text, or an array with this among its texts.
fn names(value: Option<&Value>, wanted: &str) -> bool {
    match value {
        Some(Value::String(text)) => text == wanted,
        Some(Value::Array(texts)) => texts.iter().any(|text| text == wanted),
        _ => false,
    }
}

/// What must be so of every access token, read by nothing but JSON.
fn is_one(typ: &str, types: &[&str], claims: &Map<String, Value>) -> bool {
    let typ = typ.to_ascii_lowercase();
    let typ = typ.strip_prefix("application/").unwrap_or(&typ);
    let number = |name: &str| claims.get(name).map(|value| value.as_f64().expect("a time that is no number"));
    let (now, leeway) = (NOW as f64, LEEWAY as f64);
    // Of these, an ID token has at least one, and nothing names it an access token.
    let is_id_token = claims.get("nonce").or(claims.get("at_hash")).is_some_and(|value| !value.is_null())
        && ["token_type", "token_use", "typ"].iter().all(|name| claims.get(*name).is_none_or(Value::is_null));
    types.iter().any(|admitted| admitted.to_ascii_lowercase() == typ)
        && claims.get("iss").is_some_and(|iss| iss == ISSUER)
        && number("exp").is_some_and(|exp| exp > now - leeway - 0.001)
        && ["nbf", "iat"].iter().all(|name| number(name).is_none_or(|start| start < now + leeway + 0.001))
        && ["sub", "client_id", "jti"].iter().all(|name| claims.get(*name).is_none_or(Value::is_string))
        && !(is_id_token && typ != "at+jwt")
}

fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|&byte| byte == b'\n').unwrap_or(0);
    let (typ, payload) = input.split_at(end);
    let (Ok(typ), payload) = (std::str::from_utf8(typ), payload.strip_prefix(b"\n").unwrap_or(payload))
    else {
        return;
    };
    for types in [&["at+jwt"][..], &["JWT", ""]] {
        let rules = rules(types);
        let Ok(good) = verify(&rules, &header(typ), payload) else { continue };
        let claims: Map<String, Value> = serde_json::from_slice(payload).expect("claims without JSON");
        assert!(is_one(typ, types, &claims), "taken for an access token");
        assert_eq!(good.view().sub, claims.get("sub").and_then(Value::as_str).map(str::as_bytes));
        // What a policy requires is required.
        let require = Requirements {
            audiences: vec![AUDIENCE.to_owned()],
            scopes: vec!["read".to_owned()],
            ..Requirements::default()
        };
        let expects = Expectation {
            issuer: Some(ISSUER.to_owned()),
            exp_leeway: rules.leeway,
            nbf_leeway: rules.leeway,
        };
        let now = UnixMillis::from_secs(NOW);
        if decide(&require, &expects, good.view(), &BEARER, now).is_ok() {
            assert!(claims.get("cnf").is_none_or(Value::is_null), "a bound token in anybody's hands");
            assert!(names(claims.get("aud"), AUDIENCE), "for another API");
            let scopes = [claims.get("scope"), claims.get("scp")].into_iter().flatten();
            let has = |value: &Value| match value {
                Value::String(text) => text.split_ascii_whitespace().any(|scope| scope == "read"),
                Value::Array(texts) => texts.iter().any(|text| {
                    text.as_str()
                        .is_some_and(|text| text.split_ascii_whitespace().any(|scope| scope == "read"))
                }),
                _ => false,
            };
            assert!(scopes.into_iter().any(has), "without its scope");
        }
        let late = now.plus(Duration::from_secs(1 << 33));
        let ended = decide(&require, &expects, good.view(), &BEARER, late);
        assert!(matches!(ended, Err(Denial::InvalidToken(_))) || claims["exp"].as_f64() > Some(1e10));
        // One thing wrong makes it none.
        let with = |name: &str, value: Value| {
            let mut changed = claims.clone();
            changed.insert(name.to_owned(), value);
            verify(&rules, &header(typ), Value::Object(changed).to_string().as_bytes())
        };
        assert_eq!(with("iss", json!("https://as.example/")), Err(BadJwt::OtherIssuer));
        assert_eq!(with("exp", json!(NOW - LEEWAY)), Err(BadJwt::Expired));
        assert_eq!(with("nbf", json!(NOW + LEEWAY + 1)), Err(BadJwt::NotYetValid));
        assert_eq!(with("iat", json!(NOW + LEEWAY + 1)), Err(BadJwt::NotYetValid));
        assert!(with("sub", json!(["alice"])).is_err() && with("exp", json!("2000000000")).is_err());
        assert_eq!(verify(&rules, &header("logout+jwt"), payload), Err(BadJwt::OtherType));
        for alg in ["none", "HS256", "RS256", "es256"] {
            let mut header = header(typ);
            header["alg"] = json!(alg);
            assert!(verify(&rules, &header, payload).is_err(), "signed by {alg}");
        }
        let twice =
            [payload.trim_ascii_end().strip_suffix(b"}").expect("an object"), br#","iss":"x","iss":"x"}"#]
                .concat();
        assert!(verify(&rules, &header(typ), &twice).is_err(), "two readers would read two issuers");
    }
});
