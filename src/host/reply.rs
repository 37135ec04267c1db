//! The answer to a call of ours, as the core reads it.

use crate::http::Reply;

/// An answer with these headers; `body` is `None` if it is too long to be read.
pub(in crate::host) fn reply<'a>(
    header: impl Fn(&str) -> Option<&'a [u8]>,
    body: Option<&'a [u8]>,
) -> Reply<'a> {
    Reply {
        status: header(":status")
            .and_then(|status| std::str::from_utf8(status).ok()?.parse().ok())
            .unwrap_or(0),
        content_type: header("content-type").unwrap_or_default(),
        content_encoding: header("content-encoding").unwrap_or_default(),
        location: header("location").unwrap_or_default(),
        retry_after: header("retry-after").unwrap_or_default(),
        // Only an answer that came from the upstream has been timed.
        from_envoy: header("x-envoy-upstream-service-time").is_none(),
        body,
    }
}
