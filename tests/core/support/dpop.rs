//! The client's half of DPoP (RFC 9449): proofs, right and wrong.

use base64ct::{Base64UrlUnpadded, Encoding};
use phantom_token_filter::jwt::Algorithm;
use phantom_token_filter::token::UnixMillis;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Request, issuer, merge};

/// The thumbprint of the key that signs by `alg` (RFC 7638), made by another hand than the filter's.
pub fn thumbprint(alg: Algorithm) -> String {
    let jwk = issuer::jwk(alg, json!({"kid": null, "alg": null, "use": null}));
    // Sorted by name, without white space, and of members of the key alone.
    let members: std::collections::BTreeMap<String, Value> = serde_json::from_value(jwk).unwrap();
    Base64UrlUnpadded::encode_string(&Sha256::digest(serde_json::to_string(&members).unwrap()))
}

/// A proof in the making.
#[derive(Clone)]
pub struct Proof {
    pub alg: Algorithm,
    pub header: Value,
    pub claims: Value,
}

impl Proof {
    /// A good one, for `GET https://api.example/` with this token.
    pub fn of(token: &str, jti: &str, now: UnixMillis) -> Self {
        Self::by(Algorithm::ES256, token, jti, now)
    }

    pub fn by(alg: Algorithm, token: &str, jti: &str, now: UnixMillis) -> Self {
        let jwk = issuer::jwk(alg, json!({"kid": null, "alg": null, "use": null}));
        Self {
            alg,
            header: json!({"kid": null, "typ": "dpop+jwt", "jwk": jwk}),
            claims: json!({
                "jti": jti, "htm": "GET", "htu": "https://api.example/", "iat": now.as_secs(),
                "ath": Base64UrlUnpadded::encode_string(&Sha256::digest(token)),
            }),
        }
    }

    /// With other claims; a null takes one away.
    pub fn claims(mut self, claims: Value) -> Self {
        merge(&mut self.claims, claims);
        self.claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        self
    }

    /// With another header; a null takes a member away.
    pub fn header(mut self, header: Value) -> Self {
        merge(&mut self.header, header);
        self
    }

    pub fn sign(&self) -> String {
        issuer::sign(self.alg, self.header.clone(), &self.claims)
    }
}

/// `GET /` with this token and this proof.
pub fn request(token: &str, proof: &str) -> Request {
    Request::get("/").with("authorization", format!("DPoP {token}")).with("dpop", proof)
}
