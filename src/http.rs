//! Calls to Envoy's clusters: what is sent, and what comes back.

use std::fmt;
use std::time::Duration;

use crate::date::imf_fixdate;
use crate::token::UnixMillis;

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

/// The scheme of a call's target (RFC 9110 §4.2). Over HTTP/2 the server sees it, and some refuse another than that of
/// their connection, which Envoy does not tell it otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `http`.
    Http,
    /// `https`.
    Https,
}

impl Scheme {
    /// The scheme of a URI, if it is one of these.
    pub fn of(uri: &str) -> Option<Self> {
        match uri.split_once("://")?.0 {
            scheme if scheme.eq_ignore_ascii_case("https") => Some(Self::Https),
            scheme if scheme.eq_ignore_ascii_case("http") => Some(Self::Http),
            _ => None,
        }
    }

    /// As a header has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port of URLs that name none (RFC 9110 §4.2).
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// The header that says it; none where it is not known, so that Envoy says what it likes.
    pub fn header(scheme: Option<Self>) -> Option<(String, String)> {
        scheme.map(|scheme| (":scheme".to_owned(), scheme.as_str().to_owned()))
    }
}

/// An HTTP answer, as far as it matters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reply<'a> {
    /// `:status`.
    pub status: u16,
    /// `content-type`.
    pub content_type: &'a [u8],
    /// `content-encoding`; empty if the body is as it was meant.
    pub content_encoding: &'a [u8],
    /// `location`: where a redirect leads, which is not followed.
    pub location: &'a [u8],
    /// `retry-after`: when to come back (RFC 9110 §10.2.3).
    pub retry_after: &'a [u8],
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

    /// Whether the server says that what was asked for is not there, but elsewhere or nowhere (RFC 9110 §15.4, §15.5.5,
    /// §15.5.11).
    pub fn is_of_another_place(&self) -> bool {
        !self.from_envoy && matches!(self.status, 300..=399 | 404 | 410)
    }

    /// The answer, to keep.
    pub fn to_owned(&self) -> OwnedReply {
        let Self { status, content_type, content_encoding, from_envoy, body, .. } = *self;
        OwnedReply {
            status,
            content_type: content_type.to_vec(),
            content_encoding: content_encoding.to_vec(),
            from_envoy,
            body: body.map(<[u8]>::to_vec),
        }
    }

    /// What came, if anything did, at the end of a line of the log.
    pub fn behind(reply: Option<&Self>) -> String {
        reply.map(|reply| ["; ", &reply.seen()].concat()).unwrap_or_default()
    }

    /// What came, in words for the log: status, content type, and where a redirect leads, without its query.
    pub fn seen(&self) -> String {
        if self.from_envoy {
            return format!("Envoy itself answered {}", self.status);
        }
        let shown = |value: &[u8]| {
            let text: String = String::from_utf8_lossy(value).chars().take(MAX_SHOWN_CHARS).collect();
            format!("{text:?}")
        };
        let mut seen = format!("got status {}, content type {}", self.status, shown(self.content_type));
        if !self.location.is_empty() {
            let target = self.location.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
            seen.push_str(&[", a redirect to ", &shown(target)].concat());
        }
        seen
    }

    /// How long the server asks not to be asked: seconds or a date (RFC 9110 §10.2.3). Only of 429 and 503, where it
    /// is the server's word and not Envoy's.
    pub fn pause(&self, now: UnixMillis) -> Option<Duration> {
        if self.from_envoy || !matches!(self.status, 429 | 503) {
            return None;
        }
        let text = std::str::from_utf8(self.retry_after).ok()?.trim();
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            // What does not fit is longer than anybody waits.
            return Some(Duration::from_secs(text.parse().unwrap_or_else(|_| u64::from(u32::MAX))));
        }
        Some(imf_fixdate(text)?.since(now))
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
            ..Reply::default()
        }
    }
}

impl HttpCall {
    /// A `GET` that accepts `media_types`.
    pub fn get(
        cluster: &str,
        scheme: Option<Scheme>,
        authority: &str,
        path: &str,
        media_types: &str,
        timeout: Duration,
    ) -> Self {
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
            headers: Scheme::header(scheme)
                .into_iter()
                .chain(headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())))
                .collect(),
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
/// A time as `Retry-After` says it: in whole seconds, at least one. A second that has begun counts.
pub(crate) fn retry_after(pause: Duration) -> u32 {
    u32::try_from(pause.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1)
}

/// A call in words for the log: what went where. A query is left out, for it may carry a secret.
pub(crate) fn called(method: &str, path: &str, cluster: &str, authority: &str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    format!("{method} {path} at cluster {cluster:?}, authority {authority:?}")
}

/// Of a header that a log line shows.
const MAX_SHOWN_CHARS: usize = 200;

/// How the filter calls itself.
pub const USER_AGENT: &str = concat!("phantom-token-filter/", env!("CARGO_PKG_VERSION"));

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The codings that servers are known to use, so that a log names no more than one of these.
const CODINGS: [&str; 7] = ["br", "compress", "deflate", "gzip", "x-compress", "x-gzip", "zstd"];
#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis::from_secs(1_795_817_935);

    fn pause(status: u16, retry_after: &str) -> Option<u64> {
        let reply = Reply { status, retry_after: retry_after.as_bytes(), ..Reply::default() };
        reply.pause(NOW).map(|pause| pause.as_secs())
    }

    #[test]
    fn a_server_says_in_seconds_or_by_date_when_to_come_back() {
        assert_eq!(pause(429, "7"), Some(7));
        assert_eq!(pause(503, " 120 "), Some(120));
        assert_eq!(pause(503, "99999999999999999999"), Some(u64::from(u32::MAX)));
        assert_eq!(pause(503, "Fri, 27 Nov 2026 22:18:58 GMT"), Some(3));
        assert_eq!(pause(503, "Thu, 29 Feb 2024 12:00:00 GMT"), Some(0), "has long been");
        for other in ["", "soon", "-1", "1.5", "Fri, 27 Nov 2026 22:18:58", "Fri, 27 Nov 2026 25:18:58 GMT"] {
            assert_eq!(pause(503, other), None, "{other}");
        }
        assert_eq!(pause(200, "7"), None);
        assert_eq!(pause(500, "7"), None);
    }

    #[test]
    fn what_came_is_told_without_a_query() {
        let reply = Reply {
            status: 307,
            content_type: b"text/html",
            location: b"https://as.example/introspect?state=secret",
            ..Reply::default()
        };
        let seen =
            "got status 307, content type \"text/html\", a redirect to \"https://as.example/introspect\"";
        assert_eq!(reply.seen(), seen);
    }
}
