//! Access tokens to send: opaque ones, and JWTs of the kind that the filter mints.

use std::{
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

use base64ct::{Base64UrlUnpadded, Encoding};
use p256::{
    ecdsa::{Signature, SigningKey, signature::Signer},
    pkcs8::DecodePrivateKey,
};
use serde_json::{Value, json};

use crate::{random::Random, rig::jose::Key};

/// What clients send as their access token.
pub type Tokens = Arc<[String]>;

/// `kid` of the one key.
pub const KEY_ID: &str = "key-1";
pub const ISSUER: &str = "https://gateway.example";

/// Makes each kind of token once, and gives out as many as are asked for.
pub struct Mint {
    key: SigningKey,
    opaque: Mutex<Vec<String>>,
    jwts: Mutex<Vec<String>>,
}

impl Mint {
    pub fn new(key: &Key) -> Self {
        let key = SigningKey::from_pkcs8_pem(&key.pem).expect("an ES256 key in PKCS#8");
        Self { key, opaque: Mutex::default(), jwts: Mutex::default() }
    }

    /// 256 random bits each, in base64url: 43 characters.
    pub fn opaque(&self, count: usize) -> Tokens {
        let mut made = self.opaque.lock().expect("no panic holds it");
        for number in made.len()..count {
            let mut random = Random::seeded(number as u64);
            let bytes: [u8; 32] = std::array::from_fn(|_| random.below(256) as u8);
            made.push(Base64UrlUnpadded::encode_string(&bytes));
        }
        made[..count].into()
    }

    /// Access tokens of RFC 9068 with the claims that the filter's phantom tokens have here, signed by ES256.
    pub fn jwts(&self, count: usize) -> Tokens {
        let mut made = self.jwts.lock().expect("no panic holds it");
        let missing: Vec<usize> = (made.len()..count).collect();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let batches = missing.chunks(missing.len().div_ceil(threads).max(1));
        std::thread::scope(|scope| {
            let signing = batches
                .map(|numbers| scope.spawn(|| numbers.iter().map(|number| self.jwt(*number)).collect()));
            let signing: Vec<_> = signing.collect();
            for batch in signing {
                let batch: Vec<String> = batch.join().expect("signatures");
                made.extend(batch);
            }
        });
        made[..count].into()
    }

    fn jwt(&self, number: usize) -> String {
        let header = json!({"alg": "ES256", "kid": KEY_ID, "typ": "at+jwt"});
        let mut claims = claims();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs();
        claims["iss"] = json!(ISSUER);
        claims["iat"] = json!(now);
        claims["exp"] = json!(now + 24 * 60 * 60);
        claims["jti"] = json!(format!("{number:022}"));
        let part = |part: Value| Base64UrlUnpadded::encode_string(part.to_string().as_bytes());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature: Signature = self.key.sign(signed.as_bytes());
        format!("{signed}.{}", Base64UrlUnpadded::encode_string(&signature.to_bytes()))
    }
}

/// What the authorization server says of every token.
pub fn claims() -> Value {
    json!({
        "sub": "alice", "client_id": "app", "scope": "read write", "aud": "https://api.example",
        "exp": 4_102_444_800_u64, // the year 2100
    })
}
