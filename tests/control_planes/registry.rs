//! A registry of images on loopback, with what `make release` made in it.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::rig::{ROOT, client::Request, installed::installed, process::Process, started::started};

const VERSION: &str = env!("CARGO_PKG_VERSION");

pub struct Registry {
    // In this order: the process ends before its files go.
    _process: Process,
    _directory: TempDir,
    address: SocketAddr,
}

impl Registry {
    /// With the image.
    pub async fn start(address: SocketAddr) -> Self {
        let crane = crane();
        let mut command = Command::new(&crane);
        command.args(["registry", "serve", "--address", &address.to_string()]);
        let (process, directory) = started(&mut command, address, Request::get("/v2/")).await;
        let mut push = Command::new(&crane);
        push.args(["push", "--insecure"]).arg(released().join("oci"));
        let pushed = push.arg(format!("{address}/phantom-token-filter:{VERSION}")).output().expect("crane");
        assert!(pushed.status.success(), "crane push: {}", String::from_utf8_lossy(&pushed.stderr));
        Self { _process: process, _directory: directory, address }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// The program that is the registry, and pushes to it.
pub fn crane() -> PathBuf {
    let install =
        "GOBIN=\"$PWD\" CGO_ENABLED=0 go install github.com/google/go-containerregistry/cmd/crane@v0.22.1";
    installed("control_planes", "crane-0.22.1", "crane", install).join("crane")
}

/// The folder that `make release` makes.
pub fn released() -> PathBuf {
    let folder = Path::new(ROOT).join(format!("target/release-{VERSION}"));
    assert!(folder.join("oci").exists(), "{} is missing: run `make release`", folder.display());
    folder
}

/// The image's digest, in hexadecimal.
pub fn image_digest() -> String {
    let index = fs::read(released().join("oci/index.json")).expect("the layout's index");
    let index: Value = serde_json::from_slice(&index).expect("JSON");
    let digest = index["manifests"][0]["digest"].as_str().and_then(|digest| digest.strip_prefix("sha256:"));
    digest.expect("an image in the layout").to_owned()
}

/// The module's, as the file beside it says.
pub fn module_digest() -> String {
    let line = fs::read_to_string(released().join("phantom_token_filter.wasm.sha256")).expect("its SHA-256");
    line.split_whitespace().next().expect("its SHA-256").to_owned()
}
