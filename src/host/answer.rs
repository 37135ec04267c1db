//! What a client is to hear of an answer of ours, whichever host tells it.

use crate::challenge::Answer;

/// The headers of an answer. `is_grpc`: the client speaks gRPC, whose answers have a content type of their own.
pub(in crate::host) fn headers(answer: &Answer, is_grpc: bool) -> Vec<(&str, &str)> {
    let headers = answer.headers.iter().filter(|(name, _)| !(is_grpc && *name == "content-type"));
    headers.map(|(name, value)| (*name, value.as_str())).collect()
}

/// Whether a request of this content type is gRPC, as Envoy tells it from others.
pub(in crate::host) fn is_grpc(content_type: &[u8]) -> bool {
    content_type
        .strip_prefix(b"application/grpc")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}
