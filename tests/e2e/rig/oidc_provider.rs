//! The real authorization server: oidc-provider under Node, on a free port.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{
    announced::Announced,
    browser::{Browser, Session, parameter, query},
    client::Request,
    node::{self, Packages},
    oauth_client::{post_as, text},
    process::Process,
};

/// Path of its introspection endpoint.
pub const INTROSPECTION: &str = "/token/introspection";
/// Path of its key set.
pub const JWKS: &str = "/jwks";
/// The audience of its JWTs, and of opaque tokens that are asked for with it.
pub const AUDIENCE: &str = "https://api.example";

const REDIRECT_URI: &str = "https://web.example/cb";

pub struct OidcProvider(Announced);

impl OidcProvider {
    /// With one key, RS256.
    pub async fn start() -> Self {
        Self::with(json!({})).await
    }

    /// With the public JWK (ES256) by which it knows the client `gw-pkjwt`.
    pub async fn with_gateway_key(public_jwk: &Value) -> Self {
        Self::with(json!({"gateway_jwk": public_jwk})).await
    }

    /// With keys of these algorithms. The first signs what is no access token; all are published, named by algorithm.
    pub async fn with_algorithms(algorithms: &[&str]) -> Self {
        let keys: Vec<_> = algorithms.iter().map(|alg| json!({"kid": alg, "alg": alg})).collect();
        Self::with(json!({"keys": keys})).await
    }

    /// With any of the options at the top of `oidc-provider.mjs`.
    pub async fn with(options: Value) -> Self {
        let mut command = node::module(Packages::Demo, include_str!("oidc-provider.mjs"));
        Self(Announced::start("oidc-provider", command.env("OPTIONS", options.to_string())).await)
    }

    pub fn process(&self) -> &Process {
        self.0.process()
    }

    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    pub fn issuer(&self) -> String {
        format!("http://{}", self.address())
    }

    /// A new opaque access token of the client `app`.
    pub async fn token(&self, scope: &str) -> String {
        self.client_credentials(&[("scope", scope)]).await
    }

    /// The same for [`AUDIENCE`], which the server names as its `aud`.
    pub async fn token_for_audience(&self, scope: &str) -> String {
        self.client_credentials(&[("scope", scope), ("resource", AUDIENCE)]).await
    }

    /// A new JWT access token (RFC 9068) of the client `app`, signed by the first key of `alg`.
    pub async fn jwt(&self, alg: &str, scope: &str) -> String {
        self.client_credentials(&[("scope", scope), ("resource", &format!("{AUDIENCE}/{alg}"))]).await
    }

    async fn client_credentials(&self, parameters: &[(&str, &str)]) -> String {
        let form = [&[("grant_type", "client_credentials")], parameters].concat();
        text(&self.post("app", "/token", &form).await, "access_token")
    }

    /// `user` logs in to the client `web`, which gets an opaque access token; with `openid` in `scope` an ID token,
    /// and with `offline_access` a refresh token, which makes the tokens outlive a logout.
    pub async fn login(&self, user: &str, scope: &str) -> Session {
        self.login_with(user, scope, &[]).await
    }

    /// As [`Self::login`], with a JWT access token signed by the first key of `alg`.
    pub async fn login_for_jwt(&self, user: &str, scope: &str, alg: &str) -> Session {
        self.login_with(user, scope, &[("resource", &format!("{AUDIENCE}/{alg}"))]).await
    }

    /// `user` logs in, and the client `web` has a code that it has not redeemed yet.
    pub async fn authorize(&self, user: &str, scope: &str, more: &[(&str, &str)]) -> (Browser, String) {
        let mut browser = Browser::new(self.address());
        let request = [
            &[("client_id", "web"), ("response_type", "code"), ("redirect_uri", REDIRECT_URI)],
            &[("scope", scope), ("prompt", "consent")][..],
            more,
        ];
        let mut page = browser.get(&format!("/auth?{}", query(&request.concat()))).await;
        let code = loop {
            page = match page.header("location") {
                Some(location) if location.starts_with(REDIRECT_URI) => {
                    break parameter(location, "code").unwrap_or_else(|| panic!("no code in {location}"));
                }
                Some(location) => browser.get(location).await,
                None => browser.submit(&page, &[("login", user), ("password", "any")]).await,
            };
        };
        (browser, code)
    }

    async fn login_with(&self, user: &str, scope: &str, more: &[(&str, &str)]) -> Session {
        let (browser, code) = self.authorize(user, scope, more).await;
        let form = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", REDIRECT_URI)];
        let reply = self.post("web", "/token", &form).await;
        Session::of(browser, &reply)
    }

    /// Logs out at the server, as the client `web` asks (RP-initiated). Back-channel logout is over when this
    /// returns.
    pub async fn logout(&self, mut session: Session) {
        let page = format!("/session/end?{}", query(&[("id_token_hint", &session.id_token)]));
        let page = session.browser.get(&page).await;
        let reply = session.browser.submit(&page, &[("logout", "yes")]).await;
        assert_eq!(reply.status, 303, "{reply:?}");
    }

    /// Revokes an opaque access token or a refresh token (RFC 7009).
    pub async fn revoke(&self, token: &str) {
        self.post("app", "/token/revocation", &[("token", token)]).await;
    }

    /// What it says of a token (RFC 7662).
    pub async fn introspect(&self, token: &str) -> Value {
        self.post("app", INTROSPECTION, &[("token", token)]).await
    }

    /// From now on these keys, as (kid, algorithm), are published, and the first of an algorithm signs. A key that
    /// was there before is the same one again.
    pub async fn set_keys(&self, keys: &[(&str, &str)]) {
        let keys: Vec<_> = keys.iter().map(|(kid, alg)| json!({"kid": kid, "alg": alg})).collect();
        self.set(json!({"keys": keys})).await;
    }

    /// From now on logouts of the client `web` are told there (OpenID Connect Back-Channel Logout).
    pub async fn set_back_channel_logout_uri(&self, uri: &str) {
        self.set(json!({"back_channel_logout_uri": uri})).await;
    }

    async fn set(&self, options: Value) {
        let reply = Request::post("/options", options.to_string()).send(self.address()).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    async fn post(&self, client: &str, path: &str, fields: &[(&str, &str)]) -> Value {
        post_as((client, &format!("{client}-secret")), self.address(), path, fields).await
    }
}
