//! Calls of the host, as functions that are safe to call.

#![expect(unsafe_code, reason = "foreign functions that take pointers")]

use std::ptr;
use std::time::Duration;

use super::super::pairs;
use super::memory::{Given, taken};
use super::status::{Status, check};

/// A level of the host's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Critical,
}

/// Bytes that the host holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(in super::super) enum BufferType {
    HttpRequestBody = 0,
    HttpCallResponseBody = 4,
    GrpcReceive = 5,
    PluginConfiguration = 7,
}

/// Headers that the host holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(in super::super) enum MapType {
    Request = 0,
    RequestTrailers = 1,
    Response = 2,
    CallResponse = 6,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(in super::super) enum MetricType {
    Counter = 0,
    Gauge = 1,
    Histogram = 2,
}

pub(in super::super) fn log(level: LogLevel, message: &str) {
    // SAFETY: as everywhere here: the host reads the slice before it returns, and keeps nothing.
    _ = unsafe { proxy_log(level as u32, message.as_ptr(), message.len()) };
}

pub(in super::super) fn get_log_level() -> Result<LogLevel, Status> {
    let mut level = 0;
    // SAFETY: the host writes one word.
    check(unsafe { proxy_get_log_level(&raw mut level) })?;
    Ok(match level {
        0 => LogLevel::Trace,
        1 => LogLevel::Debug,
        2 => LogLevel::Info,
        3 => LogLevel::Warn,
        4 => LogLevel::Error,
        _ => LogLevel::Critical,
    })
}

/// Nanoseconds since the Unix epoch.
pub(in super::super) fn get_current_time() -> Result<u64, Status> {
    let mut nanos = 0;
    // SAFETY: the host writes eight bytes.
    check(unsafe { proxy_get_current_time_nanoseconds(&raw mut nanos) })?;
    Ok(nanos)
}

/// How often the root gets a tick; zero: not at all.
pub(in super::super) fn set_tick_period(period: Duration) -> Result<(), Status> {
    // SAFETY: no memory is involved.
    check(unsafe { proxy_set_tick_period_milliseconds(millis(period)) })
}

/// Part of a buffer; `None` where there is none.
pub(in super::super) fn get_buffer(
    buffer: BufferType,
    start: usize,
    max_size: usize,
) -> Result<Option<Vec<u8>>, Status> {
    // SAFETY: see `returned`.
    returned(|data, size| unsafe { proxy_get_buffer_bytes(buffer as u32, start, max_size, data, size) })
}

/// All headers of a map, in the form of [`pairs`]. The host does not give them all at once if they are too many.
pub(in super::super) fn get_map(map: MapType) -> Result<Given, Status> {
    // SAFETY: see `returned`.
    unsafe { Given::by(|data, size| proxy_get_header_map_pairs(map as u32, data, size)) }
}

/// The value of a header; of most that occur more than once, the first.
pub(in super::super) fn get_map_value(map: MapType, name: &str) -> Result<Option<Given>, Status> {
    let (key, len) = (name.as_ptr(), name.len());
    // SAFETY: see `returned`.
    found(unsafe { Given::by(|data, size| proxy_get_header_map_value(map as u32, key, len, data, size)) })
}

/// Removes every copy of a header.
pub(in super::super) fn remove_map_value(map: MapType, name: &str) -> Result<(), Status> {
    // SAFETY: see `log`.
    check(unsafe { proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) })
}

/// Puts `value` in the place of every copy of a header.
pub(in super::super) fn set_map_value_bytes(map: MapType, name: &str, value: &[u8]) -> Result<(), Status> {
    let (name, name_len, value, value_len) = (name.as_ptr(), name.len(), value.as_ptr(), value.len());
    // SAFETY: see `log`.
    check(unsafe { proxy_replace_header_map_value(map as u32, name, name_len, value, value_len) })
}

