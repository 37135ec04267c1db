//! Node with the packages of the demo, for the real authorization server and the second JWT library.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use super::ROOT;

/// Runs an ES module given as text. Its bare imports are found in `envoy/demo/node_modules`, its working directory.
pub fn module(source: &str) -> Command {
    let demo = Path::new(ROOT).join("envoy/demo");
    let modules = demo.join("node_modules/oidc-provider");
    assert!(modules.exists(), "{} is missing: run `make setup`", modules.display());
    let mut command = Command::new("node");
    command.args(["--no-warnings", "--input-type=module", "--eval", source]).current_dir(demo);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}
