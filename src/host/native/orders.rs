//! What is to be done for workers by calls: when the main thread was woken for it, and not in a hook that tells of another
//! call. No shard is held then, for what comes of it may come back at once. And Envoy, which ends calls when it goes down, has
//! no clusters left by then that could be called, but wakes nobody any more.

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
    /// End the stream of this number of Envoy's, which says what cannot be read.
    Reset(u64),
}

/// Orders in their order, and for whom.
#[derive(Default)]
pub(super) struct Orders(Mutex<VecDeque<(usize, Order)>>);

impl Orders {
    pub(super) fn put(&self, worker: usize, order: Order) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back((worker, order));
    }

    /// Whether there are any.
    pub(super) fn are_there(&self) -> bool {
        !self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// The next one.
    pub(super) fn take(&self) -> Option<(usize, Order)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}
