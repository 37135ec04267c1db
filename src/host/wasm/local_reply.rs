//! Local replies, as an HTTP or a gRPC client wants to hear them.

use super::abi::{Status, hostcalls};
use crate::challenge::Answer;
use crate::host::answer::headers;

/// Ends the request of the effective context. `is_grpc` tells how its client wants to hear of it.
pub(super) fn send(answer: &Answer, is_grpc: bool) -> Result<(), Status> {
    let headers = headers(answer, is_grpc);
    let (body, grpc_status) = if is_grpc {
        (answer.grpc_message, i32::from(answer.grpc_status))
    } else {
        (answer.body.as_str(), NOT_GRPC)
    };
    hostcalls::send_local_response(answer.status, answer.details, body, &headers, grpc_status)
}

/// Ends the request of the effective context, which nobody can judge: 503.
pub(super) fn refuse_unseen() {
    _ = hostcalls::send_local_response(503, "filter_failure", "", &[], UNAVAILABLE);
}

/// The gRPC status of a failure of ours.
const UNAVAILABLE: i32 = 14;

/// The gRPC status of an answer that is none.
const NOT_GRPC: i32 = -1;
