//! curl: a client over TLS that can show a certificate.

use std::{net::SocketAddr, process::Command};

use serde_json::Value;

use crate::rig::{ROOT, within_limit};

/// What is asked of it, and the certificate of `tests/keys` that it shows. All of the rig's TLS servers are `as.example`.
pub struct Curl(Command);

impl Curl {
    pub fn new(to: SocketAddr, path: &str) -> Self {
        let mut command = Command::new("curl");
        command
            .args(["--silent", "--show-error", "--noproxy", "*", "--write-out", "\n%{http_code}"])
            .args(["--resolve", &format!("as.example:{}:{}", to.port(), to.ip())])
            .args(["--cacert", &file("tls.cert.pem")])
            .arg(format!("https://as.example:{}{path}", to.port()));
        Self(command)
    }

    pub fn bearer(mut self, access_token: &str) -> Self {
        self.0.args(["--header", &format!("authorization: Bearer {access_token}")]);
        self
    }

    /// As a client of an authorization server, by its secret.
    pub fn client(mut self, id: &str, secret: &str) -> Self {
        self.0.args(["--user", &format!("{id}:{secret}")]);
        self
    }

    /// A field of a form, which is posted.
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.0.args(["--data-urlencode", &format!("{name}={value}")]);
        self
    }

    /// All of those certificates are of one key.
    pub fn showing(mut self, certificate: &str) -> Self {
        self.0.args(["--cert", &file(certificate), "--key", &file("ec256.pem")]);
        self
    }

    /// The status and the body; `null` where that is not JSON.
    pub async fn send(mut self) -> (u16, Value) {
        let run = tokio::task::spawn_blocking(move || self.0.output());
        let output = within_limit("curl", run).await.expect("a run").expect("curl, which the tests need");
        let said = String::from_utf8_lossy(&output.stdout);
        let (body, status) = said.rsplit_once('\n').expect("a status");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        (status.parse().expect("a status"), serde_json::from_str(body).unwrap_or_default())
    }
}

fn file(name: &str) -> String {
    format!("{ROOT}/tests/keys/{name}")
}
