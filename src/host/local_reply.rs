//! Local replies with response code details and a gRPC status, neither of which the SDK's own call can send.
//!
//! This is the one place of the crate that is `unsafe`: the SDK keeps the import for itself.

use proxy_wasm::types::Status;

use crate::challenge::Answer;

/// Ends the request of the effective context. `is_grpc` tells how its client wants to hear of it.
pub(super) fn send(answer: &Answer, is_grpc: bool) -> Result<(), Status> {
    let headers: Vec<(&str, &str)> = answer
        .headers
        .iter()
        // A gRPC answer has its own content type.
        .filter(|(name, _)| !(is_grpc && *name == "content-type"))
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let headers = serialize(&headers);
    let (body, grpc_status) = if is_grpc {
        (answer.grpc_message, i32::from(answer.grpc_status))
    } else {
        (answer.body.as_str(), NOT_GRPC)
    };
    // SAFETY: every pointer comes with the length of the live slice it points to; the host copies them before
    // it returns.
    #[expect(unsafe_code, reason = "proxy-wasm 0.2.5 has no safe call with details")]
    let status = unsafe {
        proxy_send_local_response(
            u32::from(answer.status),
            answer.details.as_ptr(),
            answer.details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            grpc_status,
        )
    };
    match status {
        0 => Ok(()),
        _ => Err(Status::InternalFailure),
    }
}

/// The pairs of a map as the ABI has them: count, lengths, then each text with a zero behind it.
fn serialize(pairs: &[(&str, &str)]) -> Vec<u8> {
    let len = |text: &str| u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes();
    let mut bytes = Vec::with_capacity(256);
    bytes.extend_from_slice(&u32::try_from(pairs.len()).unwrap_or(u32::MAX).to_le_bytes());
    for (name, value) in pairs {
        bytes.extend_from_slice(&len(name));
        bytes.extend_from_slice(&len(value));
    }
    for text in pairs.iter().flat_map(|(name, value)| [name, value]) {
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
    }
    bytes
}

/// The gRPC status of an answer that is none.
const NOT_GRPC: i32 = -1;

#[link(wasm_import_module = "env")]
#[expect(unsafe_code, reason = "see `send`")]
unsafe extern "C" {
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_len: usize,
        body: *const u8,
        body_len: usize,
        headers: *const u8,
        headers_len: usize,
        grpc_status: i32,
    ) -> u32;
}
