//! Keycloak 26.7.3: a distribution from Maven, started for development, with a realm that is made over its admin API.

use std::{fs::File, net::SocketAddr, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    curl::Curl,
    rig::{
        ROOT,
        browser::{self, Browser, Session, parameter, query},
        client::{Reply, Request},
        installed::installed,
        oauth_client::{basic, post_as, text},
        oauth4webapi::{self, Client},
        process::Process,
        started::{free_port, until_ready},
    },
    server::{End, Gateway, Served, Server, Signal, session},
};

const INSTALL: &str = "
mvn -q -B dependency:get -Dartifact=org.keycloak:keycloak-quarkus-dist:26.7.3:zip -Dtransitive=false
mvn -q -B dependency:copy -Dartifact=org.keycloak:keycloak-quarkus-dist:26.7.3:zip -DoutputDirectory=.
unzip -q keycloak-quarkus-dist-26.7.3.zip
rm keycloak-quarkus-dist-26.7.3.zip
mv keycloak-26.7.3 keycloak
";

const OPENID_CONNECT: &str = "/realms/api/protocol/openid-connect";
const TOKEN: &str = "/realms/api/protocol/openid-connect/token";
/// Of the streams of security events.
const STREAMS: &str = "/realms/api/ssf/transmitter/streams";
const LOGGED_OUT: &str = "a session logged out by its user";
const SESSION_ENDED: &str = "a session ended by an administrator";
const SIGNED_OUT: &str = "a user's sessions ended by an administrator";
const ALL_SIGNED_OUT: &str = "a realm's sessions ended by an administrator";
const DISABLED: &str = "user disabled";
const PASSWORD: &str = "password changed by an administrator";
const REDIRECT_URI: &str = "https://app.example/cb";

pub struct Keycloak {
    // In this order: the process ends before its files go.
    process: Process,
    _directory: TempDir,
    address: SocketAddr,
    /// Where clients may show certificates.
    over_tls: SocketAddr,
}

impl Server for Keycloak {
    const NAME: &str = "Keycloak";
    const ENDS: &[End] = &[
        End::refresh_token(true),
        End { way: SIGNED_OUT, ends_access_token: true, is_told: true },
        End { way: ALL_SIGNED_OUT, ends_access_token: true, is_told: false },
        End { way: PASSWORD, ends_access_token: false, is_told: false },
        End { way: DISABLED, ends_access_token: true, is_told: false },
    ];
    const SERVED: &[Served] = &[
        served(Signal::LogoutToken, LOGGED_OUT, Served::NOT, Served::AS_BEFORE),
        served(Signal::LogoutToken, SESSION_ENDED, Served::NOT, Served::AS_BEFORE),
        served(Signal::LogoutToken, SIGNED_OUT, Served::NOT, Served::NOT),
        served(Signal::LogoutToken, ALL_SIGNED_OUT, Served::AS_BEFORE, Served::AS_BEFORE),
        served(Signal::LogoutToken, PASSWORD, Served::AS_BEFORE, Served::AS_BEFORE),
        served(Signal::PolledEvent, SESSION_ENDED, Served::AS_BEFORE, Served::AS_BEFORE),
        served(Signal::PolledEvent, ALL_SIGNED_OUT, Served::AS_BEFORE, Served::AS_BEFORE),
        // An event names the user of a session, too, who is taken whole.
        served(Signal::PolledEvent, LOGGED_OUT, Served::NOT, Served::ASKED),
        served(Signal::PolledEvent, SIGNED_OUT, Served::NOT, Served::NOT),
        served(Signal::PolledEvent, PASSWORD, Served::ASKED, Served::ASKED),
        served(Signal::PushedEvent, LOGGED_OUT, Served::NOT, Served::ASKED),
        served(Signal::PushedEvent, SIGNED_OUT, Served::NOT, Served::NOT),
        served(Signal::PushedEvent, PASSWORD, Served::ASKED, Served::ASKED),
    ];
    const UNTOLD: Option<&str> = Some(DISABLED);
    const SCOPE: &str = "email";
    const TELLS_LOGOUTS: bool = true;

    async fn start(gateway: &Gateway) -> Self {
        Self::launch(gateway, &[]).await
    }

