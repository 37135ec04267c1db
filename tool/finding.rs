//! What is found, and how it is said.

use std::fmt;

use crate::yaml::Position;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// It will not work, or not as meant.
    Error,
    /// It works, but is hardly meant.
    Warning,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    pub(crate) at: Position,
    pub(crate) level: Level,
    /// Keys, with dots: of the filter's configuration from its top, of anything else from what it belongs to.
    pub(crate) path: String,
    /// What was wanted, and what was there.
    pub(crate) problem: String,
}

impl Finding {
    pub(crate) fn error(at: Position, path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { at, level: Level::Error, path: path.into(), problem: problem.into() }
    }

    pub(crate) fn warning(at: Position, path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { level: Level::Warning, ..Self::error(at, path, problem) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Error => "error",
            Level::Warning => "warning",
        };
        write!(f, "{}: {level}: {}: {}", self.at, self.path, self.problem)
    }
}
