//! The half of an authorization server that makes JWTs: any header over any payload, signed by the keys of
//! `tests/keys` with every algorithm.

use std::sync::LazyLock;

use base64ct::{Base64UrlUnpadded, Encoding};
use p256::ecdsa::signature::{SignatureEncoding, Signer};
use p256::pkcs8::DecodePrivateKey;
use phantom_token_filter::jwt::{Algorithm, KeySet, PrivateKey, SigningKey};
use serde_json::{Value, json};
use sha2::{Sha256, Sha384, Sha512};

use super::rustcrypto::RustCrypto;

/// The algorithms that others may sign with.
pub const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::EdDSA,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
];

/// A public key as it would be published for `alg`, with the members in `more`; a `null` takes one away.
pub fn jwk(alg: Algorithm, more: Value) -> Value {
    let mut jwk: Value = serde_json::from_str(private_jwk(alg)).unwrap();
    let members = jwk.as_object_mut().unwrap();
    members.retain(|name, _| ["kty", "crv", "x", "y", "n", "e"].contains(&name.as_str()));
    members.extend(json!({"kid": alg.name(), "alg": alg.name(), "use": "sig"}).as_object().unwrap().clone());
    members.extend(more.as_object().unwrap().clone());
    members.retain(|_, value| !value.is_null());
    jwk
}

/// The key set of some keys.
pub fn key_set(keys: &[Value]) -> KeySet {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap().0
}

/// The key that `alg` is signed with, as a private JWK.
pub fn private_jwk(alg: Algorithm) -> &'static str {
    match alg {
        Algorithm::EdDSA => include_str!("../../keys/ed25519.jwk.json"),
        Algorithm::ES256 => include_str!("../../keys/ec256.jwk.json"),
        Algorithm::ES384 => include_str!("../../keys/ec384.jwk.json"),
        _ => include_str!("../../keys/rsa2048.jwk.json"),
    }
}

/// A JWT whose header is `{"alg": ALG, "kid": ALG}` with the members in `more`; a `null` takes one away.
pub fn sign(alg: Algorithm, more: Value, payload: &Value) -> String {
    let mut header = json!({"alg": alg.name(), "kid": alg.name()});
    let members = header.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    members.retain(|_, value| !value.is_null());
    sign_text(alg, &header.to_string(), &payload.to_string())
}

/// A JWT of a header and a payload that need not be JSON.
pub fn sign_text(alg: Algorithm, header: &str, payload: &str) -> String {
    let text = [header, payload].map(|part| encode(part.as_bytes())).join(".");
    let signature = encode(&signature(alg, text.as_bytes()));
    format!("{text}.{signature}")
}

pub fn encode(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

/// A signature in JOSE form.
pub fn signature(alg: Algorithm, text: &[u8]) -> Vec<u8> {
    static RSA: LazyLock<rsa::PrivateKey> =
        LazyLock::new(|| rsa::PrivateKey::from_pkcs8_pem(include_str!("../../keys/rsa2048.pem")).unwrap());
    match alg {
        Algorithm::PS256 => RSA.pss_sign::<Sha256>(text).unwrap(),
        Algorithm::PS384 => RSA.pss_sign::<Sha384>(text).unwrap(),
        Algorithm::PS512 => RSA.pss_sign::<Sha512>(text).unwrap(),
        Algorithm::RS384 => rsa::pkcs1v15::SigningKey::<Sha384>::new(RSA.clone()).sign(text).to_vec(),
        Algorithm::RS512 => rsa::pkcs1v15::SigningKey::<Sha512>::new(RSA.clone()).sign(text).to_vec(),
        _ => {
            let key = PrivateKey::parse(private_jwk(alg)).unwrap();
            SigningKey::new(alg, None, key).unwrap().sign(&RustCrypto, text).unwrap()
        }
    }
}
