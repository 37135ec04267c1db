//! The tool as a process of its own, with an environment that says nothing.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// What it says, and its exit code.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) text: String,
    pub(crate) errors: String,
    pub(crate) code: i32,
}

/// Runs it beside files of these names and texts.
pub(crate) fn tool(arguments: &[&str], files: &[(&str, &str)]) -> Said {
    let folder = TempDir::new().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    tool_in(folder.path(), arguments)
}

/// Runs it in this folder.
pub(crate) fn tool_in(folder: &Path, arguments: &[&str]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_phantom-token-filter"));
    let Output { status, stdout, stderr } =
        command.args(arguments).current_dir(folder).env_clear().output().unwrap();
    Said {
        text: String::from_utf8(stdout).unwrap(),
        errors: String::from_utf8(stderr).unwrap(),
        code: status.code().expect("a code"),
    }
}
