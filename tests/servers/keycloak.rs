//! Keycloak 26.7.3: a distribution from Maven, started for development, with a realm that is made over its admin API.

use std::{fs::File, net::SocketAddr, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    installed::installed,
    rig::{
        client::Request,
        oauth_client::{post_as, text},
        process::Process,
    },
    server::{GATEWAY_SECRET, Server, free_port, until_ready},
};

const INSTALL: &str = "
mvn -q -B dependency:get -Dartifact=org.keycloak:keycloak-quarkus-dist:26.7.3:zip -Dtransitive=false
mvn -q -B dependency:copy -Dartifact=org.keycloak:keycloak-quarkus-dist:26.7.3:zip -DoutputDirectory=.
unzip -q keycloak-quarkus-dist-26.7.3.zip
rm keycloak-quarkus-dist-26.7.3.zip
mv keycloak-26.7.3 keycloak
";

const TOKEN: &str = "/realms/api/protocol/openid-connect/token";

pub struct Keycloak {
    // In this order: the process ends before its files go.
    _process: Process,
    _directory: TempDir,
    address: SocketAddr,
}

impl Server for Keycloak {
    const NAME: &str = "Keycloak";
    const SCOPE: &str = "email";

    async fn start() -> Self {
        let folder = installed("keycloak-26.7.3", "keycloak/bin/kc.sh", INSTALL).join("keycloak");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let address = free_port();
        let log = File::create(directory.path().join("log")).expect("a log file");
        let mut command = Command::new(folder.join("bin/kc.sh"));
        command
            .args(["start-dev", "--db", "dev-mem"])
            .args(["--http-host", "127.0.0.1", "--hostname", "https://keycloak.example"])
            .args(["--http-port", &address.port().to_string()])
            .args(["--http-management-port", &free_port().port().to_string()])
            .env("KC_BOOTSTRAP_ADMIN_USERNAME", "admin")
            .env("KC_BOOTSTRAP_ADMIN_PASSWORD", "admin")
            .stdout(log.try_clone().expect("the log"))
            .stderr(log);
        let mut process = Process::start(&mut command);
        until_ready(&mut process, address, "/realms/master", &directory.path().join("log")).await;
        let server = Self { _process: process, _directory: directory, address };
        server.set_up().await;
        server
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn issuer(&self) -> Option<String> {
        None
    }

    async fn access_token(&self) -> String {
        text(&self.login().await, "access_token")
    }

    async fn no_access_tokens(&self) -> Vec<(&'static str, String)> {
        let reply = self.login().await;
        vec![("refresh token", text(&reply, "refresh_token")), ("ID token", text(&reply, "id_token"))]
    }

    async fn revoke(&self, access_token: &str) {
        let path = "/realms/api/protocol/openid-connect/revoke";
        post_as(("app", "app-secret"), self.address, path, &[("token", access_token)]).await;
    }
}

impl Keycloak {
    async fn login(&self) -> Value {
        let form = [
            ("grant_type", "password"),
            ("username", "alice"),
            ("password", "alice"),
            ("scope", "openid email"),
        ];
        post_as(("app", "app-secret"), self.address, TOKEN, &form).await
    }

    /// What docs/servers.md says must be set: the gateway is in the `aud` of the tokens that it may introspect.
    async fn set_up(&self) {
        let audience = json!({
            "name": "gateway", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
            "config": {"included.client.audience": "gateway", "access.token.claim": "true"},
        });
        let realm = json!({
            "realm": "api",
            "enabled": true,
            "clients": [
                {"clientId": "app", "secret": "app-secret", "directAccessGrantsEnabled": true,
                 "redirectUris": ["https://app.example/cb"], "protocolMappers": [audience]},
                {"clientId": "gateway", "secret": GATEWAY_SECRET, "standardFlowEnabled": false},
            ],
            "users": [{
                "username": "alice", "enabled": true, "email": "alice@example.com", "emailVerified": true,
                "firstName": "Alice", "lastName": "Example",
                "credentials": [{"type": "password", "value": "alice"}],
            }],
        });
        let form = "grant_type=password&client_id=admin-cli&username=admin&password=admin";
        let reply = Request::post("/realms/master/protocol/openid-connect/token", form)
            .header("content-type", "application/x-www-form-urlencoded")
            .send(self.address)
            .await;
        let reply = Request::post("/admin/realms", realm.to_string())
            .header("content-type", "application/json")
            .bearer(&text(&reply.json(), "access_token"))
            .send(self.address)
            .await;
        assert_eq!(reply.status, 201, "{reply:?}");
    }
}
