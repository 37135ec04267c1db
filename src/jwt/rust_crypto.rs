//! What Envoy signs and verifies for a Wasm module, done by RustCrypto: where there is no Envoy, or one that does it for Wasm
//! alone.

use getrandom::SysRng;
use p256::ecdsa::signature::{
    RandomizedSigner, SignatureEncoding, Signer, Verifier, hazmat::PrehashVerifier,
};
use p256::pkcs8::{DecodePrivateKey, DecodePublicKey};
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::key::{SignError, Signatures};

/// RustCrypto's signatures, in the forms that Envoy has.
#[derive(Clone, Copy, Debug)]
pub struct RustCrypto;

impl Signatures for RustCrypto {
    fn sign(&self, hash: &str, pkcs8: &[u8], text: &[u8]) -> Result<Vec<u8>, SignError> {
        if let ("sha256", Ok(key)) = (hash, p256::ecdsa::SigningKey::from_pkcs8_der(pkcs8)) {
            let signature: p256::ecdsa::DerSignature = key.sign(text);
            return Ok(signature.as_bytes().to_vec());
        }
        if let ("sha384", Ok(key)) = (hash, p384::ecdsa::SigningKey::from_pkcs8_der(pkcs8)) {
            let signature: p384::ecdsa::DerSignature = key.sign(text);
            return Ok(signature.as_bytes().to_vec());
        }
        if let ("sha256", Ok(key)) = (hash, rsa::PrivateKey::from_pkcs8_der(pkcs8)) {
            let key = rsa::pkcs1v15::SigningKey::<Sha256>::new(key);
            // Blinded: how long it takes says nothing of the key.
            return key
                .try_sign_with_rng(&mut SysRng, text)
                .map(|it| it.to_vec())
                .map_err(|_| SignError::Refused);
        }
        Err(SignError::Refused)
    }

    /// As BoringSSL does: any hash with any key, the signature of an EC key in strict DER; an unreadable key,
    /// or a point that is not on its curve, is refused.
    fn verify(&self, hash: &str, spki: &[u8], signature: &[u8], text: &[u8]) -> Result<bool, SignError> {
        let prehash = match hash {
            "sha256" => Sha256::digest(text).to_vec(),
            "sha384" => Sha384::digest(text).to_vec(),
            "sha512" => Sha512::digest(text).to_vec(),
            _ => return Err(SignError::Refused),
        };
        if let Ok(key) = p256::ecdsa::VerifyingKey::from_public_key_der(spki) {
            let signature = p256::ecdsa::DerSignature::from_bytes(signature);
            return Ok(signature.is_ok_and(|signature| key.verify_prehash(&prehash, &signature).is_ok()));
        }
        if let Ok(key) = p384::ecdsa::VerifyingKey::from_public_key_der(spki) {
            let signature = p384::ecdsa::DerSignature::from_bytes(signature);
            return Ok(signature.is_ok_and(|signature| key.verify_prehash(&prehash, &signature).is_ok()));
        }
        if let Ok(key) = rsa::PublicKey::from_public_key_der(spki) {
            let Ok(signature) = rsa::pkcs1v15::Signature::try_from(signature) else { return Ok(false) };
            let outcome = match hash {
                "sha256" => rsa::pkcs1v15::VerifyingKey::<Sha256>::new(key).verify(text, &signature),
                "sha384" => rsa::pkcs1v15::VerifyingKey::<Sha384>::new(key).verify(text, &signature),
                _ => rsa::pkcs1v15::VerifyingKey::<Sha512>::new(key).verify(text, &signature),
            };
            return Ok(outcome.is_ok());
        }
        Err(SignError::Refused)
    }
}
