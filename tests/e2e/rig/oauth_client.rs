//! What an OAuth client says to its authorization server, itself and not by a browser.

use std::net::SocketAddr;

use base64ct::{Base64, Encoding};
use serde_json::Value;

use super::browser::form;

/// Posts a form as this client, by its secret. Gives the JSON that comes back; `null` where there is none.
pub async fn post_as(
    (client, secret): (&str, &str),
    server: SocketAddr,
    path: &str,
    fields: &[(&str, &str)],
) -> Value {
    let request = form(path, fields).header("authorization", basic(client, secret));
    let reply = request.send(server).await;
    assert_eq!(reply.status, 200, "{path}: {reply:?}");
    serde_json::from_slice(&reply.body).unwrap_or(Value::Null)
}

/// A member of a reply that has to be text.
pub fn text(reply: &Value, name: &str) -> String {
    reply[name].as_str().unwrap_or_else(|| panic!("expected {name}, got {reply}")).to_owned()
}

/// Credentials in HTTP Basic, for those that need no encoding (RFC 6749 §2.3.1).
pub fn basic(client: &str, secret: &str) -> String {
    format!("Basic {}", Base64::encode_string(format!("{client}:{secret}").as_bytes()))
}
