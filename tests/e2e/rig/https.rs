//! A client over TLS that can show a certificate: Node's.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{
    ROOT,
    client::Reply,
    node::{self, Packages},
};

/// A request, with what its client shows.
#[derive(Clone)]
pub struct Request(Value);

/// An answer, and how its connection came about.
#[derive(Debug)]
pub struct Answered {
    pub reply: Reply,
    pub protocol: String,
    pub is_resumed: bool,
}

impl Request {
    pub fn get(path: &str) -> Self {
        Self(json!({"method": "GET", "path": path, "headers": {"host": "api.example"}, "version": "TLSv1.3"}))
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.0["headers"][name] = json!(value);
        self
    }

    pub fn bearer(self, access_token: &str) -> Self {
        self.header("authorization", &format!("Bearer {access_token}"))
    }

    /// With a certificate of `tests/keys` and its key.
    pub fn showing(mut self, certificate: &str, key: &str) -> Self {
        let file = |name: &str| std::fs::read_to_string(format!("{ROOT}/tests/keys/{name}")).expect(name);
        self.0["cert"] = json!(file(certificate));
        self.0["key"] = json!(file(key));
        self
    }

    /// By at most this version of TLS.
    pub fn version(mut self, version: &str) -> Self {
        self.0["version"] = json!(version);
        self
    }
}

/// Sends one request.
pub async fn send(to: SocketAddr, request: Request) -> Reply {
    send_all(to, &[request]).await.remove(0).reply
}

/// Sends requests one after the other, each on a connection of its own.
pub async fn send_all(to: SocketAddr, requests: &[Request]) -> Vec<Answered> {
    let requests: Vec<&Value> = requests.iter().map(|request| &request.0).collect();
    let task = json!({"port": to.port(), "requests": requests});
    let command = node::module(Packages::Demo, include_str!("https.mjs"));
    let replies = node::run("answers over TLS", command, task).await;
    replies.as_array().expect("answers").iter().map(answered).collect()
}

fn answered(seen: &Value) -> Answered {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let headers = seen["headers"].as_object().expect("headers");
    let headers = headers.iter().flat_map(|(name, values)| {
        values.as_array().into_iter().flatten().map(|value| (name.clone(), text(value)))
    });
    let status = u16::try_from(seen["status"].as_u64().expect("a status")).expect("a status");
    let reply = Reply { status, headers: headers.collect(), body: text(&seen["body"]).into_bytes() };
    Answered { reply, protocol: text(&seen["protocol"]), is_resumed: seen["resumed"] == true }
}
