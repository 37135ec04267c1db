//! Ids of JWTs.

use base64ct::{Base64UrlUnpadded, Encoding};

use super::key::SignError;

/// 128 random bits in base64url: a `jti` (RFC 7519 §4.1.7).
pub(crate) fn random_id() -> Result<String, SignError> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|_| SignError::NoRandomness)?;
    Ok(Base64UrlUnpadded::encode_string(&id))
}
