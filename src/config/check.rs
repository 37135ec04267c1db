//! Checks that several parts of the configuration share. Each gives back what it was given, or says where
//! something else was wanted.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::error::ConfigError;
use super::scalar::{Count, Length, SecretSource};
use crate::token::Secret;

pub(super) fn count(
    path: &str,
    value: Option<Count>,
    default: u32,
    range: RangeInclusive<u32>,
) -> Result<u32, ConfigError> {
    let value = value.map_or(default, |count| count.0);
    let wanted = || format!("expected a number from {} to {}, got {value}", range.start(), range.end());
    range.contains(&value).then_some(value).ok_or_else(|| ConfigError::new(path, wanted()))
}

pub(super) fn length(
    path: &str,
    value: Option<Length>,
    default: Duration,
    range: RangeInclusive<Duration>,
) -> Result<Duration, ConfigError> {
    let value = value.map_or(default, |length| length.0);
    let wanted = || format!("expected a duration from {:?} to {:?}, got {value:?}", range.start(), range.end());
    range.contains(&value).then_some(value).ok_or_else(|| ConfigError::new(path, wanted()))
}

/// A text of at least one character.
pub(super) fn non_empty(path: &str, text: String) -> Result<String, ConfigError> {
    if text.is_empty() { Err(ConfigError::new(path, "expected a text, got an empty one")) } else { Ok(text) }
}

/// A text that can stand between quotes in a challenge (RFC 6750 §3).
pub(super) fn quotable(path: &str, text: String) -> Result<String, ConfigError> {
    let ok = text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\');
    if ok {
        Ok(text)
    } else {
        Err(ConfigError::new(path, format!("expected ASCII without quotes and backslashes, got {text:?}")))
    }
}

/// A scope-token (RFC 6749 §3.3).
pub(super) fn scope(path: &str, text: String) -> Result<String, ConfigError> {
    let ok = !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~'));
    if ok { Ok(text) } else { Err(ConfigError::new(path, format!("expected one scope without spaces, got {text:?}"))) }
}

/// A path that starts with a slash.
pub(super) fn path(path: &str, text: String) -> Result<String, ConfigError> {
    let ok = text.starts_with('/') && text.bytes().all(|byte| matches!(byte, b'!'..=b'~'));
    if ok {
        Ok(text)
    } else {
        Err(ConfigError::new(path, format!("expected a path such as \"/introspect\", got {text:?}")))
    }
}

/// The name of a header that the filter may write, brought to lower case.
pub(super) fn header_name(path: &str, name: String) -> Result<String, ConfigError> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let lower = name.to_ascii_lowercase();
    let ok = !name.is_empty() && name.bytes().all(is_token) && !UNTOUCHABLE_HEADERS.contains(&lower.as_str());
    if ok {
        Ok(lower)
    } else {
        Err(ConfigError::new(path, format!("expected the name of a header that may be changed, got {name:?}")))
    }
}

/// The value of a header.
pub(super) fn header_value(path: &str, text: String) -> Result<String, ConfigError> {
    if text.chars().any(char::is_control) {
        return Err(ConfigError::new(path, "expected the value of a header, got one with control characters"));
    }
    Ok(text)
}

/// The secret itself, from where it is.
pub(super) fn secret(
    path: &str,
    source: SecretSource,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Secret, ConfigError> {
    let text = match source {
        SecretSource::Inline(text) => text,
        SecretSource::Env(name) => env(&name).ok_or_else(|| {
            let hint = "add it to vm_config.environment_variables.host_env_keys and to Envoy's own environment";
            ConfigError::new(path, format!("expected the environment variable {name}, got none ({hint})"))
        })?,
    };
    if text.is_empty() { Err(ConfigError::new(path, "expected a secret, got an empty one")) } else { Ok(Secret::new(text)) }
}

/// Framing and routing are Envoy's business.
const UNTOUCHABLE_HEADERS: [&str; 6] =
    ["host", "content-length", "transfer-encoding", "connection", "upgrade", "te"];
