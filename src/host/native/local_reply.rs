//! Local replies, as an HTTP or a gRPC client wants to hear them.

use super::abi::{HeaderType, Stream};
use crate::challenge::Answer;
use crate::host::answer::{headers, is_grpc};

/// Ends a request.
pub(super) fn send(stream: &mut Stream, answer: &Answer) {
    let content_type = stream.header(HeaderType::Request, "content-type", 0);
    let is_grpc = content_type.is_some_and(is_grpc);
    let mut headers = headers(answer, is_grpc);
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
