//! The real authorization server: oidc-provider under Node, on a free port.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    thread,
};

use base64ct::{Base64, Encoding};
use serde_json::Value;
use tokio::sync::oneshot;

use super::{client::Request, node, process::Process, within_limit};

/// Path of its introspection endpoint.
pub const INTROSPECTION: &str = "/token/introspection";

pub struct OidcProvider {
    _process: Process,
    address: SocketAddr,
}

impl OidcProvider {
    pub async fn start() -> Self {
        Self::with_gateway_key(&Value::Null).await
    }

    /// With the public JWK (ES256) by which it knows the client `gw-pkjwt`.
    pub async fn with_gateway_key(public_jwk: &Value) -> Self {
        let mut command = node::module(include_str!("oidc-provider.mjs"));
        let mut process = Process::start(command.env("GATEWAY_JWK", public_jwk.to_string()));
        let output = BufReader::new(process.child().stdout.take().expect("a piped stdout"));
        let (announce, announced) = oneshot::channel();
        thread::spawn(move || {
            // Reads on after the address, because Node would stop at a full or closed pipe.
            let mut lines = output.lines().map_while(Result::ok);
            if let Some(address) = lines.find_map(|line| line.parse::<SocketAddr>().ok()) {
                let _ = announce.send(address);
            }
            lines.for_each(drop);
        });
        let address = within_limit("the start of oidc-provider", announced).await;
        let address = address.expect("oidc-provider tells its address; see its error above");
        Self { _process: process, address }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A new opaque access token of the client `app`.
    pub async fn token(&self, scope: &str) -> String {
        let form = [("grant_type", "client_credentials"), ("scope", scope)];
        let reply = self.post("/token", &form).await;
        reply["access_token"]
            .as_str()
            .unwrap_or_else(|| panic!("expected an access token, got {reply}"))
            .to_owned()
    }

    /// Revokes it, as the client it belongs to (RFC 7009).
    pub async fn revoke(&self, access_token: &str) {
        self.post("/token/revocation", &[("token", access_token)]).await;
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Value {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = Request::post(path, body)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("authorization", format!("Basic {}", Base64::encode_string(b"app:app-secret")));
        let reply = request.send(self.address).await;
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        serde_json::from_slice(&reply.body).unwrap_or(Value::Null)
    }
}
