//! JWTs of others: which are believed, and every way we know of to make one that must not be.

mod access_token;
mod algorithm;
mod choice;
mod form;
mod key_set;
mod signature;
mod vectors;
mod wycheproof;

use base64ct::{Base64UrlUnpadded, Encoding};
use phantom_token_filter::jwt::{KeySet, MalformedJwt, UntrustedJwt, Unverified, VerifiedJwt};
use serde_json::{Value, json};

use crate::support::issuer::{ALGORITHMS, jwk, key_set};
use crate::support::rustcrypto::RustCrypto;

/// Why a text is not believed.
#[derive(Debug, PartialEq)]
enum Refused {
    Malformed(MalformedJwt),
    Unverified(Unverified),
}

fn verify(keys: &KeySet, text: &str) -> Result<VerifiedJwt, Refused> {
    let jwt = UntrustedJwt::parse(text.as_bytes()).map_err(Refused::Malformed)?;
    keys.verify(&jwt, &ALGORITHMS, &RustCrypto).map_err(Refused::Unverified)
}

/// A key of every algorithm.
fn all_keys() -> KeySet {
    key_set(&ALGORITHMS.map(|alg| jwk(alg, json!({}))))
}

fn claims() -> Value {
    json!({"iss": "https://as.example", "sub": "alice", "exp": 1_795_378_248})
}

/// A JWT in its three parts, decoded.
fn parts(jwt: &str) -> [Vec<u8>; 3] {
    let parts: Vec<_> = jwt.split('.').map(|part| Base64UrlUnpadded::decode_vec(part).unwrap()).collect();
    parts.try_into().unwrap()
}
