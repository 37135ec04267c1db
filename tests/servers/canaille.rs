//! canaille 0.3.6, by pip: `tests/servers/canaille/server.py`.

use std::{net::SocketAddr, process::Command};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    rig::{
        ROOT,
        browser::{Browser, Session, query},
        client::{Reply, Request},
        installed::installed,
        oauth_client::{basic, text},
        process::Process,
        started::{free_port, started},
    },
    server::{End, Gateway, Server},
};

/// It answers nobody under another name: 302, to itself.
const HOST: &str = "canaille.example";

pub struct Canaille {
    // In this order: the process ends before its files go.
    process: Process,
    _directory: TempDir,
    address: SocketAddr,
}

impl Server for Canaille {
    const NAME: &str = "canaille";
    const ENDS: &[End] = &[End::refresh_token(true)];
    const SCOPE: &str = "profile";

    async fn start(_gateway: &Gateway) -> Self {
        let folder = format!("{ROOT}/tests/servers/canaille");
        let install = format!("python3 -m venv . && bin/pip install -q -r '{folder}/requirements.txt'");
        let python = installed("servers", "canaille-0.3.6", "bin/canaille", &install).join("bin/python");
        let address = free_port();
        let mut command = Command::new(python);
        command.arg(format!("{folder}/server.py")).arg(address.port().to_string());
        let ready = Request::new_at("GET", HOST, "/oauth/jwks.json");
        let (process, directory) = started(&mut command, address, ready).await;
        Self { process, _directory: directory, address }
    }

    fn address(&self, _cluster: &str) -> SocketAddr {
        self.address
    }

    fn process(&self) -> &Process {
        &self.process
    }

    fn authentications(&self, gateway: &Gateway) -> Vec<Value> {
        vec![gateway.client_secret_basic("gateway")]
    }

    async fn access_token(&self) -> String {
        let form = [("grant_type", "client_credentials"), ("scope", Self::SCOPE)];
        text(&self.post("/oauth/token", &form).await.json(), "access_token")
    }

    async fn jwt(&self) -> Result<String, &'static str> {
        Err("its JWTs look like ID tokens")
    }

    async fn no_access_tokens(&self) -> Vec<(&'static str, String)> {
        let refresh = self.login().await.refresh_token.expect("a refresh token, as it always gives");
        vec![("refresh token", refresh)]
    }

    async fn revoke(&self, access_token: &str) {
        let reply = self.post("/oauth/revoke", &[("token", access_token)]).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    async fn rotate_keys(&self) -> Result<(), &'static str> {
        Err("its JWTs look like ID tokens")
    }

    async fn login(&self) -> Session {
        let form = [
            ("grant_type", "password"),
            ("username", "alice"),
            ("password", "alice"),
            ("scope", "openid profile"),
        ];
        let reply = self.post("/oauth/token", &form).await.json();
        Session {
            browser: Browser::new(self.address),
            access_token: text(&reply, "access_token"),
            refresh_token: Some(text(&reply, "refresh_token")),
            // There is none in this grant.
            id_token: String::new(),
        }
    }

    async fn end(&self, _way: &str, session: Session) {
        self.revoke(&session.refresh_token.expect("a refresh token")).await;
    }
}

impl Canaille {
    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let request = Request::new_at("POST", HOST, path)
            .body(query(fields))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("authorization", basic("app", "app-secret"));
        request.send(self.address).await
    }
}
