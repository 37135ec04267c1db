//! Envoy's native signatures, through its foreign functions `sign` and `verify_signature`.
//!
//! Arguments and results are protocol buffers (`source/extensions/common/wasm/ext/` in Envoy's source).

use super::abi::{Status, hostcalls};
use crate::jwt::{self, SignError};
use crate::protobuf::{self, Field, put};

/// The signatures of the Envoy that runs us.
pub(super) struct Signatures;

impl jwt::Signatures for Signatures {
    fn sign(&self, hash: &str, pkcs8: &[u8], text: &[u8]) -> Result<Vec<u8>, SignError> {
        let mut arguments = Vec::new();
        put(&mut arguments, 1, hash.as_bytes());
        put(&mut arguments, 2, pkcs8);
        put(&mut arguments, 3, text);
        match call("sign", &arguments)? {
            Outcome { ok: true, signature } => Ok(signature),
            Outcome { ok: false, .. } => Err(SignError::Refused),
        }
    }

    fn verify(&self, hash: &str, spki: &[u8], signature: &[u8], text: &[u8]) -> Result<bool, SignError> {
        let mut arguments = Vec::new();
        put(&mut arguments, 1, hash.as_bytes());
        put(&mut arguments, 2, spki);
        put(&mut arguments, 3, signature);
        put(&mut arguments, 4, text);
        call("verify_signature", &arguments).map(|outcome| outcome.ok)
    }
}

/// `SignResult`; `VerifySignatureResult` has its first field only, and an error where this has a signature.
struct Outcome {
    ok: bool,
    signature: Vec<u8>,
}

fn call(function: &str, arguments: &[u8]) -> Result<Outcome, SignError> {
    match hostcalls::call_foreign_function(function, arguments) {
        Ok(Some(result)) => outcome(&result).ok_or(SignError::Refused),
        Ok(None) | Err(Status::BadArgument | Status::SerializationFailure) => Err(SignError::Refused),
        Err(_) => Err(SignError::NotOffered),
    }
}

fn outcome(message: &[u8]) -> Option<Outcome> {
    let mut outcome = Outcome { ok: false, signature: Vec::new() };
    for field in protobuf::fields(message)? {
        match field {
            (1, Field::Varint(result)) => outcome.ok = result != 0,
            (2, Field::Bytes(bytes)) => outcome.signature = bytes.to_vec(),
            _ => {}
        }
    }
    Some(outcome)
}
