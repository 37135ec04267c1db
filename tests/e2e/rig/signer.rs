//! An issuer's key: it signs anything, also what no issuer should.

use base64ct::{Base64UrlUnpadded, Encoding};
use rsa::{
    pkcs1v15,
    pkcs8::DecodePrivateKey as _,
    pss,
    signature::{SignatureEncoding as _, Signer as _},
    traits::PublicKeyParts as _,
};
use serde_json::{Value, json};
use sha2::{Sha256, Sha384, Sha512};

use super::ROOT;

/// A key of one algorithm, with `kid`.
pub struct Signer {
    pub alg: &'static str,
    pub kid: String,
    key: Private,
}

enum Private {
    Ed25519(Box<ed25519_dalek::SigningKey>),
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    Rsa(Box<rsa::PrivateKey>),
}

impl Signer {
    /// A new key; for RSA always the one in `tests/keys`, because those take long to make.
    pub fn new(alg: &'static str, kid: &str) -> Self {
        let key = match alg {
            "ES256" => Private::P256(p256::ecdsa::SigningKey::from_slice(&random::<32>()).expect("a scalar")),
            "ES384" => Private::P384(p384::ecdsa::SigningKey::from_slice(&random::<48>()).expect("a scalar")),
            "EdDSA" => Private::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(&random::<32>()))),
            _ => return Self::rsa(alg, kid, "rsa2048.pem"),
        };
        Self { alg, kid: kid.to_owned(), key }
    }

    /// An RSA key of `tests/keys`.
    pub fn rsa(alg: &'static str, kid: &str, file: &str) -> Self {
        let pem = std::fs::read_to_string(format!("{ROOT}/tests/keys/{file}")).expect("an RSA key");
        let key = rsa::PrivateKey::from_pkcs8_pem(&pem).expect("PKCS#8");
        Self { alg, kid: kid.to_owned(), key: Private::Rsa(Box::new(key)) }
    }

    /// The public JWK, with all that an issuer publishes of it.
    pub fn jwk(&self) -> Value {
        let mut jwk = match &self.key {
            Private::Ed25519(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": encode(key.verifying_key().as_bytes())})
            }
            Private::P256(key) => ec_jwk("P-256", key.verifying_key().to_sec1_point(false).as_bytes()),
            Private::P384(key) => ec_jwk("P-384", key.verifying_key().to_sec1_point(false).as_bytes()),
            Private::Rsa(key) => {
                json!({"kty": "RSA", "n": encode(&key.n_bytes()), "e": encode(&key.e_bytes())})
            }
        };
        jwk["kid"] = json!(self.kid);
        jwk["alg"] = json!(self.alg);
        jwk["use"] = json!("sig");
        jwk
    }

    /// The header of an access token (RFC 9068).
    pub fn header(&self) -> Value {
        json!({"alg": self.alg, "kid": self.kid, "typ": "at+jwt"})
    }

    /// An access token (RFC 9068) for an hour, with `claims` added to the usual ones (null takes one away).
    pub fn access_token(&self, claims: &Value) -> String {
        self.sign(&self.header(), &access_token_claims(claims))
    }

    /// A JWS with this header, whatever it says, and this payload.
    pub fn sign(&self, header: &Value, payload: &Value) -> String {
        self.sign_bytes(header.to_string().as_bytes(), payload.to_string().as_bytes())
    }

    /// As [`Self::sign`], of bytes that need not be JSON.
    pub fn sign_bytes(&self, header: &[u8], payload: &[u8]) -> String {
        let text = format!("{}.{}", encode(header), encode(payload));
        format!("{text}.{}", encode(&self.signature(text.as_bytes())))
    }

    fn signature(&self, text: &[u8]) -> Vec<u8> {
        match (&self.key, self.alg) {
            (Private::Ed25519(key), _) => key.sign(text).to_bytes().to_vec(),
            (Private::P256(key), _) => {
                let signature: p256::ecdsa::Signature = key.sign(text);
                signature.to_bytes().to_vec()
            }
            (Private::P384(key), _) => {
                let signature: p384::ecdsa::Signature = key.sign(text);
                signature.to_bytes().to_vec()
            }
            (Private::Rsa(key), "RS256") => {
                pkcs1v15::SigningKey::<Sha256>::new(*key.clone()).sign(text).to_vec()
            }
            (Private::Rsa(key), "RS384") => {
                pkcs1v15::SigningKey::<Sha384>::new(*key.clone()).sign(text).to_vec()
            }
            (Private::Rsa(key), "RS512") => {
                pkcs1v15::SigningKey::<Sha512>::new(*key.clone()).sign(text).to_vec()
            }
            (Private::Rsa(key), "PS256") => pss::SigningKey::<Sha256>::new(*key.clone()).sign(text).to_vec(),
            (Private::Rsa(key), "PS384") => pss::SigningKey::<Sha384>::new(*key.clone()).sign(text).to_vec(),
            (Private::Rsa(key), "PS512") => pss::SigningKey::<Sha512>::new(*key.clone()).sign(text).to_vec(),
            (Private::Rsa(_), alg) => panic!("no algorithm {alg}"),
        }
    }
}

/// The claims of an access token (RFC 9068) for an hour, with `claims` added (null takes one away).
pub fn access_token_claims(claims: &Value) -> Value {
    let now = now();
    let mut all = json!({
        "iss": "https://as.example", "sub": "alice", "aud": "https://api.example", "client_id": "app",
        "scope": "read write", "jti": encode(&random::<12>()), "iat": now, "exp": now + 3600,
    });
    let members = all.as_object_mut().expect("claims");
    for (name, value) in claims.as_object().expect("claims") {
        match value {
            Value::Null => members.remove(name),
            value => members.insert(name.clone(), value.clone()),
        };
    }
    all
}

/// A JWS without signature.
pub fn unsigned(header: &Value, payload: &Value) -> String {
    format!("{}.{}.", encode(header.to_string().as_bytes()), encode(payload.to_string().as_bytes()))
}

/// The same JWS with a bit of its signature changed.
pub fn with_broken_signature(jws: &str) -> String {
    let (text, signature) = jws.rsplit_once('.').expect("a JWS");
    let mut signature = Base64UrlUnpadded::decode_vec(signature).expect("base64url");
    *signature.last_mut().expect("a signature") ^= 1;
    format!("{text}.{}", encode(&signature))
}

/// Now, in seconds since 1970.
pub fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time after 1970").as_secs()
}

pub fn encode(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

fn ec_jwk(crv: &str, point: &[u8]) -> Value {
    let (x, y) = point[1..].split_at(point.len() / 2);
    json!({"kty": "EC", "crv": crv, "x": encode(x), "y": encode(y)})
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("random bytes");
    bytes
}
