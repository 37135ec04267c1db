//! RSASSA-PSS (RFC 8017 §8.1) as JOSE has it: hash and MGF1 by the same SHA-2, the salt as long as the hash
//! (RFC 7518 §3.5). Verification only; Envoy has none of it.

use rsa::BoxedUint;
use sha2::{Sha256, Sha384, Sha512};

use super::algorithm::Algorithm;

/// An RSA public key, prepared for verifying.
#[derive(Clone, Debug)]
pub(super) struct Key(rsa::PublicKey);

impl Key {
    /// A key of modulus `n` and exponent `e`, big-endian, which [`PublicKey`](super::PublicKey) has judged.
    pub(super) fn new(n: &[u8], e: &[u8]) -> Option<Self> {
        let number = |bytes| BoxedUint::from_be_slice_vartime(bytes);
        rsa::PublicKey::new(number(n), number(e)).ok().map(Self)
    }

    /// Whether `signature` is one over `text`; never by an algorithm that is not RSASSA-PSS.
    pub(super) fn verify(&self, alg: Algorithm, text: &[u8], signature: &[u8]) -> bool {
        match alg {
            Algorithm::PS256 => self.0.pss_verify::<Sha256>(text, signature),
            Algorithm::PS384 => self.0.pss_verify::<Sha384>(text, signature),
            Algorithm::PS512 => self.0.pss_verify::<Sha512>(text, signature),
            _ => return false,
        }
        .is_ok()
    }
}

/// Whether an algorithm is RSASSA-PSS.
pub(super) fn is_pss(alg: Algorithm) -> bool {
    matches!(alg, Algorithm::PS256 | Algorithm::PS384 | Algorithm::PS512)
}
