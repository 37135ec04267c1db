//! Calls and streams by gRPC.

use std::cell::RefCell;

use litemap::LiteMap;

use super::abi::Status;
use super::abi::hostcalls;
use crate::filter::{CallId, Event};
use crate::grpc::{GrpcCall, GrpcStatus};
use crate::protobuf::{put, put_varint};

/// Those that are open, by the host's numbers.
#[derive(Default)]
pub(super) struct OpenCalls(RefCell<LiteMap<u32, Open>>);

#[derive(Clone, Copy)]
struct Open {
    id: CallId,
    /// A stream goes on after a message; a call ends with it.
    is_stream: bool,
}

impl OpenCalls {
    /// Makes a call; gives back the event if that fails at once.
    pub(super) fn call(&self, id: CallId, call: &GrpcCall) -> Option<Event<'static>> {
        let GrpcCall { service, method, message, timeout, .. } = call;
        let sent = hostcalls::grpc_call(&target(call), (service, method), &metadata(call), message, *timeout);
        self.opened(Open { id, is_stream: false }, sent)
    }

    /// Opens a stream with its first message; gives back the event if that fails at once.
    pub(super) fn open(&self, id: CallId, call: &GrpcCall) -> Option<Event<'static>> {
        let opened = hostcalls::grpc_stream(&target(call), (call.service, call.method), &metadata(call));
        let failed = self.opened(Open { id, is_stream: true }, opened);
        if failed.is_none() {
            self.send(id, &call.message);
        }
        failed
    }

    fn opened(&self, open: Open, token: Result<u32, Status>) -> Option<Event<'static>> {
        match token {
            Ok(token) => {
                self.0.borrow_mut().insert(token, open);
                None
            }
            Err(_) => Some(Event::GrpcClosed(open.id, GrpcStatus::UNAVAILABLE)),
        }
    }

    /// Sends a message on a stream. One that does not go through shows by what does not come back.
    pub(super) fn send(&self, id: CallId, message: &[u8]) {
        if let Some(token) = self.token(id) {
            _ = hostcalls::grpc_send(token, message);
        }
    }

    /// Ends a stream.
    pub(super) fn cancel(&self, id: CallId) {
        if let Some(token) = self.token(id) {
            self.0.borrow_mut().remove(&token);
            _ = hostcalls::grpc_cancel(token);
        }
    }

    fn token(&self, id: CallId) -> Option<u32> {
        self.0.borrow().iter().find(|(_, open)| open.id == id).map(|(token, _)| *token)
    }

    /// Whose message comes under this number. Envoy tells of the end of calls, too, that it never gave a number of.
    pub(super) fn received(&self, token: u32) -> Option<CallId> {
        let mut open = self.0.borrow_mut();
        let found = *open.get(&token)?;
        if !found.is_stream {
            open.remove(&token);
        }
        Some(found.id)
    }

    /// What has ended under this number.
    pub(super) fn closed(&self, token: u32) -> Option<CallId> {
        self.0.borrow_mut().remove(&token).map(|open| open.id)
    }
}

/// `GrpcService { EnvoyGrpc envoy_grpc = 1 { string cluster_name = 1; UInt32Value max_receive_message_length = 4; } }`: a
/// cluster's name alone might be taken for such a message.
fn target(call: &GrpcCall) -> Vec<u8> {
    let (mut longest, mut envoy_grpc, mut service) = (Vec::new(), Vec::new(), Vec::new());
    put_varint(&mut longest, 1, GrpcCall::MAX_MESSAGE_BYTES as u64);
    put(&mut envoy_grpc, 1, call.cluster.as_bytes());
    put(&mut envoy_grpc, 4, &longest);
    put(&mut service, 1, &envoy_grpc);
    service
}

fn metadata(call: &GrpcCall) -> Vec<(&str, &str)> {
    call.metadata.iter().map(|(name, value)| (*name, value.as_str())).collect()
}
