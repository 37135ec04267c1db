//! The second real authorization server: glewlwyd, in C, with JWT access tokens (RFC 9068) that it can revoke. Each
//! one has a fresh database and is configured as an administrator would do it, over its API.

use std::{
    fs::{self, File},
    net::SocketAddr,
    process::Command,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpSocket, sync::Mutex};

use super::{
    ROOT,
    browser::{Browser, Session, parameter, query},
    client::Request,
    oauth_client::{post_as, text},
    process::Process,
    within_limit,
};

/// Path of its introspection endpoint.
pub const INTROSPECTION: &str = "/api/oidc/introspect";
/// Path of its key set.
pub const JWKS: &str = "/api/oidc/jwks";
/// The audience of [`Glewlwyd::token_for_resource`].
pub const AUDIENCE: &str = "https://api.example";

/// Tables and first administrator, as its package sets them up.
const SCHEMA: &str = "/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3";
const REDIRECT_URI: &str = "https://app.example/cb";

pub struct Glewlwyd {
    // In this order: the process ends before its files go.
    process: Process,
    directory: TempDir,
    /// Holds the port, without listening, so that nobody else gets it before glewlwyd does.
    _port: TcpSocket,
    address: SocketAddr,
    admin: Mutex<Browser>,
    setup: Value,
}

impl Glewlwyd {
    pub async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let database = directory.path().join("database");
        let schema = File::open(SCHEMA).expect("glewlwyd, which `make setup` installs");
        let made = Command::new("sqlite3").arg(&database).stdin(schema).status();
        assert!(made.expect("sqlite3, which `make setup` installs").success());

        let port = TcpSocket::new_v4().expect("a socket");
        port.set_reuseaddr(true).expect("SO_REUSEADDR");
        port.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free loopback port");
        let address = port.local_addr().expect("a bound address");