/// A property of the effective context's stream.
pub(in super::super) fn get_property(path: &[&str]) -> Result<Option<Vec<u8>>, Status> {
    let path = path.join("\0");
    // SAFETY: see `returned`.
    let value = returned(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) });
    found(value).map(Option::flatten)
}

/// Makes a property of the effective context's stream, for access logs.
pub(in super::super) fn set_property(name: &str, value: &[u8]) -> Result<(), Status> {
    // SAFETY: see `log`.
    check(unsafe { proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) })
}

/// The value under `key` and its version, 0 where there never was any.
pub(in super::super) fn get_shared_data(key: &str) -> Result<(Option<Vec<u8>>, u32), Status> {
    let (name, len, mut cas) = (key.as_ptr(), key.len(), 0);
    // SAFETY: see `returned`; the host writes one word besides.
    let value = returned(|data, size| unsafe { proxy_get_shared_data(name, len, data, size, &raw mut cas) });
    found(value).map(|value| (value.flatten(), cas))
}

/// Puts `value` under `key`, if the version is still `cas`; 0: whatever it is.
pub(in super::super) fn set_shared_data(key: &str, value: &[u8], cas: u32) -> Result<(), Status> {
    let (key, key_len, value, value_len) = (key.as_ptr(), key.len(), value.as_ptr(), value.len());
    // SAFETY: see `log`.
    check(unsafe { proxy_set_shared_data(key, key_len, value, value_len, cas) })
}

pub(in super::super) fn register_shared_queue(name: &str) -> Result<u32, Status> {
    let mut queue = 0;
    // SAFETY: see `log`; the host writes one word besides.
    check(unsafe { proxy_register_shared_queue(name.as_ptr(), name.len(), &raw mut queue) })?;
    Ok(queue)
}

/// Takes the first message out of a queue, if there is one.
pub(in super::super) fn dequeue_shared_queue(queue: u32) -> Result<Option<Vec<u8>>, Status> {
    // SAFETY: see `returned`.
    match returned(|data, size| unsafe { proxy_dequeue_shared_queue(queue, data, size) }) {
        Err(Status::Empty) => Ok(None),
        other => other,
    }
}

pub(in super::super) fn enqueue_shared_queue(queue: u32, message: &[u8]) -> Result<(), Status> {
    // SAFETY: see `log`.
    check(unsafe { proxy_enqueue_shared_queue(queue, message.as_ptr(), message.len()) })
}

/// Lets the request of the effective context go on.
pub(in super::super) fn resume_http_request() -> Result<(), Status> {
    const HTTP_REQUEST: u32 = 0;
    // SAFETY: no memory is involved.
    check(unsafe { proxy_continue_stream(HTTP_REQUEST) })
}

/// Sends a request to a cluster; the root gets the answer under the number that this gives.
pub(in super::super) fn dispatch_http_call(
    cluster: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    timeout: Duration,
) -> Result<u32, Status> {
    let (headers, trailers, mut token) = (pairs::write(headers), pairs::write(&[]), 0);
    // SAFETY: see `log`; the host writes one word besides.
    check(unsafe {
        proxy_http_call(
            cluster.as_ptr(),
            cluster.len(),
            headers.as_ptr(),
            headers.len(),
            body.as_ptr(),
            body.len(),
            trailers.as_ptr(),
            trailers.len(),
            millis(timeout),
            &raw mut token,
        )
    })?;
    Ok(token)
}

/// Calls a method by gRPC; the root gets the answer under the number that this gives.
pub(in super::super) fn grpc_call(
    service: &[u8],
    (name, method): (&str, &str),
    metadata: &[(&str, &str)],
    message: &[u8],
    timeout: Duration,
) -> Result<u32, Status> {
    let (metadata, mut token) = (pairs::write(metadata), 0);
    // SAFETY: see `log`; the host writes one word besides.
    check(unsafe {
        proxy_grpc_call(
            service.as_ptr(),
            service.len(),
            name.as_ptr(),
            name.len(),
            method.as_ptr(),
            method.len(),
            metadata.as_ptr(),
            metadata.len(),
            message.as_ptr(),
            message.len(),
            millis(timeout),
            &raw mut token,
        )
    })?;
    Ok(token)
}

