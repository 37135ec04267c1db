//! gRPC calls to Envoy's clusters: what is sent, and what a call that ended says.

use std::fmt;
use std::time::Duration;

/// A call to a cluster, or the beginning of a stream. `Debug` shows neither metadata nor message, which carry credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct GrpcCall {
    /// Envoy cluster; it must speak HTTP/2.
    pub cluster: String,
    /// The service's full name.
    pub service: &'static str,
    /// The method's name.
    pub method: &'static str,
    /// Metadata, names in lower case.
    pub metadata: Vec<(&'static str, String)>,
    /// The message, or the first of a stream.
    pub message: Vec<u8>,
    /// How long an answer may take; a stream may take as long as it likes.
    pub timeout: Duration,
}

impl GrpcCall {
    /// Longest message that is read of an answer: 4 MiB. Envoy ends a call whose server sends a longer one.
    pub const MAX_MESSAGE_BYTES: usize = 4 << 20;
}

impl fmt::Debug for GrpcCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcCall")
            .field("cluster", &self.cluster)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

/// How a call ended, by gRPC's number. A server's own words on it are not read: they end up in logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrpcStatus(pub u32);

impl GrpcStatus {
    /// `INVALID_ARGUMENT`.
    pub const INVALID_ARGUMENT: Self = Self(3);
    /// `NOT_FOUND`.
    pub const NOT_FOUND: Self = Self(5);
    /// `PERMISSION_DENIED`.
    pub const PERMISSION_DENIED: Self = Self(7);
    /// `RESOURCE_EXHAUSTED`.
    pub const RESOURCE_EXHAUSTED: Self = Self(8);
    /// `OUT_OF_RANGE`.
    pub const OUT_OF_RANGE: Self = Self(11);
    /// `UNAVAILABLE`, which is what a call that could not be sent has, too.
    pub const UNAVAILABLE: Self = Self(14);
    /// `UNAUTHENTICATED`.
    pub const UNAUTHENTICATED: Self = Self(16);
}

impl fmt::Display for GrpcStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = usize::try_from(self.0).ok().and_then(|code| NAMES.get(code)).unwrap_or(&"of no meaning");
        write!(f, "gRPC status {} ({name})", self.0)
    }
}

const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
