//! Node with the packages of the demo, for the real authorization server and the second JWT library, or with those of
//! `tests/node`, for clients of other hands.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use super::{ROOT, within_limit};

/// Where a module's bare imports are found, in `node_modules` there. Its working directory.
#[derive(Clone, Copy)]
pub enum Packages {
    Demo,
    Tests,
}

/// Runs an ES module given as text.
pub fn module(packages: Packages, source: &str) -> Command {
    let folder = Path::new(ROOT).join(match packages {
        Packages::Demo => "envoy/demo",
        Packages::Tests => "tests/node",
    });
    let installed = folder.join("node_modules/.package-lock.json");
    assert!(installed.exists(), "{} is missing: run `make setup`", installed.display());
    let mut command = Command::new("node");
    command.args(["--no-warnings", "--input-type=module", "--eval", source]).current_dir(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// Gives a module its task on standard input, and returns the JSON that it prints.
pub async fn run(what: &str, mut command: Command, task: Value) -> Value {
    let running = tokio::task::spawn_blocking(move || {
        let mut node = command.spawn().expect("node, which `make setup` asks for");
        let mut input = node.stdin.take().expect("a piped stdin");
        input.write_all(task.to_string().as_bytes()).expect("node reads its task");
        drop(input);
        let output = node.wait_with_output().expect("node ends");
        serde_json::from_slice(&output.stdout).expect("JSON from node; see its error above")
    });
    within_limit(what, running).await.unwrap_or_else(|error| panic!("{what}: {error}"))
}
