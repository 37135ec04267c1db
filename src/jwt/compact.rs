//! The compact serialization of a JWS (RFC 7515 §7.1).

use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::{Map, Value, json};

use super::key::{SignError, Signatures, SigningKey};

/// Signs `claims` under a header of `alg`, `kid` and `typ`.
pub(crate) fn sign_compact(
    signatures: &dyn Signatures,
    key: &SigningKey,
    typ: &str,
    claims: Map<String, Value>,
) -> Result<String, SignError> {
    let mut header = json!({ "alg": key.alg().name(), "typ": typ });
    if let (Some(kid), Some(header)) = (key.kid(), header.as_object_mut()) {
        header.insert("kid".to_owned(), kid.into());
    }
    let mut jws = Base64UrlUnpadded::encode_string(header.to_string().as_bytes());
    jws.push('.');
    jws.push_str(&Base64UrlUnpadded::encode_string(Value::Object(claims).to_string().as_bytes()));
    let signature = key.sign(signatures, jws.as_bytes())?;
    jws.push('.');
    jws.push_str(&Base64UrlUnpadded::encode_string(&signature));
    Ok(jws)
}
