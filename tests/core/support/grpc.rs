//! What a store says by gRPC.

use phantom_token_filter::filter::{CallId, Event};
use phantom_token_filter::grpc::GrpcStatus;

use super::Worker;

impl Worker {
    /// A message of a call or stream by gRPC comes.
    pub fn grpc_message(&mut self, id: CallId, message: &[u8]) -> &mut Self {
        self.step(Event::GrpcMessage(id, Some(message)));
        self.give_turns()
    }

    /// One comes that is too long.
    pub fn grpc_message_too_long(&mut self, id: CallId) -> &mut Self {
        self.step(Event::GrpcMessage(id, None));
        self.give_turns()
    }

    /// A call or stream by gRPC ends.
    pub fn grpc_closed(&mut self, id: CallId, status: u32) -> &mut Self {
        self.grpc.retain(|(open, _)| *open != id);
        self.step(Event::GrpcClosed(id, GrpcStatus(status)));
        self.give_turns()
    }
}
