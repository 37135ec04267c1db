//! `phantom_token`.

use serde_json::{Value, json};

use super::{refused, set};
use crate::good::EC256;

const KEY: &str = "phantom_token.signing_keys[0]";

#[test]
fn phantom_tokens() {
    refused(&[
        (
            "no issuer",
            json!({"-phantom_token.issuer": 0}),
            "phantom_token.issuer: expected a value, got none",
        ),
        (
            "a life beyond a day",
            json!({"phantom_token.ttl": "25h"}),
            "phantom_token.ttl: expected a duration from 1s to 24h, got \"25h\"",
        ),
        (
            "an audience instead of a list",
            json!({"phantom_token.audiences": "https://api.example"}),
            "phantom_token.audiences: expected a list, got a string",
        ),
        (
            "a URL as path of the key set",
            json!({"phantom_token.jwks_path": "https://gateway.example/jwks"}),
            "phantom_token.jwks_path: expected a path such as \"/api\" in its normal form and without query, got \"https://gateway.example/jwks\"",
        ),
        (
            "a claim renamed to one of the filter's own",
            json!({"phantom_token.claims.rename": {"uid": "iss"}}),
            "phantom_token.claims.rename.uid: expected a claim that the filter does not set itself, got \"iss\"",
        ),
        (
            "two members renamed to one claim",
            json!({"phantom_token.claims.rename": {"uid": "user", "uuid": "user"}}),
            "phantom_token.claims.rename.uuid: expected a claim of its own, got \"user\" again",
        ),
        (
            "an added claim that is the filter's own",
            json!({"phantom_token.claims.add": {"exp": 1}}),
            "phantom_token.claims.add.exp: expected a claim that the filter does not set itself, got \"exp\"",
        ),
    ]);
}

#[test]
fn signing_keys() {
    let inline = |key: &str| json!({"phantom_token.signing_keys[0].private_key": {"inline": key}});
    let public = |public_key: Value| json!({"phantom_token.signing_keys[1]": {"kid": "old", "alg": "ES256", "public_key": public_key}});
    let refused_key = |sentence, changes: Value, problem: &str| {
        refused(&[(sentence, changes, &format!("{KEY}.private_key: {problem}"))]);
    };
    refused(&[
        (
            "no keys",
            json!({"phantom_token.signing_keys": []}),
            "phantom_token.signing_keys: expected at least one key, got none",
        ),
        (
            "no list of keys",
            json!({"-phantom_token.signing_keys": 0}),
            "phantom_token.signing_keys: expected a value, got none",
        ),
        (
            "a key without kid",
            json!({"phantom_token.signing_keys": [{}]}),
            &format!("{KEY}.kid: expected a value, got none"),
        ),
        (
            "an algorithm that the filter does not sign by",
            set(KEY, "alg", json!("none")),
            &format!("{KEY}.alg: expected one of ES256, ES384, RS256, EdDSA, HS256, got \"none\""),
        ),
        (
            "a kid that another key has",
            json!({"phantom_token.signing_keys[1]": {"kid": "2026-11", "alg": "ES256", "public_key": ""}}),
            "phantom_token.signing_keys[1].kid: expected a kid of its own, got \"2026-11\" again",
        ),
        (
            "neither half of a key",
            json!({"phantom_token.signing_keys": [{"kid": "a", "alg": "ES256"}]}),
            &format!("{KEY}.private_key: expected private_key or public_key, got neither"),
        ),
        (
            "both halves of a key",
            set(KEY, "public_key", json!("")),
            &format!("{KEY}.public_key: expected private_key or public_key, got both"),
        ),
        (
            "a public key where one signs",
            json!({"phantom_token.signing_keys": [{"kid": "a", "alg": "ES256", "public_key": ""}]}),
            &format!("{KEY}.public_key: expected a private_key, for the first key signs, got a public one"),
        ),
        (
            "a private key where it would be published",
            public(json!({"inline": EC256})),
            "phantom_token.signing_keys[1].public_key: expected an SPKI PEM (BEGIN PUBLIC KEY) or a JWK, got neither",
        ),
        (
            "a public key of another algorithm",
            public(json!(include_str!("../../keys/ec384.public.pem"))),
            "phantom_token.signing_keys[1].public_key: expected a P-256 key for ES256, got a key of another type",
        ),
    ]);
    refused_key(
        "no key at all",
        inline("hunter2"),
        "expected a PKCS#8 PEM (BEGIN PRIVATE KEY) or a JWK, got neither",
    );
    refused_key(
        "a SEC 1 key",
        inline(include_str!("../../keys/ec256.sec1.pem")),
        "expected a PKCS#8 PEM (BEGIN PRIVATE KEY), got another PEM (openssl pkcs8 -topk8 -nocrypt converts it)",
    );
    refused_key(
        "a key without its public part",
        inline(include_str!("../../keys/ec256.without-public-part.pem")),
        "expected a PKCS#8 key with its public part, got one without (openssl pkcs8 -topk8 -nocrypt writes it)",
    );
    for weak in [include_str!("../../keys/rsa1024.pem"), include_str!("../../keys/rsa1024.jwk.json")] {
        refused_key("a weak key", inline(weak), "expected an RSA key of at least 2048 bits, got 1024");
    }
    refused_key(
        "a key of another algorithm",
        inline(include_str!("../../keys/rsa2048.pem")),
        "expected a P-256 key for ES256, got a key of another type",
    );
    refused_key(
        "a short secret",
        json!({(format!("{KEY}.alg")): "HS256", (format!("{KEY}.private_key")): {"inline": {"kty": "oct", "k": "c2hvcnQ"}}}),
        "expected a secret of at least 32 bytes, got a shorter one",
    );
    refused_key(
        "a JWK that is not wrapped",
        json!({(format!("{KEY}.private_key")): {"kty": "oct", "k": "c2hvcnQ"}}),
        "expected {env: NAME} or {inline: \"...\"}, got another object",
    );
}
