//! What is wrong with a configuration: `path: expected this, got that`.

use std::fmt;

/// A thing that is wrong with a configuration. Never shows a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Keys from the top, with dots; empty for the whole.
    pub path: String,
    /// What was wanted, and what was there.
    pub problem: String,
    /// The key of what `path` names that nothing would read, if that is the problem.
    pub unknown_key: Option<String>,
}

impl ConfigError {
    pub(super) fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { path: path.into(), problem: problem.into(), unknown_key: None }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str("configuration")?
        } else {
            f.write_str(&self.path)?
        }
        write!(f, ": {}", self.problem)
    }
}