    async fn start_inside(gateway: &Gateway) -> Option<Self> {
        Some(Self::launch(gateway, &["--hostname-backchannel-dynamic", "true"]).await)
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
            gateway.private_key_jwt("gateway-jwt", "https://keycloak.example/realms/api"),
        ]
    }

    async fn access_token(&self) -> String {
        self.login().await.access_token
    }

    async fn jwt(&self) -> Result<String, &'static str> {
        Ok(self.access_token().await)
    }

    async fn no_access_tokens(&self) -> Vec<(&'static str, String)> {
        let session = self.login().await;
        let refresh = session.refresh_token.expect("a refresh token, as it always gives");
        vec![
            ("refresh token", refresh),
            ("ID token", session.id_token),
            ("authorization code", self.authorize(&mut Browser::new(self.address), "openid email").await),
        ]
    }

    async fn dpop_session(
        &self,
        envoy: (&str, SocketAddr),
        requests: &[(&str, &str)],
    ) -> oauth4webapi::Session {
        let token_endpoint = format!("https://{}{OPENID_CONNECT}/token", self.over_tls);
        let client = Client { token_endpoint: &token_endpoint, id: "app-dpop", secret: "app-secret" };
        oauth4webapi::Session::of_client(client, json!({}), "ES256", envoy, requests).await
    }

    async fn token_of_certificate(&self, certificate: &str) -> String {
        let request = Curl::new(self.over_tls, &format!("{OPENID_CONNECT}/token"));
        let request = request.client("app-mtls", "app-secret").field("grant_type", "client_credentials");
        let (status, reply) = request.showing(certificate).send().await;
        assert_eq!(status, 200, "{reply}");
        text(&reply, "access_token")
    }

    async fn revoke(&self, access_token: &str) {
        self.post("revoke", &[("token", access_token)]).await;
    }

    async fn rotate_keys(&self) -> Result<(), &'static str> {
        let realm = self.administer("GET", "", &Value::Null).await;
        let provider = json!({
            "name": "next", "providerId": "rsa-generated", "providerType": "org.keycloak.keys.KeyProvider",
            "parentId": realm["id"],
            "config": {"priority": ["200"], "enabled": ["true"], "active": ["true"], "algorithm": ["RS256"]},
        });
        self.administer("POST", "/components", &provider).await;
        Ok(())
    }

    async fn tell_logouts(&self, uri: &str) {
        let attributes = [("backchannel.logout.url", uri), ("backchannel.logout.session.required", "true")];
        self.set_attributes("app", &attributes).await;
    }

    async fn login(&self) -> Session {
        self.login_at("app").await
    }

    async fn login_briefly(&self) -> Session {
        let mut user = self.alice().await;
        user["enabled"] = json!(true);
        self.administer("PUT", &format!("/users/{}", text(&user, "id")), &user).await;
        self.login_at("app-brief").await
    }

    async fn login_for_two(&self) -> Option<(Session, Session)> {
        let mut browser = Browser::new(self.address);
        let online = self.redeem(&self.authorize(&mut browser, "openid email").await).await;
        let offline = self.redeem(&self.authorize(&mut browser, "openid email offline_access").await).await;
        Some((online, offline))
    }

    async fn refresh(&self, session: &Session) -> String {
        let refresh = session.refresh_token.as_deref().expect("a refresh token, as it always gives");
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
        text(&self.post("token", &form).await, "access_token")
    }

    async fn logout(&self, session: Session) {
        let refresh = session.refresh_token.expect("a refresh token, as it always gives");
        let form = browser::form(&format!("{OPENID_CONNECT}/logout"), &[("refresh_token", &refresh)]);
        let reply = form.header("authorization", basic("app", "app-secret")).send(self.address).await;
        assert_eq!(reply.status, 204, "{reply:?}");
    }

    async fn sign_out(&self, session: Session) {
        self.end(SIGNED_OUT, session).await;
    }

    async fn push_events(&self, uri: &str, authorization: &str) {
        self.set_attributes("gateway-push", &[("ssf.validPushUrls", uri)]).await;
        let form = [("grant_type", "client_credentials")];
        let token = post_as(("gateway-push", Gateway::SECRET), self.address, TOKEN, &form).await;
        let events = ["session-revoked", "credential-change"]
            .map(|name| format!("https://schemas.openid.net/secevent/caep/event-type/{name}"));
        let stream = json!({
            "delivery": {"method": "urn:ietf:rfc:8935", "endpoint_url": uri, "authorization_header": authorization},
            "events_requested": events,
        });
        let request = Request::post(STREAMS, stream.to_string()).header("content-type", "application/json");
        let reply = request.bearer(&text(&token, "access_token")).send(self.address).await;
        assert_eq!(reply.status, 201, "{reply:?}");
    }

    async fn end(&self, way: &str, session: Session) {
        let mut user = self.alice().await;
        let path = format!("/users/{}", text(&user, "id"));
        match way {
            LOGGED_OUT => self.logout(session).await,
            SESSION_ENDED => {
                self.administer("DELETE", &format!("/sessions/{}", session.sid()), &Value::Null).await;
            }
            SIGNED_OUT => drop(self.administer("POST", &format!("{path}/logout"), &Value::Null).await),
            ALL_SIGNED_OUT => drop(self.administer("POST", "/logout-all", &Value::Null).await),
            PASSWORD => {
                let password = json!({"type": "password", "value": "alice", "temporary": false});
                self.administer("PUT", &format!("{path}/reset-password"), &password).await;
            }
            DISABLED => {
                user["enabled"] = json!(false);
                self.administer("PUT", &path, &user).await;
            }
            _ => self.revoke(&session.refresh_token.expect("a refresh token, as it always gives")).await,
        }
    }
}

