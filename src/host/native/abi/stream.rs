//! What Envoy does for a request.

#![expect(unsafe_code, reason = "foreign functions that take pointers")]

use std::{ptr, slice};

use super::functions::functions;
use super::types::{
    Attribute, BodyType, EnvoyBuffer, HeaderType, METADATA_OF_ROUTE, ModuleBuffer, ModuleHeader, Pointer,
};

/// A request as Envoy has it, in a hook of its own: on its worker, and alive.
///
/// What is read lies in Envoy's memory, and stays as long as nothing is changed: so who changes something has it for itself.
pub(in super::super) struct Stream(Pointer);

// SAFETY: a hook hands it to what it calls, on the same thread.
unsafe impl Send for Stream {}

impl Stream {
    pub(super) fn new(pointer: Pointer) -> Self {
        Self(pointer)
    }

    /// The worker whose request it is.
    pub(in super::super) fn worker(&self) -> u32 {
        // SAFETY: the stream lives, here and below.
        functions().map_or(0, |functions| unsafe { (functions.http_filter_get_worker_index)(self.0) })
    }

    /// What wakes it.
    pub(in super::super) fn doorbell(&self) -> Doorbell {
        Doorbell(self.0)
    }

    /// A header by its name and its place among its like.
    pub(in super::super) fn header(&self, headers: HeaderType, name: &str, place: usize) -> Option<&[u8]> {
        let (key, mut value) = (ModuleBuffer::new(name.as_bytes()), EnvoyBuffer::EMPTY);
        // SAFETY: Envoy reads the name and writes one buffer; the number of values is not asked for.
        let found = unsafe {
            let get = functions()?.http_get_header;
            get(self.0, headers as u32, key, &raw mut value, place, ptr::null_mut())
        };
        // SAFETY: it stays as long as nothing is changed.
        found.then(|| unsafe { bytes(value) })
    }

    /// Puts `value` in the place of every copy of a header; `None`: removes them.
    pub(in super::super) fn set_header(
        &mut self,
        headers: HeaderType,
        name: &str,
        value: Option<&[u8]>,
    ) -> bool {
        let value = value.map_or(ModuleBuffer::NULL, ModuleBuffer::new);
        // SAFETY: Envoy reads the bytes before it returns, and keeps nothing.
        functions().is_some_and(|functions| unsafe {
            (functions.http_set_header)(self.0, headers as u32, ModuleBuffer::new(name.as_bytes()), value)
        })
    }

    /// Has Envoy choose the route again.
    pub(in super::super) fn clear_route_cache(&mut self) {
        if let Some(functions) = functions() {
            // SAFETY: no memory is involved.
            unsafe { (functions.http_clear_route_cache)(self.0) }
        }
    }

    /// How much of a body is there.
    pub(in super::super) fn body_size(&self, body: BodyType) -> usize {
        functions().map_or(0, |functions| unsafe { (functions.http_get_body_size)(self.0, body as u32) })
    }

    /// What of a body is there.
    pub(in super::super) fn body(&self, body: BodyType) -> Vec<u8> {
        let Some(functions) = functions() else { return Vec::new() };
        // SAFETY: as many buffers are written as Envoy has just said.
        let (is_there, chunks) = unsafe {
            let count = (functions.http_get_body_chunks_size)(self.0, body as u32);
            let mut chunks = vec![EnvoyBuffer::EMPTY; count];
            ((functions.http_get_body_chunks)(self.0, body as u32, chunks.as_mut_ptr()), chunks)
        };
        let chunks = chunks.into_iter().filter(|_| is_there);
        // SAFETY: they stay as long as nothing is changed.
        chunks.flat_map(|chunk| unsafe { bytes(chunk) }.iter().copied()).collect()
    }

    /// Something that Envoy knows of it, as text.
    pub(in super::super) fn attribute(&self, attribute: Attribute) -> Option<&[u8]> {
        let mut value = EnvoyBuffer::EMPTY;
        // SAFETY: Envoy writes one buffer.
        let found = unsafe {
            (functions()?.http_filter_get_attribute_string)(self.0, attribute as u32, &raw mut value)
        };
        // SAFETY: it stays as long as nothing is changed.
        found.then(|| unsafe { bytes(value) })
    }

    /// The cluster that it is routed to.
    pub(in super::super) fn cluster_name(&self) -> Option<&[u8]> {
        let mut name = EnvoyBuffer::EMPTY;
        // SAFETY: Envoy writes one buffer.
        let found = unsafe { (functions()?.http_get_cluster_name)(self.0, &raw mut name) };
        // SAFETY: it stays as long as nothing is changed.
        found.then(|| unsafe { bytes(name) })
    }

