//! What Envoy calls: the hooks of the ABI. All that begin with `envoy_dynamic_module_on_http_filter_` have to be there, or Envoy
//! refuses the configuration.
//!
//! No panic leaves: across this border it would end Envoy.

#![expect(unsafe_code, reason = "names that the linker must leave as they are, and pointers from Envoy")]

use std::ffi::{c_char, c_void};
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::{ptr, slice};

use super::super::hooks;
use super::super::installation::Installation;
use super::super::stream::Request;
use super::config::Config;
use super::functions;
use super::stream::{Stream, bytes};
use super::types::{CALLOUT_ANSWERED, CONTINUE, EnvoyBuffer, EnvoyHeader, Pointer};
use crate::host::action::Action;

/// What `act` gives; if it panics, `None`.
fn guarded<T>(act: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(act)).ok()
}

/// A hook of a configuration; nothing is done for one that is no more in force.
fn of_config(config: *const c_void, act: impl FnOnce(&Installation)) {
    _ = guarded(|| hooks::enter(config.cast(), act));
}

/// A request that we gave to Envoy, held for as long as the hook lasts: it may end within.
///
/// # Safety
///
/// `request` is what `…_filter_new` gave, and `…_filter_destroy` has not come for it.
unsafe fn request(request: *const c_void) -> Rc<Request> {
    // SAFETY: what our caller promises; only the stream's worker has it.
    let request = ManuallyDrop::new(unsafe { Rc::<Request>::from_raw(request.cast()) });
    Rc::clone(&request)
}