impl Keycloak {
    /// Starts it, and makes the realm.
    async fn launch(gateway: &Gateway, more: &[&str]) -> Self {
        let folder = installed("servers", "keycloak-26.7.3", "keycloak/bin/kc.sh", INSTALL).join("keycloak");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (address, over_tls) = (free_port(), free_port());
        let key_file = |name: &str| format!("{ROOT}/tests/keys/{name}");
        let log = File::create(directory.path().join("log")).expect("a log file");
        let mut command = Command::new(folder.join("bin/kc.sh"));
        command
            .args(["start-dev", "--db", "dev-mem", "--features", "ssf"])
            .args(["--http-host", "127.0.0.1", "--hostname", "https://keycloak.example"])
            .args(["--http-port", &address.port().to_string()])
            .args(["--http-management-port", &free_port().port().to_string()])
            .args(["--https-port", &over_tls.port().to_string()])
            .args(["--https-certificate-file", &key_file("tls.cert.pem")])
            .args(["--https-certificate-key-file", &key_file("ec256.pem")])
            .args(["--https-client-auth", "request", "--truststore-paths", &key_file("ca.cert.pem")])
            // Without them it pushes to https alone, and every 30 s.
            .arg("--spi-ssf-transmitter--default--allow-insecure-push-targets=true")
            .arg("--spi-ssf-transmitter--default--outbox-drainer-interval=1s")
            .args(more)
            .env("KC_BOOTSTRAP_ADMIN_USERNAME", "admin")
            .env("KC_BOOTSTRAP_ADMIN_PASSWORD", "admin")
            .stdout(log.try_clone().expect("the log"))
            .stderr(log);
        let mut process = Process::start(&mut command);
        until_ready(&mut process, address, Request::get("/realms/master"), &directory.path().join("log"))
            .await;
        let server = Self { process, _directory: directory, address, over_tls };
        server.set_up(gateway).await;
        server
    }

    async fn set_attributes(&self, client: &str, attributes: &[(&str, &str)]) {
        let path = format!("/clients?clientId={client}");
        let mut client = self.administer("GET", &path, &Value::Null).await[0].take();
        for (name, value) in attributes {
            client["attributes"][name] = json!(value);
        }
        self.administer("PUT", &format!("/clients/{}", text(&client, "id")), &client).await;
    }

    async fn alice(&self) -> Value {
        self.administer("GET", "/users?username=alice", &Value::Null).await[0].take()
    }

    /// `alice` logs in at a client, without a browser.
    async fn login_at(&self, client: &str) -> Session {
        let form = [
            ("grant_type", "password"),
            ("username", "alice"),
            ("password", "alice"),
            ("scope", "openid email"),
        ];
        session(
            Browser::new(self.address),
            &post_as((client, "app-secret"), self.address, TOKEN, &form).await,
        )
    }

    /// `alice` logs in, unless she has in this browser, and the client `app` has a code that it has not redeemed yet.
    async fn authorize(&self, browser: &mut Browser, scope: &str) -> String {
        let request = [("client_id", "app"), ("response_type", "code"), ("redirect_uri", REDIRECT_URI)];
        let request = [&request[..], &[("scope", scope)]].concat();
        let page = browser.get(&format!("{OPENID_CONNECT}/auth?{}", query(&request))).await;
        if let Some(code) = code(&page) {
            return code;
        }
        // It names itself by its hostname, and writes an address in HTML.
        let html = String::from_utf8_lossy(&page.body);
        let html = html.replace("https://keycloak.example", "").replace("&amp;", "&");
        let page = Reply { body: html.into_bytes(), ..page };
        let reply = browser.submit(&page, &[("username", "alice"), ("password", "alice")]).await;
        code(&reply).unwrap_or_else(|| panic!("no code: {reply:?}"))
    }

