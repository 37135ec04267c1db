//! Spring Authorization Server 7.1.2: the small application in `tests/servers/spring`, built by Maven.

use std::{net::SocketAddr, process::Command};

use hyper::Response;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    rig::{
        browser::{Browser, Session, parameter, query},
        client::Request,
        http_server::{HttpServer, whole},
        installed::installed,
        oauth_client::{post_as, text},
        process::Process,
        started::{free_port, started},
    },
    server::{End, Gateway, Server, rotate_keys_of_ours, session},
};

const REDIRECT_URI: &str = "https://app.example/cb";

pub struct Spring {
    // In this order: the process ends before its files go.
    process: Process,
    _keys: HttpServer,
    _directory: TempDir,
    address: SocketAddr,
}

impl Server for Spring {
    const NAME: &str = "Spring Authorization Server";
    const ENDS: &[End] = &[End::refresh_token(true)];

    async fn start(gateway: &Gateway) -> Self {
        let jwks = gateway.jwks().to_string();
        let keys = HttpServer::start(move |_| {
            let jwks = jwks.clone();
            async { Ok(Response::new(whole(jwks))) }
        })
        .await;
        let install = "cp -r \"$ROOT\"/tests/servers/spring/. . && mvn -q -B package";
        let jar =
            installed("servers", "spring-7.1.2", "target/server.jar", install).join("target/server.jar");
        let address = free_port();
        let mut command = Command::new("java");
        command
            .arg("-jar")
            .arg(jar)
            .args(["--server.address=127.0.0.1", &format!("--server.port={}", address.port())])
            .arg(format!("--gateway.jwks-uri=http://{}/", keys.address()));
        let (process, directory) = started(&mut command, address, Request::get("/oauth2/jwks")).await;
        Self { process, _keys: keys, _directory: directory, address }
    }

    fn address(&self, _cluster: &str) -> SocketAddr {
        self.address
    }

    fn process(&self) -> &Process {
        &self.process
    }

    fn authentications(&self, gateway: &Gateway) -> Vec<Value> {
        vec![
            gateway.client_secret_basic("gateway"),
            gateway.client_secret_post("gateway"),
            gateway.private_key_jwt("gateway-jwt", "https://spring.example"),
        ]
    }

    async fn access_token(&self) -> String {
        let form = [("grant_type", "client_credentials"), ("scope", Self::SCOPE)];
        text(&self.post("app", "/oauth2/token", &form).await, "access_token")
    }

    async fn jwt(&self) -> Result<String, &'static str> {
        let form = [("grant_type", "client_credentials"), ("scope", Self::SCOPE)];
        Ok(text(&self.post("app-jwt", "/oauth2/token", &form).await, "access_token"))
    }

    async fn no_access_tokens(&self) -> Vec<(&'static str, String)> {
        let reply = self.tokens("app").await;
        vec![
            ("refresh token", text(&reply, "refresh_token")),
            ("ID token", text(&reply, "id_token")),
            ("authorization code", self.authorize("app").await),
        ]
    }

    async fn revoke(&self, access_token: &str) {
        self.post("app", "/oauth2/revoke", &[("token", access_token)]).await;
    }

    async fn rotate_keys(&self) -> Result<(), &'static str> {
        rotate_keys_of_ours(self.address).await;
        Ok(())
    }

    async fn login(&self) -> Session {
        let reply = self.tokens("app").await;
        session(Browser::new(self.address), &reply)
    }

    async fn end(&self, _way: &str, session: Session) {
        self.revoke(&session.refresh_token.expect("a refresh token")).await;
    }
}

impl Spring {
    /// Alice logs in to `client`, which asks for what a login gives and for no more.
    async fn tokens(&self, client: &str) -> Value {
        let code = self.authorize(client).await;
        let form = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", REDIRECT_URI)];
        self.post(client, "/oauth2/token", &form).await
    }

    async fn authorize(&self, client: &str) -> String {
        let mut browser = Browser::new(self.address);
        let request = [("client_id", client), ("response_type", "code"), ("redirect_uri", REDIRECT_URI)];
        let request = [&request[..], &[("scope", "openid read")]].concat();
        // Only who wants HTML is sent to the login.
        let get = |location: &str| Request::get(location).header("accept", "text/html");
        let mut page = browser.send(get(&format!("/oauth2/authorize?{}", query(&request)))).await;
        let mut pages = 0;
        loop {
            pages += 1;
            assert!(pages < 10, "no end of pages: {page:?}");
            page = match page.header("location").map(str::to_owned) {
                Some(location) if location.starts_with(REDIRECT_URI) => {
                    break parameter(&location, "code").unwrap_or_else(|| panic!("no code in {location}"));
                }
                // It names itself by the Host that it was asked under.
                Some(location) => {
                    let path = location.strip_prefix("http://api.example").unwrap_or(&location);
                    browser.send(get(path)).await
                }
                None => browser.submit(&page, &[("username", "alice"), ("password", "alice")]).await,
            };
        }
    }

    async fn post(&self, client: &str, path: &str, form: &[(&str, &str)]) -> Value {
        post_as((client, &format!("{client}-secret")), self.address, path, form).await
    }
}
