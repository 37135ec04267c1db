//! What signals have in common: claims (RFC 7519 §4.1) and forms.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::http::is_media_type;
use crate::token::UnixMillis;

/// A non-empty text. `None` if the claim is absent or anything else.
pub(super) fn text<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<&'c str> {
    claims.get(name)?.as_str().filter(|text| !text.is_empty())
}

/// A point in time. `None` if the claim is absent or anything else.
pub(super) fn time(claims: &Map<String, Value>, name: &'static str) -> Option<UnixMillis> {
    crate::claims::numeric_date(claims, name).ok()?
}

/// The end of the second that a date is of. A NumericDate is a whole second to most: what happened in the same one may have
/// happened before.
pub(super) fn whole_second(date: UnixMillis) -> UnixMillis {
    UnixMillis::from_secs(date.as_secs()).plus(Duration::from_millis(999))
}

/// `application/x-www-form-urlencoded`, in any case and with any parameters (RFC 9110 §8.3.1).
pub(super) fn is_form(content_type: &[u8]) -> bool {
    is_media_type(content_type, "application/x-www-form-urlencoded")
}

/// Clocks of two machines.
pub(super) const LEEWAY: Duration = Duration::from_secs(60);
