//! What is wrong with a configuration: `path: expected this, got that`.

use std::fmt;

/// The first thing that is wrong with a configuration. Never shows a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Keys from the top, with dots; empty for the whole.
    pub path: String,
    /// What was wanted, and what was there.
    pub problem: String,
}

impl ConfigError {
    pub(super) fn new(path: impl Into<String>, problem: impl fmt::Display) -> Self {
        Self { path: path.into(), problem: problem.to_string() }
    }

    /// Rewords what serde says into the form of all our errors.
    pub(super) fn from_serde(error: &serde_path_to_error::Error<serde_json::Error>) -> Self {
        let message = error.inner().to_string();
        let mut path = error.path().to_string();
        if path == "." {
            path.clear();
        }
        let wrong = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
        let problem = if let Some((got, wanted)) = wrong.and_then(|rest| rest.split_once(", expected ")) {
            format!("expected {}, got {}", without_rust_names(wanted), without_content(got))
        } else if let Some(name) = message.strip_prefix("missing field ") {
            let name = name.trim_matches('`');
            path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            "expected a value, got none".to_owned()
        } else if let Some((key, wanted)) = unknown(&message, "unknown field ") {
            // The path ends in the unknown key or above it.
            let path_ends_in_key = path == key || path.ends_with(&format!(".{key}"));
            if path_ends_in_key {
                path.truncate(path.len().saturating_sub(key.len() + 1));
            }
            format!("expected {wanted}, got the key {key:?}")
        } else if let Some((variant, wanted)) = unknown(&message, "unknown variant ") {
            format!("expected {wanted}, got {variant:?}")
        } else {
            message
        };
        Self { path, problem }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str("configuration")? } else { f.write_str(&self.path)? }
        write!(f, ": {}", self.problem)
    }
}

/// The name in backquotes, and what would have been right.
fn unknown<'m>(message: &'m str, prefix: &str) -> Option<(&'m str, String)> {
    let (name, wanted) = message.strip_prefix(prefix)?.split_once(", ").unwrap_or((message, ""));
    let wanted = wanted.strip_prefix("expected ").unwrap_or("no key at all").replace('`', "");
    let wanted = wanted.strip_prefix("one of ").map_or(wanted.clone(), |list| format!("one of {list}"));
    Some((name.strip_prefix(prefix).unwrap_or(name).trim_matches('`'), wanted))
}

/// What was there, without a text that may be a secret in the wrong place.
fn without_content(got: &str) -> &str {
    if got.starts_with("string ") { "a string" } else { got }
}

/// serde calls objects by the names of our types.
fn without_rust_names(wanted: &str) -> &str {
    match wanted.split_once(' ') {
        Some(("struct" | "variant" | "struct variant", _)) => "an object",
        _ if wanted.starts_with("struct variant") => "an object",
        _ if wanted.starts_with("enum ") => "one of its names or an object with one key",
        _ if wanted == "a map" => "an object",
        _ if wanted == "a sequence" => "a list",
        _ => wanted,
    }
}
