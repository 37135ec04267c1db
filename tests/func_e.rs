//! `make func-e`: a first use of func-e over a slow line. The demo is started with `func-e run` where func-e has no Envoy yet and its
//! mirror, on loopback, gives 300 kB a second: it has to wait until Envoy is there, whole, and then serve.
//!
//! Not part of `make test`: it takes minutes, and builds func-e from its Go module, which is kept in `target/func_e`. The Envoy that
//! the mirror has is that of `.venv`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "this test lives in real time")]
#![allow(unreachable_pub, reason = "the rig is included")]

#[path = "e2e/rig/mod.rs"]
mod rig;

use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use http_body_util::{Either, channel::Channel};
use hyper::{Response, body::Bytes};
use serde_json::json;
use sha2::{Digest, Sha256};

use rig::{
    ROOT,
    client::Request,
    http_server::{HttpServer, whole},
    installed::installed,
    process::Process,
    started::free_port,
};

const VERSION: &str = "1.39.3";
const BYTES_A_SECOND: usize = 300_000;
const TARBALL: &str = "/envoy.tar.gz";

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let func_e = installed(
        "func_e",
        "func-e",
        "func-e",
        "CGO_ENABLED=0 GOBIN=\"$PWD\" go install github.com/tetratelabs/func-e/cmd/func-e@v1.6.0",
    );
    let home = tempfile::tempdir().expect("a temporary directory");
    let mirror = Mirror::start(home.path()).await;
    println!("the mirror has {} bytes, which take {} s", mirror.size, mirror.size / BYTES_A_SECOND);

    let first = Demo::start(&func_e, home.path(), &mirror).await;
    assert!(first.took.as_secs() as usize >= mirror.size / BYTES_A_SECOND, "{:?}", first.took);
    println!("  ok     a first use waits for the download, and the demo serves ({:?})", first.took);
    first.end();
    let kept = PathBuf::from(format!("{}/envoy-versions/{VERSION}/bin/envoy", home.path().display()));
    assert_eq!(fs::read(kept).map(Sha256::digest).ok(), Some(Sha256::digest(envoy())), "Envoy, whole");
    println!("  ok     what func-e keeps is the Envoy of the mirror, byte for byte");

    let again = Demo::start(&func_e, home.path(), &mirror).await;
    assert_eq!(mirror.downloads.load(Ordering::Relaxed), 1);
    println!("  ok     the next start fetches nothing ({:?})", again.took);
    again.end();
}

/// The Envoy that the wheel in `.venv` has.
fn envoy() -> Vec<u8> {
    let found = Command::new("find")
        .args([&format!("{ROOT}/.venv/lib"), "-path", "*/envoy/_bin/envoy"])
        .output()
        .expect("find");
    let path = String::from_utf8(found.stdout).expect("a path");
    fs::read(path.trim()).expect("Envoy in .venv, by `make setup`")
}

/// What func-e fetches Envoy from.
struct Mirror {
    server: HttpServer,
    size: usize,
    downloads: Arc<AtomicUsize>,
}

