//! `make istio` and `make envoy-gateway`: the filter behind the control planes that people have, each with the resources
//! that its page of the documentation has. Says in plain words what it tried; ends with an error if something is not so.
//! The first word after `--` names the control plane, others choose tests by a part of their names.
//!
//! Not part of `make test`: what it builds (from Go modules) is large. It is kept in `target/control_planes`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "these tests live in real time")]
#![allow(unreachable_pub, reason = "the rig is included")]

mod documented;
mod envoy_gateway;
mod istio;
mod kubernetes;
mod launcher;
mod registry;
#[path = "../e2e/rig/mod.rs"]
mod rig;
mod rows;

use std::{
    env,
    process::{Command, ExitCode},
};

use rig::{ROOT, process::envoy_command};
use rows::Rows;
use tokio::task::LocalSet;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let mut words = env::args().skip(1);
    let control_plane = words.next();
    if env::var_os("ALONE").is_none() {
        return alone(control_plane.as_deref());
    }
    let mut rows = Rows::new(words.collect());
    let run = async {
        match control_plane.as_deref() {
            Some("istio") => istio::rows(&mut rows).await,
            _ => envoy_gateway::rows(&mut rows).await,
        }
    };
    LocalSet::new().run_until(run).await;
    rows.exit_code()
}

/// The same again, where there is no network but loopback: see `alone`. What has to be fetched is fetched before.
fn alone(control_plane: Option<&str>) -> ExitCode {
    kubernetes::programs();
    registry::crane();
    match control_plane {
        Some("istio") => istio::programs(),
        Some("envoy-gateway") => envoy_gateway::programs(),
        other => panic!("expected istio or envoy-gateway, got {other:?}"),
    };
    envoy_command();
    let mut again = Command::new(format!("{ROOT}/tests/control_planes/alone"));
    again.arg(env::current_exe().expect("this program")).args(env::args().skip(1));
    let status =
        again.status().expect("tests/control_planes/alone, by unshare of util-linux and ip of iproute2");
    if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
