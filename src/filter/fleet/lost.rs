//! Why the store is not heard, or not understood.

use std::fmt;

use crate::fleet::TIMEOUT;
use crate::grpc::GrpcStatus;

/// Why the store is not heard, or not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// A call ended so.
    Closed(GrpcStatus),
    /// What was to be told is forgotten.
    Compacted,
    /// No answer came.
    NoAnswer,
    /// It knows less than before.
    Older,
    /// It does not let us watch.
    Refused,
    /// It said what could not be read, or was too long.
    Unreadable,
}

impl Lost {
    /// Whether nothing is heard at all.
    pub(super) fn is_unreachable(self) -> bool {
        self.reason() == UNREACHABLE
    }

    /// Whether the store says that we may not: with another token, it may let us. etcd answers a wrong password with
    /// INVALID_ARGUMENT.
    pub(super) fn is_refusal(self) -> bool {
        use GrpcStatus as Status;
        matches!(
            self,
            Self::Closed(Status::INVALID_ARGUMENT | Status::PERMISSION_DENIED | Status::UNAUTHENTICATED)
        )
    }

    /// One word for metrics. What has the same is one trouble, of which the log is told once.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Closed(_) if self.is_refusal() => "refused",
            Self::Closed(GrpcStatus::RESOURCE_EXHAUSTED) | Self::Unreadable => "unreadable",
            Self::Closed(_) | Self::NoAnswer => UNREACHABLE,
            Self::Compacted => "compacted",
            Self::Older => "older",
            Self::Refused => "refused",
        }
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(status) if self.is_refusal() => {
                write!(
                    f,
                    "it refuses us, {status}: look at revocation.fleet's user or authorization, and at \
                          what that user may read"
                )
            }
            Self::Closed(GrpcStatus::RESOURCE_EXHAUSTED) | Self::Unreadable => {
                f.write_str("what it said cannot be read, or is longer than 4 MiB")
            }
            Self::Closed(status) => write!(f, "{status}"),
            Self::Compacted => f.write_str("its history was compacted"),
            Self::NoAnswer => write!(
                f,
                "no answer within {} s; if none ever comes, look for proxy_on_grpc_receive and proxy_on_grpc_close among \
                 allowed_capabilities",
                TIMEOUT.as_secs()
            ),
            Self::Older => f.write_str("it knows less than before"),
            Self::Refused => {
                f.write_str("it refuses the watch: look at what revocation.fleet's user may read")
            }
        }
    }
}

const UNREACHABLE: &str = "unreachable";
