//! Calls to Envoy's clusters: what is sent, and what comes back.

use std::fmt;
use std::time::Duration;

/// A request to a cluster. `Debug` shows neither headers nor body, which carry credentials and the token.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpCall {
    /// Envoy cluster.
    pub cluster: String,
    /// Headers, pseudo-headers first.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
    /// After this, Envoy answers with 504 itself.
    pub timeout: Duration,
}

impl fmt::Debug for HttpCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpCall")
            .field("cluster", &self.cluster)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// An HTTP answer, as far as it matters.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// `:status`.
    pub status: u16,
    /// `content-type`.
    pub content_type: &'a [u8],
    /// Whether Envoy made the answer itself, because the server gave none.
    pub from_envoy: bool,
    /// The body; `None` if it is longer than [`Reply::MAX_BODY_BYTES`].
    pub body: Option<&'a [u8]>,
}

/// An answer that is kept.
#[derive(Clone, Debug)]
pub struct OwnedReply {
    status: u16,
    content_type: Vec<u8>,
    from_envoy: bool,
    body: Option<Vec<u8>>,
}

/// Whether a `content-type` is this media type, in any case and with any parameters (RFC 9110 §8.3.1).
pub(crate) fn is_media_type(content_type: &[u8], media_type: &str) -> bool {
    let essence = content_type.split(|&byte| byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(media_type.as_bytes())
}

impl Reply<'_> {
    /// Longest body that is read: 1 MiB.
    pub const MAX_BODY_BYTES: usize = 1 << 20;

    /// The answer, to keep.
    pub fn to_owned(&self) -> OwnedReply {
        let Self { status, content_type, from_envoy, body } = *self;
        OwnedReply { status, content_type: content_type.to_vec(), from_envoy, body: body.map(<[u8]>::to_vec) }
    }
}

impl OwnedReply {
    /// The answer, for reading.
    pub fn view(&self) -> Reply<'_> {
        let Self { status, content_type, from_envoy, body } = self;
        Reply { status: *status, content_type, from_envoy: *from_envoy, body: body.as_deref() }
    }
}

impl HttpCall {
    /// A `GET` that accepts `media_types`.
    pub fn get(cluster: &str, authority: &str, path: &str, media_types: &str, timeout: Duration) -> Self {
        let headers = [
            (":method", "GET"),
            (":path", path),
            (":authority", authority),
            ("accept", media_types),
            ("user-agent", USER_AGENT),
        ];
        Self {
            cluster: cluster.to_owned(),
            headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            body: Vec::new(),
            timeout,
        }
    }
}

/// How the filter calls itself.
pub const USER_AGENT: &str = concat!("phantom-token-filter/", env!("CARGO_PKG_VERSION"));
