//! zitadel/oidc 3.52.0, a Go library: `tests/servers/zitadel/main.go` makes a server of it.

use std::{net::SocketAddr, process::Command};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    rig::{
        browser::{Browser, Session, parameter, query},
        client::Request,
        installed::installed,
        oauth_client::{post_as, text},
        process::Process,
        started::{free_port, started},
    },
    server::{End, Gateway, Server, rotate_keys_of_ours, session},
};

const REDIRECT_URI: &str = "https://app.example/cb";
const LOGOUT: &str = "logout asked for by the client (RP-initiated)";
const ISSUER: &str = "https://zitadel.example/";

pub struct Zitadel {
    // In this order: the process ends before its files go.
    process: Process,
    _directory: TempDir,
    address: SocketAddr,
}

impl Server for Zitadel {
    const NAME: &str = "zitadel/oidc";
    const ENDS: &[End] =
        &[End::refresh_token(true), End { way: LOGOUT, ends_access_token: true, is_told: false }];
    const SCOPE: &str = "profile";

    async fn start(gateway: &Gateway) -> Self {
        let install = "cp \"$ROOT\"/tests/servers/zitadel/* . && go build -o server .";
        let server = installed("servers", "zitadel-3.52.0", "server", install).join("server");
        let address = free_port();
        let mut command = Command::new(server);
        command.args([address.port().to_string(), gateway.jwk().to_string()]);
        let (process, directory) = started(&mut command, address, Request::get("/keys")).await;
        Self { process, _directory: directory, address }
    }

    fn address(&self, _cluster: &str) -> SocketAddr {
        self.address
    }

    fn process(&self) -> &Process {
        &self.process
    }

    fn authentications(&self, gateway: &Gateway) -> Vec<Value> {
        vec![gateway.client_secret_basic("gateway"), gateway.private_key_jwt("gateway", ISSUER)]
    }

    async fn access_token(&self) -> String {
        text(&self.tokens("app").await, "access_token")
    }

    async fn jwt(&self) -> Result<String, &'static str> {
        Ok(text(&self.tokens("app-jwt").await, "access_token"))
    }

    async fn no_access_tokens(&self) -> Vec<(&'static str, String)> {
        let reply = self.tokens("app-jwt").await;
        vec![
            ("refresh token", text(&reply, "refresh_token")),
            ("ID token", text(&reply, "id_token")),
            ("authorization code", self.authorize("app").await),
        ]
    }

    async fn revoke(&self, access_token: &str) {
        self.post("app", "/revoke", &[("token", access_token)]).await;
    }

    async fn rotate_keys(&self) -> Result<(), &'static str> {
        rotate_keys_of_ours(self.address).await;
        Ok(())
    }

    async fn login(&self) -> Session {
        let reply = self.tokens("app").await;
        session(Browser::new(self.address), &reply)
    }

    async fn end(&self, way: &str, session: Session) {
        if way == LOGOUT {
            let path = format!("/end_session?{}", query(&[("id_token_hint", &session.id_token)]));
            let reply = Request::get(&path).send(self.address).await;
            assert_eq!(reply.status, 302, "{reply:?}");
        } else {
            self.revoke(&session.refresh_token.expect("a refresh token")).await;
        }
    }
}

impl Zitadel {
    /// A user of the example logs in to `client`.
    async fn tokens(&self, client: &str) -> Value {
        let code = self.authorize(client).await;
        let form = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", REDIRECT_URI)];
        self.post(client, "/oauth/token", &form).await
    }

    async fn authorize(&self, client: &str) -> String {
        let mut browser = Browser::new(self.address);
        let request = [("client_id", client), ("response_type", "code"), ("redirect_uri", REDIRECT_URI)];
        let request = [&request[..], &[("scope", "openid profile offline_access"), ("state", "s")]].concat();
        let mut page = browser.get(&format!("/auth?{}", query(&request))).await;
        loop {
            page = match page.header("location").map(str::to_owned) {
                Some(location) if location.starts_with(REDIRECT_URI) => {
                    break parameter(&location, "code").unwrap_or_else(|| panic!("no code in {location}"));
                }
                Some(location) => {
                    browser.get(location.strip_prefix("https://zitadel.example").unwrap_or(&location)).await
                }
                None => {
                    browser.submit(&page, &[("username", "test-user2"), ("password", "verysecure")]).await
                }
            };
        }
    }

    async fn post(&self, client: &str, path: &str, form: &[(&str, &str)]) -> Value {
        post_as((client, &format!("{client}-secret")), self.address, path, form).await
    }
}
