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
    /// `content-encoding`; empty if the body is as it was meant.
    pub content_encoding: &'a [u8],
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
    content_encoding: Vec<u8>,
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

    /// The body as text that is yet to be read: without the byte order mark that some servers begin with (a reader
    /// may ignore it, RFC 8259 §8.1).
    ///
    /// # Errors
    ///
    /// [`Unreadable`] if the body is too long, or coded though every call of ours asks for one that is not.
    pub fn text(&self) -> Result<&[u8], Unreadable> {
        if !self.content_encoding.is_empty() && !self.content_encoding.eq_ignore_ascii_case(b"identity") {
            let known = |coding: &&str| self.content_encoding.eq_ignore_ascii_case(coding.as_bytes());
            return Err(Unreadable::Coded(CODINGS.into_iter().find(known).unwrap_or("another")));
        }
        let body = self.body.ok_or(Unreadable::TooLong)?;
        Ok(body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body))
    }

    /// The answer, to keep.
    pub fn to_owned(&self) -> OwnedReply {
        let Self { status, content_type, content_encoding, from_envoy, body } = *self;
        OwnedReply {
            status,
            content_type: content_type.to_vec(),
            content_encoding: content_encoding.to_vec(),
            from_envoy,
            body: body.map(<[u8]>::to_vec),
        }
    }
}

impl OwnedReply {
    /// The answer, for reading.
    pub fn view(&self) -> Reply<'_> {
        let Self { status, content_type, content_encoding, from_envoy, body } = self;
        Reply {
            status: *status,
            content_type,
            content_encoding,
            from_envoy: *from_envoy,
            body: body.as_deref(),
        }
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
            ACCEPT_ENCODING,
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

/// Why the body of an answer is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It has this content coding (RFC 9110 §8.4.1).
    Coded(&'static str),
    /// It is longer than [`Reply::MAX_BODY_BYTES`].
    TooLong,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Coded(coding) => write!(
                f,
                "expected a body as it is (accept-encoding: identity), got one in the content coding {coding}"
            ),
            Self::TooLong => write!(f, "the body is longer than {} bytes", Reply::MAX_BODY_BYTES),
        }
    }
}

/// What every call of ours says of codings: what is small needs none, and to decode is to be given a bomb.
pub const ACCEPT_ENCODING: (&str, &str) = ("accept-encoding", "identity");

/// How the filter calls itself.
pub const USER_AGENT: &str = concat!("phantom-token-filter/", env!("CARGO_PKG_VERSION"));

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The codings that servers are known to use, so that a log names no more than one of these.
const CODINGS: [&str; 7] = ["br", "compress", "deflate", "gzip", "x-compress", "x-gzip", "zstd"];
