//! A worker's root context: start, configuration, and everything that outlives a request.

use std::cell::Cell;
use std::rc::Rc;

use super::abi::capabilities;
use super::abi::hostcalls::{self, BufferType, LogLevel, MapType};
use super::apply::Worker;
use super::mailbox;
use super::message::Message;
use super::shared_data::SharedData;
use super::signatures::Signatures;
use super::{logger, pairs};
use crate::config::Config;
use crate::filter::{Event, Filter};
use crate::grpc::{GrpcCall, GrpcStatus};
use crate::host::reply::reply;
use crate::host::start::{announce, lines};
use crate::http::Reply;

/// What a configuration makes of this worker.
///
/// # Errors
///
/// Why the configuration, or the host, does not do; of a configuration all that is wrong, in a line each.
pub(super) fn configure(root: u32) -> Result<Worker, String> {
    // The level is read once: asking at every line would be a host call of its own.
    logger::set_level(hostcalls::get_log_level().unwrap_or(LogLevel::Warn));
    let lacks = |names: &str| format!("allowed_capabilities: expected {names} among them, got none");
    let missing = capabilities::missing();
    if !missing.is_empty() {
        return Err(lacks(&missing.join(", ")));
    }
    let json = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, usize::MAX)
        // Allowed as that call is, the host has nowhere to put what it gives.
        .map_err(|_| lacks("proxy_on_memory_allocate"))?
        .unwrap_or_default();
    let needs = Cell::new(None);
    let environment = |name: &str| {
        needs.set(capabilities::missing_for_environment());
        if needs.get().is_none() { std::env::var(name).ok() } else { None }
    };
    let config = Config::parse(&json, &environment)
        .map_err(|errors| needs.get().map_or_else(|| lines(&errors), lacks))?;
    let signatures = Rc::new(Signatures);
    config.try_out_keys(signatures.as_ref()).map_err(|error| error.to_string())?;
    if config.revocation.fleet.is_some() {
        let missing = capabilities::missing_for_grpc();
        if !missing.is_empty() {
            return Err(lacks(&missing.join(", ")));
        }
    }
    announce(&config);
    let mailbox = mailbox::open()?;
    let no_metrics = |_| "expected a host with metrics, got one without".to_owned();
    let shared = Rc::new(SharedData::new()?);
    let filter = Filter::new(Rc::new(config), shared, signatures, mailbox);
    let worker = Worker::new(root, filter, mailbox).map_err(no_metrics)?;
    worker.root_event(Event::Start);
    Ok(worker)
}

/// A call was answered, or its answer broke off.
pub(super) fn call_answered(worker: &Worker, token: u32, num_headers: usize, body_size: usize) {
    let Some(call) = worker.take_call(token) else { return };
    // No headers: the answer broke off.
    if num_headers == 0 {
        return worker.root_event(Event::CallFailed(call));
    }
    let headers = hostcalls::get_map(MapType::CallResponse).ok();
    let header = |name: &str| pairs::values(headers.as_ref()?.as_bytes(), name).next();
    let body = (body_size <= Reply::MAX_BODY_BYTES).then(|| {
        hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, body_size)
            .ok()
            .flatten()
            .unwrap_or_default()
    });
    worker.root_event(Event::Reply(call, reply(header, body.as_deref())));
}

/// A message of a call or stream by gRPC.
pub(super) fn grpc_received(worker: &Worker, token: u32, size: usize) {
    let Some(call) = worker.grpc.received(token) else { return };
    // One that cannot be had is empty, as far as anybody can tell.
    let message =
        || hostcalls::get_buffer(BufferType::GrpcReceive, 0, size).ok().flatten().unwrap_or_default();
    let message = (size <= GrpcCall::MAX_MESSAGE_BYTES).then(message);
    worker.root_event(Event::GrpcMessage(call, message.as_deref()));
}

/// A call or stream by gRPC has ended.
pub(super) fn grpc_closed(worker: &Worker, token: u32, status: u32) {
    if let Some(call) = worker.grpc.closed(token) {
        worker.root_event(Event::GrpcClosed(call, GrpcStatus(status)));
    }
}

/// There is something in a queue of ours: a turn, or word from another worker.
pub(super) fn queue_ready(worker: &Worker, queue: u32) {
    if worker.mailbox().0 != queue {
        return;
    }
    while let Ok(Some(message)) = hostcalls::dequeue_shared_queue(queue) {
        if let Some(Message::Told(digest, told)) = Message::read(&message) {
            worker.root_event(Event::Told(digest, told));
        }
    }
    worker.turn();
}

/// Time has passed.
pub(super) fn tick(worker: &Worker) {
    worker.tick();
}
