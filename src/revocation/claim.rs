//! What signals have in common: claims (RFC 7519 §4.1) and forms.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::token::UnixMillis;

/// A non-empty text. `None` if the claim is absent or anything else.
pub(super) fn text<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<&'c str> {
    claims.get(name)?.as_str().filter(|text| !text.is_empty())
}

/// A point in time. `None` if the claim is absent or anything else.
pub(super) fn time(claims: &Map<String, Value>, name: &'static str) -> Option<UnixMillis> {
    crate::claims::numeric_date(claims, name).ok()?
}

/// Whether `aud`, a text or an array of texts (RFC 7519 §4.1.3), has one of `ours`.
pub(super) fn is_for(claims: &Map<String, Value>, ours: &[String]) -> bool {
    let is_ours =
        |audience: &Value| audience.as_str().is_some_and(|audience| ours.iter().any(|our| our == audience));
    match claims.get("aud") {
        Some(Value::Array(audiences)) => audiences.iter().any(is_ours),
        Some(audience) => is_ours(audience),
        None => false,
    }
}

/// Whether a header's `typ` is this media type, with or without `application/`, in any case (RFC 7515 §4.1.9).
pub(super) fn is_typ(typ: &str, wanted: &str) -> bool {
    let prefix = "application/";
    let typ = match typ.split_at_checked(prefix.len()) {
        Some((start, rest)) if start.eq_ignore_ascii_case(prefix) => rest,
        _ => typ,
    };
    typ.eq_ignore_ascii_case(wanted)
}

/// `application/x-www-form-urlencoded`, in any case and with any parameters (RFC 9110 §8.3.1).
pub(super) fn is_form(content_type: &[u8]) -> bool {
    let essence = content_type.split(|&byte| byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

/// Clocks of two machines.
pub(super) const LEEWAY: Duration = Duration::from_secs(60);
