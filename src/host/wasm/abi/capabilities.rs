//! Host calls that an operator may have left out of `allowed_capabilities`: each is tried once, with arguments that the
//! host must refuse, so that nothing happens.

#![expect(unsafe_code, reason = "foreign functions that take pointers")]

use std::ptr;

use super::hostcalls::{
    proxy_call_foreign_function, proxy_continue_stream, proxy_define_metric, proxy_dequeue_shared_queue,
    proxy_enqueue_shared_queue, proxy_get_buffer_bytes, proxy_get_current_time_nanoseconds,
    proxy_get_header_map_pairs, proxy_get_header_map_value, proxy_get_metric, proxy_get_property,
    proxy_get_shared_data, proxy_grpc_call, proxy_grpc_cancel, proxy_grpc_send, proxy_grpc_stream,
    proxy_http_call, proxy_increment_metric, proxy_record_metric, proxy_register_shared_queue,
    proxy_remove_header_map_value, proxy_replace_header_map_value, proxy_send_local_response,
    proxy_set_effective_context, proxy_set_shared_data, proxy_set_tick_period_milliseconds,
};

/// Host calls that the filter cannot do without and that the host does not make.
pub(in super::super) fn missing() -> Vec<&'static str> {
    let denied = tried().into_iter().filter(|(_, status)| *status == DENIED).map(|(name, _)| name);
    let random = getrandom::fill(&mut [0; 1]).is_err().then_some("random_get");
    denied.chain(random).collect()
}

/// Whether the environment can be read. Rust's own way to do so ends the VM where it cannot.
pub(in super::super) fn missing_for_environment() -> Option<&'static str> {
    let (mut count, mut size) = (0, 0);
    // SAFETY: the host writes two words.
    if unsafe { environ_sizes_get(&raw mut count, &raw mut size) } != 0 {
        return Some("environ_sizes_get");
    }
    let (mut variables, mut bytes) = (vec![ptr::null_mut::<u8>(); count], vec![0_u8; size]);
    // SAFETY: the host writes as many words and bytes as it has just said.
    let status = unsafe { environ_get(variables.as_mut_ptr(), bytes.as_mut_ptr()) };
    (status != 0).then_some("environ_get")
}

/// Calls by gRPC that the host does not make; only where there is a fleet.
pub(in super::super) fn missing_for_grpc() -> Vec<&'static str> {
    let mut word = 0;
    let (word, bad) = (&raw mut word, NOWHERE);
    // SAFETY: as in `tried`.
    let tried = unsafe {
        [
            ("proxy_grpc_call", proxy_grpc_call(bad, 1, bad, 1, bad, 1, bad, 1, bad, 1, 1, word)),
            ("proxy_grpc_cancel", proxy_grpc_cancel(NONE)),
            ("proxy_grpc_send", proxy_grpc_send(NONE, bad, 1, 0)),
            ("proxy_grpc_stream", proxy_grpc_stream(bad, 1, bad, 1, bad, 1, bad, 1, word)),
        ]
    };
    tried.into_iter().filter(|(_, status)| *status == DENIED).map(|(name, _)| name).collect()
}

/// Not among them: `proxy_log`, without which nothing could be said, `proxy_get_log_level` and `proxy_set_property`,
/// without which the filter works, and says less.
#[rustfmt::skip] // one line for each call
fn tried() -> [(&'static str, u32); 22] {
    let (mut data, mut size, mut word) = (ptr::null_mut(), 0, 0);
    let (data, size, word) = (&raw mut data, &raw mut size, &raw mut word);
    let (bad, mut nanos, mut value) = (NOWHERE, 0, 0);
    // SAFETY: a call whose bytes lie nowhere, or that names what is not there, is refused before it does anything; the
    // others write a word or eight bytes.
    unsafe {
        [
            ("proxy_call_foreign_function", proxy_call_foreign_function(bad, 1, bad, 1, data, size)),
            ("proxy_continue_stream", proxy_continue_stream(NONE)),
            ("proxy_define_metric", proxy_define_metric(0, bad, 1, word)),
            ("proxy_dequeue_shared_queue", proxy_dequeue_shared_queue(NONE, data, size)),
            ("proxy_enqueue_shared_queue", proxy_enqueue_shared_queue(NONE, bad, 1)),
            ("proxy_get_buffer_bytes", proxy_get_buffer_bytes(NONE, 0, 1, data, size)),
            ("proxy_get_current_time_nanoseconds", proxy_get_current_time_nanoseconds(&raw mut nanos)),
            ("proxy_get_header_map_pairs", proxy_get_header_map_pairs(NONE, data, size)),
            ("proxy_get_header_map_value", proxy_get_header_map_value(0, bad, 1, data, size)),
            ("proxy_get_metric", proxy_get_metric(NONE, &raw mut value)),
            ("proxy_get_property", proxy_get_property(bad, 1, data, size)),
            ("proxy_get_shared_data", proxy_get_shared_data(bad, 1, data, size, word)),
            ("proxy_http_call", proxy_http_call(bad, 1, bad, 1, bad, 1, bad, 1, 1, word)),
            ("proxy_increment_metric", proxy_increment_metric(NONE, 0)),
            ("proxy_record_metric", proxy_record_metric(NONE, 0)),
            ("proxy_register_shared_queue", proxy_register_shared_queue(bad, 1, word)),
            ("proxy_remove_header_map_value", proxy_remove_header_map_value(0, bad, 1)),
            ("proxy_replace_header_map_value", proxy_replace_header_map_value(0, bad, 1, bad, 1)),
            ("proxy_send_local_response", proxy_send_local_response(503, bad, 1, bad, 1, bad, 1, -1)),
            ("proxy_set_effective_context", proxy_set_effective_context(NONE)),
            ("proxy_set_shared_data", proxy_set_shared_data(bad, 1, bad, 1, 0)),
            ("proxy_set_tick_period_milliseconds", proxy_set_tick_period_milliseconds(0)),
        ]
    }
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn environ_get(variables: *mut *mut u8, bytes: *mut u8) -> u16;
    fn environ_sizes_get(count: *mut usize, size: *mut usize) -> u16;
}

/// No memory of ours.
const NOWHERE: *const u8 = ptr::without_provenance(usize::MAX);

/// No stream, queue, metric, buffer or map of anybody's.
const NONE: u32 = u32::MAX;

/// How the host answers a call that is not allowed: `InternalFailure`.
const DENIED: u32 = 10;