    async fn redeem(&self, code: &str) -> Session {
        let form = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT_URI)];
        session(Browser::new(self.address), &self.post("token", &form).await)
    }

    async fn post(&self, endpoint: &str, form: &[(&str, &str)]) -> Value {
        post_as(("app", "app-secret"), self.address, &format!("{OPENID_CONNECT}/{endpoint}"), form).await
    }

    /// What docs/servers.md says must be set: the gateway is in the `aud` of the tokens that it may introspect.
    async fn set_up(&self, gateway: &Gateway) {
        let audience = |client: &str| {
            json!({
                "name": client, "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
                "config": {"included.client.audience": client, "access.token.claim": "true"},
            })
        };
        let bound = |client: &str, attribute: &str| {
            json!({
                "clientId": client, "secret": "app-secret", "serviceAccountsEnabled": true,
                "standardFlowEnabled": false, "attributes": {attribute: "true"},
                "protocolMappers": [audience("gateway")],
            })
        };
        let receiver = |client: &str, attributes: Value| {
            json!({
                "clientId": client, "secret": Gateway::SECRET, "serviceAccountsEnabled": true,
                "standardFlowEnabled": false, "attributes": attributes,
            })
        };
        let polls = json!({"ssf.enabled": "true", "access.token.lifespan": "6"});
        let is_pushed_to = json!({
            "ssf.enabled": "true", "ssf.defaultSubjects": "ALL", "ssf.streamAudience": "gateway",
        });
        let by_jwt = json!({"use.jwks.string": "true", "jwks.string": gateway.jwks().to_string()});
        let realm = json!({
            "realm": "api",
            "enabled": true,
            "attributes": {"ssf.transmitterEnabled": "true"},
            "clients": [
                {"clientId": "app", "secret": "app-secret", "directAccessGrantsEnabled": true,
                 "redirectUris": [REDIRECT_URI], "protocolMappers": [audience("gateway"), audience("gateway-jwt")]},
                {"clientId": "gateway", "secret": Gateway::SECRET, "standardFlowEnabled": false},
                {"clientId": "gateway-jwt", "clientAuthenticatorType": "client-jwt", "attributes": by_jwt,
                 "standardFlowEnabled": false},
                receiver("gateway-events", polls),
                receiver("gateway-push", is_pushed_to),
                {"clientId": "app-brief", "secret": "app-secret", "directAccessGrantsEnabled": true,
                 "attributes": {"access.token.lifespan": "12"}, "protocolMappers": [audience("gateway")]},
                bound("app-dpop", "dpop.bound.access.tokens"),
                bound("app-mtls", "tls.client.certificate.bound.access.tokens"),
            ],
            "users": [{
                "username": "alice", "enabled": true, "email": "alice@example.com", "emailVerified": true,
                "firstName": "Alice", "lastName": "Example",
                "credentials": [{"type": "password", "value": "alice"}], "realmRoles": ["offline_access"],
            }],
        });
        self.request("POST", "/admin/realms", &realm).await;
        let scopes = self.administer("GET", "/client-scopes", &Value::Null).await;
        for client in ["gateway-events", "gateway-push"] {
            let clients = self.administer("GET", &format!("/clients?clientId={client}"), &Value::Null).await;
            for name in ["ssf.read", "ssf.manage"] {
                let scope = scopes.as_array().and_then(|all| all.iter().find(|scope| scope["name"] == name));
                let scope = text(scope.unwrap_or_else(|| panic!("no {name} among {scopes}")), "id");
                let path = format!("/clients/{}/default-client-scopes/{scope}", text(&clients[0], "id"));
                self.administer("PUT", &path, &json!({})).await;
            }
        }
    }

    /// Of the realm `api`.
    async fn administer(&self, method: &'static str, path: &str, body: &Value) -> Value {
        self.request(method, &format!("/admin/realms/api{path}"), body).await
    }

    async fn request(&self, method: &'static str, path: &str, body: &Value) -> Value {
        let form = [
            ("grant_type", "password"),
            ("client_id", "admin-cli"),
            ("username", "admin"),
            ("password", "admin"),
        ];
        let admin = browser::form("/realms/master/protocol/openid-connect/token", &form);
        let token = text(&admin.send(self.address).await.json(), "access_token");
        let mut request = Request::new(method, path).bearer(&token);
        if !body.is_null() {
            request = request.body(body.to_string()).header("content-type", "application/json");
        }
        let reply = request.send(self.address).await;
        assert!((200..300).contains(&reply.status), "{path}: {reply:?}");
        serde_json::from_slice(&reply.body).unwrap_or_default()
    }
}

const fn served(signal: Signal, way: &'static str, ended: [u16; 2], other: [u16; 2]) -> Served {
    Served { way, signal, ended, other }
}

/// That of a redirect to the client.
fn code(reply: &Reply) -> Option<String> {
    reply.header("location").and_then(|location| parameter(location, "code"))
}
