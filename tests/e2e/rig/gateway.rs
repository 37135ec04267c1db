//! The usual arrangement: an authorization server, Envoy with the filter, an upstream.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{
    authorization_server::AuthorizationServer,
    bootstrap::Bootstrap,
    client::{Reply, Request},
    envoy::Envoy,
    glewlwyd::{self, Glewlwyd},
    jose::{self, Key},
    oidc_provider::OidcProvider,
    upstream::Upstream,
};

/// With the scriptable server, or with another.
pub struct Gateway<S = AuthorizationServer> {
    pub envoy: Envoy,
    pub server: S,
    pub upstream: Upstream,
}

impl Gateway {
    /// With [`plugin`] as it is.
    pub async fn start() -> Self {
        Self::with(plugin().await, |envoy| envoy).await
    }

    /// With another configuration of the filter, and of Envoy.
    pub async fn with(plugin: Value, of_envoy: impl FnOnce(Bootstrap) -> Bootstrap) -> Self {
        Self::with_server(AuthorizationServer::start().await, plugin, of_envoy).await
    }

    /// With a server that has been told already what to answer, and which keys it has.
    pub async fn with_server(
        server: AuthorizationServer,
        plugin: Value,
        of_envoy: impl FnOnce(Bootstrap) -> Bootstrap,
    ) -> Self {
        let address = server.address();
        Self::before(server, address, plugin, of_envoy).await
    }
}

impl Gateway<OidcProvider> {
    /// With the real server.
    pub async fn with_oidc_provider(
        server: OidcProvider,
        plugin: Value,
        of_envoy: impl FnOnce(Bootstrap) -> Bootstrap,
    ) -> Self {
        let address = server.address();
        Self::before(server, address, plugin, of_envoy).await
    }
}

impl Gateway<Glewlwyd> {
    /// With the second real server, which is asked in the place of `main`.
    pub async fn with_glewlwyd(
        server: Glewlwyd,
        mut plugin: Value,
        of_envoy: impl FnOnce(Bootstrap) -> Bootstrap,
    ) -> Self {
        plugin["providers"]["main"]["introspection"]["path"] = json!(glewlwyd::INTROSPECTION);
        let address = server.address();
        Self::before(server, address, plugin, of_envoy).await
    }
}

impl<S> Gateway<S> {
    async fn before(
        server: S,
        address: SocketAddr,
        plugin: Value,
        of_envoy: impl FnOnce(Bootstrap) -> Bootstrap,
    ) -> Self {
        let upstream = Upstream::start().await;
        let envoy = Bootstrap::new(plugin)
            .cluster("authorization_server", address)
            .cluster("upstream", upstream.address());
        Self { envoy: of_envoy(envoy).start().await, server, upstream }
    }

    pub async fn send(&self, request: Request) -> Reply {
        request.send(self.envoy.address()).await
    }

    /// `GET /` with an access token.
    pub async fn get(&self, access_token: &str) -> Reply {
        self.send(Request::get("/").bearer(access_token)).await
    }

    /// `GET path` with an access token: the status, and why (`%RESPONSE_CODE_DETAILS%`). No other request of the
    /// test may have this path.
    pub async fn judged(&self, path: &str, access_token: &str) -> (u16, String) {
        let reply = self.send(Request::get(path).bearer(access_token)).await;
        let line = self.envoy.access_log_line(&format!("{path} ")).await;
        let reason = line.rsplit(' ').next().expect("details in the access log");
        (reply.status, reason.to_owned())
    }

    /// The key set that the filter publishes.
    pub async fn jwks(&self) -> Value {
        let reply = self.send(Request::get("/.well-known/jwks.json")).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()
    }
}

/// The smallest useful configuration of the filter.
pub async fn plugin() -> Value {
    plugin_with(jose::any_key().await)
}

/// The same with a signing key of the test's own, as PEM and with the `kid` `key-1`.
pub fn plugin_with(key: &Key) -> Value {
    json!({
        "providers": {"main": {"introspection": {
            "cluster": "authorization_server",
            "path": "/token/introspection",
            "auth": {"client_secret_basic": {"client_id": "gw-basic", "client_secret": {"inline": "gw-secret"}}},
        }}},
        "phantom_token": {
            "issuer": "https://gateway.example",
            "signing_keys": [signing_key("key-1", key)],
        },
    })
}

/// A configuration that validates the JWTs of `issuer` by the keys at `path`, for the audience of the rig's tokens.
pub fn jwt_plugin(issuer: &str, path: &str) -> Value {
    json!({
        "providers": {"main": validating(issuer, "authorization_server", path)},
        "policies": {"default": {"strategy": "jwt", "require": {"audiences": ["https://api.example"]}}},
    })
}

/// A provider whose JWTs are validated by the keys at `path` of a cluster.
pub fn validating(issuer: &str, cluster: &str, path: &str) -> Value {
    json!({"issuer": issuer, "jwks": {"cluster": cluster, "path": path}})
}

/// An entry of `signing_keys`, with the private key as PEM.
pub fn signing_key(kid: &str, key: &Key) -> Value {
    json!({"kid": kid, "alg": key.alg, "private_key": {"inline": key.pem}})
}

/// The entry of a key by which nothing is signed any more, or not yet.
pub fn published_key(kid: &str, key: &Key) -> Value {
    json!({"kid": kid, "alg": key.alg, "public_key": {"inline": key.public_pem}})
}
