//! Signing keys: an algorithm, a private key that fits it, and the signature in JOSE form.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::algorithm::Algorithm;
use super::ecdsa;
use super::private_key::PrivateKey;
use super::public_key::{KeyError, PublicKey};

/// What signs and verifies with EC and RSA keys: in Envoy the host's native code, in tests RustCrypto.
///
/// Keys and ECDSA signatures are DER, RSA signatures PKCS#1 v1.5; `hash` is `sha256`, `sha384` or `sha512`.
pub trait Signatures {
    /// Signs `text` with a PKCS#8 private key.
    ///
    /// # Errors
    ///
    /// [`SignError`] if the host cannot.
    fn sign(&self, hash: &str, pkcs8: &[u8], text: &[u8]) -> Result<Vec<u8>, SignError>;

    /// Whether `signature` is one over `text` by the SPKI public key.
    ///
    /// # Errors
    ///
    /// [`SignError::Refused`] if the host cannot use the key, a point beside its curve, say: then it verifies
    /// nothing. Any other [`SignError`] if the host cannot tell.
    fn verify(&self, hash: &str, spki: &[u8], signature: &[u8], text: &[u8]) -> Result<bool, SignError>;
}

/// A host that signs and verifies nothing.
#[cfg(test)]
pub(crate) struct NoSignatures;

#[cfg(test)]
impl Signatures for NoSignatures {
    fn sign(&self, _: &str, _: &[u8], _: &[u8]) -> Result<Vec<u8>, SignError> {
        Err(SignError::NotOffered)
    }

    fn verify(&self, _: &str, _: &[u8], _: &[u8], _: &[u8]) -> Result<bool, SignError> {
        Err(SignError::NotOffered)
    }
}

/// Why there is no signature, or no verdict on one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignError {
    /// The host has no such function: Envoy before 1.37, or one that its capabilities keep from the filter.
    NotOffered,
    /// The host had no randomness to give.
    NoRandomness,
    /// The host refused the key or the algorithm.
    Refused,
    /// What came back is not a signature, or not one by this key.
    WrongSignature,
}

impl fmt::Display for SignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOffered => {
                "expected a host that signs (Envoy 1.37 or later, proxy_call_foreign_function allowed), got one that \
                 does not; EdDSA and HS256 need no such host"
            }
            Self::NoRandomness => "expected random bytes from the host, got none (is random_get allowed?)",
            Self::Refused => "expected a key that the host can sign with, got one that it refuses",
            Self::WrongSignature => "expected a private key that fits its public part, got one that does not",
        })
    }
}

/// A private key with the algorithm it signs by and the name verifiers find it under.
#[derive(Clone, Debug)]
pub struct SigningKey {
    alg: Algorithm,
    kid: Option<String>,
    key: PrivateKey,
}

impl SigningKey {
    /// A key for `alg`.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if the key is of another type than `alg` needs or too short, or if `alg` is one that the
    /// filter only verifies.
    pub fn new(alg: Algorithm, kid: Option<String>, key: PrivateKey) -> Result<Self, KeyError> {
        match (&key, key.public()) {
            (PrivateKey::Hmac(secret), _) if alg == Algorithm::HS256 => {
                (secret.len() >= MIN_SECRET_BYTES).then_some(()).ok_or(KeyError::ShortSecret)?;
            }
            (_, Some(public)) if alg.signs() && alg.fits(&public) => {}
            _ => return Err(KeyError::WrongType { wanted: alg.wanted_key() }),
        }
        Ok(Self { alg, kid, key })
    }

    /// The algorithm.
    pub fn alg(&self) -> Algorithm {
        self.alg
    }

    /// The name of the key, if it has one.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The key as it is published; `None` for a symmetric one.
    pub fn to_public_jwk(&self) -> Option<Map<String, Value>> {
        self.key.public().map(|public| public_jwk(&public, self.alg, self.kid()))
    }