impl Mirror {
    async fn start(directory: &Path) -> Self {
        let packed = directory.join("packed/envoy/bin");
        fs::create_dir_all(&packed).expect("a folder");
        fs::write(packed.join("envoy"), envoy()).expect("Envoy, copied");
        let pack = "chmod +x packed/envoy/bin/envoy && tar -czf envoy.tar.gz -C packed envoy && rm -r packed";
        let packing = Command::new("sh").args(["-c", pack]).current_dir(directory).status();
        assert!(packing.is_ok_and(|status| status.success()), "tar");
        let tarball = Bytes::from(fs::read(directory.join("envoy.tar.gz")).expect("the tarball"));
        let (size, downloads) = (tarball.len(), Arc::new(AtomicUsize::new(0)));
        let counted = downloads.clone();
        let sum: String = Sha256::digest(&tarball).iter().map(|byte| format!("{byte:02x}")).collect();
        let server = HttpServer::start(move |request| {
            let (tarball, sum, counted) = (tarball.clone(), sum.clone(), counted.clone());
            async move {
                if request.uri().path() == TARBALL {
                    counted.fetch_add(1, Ordering::Relaxed);
                    return Ok(Response::new(Either::Right(slowly(tarball))));
                }
                let host = request.headers()["host"].to_str().expect("a host").to_owned();
                let tarballs = json!({"linux/amd64": format!("http://{host}{TARBALL}"), "linux/arm64": format!("http://{host}{TARBALL}")});
                let versions = json!({
                    "latestVersion": VERSION,
                    "versions": {VERSION: {"releaseDate": "2026-01-01", "tarballs": tarballs}},
                    "sha256sums": {TARBALL.trim_start_matches('/'): sum},
                });
                Ok(Response::new(whole(versions.to_string())))
            }
        })
        .await;
        Self { server, size, downloads }
    }
}

/// A body that comes at the speed of the line.
fn slowly(bytes: Bytes) -> Channel<Bytes, rig::http_server::BrokenOff> {
    let (mut sender, body) = Channel::new(1);
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        for start in (0..bytes.len()).step_by(BYTES_A_SECOND / 10) {
            tick.tick().await;
            let end = bytes.len().min(start + BYTES_A_SECOND / 10);
            if sender.send_data(bytes.slice(start..end)).await.is_err() {
                return;
            }
        }
    });
    body
}

/// `make run`, serving.
struct Demo {
    process: Process,
    took: Duration,
}

impl Demo {
    async fn start(func_e: &Path, home: &Path, mirror: &Mirror) -> Self {
        let start = Instant::now();
        let path = format!("{}:{}", func_e.display(), env::var("PATH").unwrap_or_default());
        let gateway = free_port();
        let mut command = Command::new("node");
        command
            .arg(format!("{ROOT}/envoy/demo/run.mjs"))
            .envs([("PATH", path.as_str()), ("ENVOY", "func-e run"), ("ENVOY_VERSION", VERSION)])
            .env("FUNC_E_DATA_HOME", home)
            .env("FUNC_E_CONFIG_HOME", home)
            .env("FUNC_E_STATE_HOME", home.join("state"))
            .env("FUNC_E_RUNTIME_DIR", home.join("runtime"))
            .env("ENVOY_VERSIONS_URL", format!("http://{}/versions.json", mirror.server.address()))
            .env("ENVOY_PORT", gateway.port().to_string())
            .stdout(Stdio::piped());
        for other in ["ENVOY_ADMIN_PORT", "AUTHORIZATION_SERVER_PORT", "UPSTREAM_PORT"] {
            command.env(other, free_port().port().to_string());
        }
        let mut process = Process::start(&mut command);
        let output = BufReader::new(process.child().stdout.take().expect("a pipe"));
        let is_ready = tokio::task::spawn_blocking(move || {
            let mut lines = output.lines().map_while(Result::ok);
            let is_ready = lines.any(|line| line.starts_with("Ready"));
            // Reads on, because a process stops at a full or closed pipe.
            std::thread::spawn(move || lines.for_each(drop));
            is_ready
        });
        assert!(is_ready.await.expect("the demo's output"), "the demo says that it is ready");
        refuses(gateway).await;
        Self { process, took: start.elapsed() }
    }

    fn end(self) {
        let mut process = self.process;
        let pid = process.child().id().to_string();
        let sent = Command::new("kill").args(["-INT", &pid]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill -INT");
        assert!(
            process.child().wait().expect("the end of the demo").success(),
            "the demo ends as it was asked to"
        );
    }
}

/// Whether the filter is there.
async fn refuses(gateway: SocketAddr) {
    let refused = Request::get("/accounts").send(gateway).await;
    assert_eq!(refused.status, 401, "{refused:?}");
}