/// Opens a stream by gRPC; the root gets its messages under the number that this gives.
pub(in super::super) fn grpc_stream(
    service: &[u8],
    (name, method): (&str, &str),
    metadata: &[(&str, &str)],
) -> Result<u32, Status> {
    let (metadata, mut token) = (pairs::write(metadata), 0);
    // SAFETY: see `log`; the host writes one word besides.
    check(unsafe {
        proxy_grpc_stream(
            service.as_ptr(),
            service.len(),
            name.as_ptr(),
            name.len(),
            method.as_ptr(),
            method.len(),
            metadata.as_ptr(),
            metadata.len(),
            &raw mut token,
        )
    })?;
    Ok(token)
}

/// Sends a message on a stream, which goes on.
pub(in super::super) fn grpc_send(token: u32, message: &[u8]) -> Result<(), Status> {
    // SAFETY: see `log`.
    check(unsafe { proxy_grpc_send(token, message.as_ptr(), message.len(), 0) })
}

/// Ends a call or a stream; nothing more is heard of it. To close a stream would end our side of it alone.
pub(in super::super) fn grpc_cancel(token: u32) -> Result<(), Status> {
    // SAFETY: no memory is involved.
    check(unsafe { proxy_grpc_cancel(token) })
}

/// Ends the request of the effective context; `grpc_status` is -1 where it is no gRPC.
pub(in super::super) fn send_local_response(
    status: u16,
    details: &str,
    body: &str,
    headers: &[(&str, &str)],
    grpc_status: i32,
) -> Result<(), Status> {
    let headers = pairs::write(headers);
    // SAFETY: see `log`.
    check(unsafe {
        proxy_send_local_response(
            u32::from(status),
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            grpc_status,
        )
    })
}

/// Makes a stream or the root the one that calls act on. If it is no more, the one before stays in force.
pub(in super::super) fn set_effective_context(context: u32) -> Result<(), Status> {
    // SAFETY: no memory is involved.
    check(unsafe { proxy_set_effective_context(context) })
}

/// A function of the host that is not of the ABI.
pub(in super::super) fn call_foreign_function(
    name: &str,
    arguments: &[u8],
) -> Result<Option<Vec<u8>>, Status> {
    let (name, name_len, given, given_len) = (name.as_ptr(), name.len(), arguments.as_ptr(), arguments.len());
    // SAFETY: see `returned`.
    returned(|data, size| unsafe {
        proxy_call_foreign_function(name, name_len, given, given_len, data, size)
    })
}

pub(in super::super) fn define_metric(kind: MetricType, name: &str) -> Result<u32, Status> {
    let mut metric = 0;
    // SAFETY: see `log`; the host writes one word besides.
    check(unsafe { proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &raw mut metric) })?;
    Ok(metric)
}

pub(in super::super) fn get_metric(metric: u32) -> Result<u64, Status> {
    let mut value = 0;
    // SAFETY: the host writes eight bytes.
    check(unsafe { proxy_get_metric(metric, &raw mut value) })?;
    Ok(value)
}

pub(in super::super) fn record_metric(metric: u32, value: u64) -> Result<(), Status> {
    // SAFETY: no memory is involved.
    check(unsafe { proxy_record_metric(metric, value) })
}

pub(in super::super) fn increment_metric(metric: u32, by: i64) -> Result<(), Status> {
    // SAFETY: no memory is involved.
    check(unsafe { proxy_increment_metric(metric, by) })
}

