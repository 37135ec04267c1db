//! Both sides of the Model Context Protocol, by its own SDK under Node: a server behind Envoy, and clients in front of it.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{
    announced::Announced,
    node::{self, Packages},
};

/// The service behind Envoy.
pub struct McpServer(Announced);

impl McpServer {
    pub async fn start() -> Self {
        let mut command = node::module(Packages::Tests, include_str!("mcp-server.mjs"));
        Self(Announced::start("an MCP server", &mut command).await)
    }

    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }
}

/// What a client came back with.
#[derive(Debug)]
pub struct Visit {
    /// The `Authorization` that reached the server with the client's call.
    pub authorization: String,
    /// What the client asked, each as `METHOD URL STATUS`.
    pub asked: Vec<String>,
}

/// A client that knows the URL of the MCP server, its own credentials and the scope it wants calls a tool there.
pub async fn visit(server: &str, (client_id, client_secret): (&str, &str), scope: &str) -> Visit {
    let command = node::module(Packages::Tests, include_str!("mcp-client.mjs"));
    let task =
        json!({"server": server, "clientId": client_id, "clientSecret": client_secret, "scope": scope});
    let visit = node::run("an MCP client", command, task).await;
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    Visit {
        authorization: text(&visit["said"]),
        asked: visit["asked"].as_array().expect("a list").iter().map(text).collect(),
    }
}

/// What a client makes of the metadata of each of these resources, from the challenge on; all of their hosts are at `gateway`.
/// By resource: the `metadata` that it accepted and the URL `selected` to get a token for, or the `error`.
pub async fn read_metadata(gateway: SocketAddr, resources: &[&str]) -> Value {
    let command = node::module(Packages::Tests, include_str!("mcp-metadata.mjs"));
    node::run("an MCP client", command, json!({"gateway": gateway, "resources": resources})).await
}
