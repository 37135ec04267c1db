//! What the host calls: the callbacks of the ABI that the filter has a use for.

#![expect(unsafe_code, reason = "names that the linker must leave as they are")]

use super::super::callbacks;

unsafe extern "C" {
    /// The C library's own start, of which WASI leaves the time to us.
    fn __wasm_call_ctors();
}

#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    // SAFETY: the host calls this once, before anything else.
    unsafe { __wasm_call_ctors() };
    callbacks::start();
}

#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(root: u32, _size: usize) -> bool {
    callbacks::configure(root)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(context: u32, root: u32) {
    callbacks::context_created(context, root);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(context: u32) {
    callbacks::context_gone(context);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_grpc_close(root: u32, call: u32, status: u32) {
    callbacks::grpc_closed(root, call, status);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_grpc_receive(root: u32, call: u32, size: usize) {
    callbacks::grpc_received(root, call, size);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_http_call_response(
    root: u32,
    call: u32,
    num_headers: usize,
    body_size: usize,
    _num_trailers: usize,
) {
    callbacks::call_answered(root, call, num_headers, body_size);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_queue_ready(root: u32, queue: u32) {
    callbacks::queue_ready(root, queue);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_body(stream: u32, size: usize, is_last: bool) -> u32 {
    callbacks::request_body(stream, size, is_last).of_body()
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(stream: u32, _num_headers: usize, is_last: bool) -> u32 {
    callbacks::request_headers(stream, is_last).of_headers()
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_trailers(stream: u32, _num_trailers: usize) -> u32 {
    callbacks::request_trailers(stream).of_trailers()
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(stream: u32, _num_headers: usize, _is_last: bool) -> u32 {
    callbacks::response_headers(stream);
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(root: u32) {
    callbacks::tick(root);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_vm_start(_root: u32, _size: usize) -> bool {
    true
}

/// Nothing that is told of a response holds it back.
const CONTINUE: u32 = 0;
