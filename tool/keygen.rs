//! `keygen`: a private key, and its public half under a name by RFC 7638.

use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};
use ed25519_dalek::pkcs8::KeypairBytes;
use getrandom::SysRng;
use p256::elliptic_curve::Generate;
use p256::pkcs8::{EncodePrivateKey, LineEnding};
use phantom_token_filter::jwt::{Algorithm, PrivateKey, PublicKey, published_key};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// A new key.
pub(crate) enum Keys {
    /// A private key as PEM in PKCS#8, and its public half as the filter publishes it.
    Pair { pem: String, public: Map<String, Value> },
    /// A secret, which has no half that may be shown, as a JWK.
    Secret(Value),
}

/// By what the filter signs.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Signing {
    #[value(name = "ES256")]
    Es256,
    #[value(name = "ES384")]
    Es384,
    #[value(name = "RS256")]
    Rs256,
    #[value(name = "EdDSA")]
    EdDsa,
    #[value(name = "HS256")]
    Hs256,
}

impl Signing {
    /// The value of `alg`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Rs256 => "RS256",
            Self::EdDsa => "EdDSA",
            Self::Hs256 => "HS256",
        }
    }
}

impl Keys {
    /// A key to sign with; `None` if the system has no randomness to give.
    pub(crate) fn generate(signing: Signing) -> Option<Self> {
        match signing {
            Signing::Es256 => Self::pair(Algorithm::ES256, &p256::SecretKey::try_generate().ok()?),
            Signing::Es384 => Self::pair(Algorithm::ES384, &p384::SecretKey::try_generate().ok()?),
            Signing::Rs256 => {
                Self::pair(Algorithm::RS256, &rsa::PrivateKey::new(&mut SysRng, RSA_BITS).ok()?)
            }
            // Without the public half, which OpenSSL does not read there.
            Signing::EdDsa => {
                let secret_key = random()?;
                Self::pair(Algorithm::EdDSA, &KeypairBytes { secret_key, public_key: None })
            }
            Signing::Hs256 => {
                let secret = Base64UrlUnpadded::encode_string(&random::<32>()?);
                Some(Self::Secret(json!({"kty": "oct", "alg": "HS256", "k": secret})))
            }
        }
    }

    fn pair(alg: Algorithm, key: &impl EncodePrivateKey) -> Option<Self> {
        let pem = key.to_pkcs8_pem(LineEnding::LF).ok()?.to_string();
        // As the filter reads it, so that it does.
        let public = PrivateKey::parse(&pem).ok()?.public()?;
        let public = published_key(&public, alg, &thumbprint(&public)).ok()?;
        Some(Self::Pair { pem, public })
    }

    /// What signs, in a form that `private_key` takes.
    pub(crate) fn private(&self) -> String {
        match self {
            Self::Pair { pem, .. } => pem.clone(),
            Self::Secret(jwk) => jwk.to_string(),
        }
    }

    /// What verifies, in a form that `public_key` takes.
    pub(crate) fn public(&self) -> Option<String> {
        match self {
            Self::Pair { public, .. } => Some(Value::Object(public.clone()).to_string()),
            Self::Secret(_) => None,
        }
    }
}

impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.private().trim_end())?;
        self.public().map_or(Ok(()), |public| writeln!(f, "{public}"))
    }
}

fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes)
}

/// The SHA-256 of what makes the key, its members in the order of their names (RFC 7638 §3, RFC 8037 §2).
fn thumbprint(key: &PublicKey) -> String {
    // `Map` keeps that order, and `to_jwk` gives these members and no others.
    let members = Value::Object(key.to_jwk()).to_string();
    Base64UrlUnpadded::encode_string(&Sha256::digest(members.as_bytes()))
}

/// What RFC 7518 §3.3 asks for at the least: each phantom token is signed by it, and longer keys cost more.
const RSA_BITS: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thumbprint_is_that_of_the_rfc() {
        // RFC 7638 §3.1 and RFC 8037, appendix A.3.
        let rsa = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#;
        let okp = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        for (jwk, expected) in [
            (rsa, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"),
            (okp, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
        ] {
            assert_eq!(thumbprint(&PublicKey::parse(jwk).unwrap()), expected);
        }
    }
}
