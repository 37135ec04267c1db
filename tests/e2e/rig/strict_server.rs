//! A server that takes a call only if it names the right host and, over HTTP/2 with TLS, the right scheme: in front of one
//! that a test scripts.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{
    ROOT,
    announced::Announced,
    node::{self, Packages},
};

/// Its host.
pub const HOST: &str = "as.example";

pub struct StrictServer(Announced);

impl StrictServer {
    /// In front of the server at `behind`.
    pub async fn before(behind: SocketAddr) -> Self {
        Self::named(HOST, "tls.cert.pem", behind).await
    }

    /// The same of another host, with a certificate of `tests/keys`; a port 0 there is the one that it gets.
    pub async fn named(host: &str, certificate: &str, behind: SocketAddr) -> Self {
        let file = |name: &str| std::fs::read_to_string(format!("{ROOT}/tests/keys/{name}")).expect(name);
        let options = json!({
            "host": host, "behind": behind.to_string(), "cert": file(certificate), "key": file("ec256.pem"),
        });
        let mut command = node::module(Packages::Demo, include_str!("strict-server.mjs"));
        Self(Announced::start("the strict server", command.env("OPTIONS", options.to_string())).await)
    }

    /// Where it listens, for HTTP/2 with TLS.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// The calls so far, right or wrong: `method`, `path`, `scheme` and `authority` of each.
    pub fn calls(&self) -> Vec<Value> {
        self.0.lines().iter().map(|line| serde_json::from_str(line).expect("a call")).collect()
    }
}
