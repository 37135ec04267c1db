//! Hydra 2.3.0, built from its Go module, with SQLite. Introspection is on the port for administration, so that is the
//! server that the filter asks.

use std::{
    fs::{self, File},
    net::SocketAddr,
    process::Command,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    rig::{
        browser::{Browser, Session, parameter, query},
        client::Request,
        installed::installed,
        jose,
        oauth_client::{post_as, text},
        process::Process,
        started::{free_port, until_ready},
    },
    server::{End, Gateway, Server, session},
};

const INSTALL: &str = "
printf 'module servers\\n\\ngo 1.24\\n' > go.mod
export GOFLAGS=-mod=mod CGO_ENABLED=1
go get -tool github.com/ory/hydra/v2@v2.3.0
echo 'replace github.com/gobuffalo/pop/v6 => github.com/ory/pop/v6 v6.2.1-0.20241121111754-e5dfc0f3344b' >> go.mod
go build -tags sqlite -o hydra github.com/ory/hydra/v2
";

const ISSUER: &str = "https://hydra.example";
const LOGOUT_ALONE: &str = "logout that leaves the consent";
const CONSENT: &str = "consent revoked";
const ACCESS_TOKENS: &str = "hydra.jwt.access-token";
const AUDIENCE: &str = "https://api.example";
const REDIRECT_URI: &str = "https://app.example/cb";

pub struct Hydra {
    // In this order: the process ends before its files go.
    process: Process,
    _directory: TempDir,
    public: SocketAddr,
    admin: SocketAddr,
}

impl Server for Hydra {
    const NAME: &str = "Hydra";
    const ENDS: &[End] = &[
        End::refresh_token(true),
        End { way: LOGOUT_ALONE, ends_access_token: false, is_told: true },
        End { way: CONSENT, ends_access_token: true, is_told: false },
    ];
    const NAMES_INTROSPECTION: bool = false;
    const TELLS_LOGOUTS: bool = true;

    async fn start(_gateway: &Gateway) -> Self {
        let hydra = installed("servers", "hydra-2.3.0", "hydra", INSTALL).join("hydra");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (public, admin) = (free_port(), free_port());
        let file = directory.path().join("hydra.json");
        let at = |address: SocketAddr| json!({"host": "127.0.0.1", "port": address.port()});
        let configuration = json!({
            "dsn": format!("sqlite://{}?_fk=true", directory.path().join("database").display()),
            "serve": {"public": at(public), "admin": at(admin)},
            "urls": {
                "self": {"issuer": ISSUER},
                // Pages that nobody opens: what they would tell Hydra is told here.
                "login": "https://pages.example/login", "consent": "https://pages.example/consent",
                "logout": "https://pages.example/logout",
            },
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
        until_ready(&mut process, admin, Request::get("/health/ready"), &directory.path().join("serve"))
            .await;
        let server = Self { process, _directory: directory, public, admin };
        // It would make them when they are first needed, RSA of 4096 bits, for seconds.
        for set in ["hydra.openid.id-token", ACCESS_TOKENS] {
            server.add_key(set, "first").await;
        }
        for client in ["app", "app-jwt"] {
            server.administer("POST", "/clients", &Self::client(client)).await;
        }
        server
    }

    fn address(&self, cluster: &str) -> SocketAddr {
        if cluster == "hydra" { self.public } else { self.admin }
    }

    fn process(&self) -> &Process {
        &self.process
    }

    fn authentications(&self, _gateway: &Gateway) -> Vec<Value> {
        vec![json!({"none": {}})]
    }

    async fn access_token(&self) -> String {
        self.token("app").await
    }

    async fn jwt(&self) -> Result<String, &'static str> {
        Ok(self.token("app-jwt").await)
    }

    async fn no_access_tokens(&self) -> Vec<(&'static str, String)> {
        let session = self.login().await;
        let refresh = session.refresh_token.expect("a refresh token, as asked for");
        let (_, code) = self.authorize().await;
        vec![("refresh token", refresh), ("ID token", session.id_token), ("authorization code", code)]
    }

    async fn revoke(&self, access_token: &str) {
        self.post("app", "/oauth2/revoke", &[("token", access_token)]).await;
    }

    async fn rotate_keys(&self) -> Result<(), &'static str> {
        self.add_key(ACCESS_TOKENS, "next").await;
        Ok(())
    }

    async fn tell_logouts(&self, uri: &str) {
        let mut client = Self::client("app");
        client["backchannel_logout_uri"] = json!(uri);
        client["backchannel_logout_session_required"] = json!(true);
        self.administer("PUT", "/clients/app", &client).await;
    }

    async fn login(&self) -> Session {
        let (browser, code) = self.authorize().await;
        let form = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", REDIRECT_URI)];
        let reply = self.post("app", "/oauth2/token", &form).await;
        session(browser, &reply)
    }

    /// As docs/servers.md has it: a logout alone ends no token, so its page takes the consent back, too; afterwards, for
    /// Hydra tells only clients that have one.
    async fn logout(&self, session: Session) {
        let sid = self.log_out(session).await;
        let consents = query(&[("subject", "alice"), ("login_session_id", &sid), ("all", "true")]);
        self.administer("DELETE", &format!("/oauth2/auth/sessions/consent?{consents}"), &Value::Null).await;
    }

