//! canaille, a real authorization server in Python, which answers 400 to any host but its own.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::json;

use super::{ROOT, announced::Announced};

/// Path of its introspection endpoint.
pub const INTROSPECTION: &str = "/oauth/introspect";

/// Its host; `https://` and this is its issuer.
pub const HOST: &str = "as.example";

pub struct Canaille(Announced);

impl Canaille {
    pub async fn start() -> Self {
        let python = Path::new(ROOT).join(".venv/bin/python");
        assert!(python.exists(), "{} is missing: run `make setup`", python.display());
        let file = |name: &str| format!("{ROOT}/tests/keys/{name}");
        let options = json!({"host": HOST, "cert": file("tls.cert.pem"), "key": file("ec256.pem")});
        let mut command = Command::new(python);
        command.args(["-c", include_str!("canaille.py")]).env("OPTIONS", options.to_string());
        Self(Announced::start("canaille", command.stdout(Stdio::piped())).await)
    }

    /// An access token of the client `app`, which the client `gateway` may introspect.
    pub fn token(&self) -> String {
        self.0.lines().first().expect("an access token").clone()
    }

    /// Where it listens, with TLS.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }
}
