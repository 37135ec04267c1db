//! Bytes that nobody thought of: every parser that meets foreign input, fed with mutations of what it likes.
//! The seed is fixed, so a failure comes back; a panic here would be a VM down for all requests on its worker.

use phantom_token_filter::claims::Claims;
use phantom_token_filter::config::Config;
use phantom_token_filter::credentials::{TokenSource, access_token, removal};
use phantom_token_filter::http::Reply;
use phantom_token_filter::introspection::Introspection;
use phantom_token_filter::jwt::{
    Algorithm, JwtRules, KeySet, PrivateKey, PublicKey, UntrustedJwt, looks_like_jwt,
};
use serde_json::{Value, json};

use crate::support::issuer::{ALGORITHMS, jwk, sign};
use crate::support::mutations::mutations;
use crate::support::rustcrypto::RustCrypto;
use crate::support::{Request, START, active, config, parse, rustcrypto};

#[test]
fn no_reply_is_read_for_active_that_is_not() {
    let seeds =
        [active().to_string().into_bytes(), br#"{"active":false,"scope":["a","b"],"exp":"1.5"}"#.to_vec()];
    mutations(&seeds, 50_000, |body| {
        let reply = Reply {
            status: 200,
            content_type: b"application/json",
            from_envoy: false,
            body: Some(body),
            ..Reply::default()
        };
        if let Ok(Introspection::Active { claims, .. }) = parse(&reply, START) {
            let value: Value = serde_json::from_slice(body).expect("what was read is JSON");
            assert_eq!(value["active"], true);
            assert!(Claims::parse(claims.as_bytes()).is_some());
            assert!(claims.view().exp.is_none_or(|exp| exp > START));
        }
    });
}

#[test]
fn no_flat_claims_make_the_reader_run_off_their_end() {
    let reply = active().to_string();
    let reply = Reply {
        status: 200,
        content_type: b"application/json",
        content_encoding: b"",
        from_envoy: false,
        body: Some(reply.as_bytes()),
        ..Reply::default()
    };
    let Ok(Introspection::Active { claims, .. }) = parse(&reply, START) else { panic!() };
    mutations(&[claims.as_bytes().to_vec()], 50_000, |flat| {
        if let Some(claims) = Claims::parse(flat) {
            _ = (claims.scopes().count(), claims.audiences().count(), claims.members());
        }
    });
}

#[test]
fn no_header_is_read_for_a_token_that_is_none() {
    let seeds =
        [b"Bearer mF_9.B5f-4.1JqM".to_vec(), b"a=b; at=tok; c".to_vec(), b"Basic YTpi, Bearer x".to_vec()];
    let sources = [
        TokenSource::AuthorizationHeader,
        TokenSource::Cookie("at".to_owned()),
        TokenSource::Header("x-token".to_owned()),
    ];
    mutations(&seeds, 50_000, |value| {
        for name in ["authorization", "cookie", "x-token"] {
            let request = Request::get("/").with(name, value);
            if let Ok(Some((token, _))) = access_token(&request, &sources) {
                let text = token.secret();
                assert!(
                    !text.is_empty()
                        && text.bytes().all(|byte| byte.is_ascii_graphic() && !b",;\"".contains(&byte))
                );
            }
            _ = removal(&request, &sources);
        }
    });
}

#[test]
fn no_configuration_and_no_key_panics() {
    let config =
        config(json!({"policies": {"a": {"cache_ttl": "5s", "require": {"scopes": ["x"]}}}})).to_string();
    mutations(&[config.into_bytes()], 5_000, |bytes| _ = Config::parse(bytes, &|_| None).map(|_| ()));
    let jwk = json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "d": "AA"}).to_string();
    let keys = [
        rustcrypto::es256_pem().as_bytes().to_vec(),
        rustcrypto::es384_pem().as_bytes().to_vec(),
        jwk.into_bytes(),
    ];
    mutations(&keys, 20_000, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        _ = (PrivateKey::parse(&text).is_ok(), PublicKey::parse(&text).is_ok());
    });
}

#[test]
fn no_jwt_is_believed_that_was_not_signed() {
    let claims = json!({"iss": "https://as.example", "sub": "alice", "exp": START.as_secs() + 60});
    let set = json!({"keys": ALGORITHMS.map(|alg| jwk(alg, json!({})))}).to_string();
    let (keys, _) = KeySet::parse(set.as_bytes()).unwrap();
    let seeds: Vec<_> = ALGORITHMS
        .map(|alg| sign(alg, json!({"typ": "at+jwt"}), &claims).into_bytes())
        .into_iter()
        .chain([sign(Algorithm::EdDSA, json!({"typ": "at+jwt", "kid": null}), &claims).into_bytes()])
        .collect();
    let rules = JwtRules {
        issuer: "https://as.example".to_owned(),
        algorithms: ALGORITHMS.to_vec(),
        types: vec!["at+jwt".to_owned()],
        leeway: std::time::Duration::ZERO,
        claim_names: phantom_token_filter::claims::ClaimNames::default(),
    };
    mutations(&seeds, 20_000, |text| {
        let verdict = rules.verify(text, &keys, &RustCrypto, START);
        assert_eq!(
            verdict.is_ok(),
            seeds.iter().any(|seed| seed == text),
            "{}",
            String::from_utf8_lossy(text)
        );
        if let Ok(jwt) = UntrustedJwt::parse(text) {
            assert!(looks_like_jwt(text));
            _ = jwt.issuer_unchecked();
        }
    });
}

#[test]
fn no_key_set_makes_its_reader_fail() {
    let claims = json!({"sub": "alice"});
    let keys = ALGORITHMS.map(|alg| jwk(alg, json!({"key_ops": ["verify"]})));
    let jwts = ALGORITHMS.map(|alg| sign(alg, json!({"kid": null}), &claims));
    let seeds: Vec<_> = keys
        .iter()
        .map(|key| json!({ "keys": [key] }).to_string().into_bytes())
        .chain([json!({ "keys": keys }).to_string().into_bytes()])
        .collect();
    let mut turn = 0;
    mutations(&seeds, 20_000, |body| {
        let Ok((keys, warnings)) = KeySet::parse(body) else { return };
        _ = keys.fingerprint();
        warnings.iter().for_each(|warning| assert!(!warning.to_string().is_empty()));
        turn += 1;
        let jwt = &jwts[turn % jwts.len()];
        if let Ok(verified) =
            keys.verify(&UntrustedJwt::parse(jwt.as_bytes()).unwrap(), &ALGORITHMS, &RustCrypto)
        {
            assert_eq!(Value::Object(verified.into_claims()), claims);
        }
    });
}