    /// Tells this key from others in a fingerprint, without giving a secret away.
    pub fn fingerprint(&self) -> String {
        match &self.key {
            PrivateKey::Hmac(secret) => format!("{:x?}", Sha256::digest(secret).as_slice()),
            PrivateKey::Ed25519(_) | PrivateKey::Native { .. } => {
                self.to_public_jwk().map(|jwk| Value::Object(jwk).to_string()).unwrap_or_default()
            }
        }
    }

    /// A secret for another purpose than signing, which whoever has the key can make: HMAC-SHA-256 over the purpose.
    pub(crate) fn derive(&self, purpose: &str) -> Vec<u8> {
        match &self.key {
            PrivateKey::Ed25519(key) => hmac_sha256(&key.to_bytes(), purpose.as_bytes()),
            PrivateKey::Hmac(secret) => hmac_sha256(secret, purpose.as_bytes()),
            PrivateKey::Native { pkcs8, .. } => hmac_sha256(pkcs8, purpose.as_bytes()),
        }
    }

    /// Signs `text`; the signature is in JOSE form.
    ///
    /// # Errors
    ///
    /// [`SignError`] if the host cannot, or gives something that is no signature.
    pub fn sign(&self, signatures: &dyn Signatures, text: &[u8]) -> Result<Vec<u8>, SignError> {
        match &self.key {
            PrivateKey::Ed25519(key) => {
                Ok(ed25519_dalek::Signer::sign(key.as_ref(), text).to_bytes().to_vec())
            }
            PrivateKey::Hmac(secret) => Ok(hmac_sha256(secret, text)),
            PrivateKey::Native { pkcs8, public } => {
                let signature = signatures.sign(self.alg.hash(), pkcs8, text)?;
                match public {
                    PublicKey::Ec { curve, .. } => {
                        ecdsa::to_jose(*curve, &signature).ok_or(SignError::WrongSignature)
                    }
                    PublicKey::Ed25519(_) | PublicKey::Rsa { .. } => Ok(signature),
                }
            }
        }
    }

    /// Signs and verifies once, so that a host that cannot sign or a key whose halves do not belong together
    /// stops the start and not a request.
    ///
    /// # Errors
    ///
    /// [`SignError`] with the reason.
    pub fn try_out(&self, signatures: &dyn Signatures) -> Result<(), SignError> {
        self.sign(signatures, TRIAL)?;
        if let PrivateKey::Native { pkcs8, public } = &self.key {
            let signature = signatures.sign(self.alg.hash(), pkcs8, TRIAL)?;
            let spki = public.to_spki_der().map_err(|_| SignError::Refused)?;
            if !signatures.verify(self.alg.hash(), &spki, &signature, TRIAL)? {
                return Err(SignError::WrongSignature);
            }
        }
        Ok(())
    }
}

/// HMAC (RFC 2104) with SHA-256.
pub(crate) fn hmac_sha256(key: &[u8], text: &[u8]) -> Vec<u8> {
    let keyed = Hmac::<Sha256>::new_from_slice(key);
    keyed.map(|mac| mac.chain_update(text).finalize().into_bytes().to_vec()).unwrap_or_default()
}

/// A public key as it is published: with what it is for and the name it is found under.
///
/// # Errors
///
/// [`KeyError`] if the key is of another type than `alg` needs.
pub fn published_key(key: &PublicKey, alg: Algorithm, kid: &str) -> Result<Map<String, Value>, KeyError> {
    alg.fits(key)
        .then(|| public_jwk(key, alg, Some(kid)))
        .ok_or_else(|| KeyError::WrongType { wanted: alg.wanted_key() })
}

fn public_jwk(key: &PublicKey, alg: Algorithm, kid: Option<&str>) -> Map<String, Value> {
    let mut jwk = key.to_jwk();
    jwk.insert("use".to_owned(), "sig".into());
    jwk.insert("alg".to_owned(), alg.name().into());
    if let Some(kid) = kid {
        jwk.insert("kid".to_owned(), kid.into());
    }
    jwk
}

/// Shortest HMAC secret: as long as the hash (RFC 7518 §3.2).
const MIN_SECRET_BYTES: usize = 32;

const TRIAL: &[u8] = b"phantom-token-filter";
