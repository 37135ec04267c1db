//! What the fuzz targets reach of the private rooms; exists under `--cfg fuzzing` alone.

use crate::filter::Told;
use crate::jwt::{SignError, Signatures};
use crate::protobuf;
use crate::token::TokenDigest;

#[path = "host/wasm/message.rs"]
mod message;

#[path = "host/wasm/pairs.rs"]
#[allow(dead_code, reason = "the host layer reads and writes pairs, a target only what it checks")]
mod pairs;

/// Whatever is signed, is signed well: what matters is what is read behind the signature.
pub struct Believing;

impl Signatures for Believing {
    fn sign(&self, _: &str, _: &[u8], _: &[u8]) -> Result<Vec<u8>, SignError> {
        Err(SignError::NotOffered)
    }

    fn verify(&self, _: &str, _: &[u8], _: &[u8], _: &[u8]) -> Result<bool, SignError> {
        Ok(true)
    }
}

/// Reads the bytes as all that a host may mean by them.
pub fn host_bytes(bytes: &[u8]) {
    let _ = protobuf::json_of_struct(bytes);
    // What is found lies within, so there is no more of it than there are bytes.
    let found: usize = pairs::values(bytes, "").map(<[u8]>::len).sum();
    assert!(found <= bytes.len(), "values overlap");
    if let Ok(text) = std::str::from_utf8(bytes) {
        let written = pairs::write(&[("name", text), ("other", "")]);
        assert!(pairs::values(&written, "name").eq([bytes]), "a pair is read as it was not written");
    }
    crate::filter::fuzz_poll_reply(bytes);
}

/// `Hash` of an element of `x-forwarded-client-cert`.
pub fn forwarded_hash(value: &[u8], element: usize) -> Option<Vec<u8>> {
    crate::sender_constrained::certificate::forwarded_hash(value, element)
}

/// Reads the bytes as what may lie in a worker's mailbox: `None` if it is nothing, inner `None` if the root asks for its
/// turn. What is read is written as it was read.
pub fn worker_message(bytes: &[u8]) -> Option<Option<(TokenDigest, Told)>> {
    let message = message::Message::read(bytes)?;
    assert!(bytes.starts_with(&message.write()), "a message is written as it was not read");
    Some(match message {
        message::Message::Told(digest, told) => Some((digest, told)),
        message::Message::Turn => None,
    })
}
