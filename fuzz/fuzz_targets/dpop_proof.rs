//! DPoP proofs (RFC 9449 §4.3), whose signature has held: what passes is checked once more by other code, and does not pass twice.
//! The first line of the input is `jwk`, the second the path of the request, the rest the claims; `ath` and `iat` are made good
//! where they are absent.
#![no_main]
use std::rc::Rc;
use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};
use libfuzzer_sys::fuzz_target;
use phantom_token_filter::cache::Memory;
use phantom_token_filter::fuzzing::Believing;
use phantom_token_filter::jwt::{Algorithm, OwnKeyJwt};
use phantom_token_filter::request::KeptHeaders;
use phantom_token_filter::sender_constrained::dpop::{BadProof, Origin, Rules, SeenProofs, Verifier};
use phantom_token_filter::sender_constrained::{
    ClientCertificate, Confirmation, Look, Possession, SenderConstrained, Shown, Thumbprint, Unproven,
};
use phantom_token_filter::token::{AccessToken, Scheme, UnixMillis};
use serde_json::{Map, Value, json};

const NOW: u64 = 1_795_377_648;
/// SHA-256 of `tok`.
const ATH: &str = "GnZ0607njffhrEOak8P6jjyUV4TU3sn9jjARc4svHWI";

fuzz_target!(|input: &str| {
    let mut lines = input.splitn(3, '\n');
    let mut next = || lines.next().unwrap_or_default();
    let (jwk, path, claims) = (next(), next(), next());
    let Ok(jwk) = serde_json::from_str::<Value>(jwk) else { return };
    let Ok(Value::Object(mut claims)) = serde_json::from_str::<Value>(claims) else { return };
    claims.entry("ath").or_insert_with(|| json!(ATH));
    claims.entry("iat").or_insert_with(|| json!(NOW));
    let alg = match jwk["kty"].as_str() {
        Some("OKP") => return,
        Some("RSA") => "RS256",
        _ => "ES256",
    };
    let header = json!({"alg": alg, "typ": "dpop+jwt", "jwk": jwk});
    let claims_text = Value::Object(claims.clone()).to_string();
    let parts = [header.to_string().as_bytes(), claims_text.as_bytes(), &[1; 64]]
        .map(Base64UrlUnpadded::encode_string);
    let proof = parts.join(".");
    let algorithms = vec![Algorithm::ES256, Algorithm::RS256];
    let Ok(own) = OwnKeyJwt::parse(proof.as_bytes(), "dpop+jwt", &algorithms) else { return };
    assert!(!["d", "k", "p", "q"].iter().any(|name| jwk.get(*name).is_some()), "a private key");
    let key = Thumbprint(own.thumbprint());
    let rules = Rules {
        origins: vec![Origin::parse("https://api.example/v1").expect("an origin")],
        algorithms,
        max_age: Duration::from_secs(60),
        leeway: Duration::from_secs(5),
        nonces: None,
        max_proofs: 100_000,
    };
    let seen = SeenProofs::new(Rc::new(Memory::default()), rules.max_proofs);
    let headers = [(":method", "GET"), (":path", path), (":authority", "api.example"), ("dpop", &proof)];
    let request = KeptHeaders(headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec());
    let token = AccessToken::parse(b"tok").expect("a token");
    let look = Look { certificate: ClientCertificate::Connection, proof: true };
    let now = UnixMillis::from_secs(NOW);
    let judge = || {
        let shown = Shown::by(&request, &token, look, now);
        let verifier = Verifier { rules: &rules, seen: &seen, signatures: &Believing, now };
        let possession = Possession { scheme: Scheme::DPoP, shown: Some(&shown), verifier: Some(verifier) };
        let bound = Confirmation::Bound { key: Some(key), certificate: None };
        possession.check(SenderConstrained::Verify, Some(bound))
    };
    if judge().is_ok() {
        assert!(is_one(&claims, path), "{claims_text} passes for {path}");
        assert_eq!(judge(), Err(Unproven::Proof(BadProof::Replayed)));
    }
});

/// What must be so of every proof, read by nothing but JSON.
fn is_one(claims: &Map<String, Value>, path: &str) -> bool {
    let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    let iat = claims["iat"].as_f64().unwrap_or_default();
    let htu = text("htu").split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    let after = htu.strip_prefix("https://").unwrap_or_default();
    let authority = after.split('/').next().unwrap_or_default();
    let last =
        |path: &str| path.split(['?', '#']).next().unwrap_or_default().rsplit('/').next().map(str::to_owned);
    let is_plain = !path.contains(['%', '.']) && !htu.contains('%') && !after.contains("/.");
    !text("jti").is_empty()
        && text("htm") == "GET"
        && text("ath") == ATH
        && (NOW as f64 - 65.0..=NOW as f64 + 5.0).contains(&iat)
        && !authority.contains('@')
        && (authority.contains('%')
            || ["api.example", "api.example:443", "api.example:"].contains(&authority))
        && (!is_plain || last(&path.to_ascii_lowercase()) == last(&htu))
}