        let configuration = include_str!("glewlwyd.conf")
            .replace("ADDRESS", &address.to_string())
            .replace("PORT", &address.port().to_string())
            .replace("DATABASE", &database.to_string_lossy());
        let (file, log) = (directory.path().join("glewlwyd.conf"), directory.path().join("log"));
        fs::write(&file, configuration).expect("a configuration, written");
        let log_file = File::create(&log).expect("a log file");
        let mut command = Command::new("glewlwyd");
        command
            .arg("--config-file")
            .arg(&file)
            .stdout(log_file.try_clone().expect("the log"))
            .stderr(log_file);
        let mut process = Process::start(&mut command);
        within_limit("the start of glewlwyd", async {
            while Request::get("/config").try_send(address).await.is_err() {
                let log = || fs::read_to_string(&log).unwrap_or_default();
                assert!(!process.has_ended(), "glewlwyd does not start:\n{}", log());
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;

        let setup: Value = serde_json::from_str(include_str!("glewlwyd.json")).expect("glewlwyd.json");
        let admin = Mutex::new(Browser::new(address));
        let server = Self { process, directory, _port: port, address, admin, setup };
        server.set_up().await;
        server
    }

    async fn set_up(&self) {
        self.administer("POST", "/auth/", &json!({"username": "admin", "password": "password"})).await;
        for scope in self.setup["scopes"].as_array().expect("scopes") {
            let scope = json!({"name": scope, "display_name": scope, "password_required": false});
            self.administer("POST", "/scope/", &scope).await;
        }
        let key = |name| fs::read_to_string(format!("{ROOT}/tests/keys/{name}")).expect("a key of the tests");
        let mut plugin = self.setup["plugin"].clone();
        plugin["parameters"]["iss"] = json!(self.issuer());
        plugin["parameters"]["key"] = json!(key("rsa2048.pem"));
        plugin["parameters"]["cert"] = json!(key("rsa2048.public.pem"));
        self.administer("POST", "/mod/plugin/", &plugin).await;
        for client in self.setup["clients"].as_array().expect("clients") {
            self.administer("POST", "/client/", client).await;
        }
        self.administer("POST", "/user/", &self.setup["user"]).await;
    }

    pub fn process(&self) -> &Process {
        &self.process
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn issuer(&self) -> String {
        format!("http://{}/api/oidc", self.address)
    }

    /// A new access token of the client `app` itself. Its `aud` is its scope, as glewlwyd has it.
    pub async fn token(&self, scope: &str) -> String {
        self.client_credentials("app", &[("scope", scope)]).await
    }

    /// A new access token of the client `app`, for [`AUDIENCE`], which its `aud` names; the scope is `read`.
    pub async fn token_for_resource(&self) -> String {
        self.client_credentials("app", &[("scope", "read"), ("resource", AUDIENCE)]).await
    }

    /// A token by which a gateway may introspect (`auth: {bearer: ..}`) instead of by its credentials.
    pub async fn introspection_token(&self) -> String {
        self.client_credentials("gw-basic", &[("scope", "introspect")]).await
    }

    /// A new access token of the user `alice`, who gave the client `app` her password.
    pub async fn token_for_user(&self, scope: &str) -> String {
        let form =
            [("grant_type", "password"), ("username", "alice"), ("password", "alice-pw1"), ("scope", scope)];
        text(&self.post("app", "/oidc/token", &form).await, "access_token")
    }

    async fn client_credentials(&self, client: &str, parameters: &[(&str, &str)]) -> String {
        let form = [&[("grant_type", "client_credentials")], parameters].concat();
        text(&self.post(client, "/oidc/token", &form).await, "access_token")
    }

    /// `alice` logs in, and the client `app` has a code that it has not redeemed yet.
    pub async fn authorize(&self) -> (Browser, String) {
        const SCOPE: &str = "openid read";
        let mut browser = Browser::new(self.address);
        for (method, path, body) in [
            ("POST", "/api/auth/", json!({"username": "alice", "password": "alice-pw1"})),
            ("PUT", "/api/auth/grant/app", json!({"scope": SCOPE})),
        ] {
            let reply = browser.send(json_request(method, path, &body)).await;
            assert_eq!(reply.status, 200, "{path}: {reply:?}");
        }
        let request = [
            ("response_type", "code"),
            ("client_id", "app"),
            ("redirect_uri", REDIRECT_URI),
            ("scope", SCOPE),
            ("nonce", "of-this-login"),
            ("g_continue", ""),
        ];
        let reply = browser.get(&format!("/api/oidc/auth?{}", query(&request))).await;
        let code = reply.header("location").and_then(|location| parameter(location, "code"));
        let code = code.unwrap_or_else(|| panic!("no code: {reply:?}"));
        (browser, code)
    }

    /// `alice` logs in to the client `app`, with the scopes `openid` and `read`.
    pub async fn login(&self) -> Session {
        let (browser, code) = self.authorize().await;
        let form = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", REDIRECT_URI)];
        let reply = self.post("app", "/oidc/token", &form).await;
        Session::of(browser, &reply)
    }

    /// Ends the session at the server, which ends its tokens. Back-channel logout may still be under way.
    pub async fn logout(&self, mut session: Session) {
        let sid = session.sid();
        let reply = session
            .browser
            .send(json_request("DELETE", &format!("/api/oidc/session/{sid}"), &json!({})))
            .await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    /// Revokes an access token or a refresh token (RFC 7009).
    pub async fn revoke(&self, token: &str) {
        self.post("app", "/oidc/revoke", &[("token", token)]).await;
    }

    /// What it says of a token (RFC 7662).
    pub async fn introspect(&self, token: &str) -> Value {
        self.post("app", "/oidc/introspect", &[("token", token)]).await
    }

    /// From now on logouts of the client `app` are told there (OpenID Connect Back-Channel Logout).
    pub async fn set_back_channel_logout_uri(&self, uri: &str) {
        let mut client = self.setup["clients"][0].clone();
        client["backchannel_logout_uri"] = json!(uri);
        self.administer("PUT", "/client/app", &client).await;
    }

    /// From now on these private JWKs are its keys, in the place of those it has. All are published; the first signs.
    pub async fn set_keys(&self, keys: &[&Value]) {
        let mut plugin = self.setup["plugin"].clone();
        plugin["parameters"]["iss"] = json!(self.issuer());
        plugin["parameters"]["jwks-private"] = json!(json!({"keys": keys}).to_string());
        plugin["parameters"]["default-kid"] = keys[0]["kid"].clone();
        self.administer("PUT", "/mod/plugin/oidc", &plugin).await;
        self.administer("PUT", "/mod/plugin/oidc/reset", &json!({})).await;
    }

    async fn administer(&self, method: &'static str, path: &str, body: &Value) {
        let reply = self.admin.lock().await.send(json_request(method, &format!("/api{path}"), body)).await;
        let log = || fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
        assert_eq!(reply.status, 200, "{path}: {reply:?}\n{}", log());
    }

    async fn post(&self, client: &str, path: &str, fields: &[(&str, &str)]) -> Value {
        let secret = if client == "app" { "app-secret" } else { "gw-secret" };
        post_as((client, secret), self.address, &format!("/api{path}"), fields).await
    }
}

fn json_request(method: &'static str, path: &str, body: &Value) -> Request {
    Request::new(method, path).body(body.to_string()).header("content-type", "application/json")
}
