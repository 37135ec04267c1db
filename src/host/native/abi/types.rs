//! Types of the ABI, as its versions v0.1.0 (Envoy 1.39.3) and v0.2.0 (Envoy 1.40.0) both have them.

use std::ffi::c_void;

/// `…_module_buffer`: bytes of ours, which Envoy reads before it returns.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct ModuleBuffer {
    ptr: *const u8,
    length: usize,
}

impl ModuleBuffer {
    /// None: what is to be removed.
    pub(super) const NULL: Self = Self { ptr: std::ptr::null(), length: 0 };

    pub(super) fn new(bytes: &[u8]) -> Self {
        Self { ptr: bytes.as_ptr(), length: bytes.len() }
    }
}

/// `…_envoy_buffer`: bytes of Envoy's, which stay until the end of the hook unless something is changed.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct EnvoyBuffer {
    pub(super) ptr: *const u8,
    pub(super) length: usize,
}

impl EnvoyBuffer {
    pub(super) const EMPTY: Self = Self { ptr: std::ptr::null(), length: 0 };
}

/// `…_module_http_header`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct ModuleHeader {
    key: ModuleBuffer,
    value: ModuleBuffer,
}

impl ModuleHeader {
    pub(super) fn new(name: &str, value: &str) -> Self {
        Self { key: ModuleBuffer::new(name.as_bytes()), value: ModuleBuffer::new(value.as_bytes()) }
    }
}

/// `…_envoy_http_header`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct EnvoyHeader {
    pub(super) key: EnvoyBuffer,
    pub(super) value: EnvoyBuffer,
}

/// `…_http_filter_config_envoy_ptr`, `…_http_filter_envoy_ptr` and the schedulers' pointers.
pub(super) type Pointer = *mut c_void;

/// `…_log_level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(in super::super) enum LogLevel {
    Trace = 0,
    Debug = 1,
    Info = 2,
    Warn = 3,
    Error = 4,
    Critical = 5,
}

/// `…_http_header_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(in super::super) enum HeaderType {
    Request = 0,
    RequestTrailer = 1,
    Response = 2,
}

/// `…_http_body_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(in super::super) enum BodyType {
    ReceivedRequest = 0,
    BufferedRequest = 1,
}

/// `…_attribute_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(in super::super) enum Attribute {
    SourceAddress = 24,
    ConnectionSha256PeerCertificateDigest = 38,
    XdsRouteName = 61,
}

/// `…_metadata_source_Route`.
pub(super) const METADATA_OF_ROUTE: u32 = 1;

/// `…_http_callout_init_result_Success`, and what says that no cluster has the name.
pub(super) const CALLOUT_SENT: u32 = 0;
pub(super) const CLUSTER_NOT_FOUND: u32 = 2;

/// `…_http_callout_result_Success`.
pub(super) const CALLOUT_ANSWERED: u32 = 0;

/// `…_metrics_result_Success`.
pub(super) const METRIC_DONE: u32 = 0;

/// `…_status_Continue` of every kind.
pub(super) const CONTINUE: u32 = 0;
