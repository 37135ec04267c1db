//! What the checks want of an authorization server.

use std::{fs, net::SocketAddr, path::Path, time::Duration};

use crate::rig::{client::Request, process::Process};

/// One that runs, with a client `app` that gets tokens and a client `gateway` that asks what they mean.
pub trait Server: Sized {
    /// Its heading in `docs/servers.md`.
    const NAME: &str;
    /// A scope that it gives `app` on request.
    const SCOPE: &str = "read";

    async fn start() -> Self;

    fn address(&self) -> SocketAddr;

    /// Its issuer, where that is not the documented one.
    fn issuer(&self) -> Option<String>;

    /// The documented configuration's client and path, and what they are here.
    fn replaced(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// A new access token with [`Self::SCOPE`].
    async fn access_token(&self) -> String;

    /// A new access token that is a JWT, where [`Self::access_token`] is none and it has such besides.
    async fn jwt(&self) -> Option<String> {
        None
    }

    /// What it gives besides, which is no access token, by its name.
    async fn no_access_tokens(&self) -> Vec<(&'static str, String)>;

    /// Takes an access token back (RFC 7009).
    async fn revoke(&self, access_token: &str);
}

/// The secret of the client `gateway`.
pub const GATEWAY_SECRET: &str = "gw-secret";

/// A port of the loopback interface that nobody listens on now. Servers that cannot take the one they are given by a
/// socket get it by number.
pub fn free_port() -> SocketAddr {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
    socket.local_addr().expect("a bound address")
}

/// Waits until a server answers `GET path` with 200; its log says why where it does not start. Longer than any wait of the
/// rig's, for some start a JVM and a database.
pub async fn until_ready(process: &mut Process, address: SocketAddr, path: &str, log: &Path) {
    let log = || fs::read_to_string(log).unwrap_or_default();
    for _ in 0..1200 {
        assert!(!process.has_ended(), "the server does not start:\n{}", log());
        let ready = Request::get(path).try_send(address).await;
        if ready.is_ok_and(|reply| reply.status == 200) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{path}: no 200 within two minutes:\n{}", log());
}
