//! Our own JWTs in compact form (RFC 7515 §7.1).

use std::borrow::Cow;
use std::cell::OnceCell;
use std::convert::Infallible;

use jwt_compact::{AlgorithmExt, AlgorithmSignature, Claims, Header};
use serde_json::{Map, Value};

use super::key::{SignError, Signatures, SigningKey};

/// Signs `claims` under a header of `alg`, `kid` and `typ`.
pub(crate) fn sign_compact(
    signatures: &dyn Signatures,
    key: &SigningKey,
    typ: &str,
    claims: Map<String, Value>,
) -> Result<String, SignError> {
    let mut header = Header::empty().with_token_type(typ);
    header.key_id = key.kid().map(str::to_owned);
    let algorithm = Fallible { signatures, key, failure: OnceCell::new() };
    let jwt = algorithm.token(&header, &Claims::new(claims), key);
    match (algorithm.failure.into_inner(), jwt) {
        (None, Ok(jwt)) => Ok(jwt),
        // Whatever was made without a signature goes no further.
        (Some(failure), _) => Err(failure),
        (None, Err(_)) => Err(SignError::Refused),
    }
}

/// An algorithm whose signatures are made by a host, which may fail; jwt-compact's own cannot.
struct Fallible<'k> {
    signatures: &'k dyn Signatures,
    key: &'k SigningKey,
    failure: OnceCell<SignError>,
}

struct Signature(Vec<u8>);

impl jwt_compact::Algorithm for Fallible<'_> {
    type SigningKey = SigningKey;
    type VerifyingKey = Infallible;
    type Signature = Signature;

    fn name(&self) -> Cow<'static, str> {
        self.key.alg().name().into()
    }

    fn sign(&self, key: &SigningKey, text: &[u8]) -> Signature {
        Signature(key.sign(self.signatures, text).unwrap_or_else(|failure| {
            _ = self.failure.set(failure);
            Vec::new()
        }))
    }

    fn verify_signature(&self, _: &Signature, key: &Infallible, _: &[u8]) -> bool {
        match *key {}
    }
}

impl AlgorithmSignature for Signature {
    fn try_from_slice(bytes: &[u8]) -> anyhow::Result<Self> {
        Ok(Self(bytes.to_vec()))
    }

    fn as_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use base64ct::{Base64UrlUnpadded, Encoding};
    use serde_json::json;

    use super::*;
    use crate::jwt::{Algorithm, NoSignatures, PrivateKey};

    fn key(alg: Algorithm, jwk: &Value) -> SigningKey {
        SigningKey::new(alg, Some("a".to_owned()), PrivateKey::parse(&jwk.to_string()).unwrap()).unwrap()
    }

    #[test]
    fn a_host_that_does_not_sign_is_an_error_and_never_a_jwt_without_signature() {
        // The key of RFC 7515, appendix A.3.
        let ec = json!({"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0", "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"});
        let signed = sign_compact(&NoSignatures, &key(Algorithm::ES256, &ec), "at+jwt", Map::new());
        assert_eq!(signed, Err(SignError::NotOffered));
    }

    #[test]
    fn the_header_has_the_algorithm_the_key_and_the_type_and_nothing_else() {
        let secret = json!({"kty": "oct", "k": "A".repeat(43)});
        let claims = json!({"sub": "somebody", "exp": 1}).as_object().unwrap().clone();
        let jwt =
            sign_compact(&NoSignatures, &key(Algorithm::HS256, &secret), "at+jwt", claims.clone()).unwrap();
        let parts: Vec<Value> = jwt
            .split('.')
            .take(2)
            .map(|part| serde_json::from_slice(&Base64UrlUnpadded::decode_vec(part).unwrap()).unwrap())
            .collect();
        assert_eq!(parts, [json!({"alg": "HS256", "kid": "a", "typ": "at+jwt"}), Value::Object(claims)]);
    }
}
