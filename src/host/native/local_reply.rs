//! Local replies, as an HTTP or a gRPC client wants to hear them.

use super::abi::{HeaderType, Stream};
use crate::challenge::Answer;

/// Ends a request.
pub(super) fn send(stream: &mut Stream, answer: &Answer) {
    let content_type = stream.header(HeaderType::Request, "content-type", 0);
    let is_grpc = content_type.is_some_and(is_grpc);
    let mut headers: Vec<(&str, &str)> = answer
        .headers
        .iter()
        // A gRPC answer has its own content type.
        .filter(|(name, _)| !(is_grpc && *name == "content-type"))
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let grpc_status = answer.grpc_status.to_string();
    let body = if is_grpc {
        // Envoy leaves the one that is there.
        headers.push(("grpc-status", &grpc_status));
        answer.grpc_message
    } else {
        answer.body.as_str()
    };
    stream.send_response(answer.status, &headers, body, answer.details);
}

/// Ends a request that nobody can judge: 503.
pub(super) fn fail(stream: &mut Stream) {
    stream.send_response(503, &[], "", "filter_failure");
}

/// As Envoy tells gRPC from other requests.
fn is_grpc(content_type: &[u8]) -> bool {
    content_type
        .strip_prefix(b"application/grpc")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}