/// What `call` gives back; `None` if that is nothing.
fn returned(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Option<Vec<u8>>, Status> {
    let (mut data, mut size) = (ptr::null_mut(), 0);
    check(call(&raw mut data, &raw mut size))?;
    // SAFETY: the host asks `proxy_on_memory_allocate` for `size` bytes at `data` and writes them all; the room is closed.
    Ok(unsafe { taken(data, size) })
}

/// What is not found is `None`.
fn found<T>(value: Result<T, Status>) -> Result<Option<T>, Status> {
    match value {
        Ok(value) => Ok(Some(value)),
        Err(Status::NotFound) => Ok(None),
        Err(status) => Err(status),
    }
}

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

#[rustfmt::skip] // one line for each call, as the ABI's table has it
#[link(wasm_import_module = "env")]
unsafe extern "C" {
    pub(super) fn proxy_call_foreign_function(name: *const u8, name_len: usize, arguments: *const u8, arguments_len: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    pub(super) fn proxy_continue_stream(stream: u32) -> u32;
    pub(super) fn proxy_define_metric(kind: u32, name: *const u8, name_len: usize, metric: *mut u32) -> u32;
    pub(super) fn proxy_dequeue_shared_queue(queue: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    pub(super) fn proxy_enqueue_shared_queue(queue: u32, message: *const u8, message_len: usize) -> u32;
    pub(super) fn proxy_get_buffer_bytes(buffer: u32, start: usize, max_size: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    pub(super) fn proxy_get_current_time_nanoseconds(nanos: *mut u64) -> u32;
    pub(super) fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    pub(super) fn proxy_get_header_map_value(map: u32, name: *const u8, name_len: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    pub(super) fn proxy_get_log_level(level: *mut u32) -> u32;
    pub(super) fn proxy_get_metric(metric: u32, value: *mut u64) -> u32;
    pub(super) fn proxy_get_property(path: *const u8, path_len: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    pub(super) fn proxy_get_shared_data(key: *const u8, key_len: usize, data: *mut *mut u8, size: *mut usize, cas: *mut u32) -> u32;
    pub(super) fn proxy_grpc_call(service: *const u8, service_len: usize, name: *const u8, name_len: usize, method: *const u8, method_len: usize, metadata: *const u8, metadata_len: usize, message: *const u8, message_len: usize, timeout: u32, token: *mut u32) -> u32;
    pub(super) fn proxy_grpc_cancel(token: u32) -> u32;
    pub(super) fn proxy_grpc_send(token: u32, message: *const u8, message_len: usize, end: u32) -> u32;
    pub(super) fn proxy_grpc_stream(service: *const u8, service_len: usize, name: *const u8, name_len: usize, method: *const u8, method_len: usize, metadata: *const u8, metadata_len: usize, token: *mut u32) -> u32;
    pub(super) fn proxy_http_call(cluster: *const u8, cluster_len: usize, headers: *const u8, headers_len: usize, body: *const u8, body_len: usize, trailers: *const u8, trailers_len: usize, timeout: u32, token: *mut u32) -> u32;
    pub(super) fn proxy_increment_metric(metric: u32, by: i64) -> u32;
    pub(super) fn proxy_log(level: u32, message: *const u8, message_len: usize) -> u32;
    pub(super) fn proxy_record_metric(metric: u32, value: u64) -> u32;
    pub(super) fn proxy_register_shared_queue(name: *const u8, name_len: usize, queue: *mut u32) -> u32;
    pub(super) fn proxy_remove_header_map_value(map: u32, name: *const u8, name_len: usize) -> u32;
    pub(super) fn proxy_replace_header_map_value(map: u32, name: *const u8, name_len: usize, value: *const u8, value_len: usize) -> u32;
    pub(super) fn proxy_send_local_response(status: u32, details: *const u8, details_len: usize, body: *const u8, body_len: usize, headers: *const u8, headers_len: usize, grpc_status: i32) -> u32;
    pub(super) fn proxy_set_effective_context(context: u32) -> u32;
    pub(super) fn proxy_set_property(path: *const u8, path_len: usize, value: *const u8, value_len: usize) -> u32;
    pub(super) fn proxy_set_shared_data(key: *const u8, key_len: usize, value: *const u8, value_len: usize, cas: u32) -> u32;
    pub(super) fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
}