    /// A text among the metadata of its route.
    pub(in super::super) fn route_metadata(&self, namespace: &str, key: &str) -> Option<&[u8]> {
        let (namespace, key) = (ModuleBuffer::new(namespace.as_bytes()), ModuleBuffer::new(key.as_bytes()));
        let mut value = EnvoyBuffer::EMPTY;
        // SAFETY: Envoy reads the names and writes one buffer.
        let found = unsafe {
            let get = functions()?.http_get_metadata_string;
            get(self.0, METADATA_OF_ROUTE, namespace, key, &raw mut value)
        };
        // SAFETY: it stays as long as nothing is changed.
        found.then(|| unsafe { bytes(value) })
    }

    /// Whether its route has metadata under this name, of whatever kind.
    pub(in super::super) fn has_route_metadata(&self, namespace: &str, key: &str) -> bool {
        let Some(functions) = functions() else { return false };
        let namespace = ModuleBuffer::new(namespace.as_bytes());
        // SAFETY: as many buffers are written as Envoy has just said.
        let (is_there, keys) = unsafe {
            let count = (functions.http_get_metadata_keys_count)(self.0, METADATA_OF_ROUTE, namespace);
            let mut keys = vec![EnvoyBuffer::EMPTY; count];
            let get = functions.http_get_metadata_keys;
            (count > 0 && get(self.0, METADATA_OF_ROUTE, namespace, keys.as_mut_ptr()), keys)
        };
        // SAFETY: they stay as long as nothing is changed.
        is_there && keys.into_iter().any(|it| unsafe { bytes(it) } == key.as_bytes())
    }

    /// Notes something for access logs.
    pub(in super::super) fn set_filter_state(&mut self, key: &str, value: &[u8]) {
        if let Some(functions) = functions() {
            let key = ModuleBuffer::new(key.as_bytes());
            // SAFETY: Envoy copies the bytes.
            _ = unsafe { (functions.http_set_filter_state_bytes)(self.0, key, ModuleBuffer::new(value)) };
        }
    }

    /// Lets it go on after it was held back. What follows may come back to us.
    pub(in super::super) fn continue_decoding(&mut self) {
        if let Some(functions) = functions() {
            // SAFETY: no memory is involved.
            unsafe { (functions.http_filter_continue_decoding)(self.0) }
        }
    }

    /// Ends it with an answer. What follows may come back to us, and end the stream.
    pub(in super::super) fn send_response(
        &mut self,
        status: u16,
        headers: &[(&str, &str)],
        body: &str,
        details: &str,
    ) {
        let Some(functions) = functions() else { return };
        let headers: Vec<ModuleHeader> =
            headers.iter().map(|(name, value)| ModuleHeader::new(name, value)).collect();
        let (body, details) = (ModuleBuffer::new(body.as_bytes()), ModuleBuffer::new(details.as_bytes()));
        // SAFETY: Envoy reads everything before it returns, and keeps nothing.
        unsafe {
            (functions.http_send_response)(
                self.0,
                u32::from(status),
                headers.as_ptr(),
                headers.len(),
                body,
                details,
            )
        }
    }
}

/// What wakes a request on its worker, from any thread: a hook follows there. To be rung as long as the request is known to
/// live, and not after.
#[derive(Clone, Copy)]
pub(in super::super) struct Doorbell(Pointer);

// SAFETY: what Envoy makes a scheduler of may be read as long as the request lives.
unsafe impl Send for Doorbell {}

impl Doorbell {
    pub(in super::super) fn ring(self) {
        let Some(functions) = functions() else { return };
        // SAFETY: the request lives, as is promised above; the scheduler is ours, and used once.
        unsafe {
            let scheduler = (functions.http_filter_scheduler_new)(self.0);
            if !scheduler.is_null() {
                (functions.http_filter_scheduler_commit)(scheduler, 0);
                (functions.http_filter_scheduler_delete)(scheduler);
            }
        }
    }
}

/// Bytes of Envoy's.
///
/// # Safety
///
/// They are there, and stay for as long as the caller says.
pub(super) unsafe fn bytes<'b>(buffer: EnvoyBuffer) -> &'b [u8] {
    if buffer.ptr.is_null() {
        return &[];
    }
    // SAFETY: what our caller promises.
    unsafe { slice::from_raw_parts(buffer.ptr, buffer.length) }
}
