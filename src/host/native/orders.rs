//! What is to be done for workers by calls. No shard is held then: what comes of it may come back at once.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::filter::CallId;
use crate::grpc::GrpcCall;
use crate::http::HttpCall;

/// What is to be done for a worker.
pub(super) enum Order {
    /// Send a request; its reply ends the call.
    Http(CallId, HttpCall),
    /// Make a call by gRPC; its answer ends it.
    Call(CallId, GrpcCall),
    /// Open a stream by gRPC with its first message.
    Open(CallId, GrpcCall),
    /// Send a message on a stream.
    Send(CallId, Vec<u8>),
    /// End a stream; nothing more is heard of it.
    Cancel(CallId),
}

/// Orders in their order, and for whom.
#[derive(Default)]
pub(super) struct Orders(Mutex<VecDeque<(usize, Order)>>);

impl Orders {
    pub(super) fn put(&self, worker: usize, order: Order) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back((worker, order));
    }

    /// The next one.
    pub(super) fn take(&self) -> Option<(usize, Order)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}
