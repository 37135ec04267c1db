//! Keys for the tests, and a second opinion on what the filter signed: the `jose` library under Node.

use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::node::{self, Packages};

/// A key that `jose` made.
#[derive(Clone)]
pub struct Key {
    pub alg: String,
    /// PKCS#8; empty for HS256, which has no such form.
    pub pem: String,
    /// SPKI; empty for HS256.
    pub public_pem: String,
    /// The private JWK.
    pub jwk: Value,
    /// The public JWK; for HS256 the same as `jwk`.
    pub public_jwk: Value,
}

/// A new key.
pub async fn generate(alg: &str) -> Key {
    let made = run(json!({"generate": alg})).await;
    let text = |name: &str| made[name].as_str().expect("text").to_owned();
    Key {
        alg: alg.to_owned(),
        pem: text("pem"),
        public_pem: text("public_pem"),
        jwk: made["jwk"].clone(),
        public_jwk: made["public_jwk"].clone(),
    }
}

/// One ES256 key for all tests that do not care which.
pub async fn any_key() -> &'static Key {
    static KEY: OnceCell<Key> = OnceCell::const_new();
    KEY.get_or_init(|| generate("ES256")).await
}

/// A JWT whose signature, `typ` and times `jose` found right.
#[derive(Debug)]
pub struct Verified {
    pub header: Value,
    pub claims: Value,
}

/// Verifies each of `jwts`, access tokens of RFC 9068; the first that does not verify against `jwks` fails the test.
pub async fn verify(jwts: &[String], jwks: &Value) -> Vec<Verified> {
    verify_of_type("at+jwt", jwts, jwks).await
}

/// As [`verify`], for JWTs of another type.
pub async fn verify_of_type(typ: &str, jwts: &[String], jwks: &Value) -> Vec<Verified> {
    let verified = run(json!({"verify": jwts, "jwks": jwks, "typ": typ})).await;
    assert!(verified["refused"].is_null(), "jose refuses {verified}");
    let verified = verified.as_array().expect("a list").iter();
    verified.map(|jwt| Verified { header: jwt["header"].clone(), claims: jwt["claims"].clone() }).collect()
}

async fn run(task: Value) -> Value {
    node::run("jose under node", node::module(Packages::Demo, include_str!("jose.mjs")), task).await
}