    async fn end(&self, way: &str, session: Session) {
        match way {
            LOGOUT_ALONE => drop(self.log_out(session).await),
            CONSENT => {
                let all = query(&[("subject", "alice"), ("all", "true")]);
                self.administer("DELETE", &format!("/oauth2/auth/sessions/consent?{all}"), &Value::Null)
                    .await;
            }
            _ => self.revoke(&session.refresh_token.expect("a refresh token, as asked for")).await,
        }
    }
}

impl Hydra {
    /// The newest of a set signs.
    async fn add_key(&self, set: &str, kid: &str) {
        let mut jwk = jose::generate("RS256").await.jwk;
        (jwk["kid"], jwk["alg"], jwk["use"]) = (json!(kid), json!("RS256"), json!("sig"));
        self.administer("PUT", &format!("/keys/{set}/{kid}"), &jwk).await;
    }

    fn client(name: &str) -> Value {
        json!({
            "client_id": name, "client_secret": format!("{name}-secret"), "redirect_uris": [REDIRECT_URI],
            "grant_types": ["client_credentials", "authorization_code", "refresh_token"],
            "scope": "openid offline read write", "audience": [AUDIENCE],
            "access_token_strategy": if name == "app-jwt" { "jwt" } else { "opaque" },
        })
    }

    async fn token(&self, client: &str) -> String {
        let form = [("grant_type", "client_credentials"), ("scope", Self::SCOPE), ("audience", AUDIENCE)];
        text(&self.post(client, "/oauth2/token", &form).await, "access_token")
    }

    /// `alice` logs in, and the client `app` has a code that it has not redeemed yet. Hydra leaves both pages to others: they
    /// tell it what came of them, here with the session's id in the token, as docs/servers.md has it.
    async fn authorize(&self) -> (Browser, String) {
        let mut browser = Browser::new(self.public);
        let request = [
            ("client_id", "app"),
            ("response_type", "code"),
            ("redirect_uri", REDIRECT_URI),
            ("scope", "openid offline read"),
            ("audience", AUDIENCE),
            ("state", "of-this-login"),
        ];
        let mut reply = browser.get(&format!("/oauth2/auth?{}", query(&request))).await;
        for page in ["login", "consent"] {
            let name = format!("{page}_challenge");
            let challenge = reply.header("location").and_then(|location| parameter(location, &name));
            let challenge = query(&[(&name, &challenge.unwrap_or_else(|| panic!("no {name}: {reply:?}")))]);
            let asked = self
                .administer("GET", &format!("/oauth2/auth/requests/{page}?{challenge}"), &Value::Null)
                .await;
            let accept = match page {
                "login" => json!({"subject": "alice", "remember": true}),
                _ => json!({
                    "grant_scope": asked["requested_scope"], "grant_access_token_audience": [AUDIENCE],
                    "session": {"access_token": {"sid": asked["login_session_id"]}},
                }),
            };
            let accepted = format!("/oauth2/auth/requests/{page}/accept?{challenge}");
            let accepted = self.administer("PUT", &accepted, &accept).await;
            reply = browser.get(path(&text(&accepted, "redirect_to"))).await;
        }
        let code = reply.header("location").and_then(|location| parameter(location, "code"));
        (browser, code.unwrap_or_else(|| panic!("no code: {reply:?}")))
    }

    /// The session's `sid`.
    async fn log_out(&self, mut session: Session) -> String {
        let page = format!("/oauth2/sessions/logout?{}", query(&[("id_token_hint", &session.id_token)]));
        let reply = session.browser.get(&page).await;
        let challenge = reply.header("location").and_then(|location| parameter(location, "logout_challenge"));
        let challenge = challenge.unwrap_or_else(|| panic!("no logout_challenge: {reply:?}"));
        let request = self.administer("GET", &logout_request(&challenge), &Value::Null).await;
        let sid = text(&request, "sid");
        let accepted =
            format!("/oauth2/auth/requests/logout/accept?{}", query(&[("logout_challenge", &challenge)]));
        let accepted = self.administer("PUT", &accepted, &json!({})).await;
        session.browser.get(path(&text(&accepted, "redirect_to"))).await;
        sid
    }

    async fn post(&self, client: &str, path: &str, form: &[(&str, &str)]) -> Value {
        post_as((client, &format!("{client}-secret")), self.public, path, form).await
    }

    async fn administer(&self, method: &'static str, path: &str, body: &Value) -> Value {
        let mut request = Request::new(method, &format!("/admin{path}"));
        if !body.is_null() {
            request = request.body(body.to_string()).header("content-type", "application/json");
        }
        let reply = request.send(self.admin).await;
        assert!((200..300).contains(&reply.status), "{path}: {reply:?}");
        serde_json::from_slice(&reply.body).unwrap_or_default()
    }
}

fn logout_request(challenge: &str) -> String {
    format!("/oauth2/auth/requests/logout?{}", query(&[("logout_challenge", challenge)]))
}

/// It names itself by its issuer.
fn path(location: &str) -> &str {
    location.strip_prefix(ISSUER).unwrap_or(location)
}
