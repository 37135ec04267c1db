//! A DPoP client of another hand: `oauth4webapi` under Node.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{
    client::Request,
    node::{self, Packages},
    oidc_provider::OidcProvider,
};

/// A session of the client: one key, one token, some requests.
pub struct Session {
    pub token: String,
    pub token_type: String,
    /// What the API answered: `status`, `body`, `nonce`, `challenge`, and whether the client has `retried`.
    pub answers: Vec<Value>,
    sent: Vec<Request>,
}

impl Session {
    /// The client `app` gets a token with these parameters, bound to a new key of `algorithm`, and asks for these URLs at
    /// Envoy.
    pub async fn of(
        server: &OidcProvider,
        parameters: Value,
        algorithm: &str,
        (scheme, envoy): (&str, SocketAddr),
        requests: &[(&str, &str)],
    ) -> Self {
        let requests: Vec<Value> =
            requests.iter().map(|(method, url)| json!({"method": method, "url": url})).collect();
        let task = json!({
            "issuer": server.issuer(), "client": "app", "secret": "app-secret", "parameters": parameters,
            "algorithm": algorithm, "gateway": format!("{scheme}://{envoy}"), "requests": requests,
        });
        let said = run(task).await;
        let text = |name: &str| said[name].as_str().expect(name).to_owned();
        Self {
            token: text("token"),
            token_type: text("token_type"),
            answers: said["answers"].as_array().expect("answers").clone(),
            sent: said["sent"].as_array().expect("requests").iter().map(sent).collect(),
        }
    }

    /// What was sent, as somebody on the way would send it again.
    pub fn sent(&self) -> &[Request] {
        &self.sent
    }
}

fn sent(request: &Value) -> Request {
    let method = if request["method"] == "POST" { "POST" } else { "GET" };
    let again = Request::new(method, request["path"].as_str().expect("a path"));
    let headers = request["headers"].as_object().expect("headers");
    headers
        .iter()
        .filter(|(name, _)| ["authorization", "dpop"].contains(&name.as_str()))
        .fold(again, |again, (name, value)| again.header(name, value.as_str().expect("a value")))
}

async fn run(task: Value) -> Value {
    let mut command = node::module(Packages::Tests, include_str!("oauth4webapi.mjs"));
    // The certificate of the tests is not signed by anybody.
    command.env("NODE_TLS_REJECT_UNAUTHORIZED", "0");
    node::run("oauth4webapi under node", command, task).await
}
