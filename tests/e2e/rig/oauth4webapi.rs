//! A DPoP client of another hand: `oauth4webapi` under Node.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{
    client::Request,
    https,
    node::{self, Packages},
    oidc_provider::OidcProvider,
};

/// Who gets tokens, and where.
pub struct Client<'c> {
    pub token_endpoint: &'c str,
    pub id: &'c str,
    pub secret: &'c str,
}

/// A session of the client: one key, one token, some requests.
pub struct Session {
    pub token: String,
    pub token_type: String,
    /// What the API answered: `status`, `body`, `nonce`, `challenge`, and whether the client has `retried`.
    pub answers: Vec<Value>,
    sent: Vec<Value>,
}

impl Session {
    /// That of the client `app` of oidc-provider.
    pub async fn of(
        server: &OidcProvider,
        parameters: Value,
        algorithm: &str,
        envoy: (&str, SocketAddr),
        requests: &[(&str, &str)],
    ) -> Self {
        let token_endpoint = format!("{}/token", server.issuer());
        let client = Client { token_endpoint: &token_endpoint, id: "app", secret: "app-secret" };
        Self::of_client(client, parameters, algorithm, envoy, requests).await
    }

    /// A client gets a token with these parameters, bound to a new key of `algorithm`, and asks for these URLs at Envoy.
    pub async fn of_client(
        client: Client<'_>,
        parameters: Value,
        algorithm: &str,
        (scheme, envoy): (&str, SocketAddr),
        requests: &[(&str, &str)],
    ) -> Self {
        let requests: Vec<Value> =
            requests.iter().map(|(method, url)| json!({"method": method, "url": url})).collect();
        let task = json!({
            "token_endpoint": client.token_endpoint, "client": client.id, "secret": client.secret,
            "parameters": parameters, "algorithm": algorithm, "gateway": format!("{scheme}://{envoy}"),
            "requests": requests,
        });
        let said = run(task).await;
        let text = |name: &str| said[name].as_str().expect(name).to_owned();
        Self {
            token: text("token"),
            token_type: text("token_type"),
            answers: said["answers"].as_array().expect("answers").clone(),
            sent: said["sent"].as_array().expect("requests").clone(),
        }
    }

    /// What was sent, as somebody on the way would send it again.
    pub fn sent(&self) -> Vec<Request> {
        let again = |request: &Value| {
            let method = if request["method"] == "POST" { "POST" } else { "GET" };
            let again = Request::new(method, request["path"].as_str().expect("a path"));
            credentials(request).fold(again, |again, (name, value)| again.header(name, value))
        };
        self.sent.iter().map(again).collect()
    }

    /// The same over TLS, where all were sent with GET.
    pub fn sent_over_tls(&self) -> Vec<https::Request> {
        let again = |request: &Value| {
            assert_eq!(request["method"], "GET");
            let again = https::Request::get(request["path"].as_str().expect("a path"));
            credentials(request).fold(again, |again, (name, value)| again.header(name, value))
        };
        self.sent.iter().map(again).collect()
    }
}

/// The token and its proof.
fn credentials(request: &Value) -> impl Iterator<Item = (&str, &str)> {
    let headers = request["headers"].as_object().expect("headers").iter();
    headers
        .filter(|(name, _)| ["authorization", "dpop"].contains(&name.as_str()))
        .map(|(name, value)| (name.as_str(), value.as_str().expect("a value")))
}

async fn run(task: Value) -> Value {
    let mut command = node::module(Packages::Tests, include_str!("oauth4webapi.mjs"));
    // The certificate of the tests is not signed by anybody.
    command.env("NODE_TLS_REJECT_UNAUTHORIZED", "0");
    node::run("oauth4webapi under node", command, task).await
}
