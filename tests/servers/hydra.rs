//! Hydra 2.3.0, built from its Go module, with SQLite. Introspection is on the port for administration, so that is the
//! server that the filter asks.

use std::{
    fs::{self, File},
    net::SocketAddr,
    process::Command,
};

use serde_json::json;
use tempfile::TempDir;

use crate::{
    installed::installed,
    rig::{
        client::Request,
        oauth_client::{post_as, text},
        process::Process,
    },
    server::{Server, free_port, until_ready},
};

const INSTALL: &str = "
printf 'module servers\\n\\ngo 1.24\\n' > go.mod
export GOFLAGS=-mod=mod CGO_ENABLED=1
go get -tool github.com/ory/hydra/v2@v2.3.0
echo 'replace github.com/gobuffalo/pop/v6 => github.com/ory/pop/v6 v6.2.1-0.20241121111754-e5dfc0f3344b' >> go.mod
go build -tags sqlite -o hydra github.com/ory/hydra/v2
";

pub struct Hydra {
    // In this order: the process ends before its files go.
    _process: Process,
    _directory: TempDir,
    public: SocketAddr,
    admin: SocketAddr,
}

impl Server for Hydra {
    const NAME: &str = "Hydra";

    async fn start() -> Self {
        let hydra = installed("hydra-2.3.0", "hydra", INSTALL).join("hydra");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (public, admin) = (free_port(), free_port());
        let file = directory.path().join("hydra.json");
        let at = |address: SocketAddr| json!({"host": "127.0.0.1", "port": address.port()});
        let configuration = json!({
            "dsn": format!("sqlite://{}?_fk=true", directory.path().join("database").display()),
            "serve": {"public": at(public), "admin": at(admin)},
            "urls": {"self": {"issuer": "https://hydra.example"}},
            "secrets": {"system": ["a secret of the tests alone"]},
        });
        fs::write(&file, configuration.to_string()).expect("a configuration, written");
        let command = |words: &[&str]| {
            let log = File::create(directory.path().join(words[0])).expect("a log file");
            let mut command = Command::new(&hydra);
            command.args(words).arg("-c").arg(&file).stdout(log.try_clone().expect("the log")).stderr(log);
            command
        };
        let migrated = command(&["migrate", "sql", "-e", "--yes"]).status().expect("hydra runs");
        assert!(migrated.success(), "hydra migrate");
        let mut process = Process::start(&mut command(&["serve", "all", "--dev", "--sqa-opt-out"]));
        until_ready(&mut process, admin, "/health/ready", &directory.path().join("serve")).await;
        let client = json!({
            "client_id": "app", "client_secret": "app-secret", "grant_types": ["client_credentials"],
            "scope": "read write", "audience": ["https://api.example"],
        });
        let reply = Request::post("/admin/clients", client.to_string())
            .header("content-type", "application/json")
            .send(admin)
            .await;
        assert_eq!(reply.status, 201, "{reply:?}");
        Self { _process: process, _directory: directory, public, admin }
    }

    fn address(&self) -> SocketAddr {
        self.admin
    }

    fn issuer(&self) -> Option<String> {
        None
    }

    async fn access_token(&self) -> String {
        let form = [
            ("grant_type", "client_credentials"),
            ("scope", Self::SCOPE),
            ("audience", "https://api.example"),
        ];
        text(&post_as(("app", "app-secret"), self.public, "/oauth2/token", &form).await, "access_token")
    }

    /// A machine alone gets access tokens alone.
    async fn no_access_tokens(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    async fn revoke(&self, access_token: &str) {
        post_as(("app", "app-secret"), self.public, "/oauth2/revoke", &[("token", access_token)]).await;
    }
}