/// A hook of a request: of its configuration, its own, and Envoy's. If it panics, the request is refused.
///
/// # Safety
///
/// As of [`request`]; and a configuration outlives its requests.
unsafe fn of_request(
    envoy: Pointer,
    module: *const c_void,
    act: impl FnOnce(&Installation, &Request, &mut Stream) -> Action,
) -> Action {
    // SAFETY: what our caller promises.
    let (request, mut stream) = (unsafe { request(module) }, Stream::new(envoy));
    // SAFETY: likewise.
    let installation = unsafe { &*request.installation };
    guarded(|| act(installation, &request, &mut stream)).unwrap_or_else(|| {
        _ = guarded(|| hooks::panicked(installation, &request, &mut stream));
        Action::Wait
    })
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_program_init() -> *const c_char {
    _ = guarded(hooks::start);
    functions::abi_version().as_ptr()
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_config_new(
    envoy: Pointer,
    name: EnvoyBuffer,
    config: EnvoyBuffer,
) -> *const c_void {
    // SAFETY: both stay for as long as the hook lasts.
    let (name, config) = unsafe { (bytes(name), bytes(config)) };
    let installed = guarded(|| hooks::configure(Config::new(envoy), name, config)).flatten();
    installed.map_or(ptr::null(), |installation| installation.cast())
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_config_destroy(config: *const c_void) {
    _ = guarded(|| hooks::end(config.cast()));
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_config_scheduled(
    _envoy: Pointer,
    config: *const c_void,
    event: u64,
) {
    of_config(config, |installation| installation.scheduled(event));
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_config_http_callout_done(
    _envoy: Pointer,
    config: *const c_void,
    call: u64,
    result: u32,
    headers: *const EnvoyHeader,
    headers_size: usize,
    chunks: *const EnvoyBuffer,
    chunks_size: usize,
) {
    // SAFETY: there are as many headers and chunks as Envoy says, for as long as the hook lasts.
    let (headers, chunks) = unsafe { (pairs(headers, headers_size), contents(chunks, chunks_size)) };
    let answer = (result == CALLOUT_ANSWERED).then_some((&*headers, &*chunks));
    of_config(config, |installation| installation.called(call, answer));
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_config_http_stream_headers(
    _envoy: Pointer,
    config: *const c_void,
    stream: u64,
    headers: *const EnvoyHeader,
    headers_size: usize,
    _is_last: bool,
) {
    // SAFETY: there are as many headers as Envoy says, for as long as the hook lasts.
    let headers = unsafe { pairs(headers, headers_size) };
    of_config(config, |installation| installation.stream_headers(stream, &headers));
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_config_http_stream_data(
    _envoy: Pointer,
    config: *const c_void,
    stream: u64,
    chunks: *const EnvoyBuffer,
    chunks_size: usize,
    _is_last: bool,
) {
    // SAFETY: there are as many chunks as Envoy says, for as long as the hook lasts.
    let chunks = unsafe { contents(chunks, chunks_size) };
    of_config(config, |installation| installation.stream_data(stream, &chunks));
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_config_http_stream_trailers(
    envoy: Pointer,
    config: *const c_void,
    stream: u64,
    trailers: *const EnvoyHeader,
    trailers_size: usize,
) {
    // What ends a call stands there or in the headers alike.
    envoy_dynamic_module_on_http_filter_config_http_stream_headers(
        envoy,
        config,
        stream,
        trailers,
        trailers_size,
        true,
    );
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_config_http_stream_complete(
    _envoy: Pointer,
    config: *const c_void,
    stream: u64,
) {
    of_config(config, |installation| installation.stream_ended(stream));
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_config_http_stream_reset(
    _envoy: Pointer,
    config: *const c_void,
    stream: u64,
    _reason: u32,
) {
    of_config(config, |installation| installation.stream_ended(stream));
}

/// Names and values of headers.
///
/// # Safety
///
/// So many are there, for as long as the caller says.
unsafe fn pairs<'p>(first: *const EnvoyHeader, count: usize) -> Vec<(&'p [u8], &'p [u8])> {
    // SAFETY: what our caller promises.
    let pair = |header: &EnvoyHeader| unsafe { (bytes(header.key), bytes(header.value)) };
    // SAFETY: likewise.
    unsafe { parts(first, count) }.iter().map(pair).collect()
}

/// What is in buffers.
///
/// # Safety
///
/// So many are there, for as long as the caller says.
unsafe fn contents<'p>(first: *const EnvoyBuffer, count: usize) -> Vec<&'p [u8]> {
    // SAFETY: what our caller promises.
    unsafe { parts(first, count) }.iter().map(|buffer| unsafe { bytes(*buffer) }).collect()
}

/// Things of Envoy's in a row.
///
/// # Safety
///
/// So many are there, for as long as the caller says.
unsafe fn parts<'p, T>(first: *const T, count: usize) -> &'p [T] {
    if first.is_null() {
        return &[];
    }
    // SAFETY: what our caller promises.
    unsafe { slice::from_raw_parts(first, count) }
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_new(
    config: *const c_void,
    envoy: Pointer,
) -> *const c_void {
    let worker = usize::try_from(Stream::new(envoy).worker()).unwrap_or(0);
    Rc::into_raw(Rc::new(Request::new(config.cast(), worker))).cast()
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_destroy(module: *const c_void) {
    // SAFETY: Envoy gives back what `…_filter_new` gave, once.
    let request: Rc<Request> = unsafe { Rc::from_raw(module.cast()) };
    // SAFETY: a configuration outlives its requests.
    let installation = unsafe { &*request.installation };
    if guarded(|| request.gone(installation)).is_none() {
        installation.panicked();
    }
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_request_headers(
    envoy: Pointer,
    module: *const c_void,
    is_last: bool,
) -> u32 {
    // SAFETY: Envoy calls with what `…_filter_new` gave, here and below.
    unsafe { of_request(envoy, module, |host, request, stream| request.headers(host, stream, is_last)) }
        .of_headers()
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_request_body(
    envoy: Pointer,
    module: *const c_void,
    is_last: bool,
) -> u32 {
    // SAFETY: see above.
    unsafe { of_request(envoy, module, |host, request, stream| request.body(host, stream, is_last)) }
        .of_body()
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_request_trailers(
    envoy: Pointer,
    module: *const c_void,
) -> u32 {
    // SAFETY: see above.
    unsafe { of_request(envoy, module, |host, request, stream| request.trailers(host, stream)) }.of_trailers()
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_response_headers(
    envoy: Pointer,
    module: *const c_void,
    _is_last: bool,
) -> u32 {
    // SAFETY: see above.
    unsafe {
        of_request(envoy, module, |host, request, stream| {
            request.response_headers(host, stream);
            Action::Continue
        })
    };
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_scheduled(
    envoy: Pointer,
    module: *const c_void,
    _event: u64,
) {
    // SAFETY: see above.
    unsafe {
        of_request(envoy, module, |host, request, stream| {
            request.rung(host, stream);
            Action::Continue
        })
    };
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_per_route_config_new(
    _name: EnvoyBuffer,
    _config: EnvoyBuffer,
) -> *const c_void {
    _ = guarded(hooks::refuse_route_config);
    ptr::null()
}
