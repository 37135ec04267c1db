//! Servers that take their port by number and write a log: started, and awaited.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::Path,
    process::Command,
    time::Duration,
};

use tempfile::TempDir;

use super::{client::Request, process::Process};

/// A port of the loopback interface that nobody listens on now. Servers that cannot take the one they are given by a
/// socket get it by number.
pub fn free_port() -> SocketAddr {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
    socket.local_addr().expect("a bound address")
}

/// Starts a server that writes its log into a folder of its own, and waits until it answers `ready` with 200.
pub async fn started(command: &mut Command, address: SocketAddr, ready: Request) -> (Process, TempDir) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("log");
    let log = File::create(&path).expect("a log file");
    let mut process = Process::start(command.stdout(log.try_clone().expect("the log")).stderr(log));
    until_ready(&mut process, address, ready, &path).await;
    (process, directory)
}

/// Waits until a server answers `request` with 200; its log says why where it does not start.
pub async fn until_ready(process: &mut Process, address: SocketAddr, request: Request, log: &Path) {
    let ready = async || request.try_send(address).await.is_ok_and(|reply| reply.status == 200);
    until(process, "200", log, ready).await;
}

/// Waits until `holds` of a server; its log says why where it ends before. Longer than any wait of the rig's, for some start a
/// JVM and a database.
pub async fn until(process: &mut Process, what: &str, log: &Path, holds: impl AsyncFn() -> bool) {
    let log = || fs::read_to_string(log).unwrap_or_default();
    for _ in 0..3000 {
        assert!(!process.has_ended(), "the server does not start:\n{}", log());
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{what}: not within five minutes:\n{}", log());
}
