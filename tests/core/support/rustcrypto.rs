//! The other side of the crypto seam: what Envoy signs and verifies natively, done by RustCrypto, as the operator's tool
//! has it. Keys are made once per test program.

use std::sync::LazyLock;

use p256::pkcs8::{EncodePrivateKey, LineEnding};
use phantom_token_filter::jwt::{SignError, Signatures};

pub(crate) use phantom_token_filter::jwt::RustCrypto;

/// A host without the foreign functions: Envoy before 1.37.
pub struct NoSignatures;

impl Signatures for NoSignatures {
    fn sign(&self, _: &str, _: &[u8], _: &[u8]) -> Result<Vec<u8>, SignError> {
        Err(SignError::NotOffered)
    }

    fn verify(&self, _: &str, _: &[u8], _: &[u8], _: &[u8]) -> Result<bool, SignError> {
        Err(SignError::NotOffered)
    }
}

pub fn es256_pem() -> &'static str {
    static PEM: LazyLock<String> = LazyLock::new(|| {
        let key = p256::SecretKey::from_slice(&random::<32>()).unwrap();
        key.to_pkcs8_pem(LineEnding::LF).unwrap().to_string()
    });
    &PEM
}

pub fn es384_pem() -> &'static str {
    static PEM: LazyLock<String> = LazyLock::new(|| {
        let key = p384::SecretKey::from_slice(&random::<48>()).unwrap();
        key.to_pkcs8_pem(LineEnding::LF).unwrap().to_string()
    });
    &PEM
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}
