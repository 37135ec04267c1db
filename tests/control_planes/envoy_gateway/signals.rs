//! Signals that come in, and what the switch that they need does besides.

use std::{net::SocketAddr, sync::Arc};

use serde_json::{Value, json};

use super::{
    edge::{Edge, SHORTEST, config},
    policies::changed,
    proxy::Proxy,
};
use crate::rig::{client::Request, eventually, started::free_port};

const SIGNALS: &str = "Signals that come in";

pub async fn patched(edge: Arc<Edge>) {
    let namespace = "signals";
    let (address, policy) = with_admin(&edge, namespace);
    edge.kubernetes.apply(&[patch(&edge, namespace), policy]);
    edge.accepted(namespace, true).await;
    let proxy = Proxy::start(&edge, namespace, address).await;
    proxy.answers(401, Request::get("/")).await;
    let access_token = edge.server.token_for_audience("read").await;
    assert_eq!(proxy.get(&access_token).await.status, 200);
    edge.server.revoke(&access_token).await;
    assert_eq!(proxy.get(&access_token).await.status, 200);
    assert_eq!(proxy.send(signal(&access_token)).await.status, 200);
    assert_eq!(proxy.get(&access_token).await.status, 401);
}

pub async fn patched_late(edge: Arc<Edge>) {
    let namespace = "patched-late";
    let (address, mut policy) = with_admin(&edge, namespace);
    edge.kubernetes.apply(std::slice::from_ref(&policy));
    edge.accepted(namespace, true).await;
    let proxy = Proxy::start(&edge, namespace, address).await;
    proxy.answers(401, Request::get("/")).await;
    assert_eq!(proxy.send(signal("any")).await.status, 503);
    proxy.logs(&["allow_on_headers_stop_iteration"]).await;

    edge.kubernetes.apply(&[patch(&edge, namespace)]);
    eventually("the patch at Envoy", || async {
        let text = proxy.configuration().await.to_string();
        text.contains(r#""allow_on_headers_stop_iteration":true"#).then_some(())
    })
    .await;
    config(&mut policy)["challenge"] = json!({"realm": "changed"});
    edge.kubernetes.apply(&[policy]);
    proxy.answers(200, signal("any")).await;
}

pub async fn one_of_two_patched(edge: Arc<Edge>) {
    let namespace = "one-of-two";
    let (address, policy) = with_admin(&edge, namespace);
    let other = free_port();
    let mut gateway = edge.documented(SHORTEST, "Gateway", namespace);
    let listener =
        |name: &str, address: SocketAddr| json!({"name": name, "port": address.port(), "protocol": "HTTP"});
    gateway["spec"]["listeners"] = json!([listener("http", address), listener("other", other)]);
    edge.kubernetes.apply(&[gateway, patch(&edge, namespace), policy]);
    edge.accepted(namespace, true).await;
    let proxy = Proxy::start(&edge, namespace, address).await;
    proxy.answers(401, Request::get("/")).await;
    // Which of them made the plugin that they share is chance.
    let patched = proxy.send(signal("any")).await.status;
    assert!(patched == 200 || patched == 503, "{patched}");
    assert_eq!(signal("any").send(other).await.status, patched);
}

pub async fn bodies(edge: Arc<Edge>) {
    let namespace = "bodies";
    let (address, policy) = with_admin(&edge, namespace);
    edge.kubernetes.apply(&[patch(&edge, namespace), policy]);
    edge.accepted(namespace, true).await;
    let proxy = Proxy::start(&edge, namespace, address).await;
    proxy.answers(401, Request::get("/")).await;
    for size in [20_000, 1_000_000] {
        let access_token = edge.server.token_for_audience("read").await;
        let reply = proxy.send(Request::post("/", vec![b'x'; size]).bearer(&access_token)).await;
        assert_eq!(reply.status, 200, "{size}: {reply:?}");
    }
    assert_eq!(proxy.send(Request::post("/", vec![b'x'; 1_000_000]).bearer("forged")).await.status, 401);
}

/// The page's resources with a receiver, and the policy to be applied.
fn with_admin(edge: &Edge, namespace: &str) -> (SocketAddr, Value) {
    let address = edge.namespace_with(namespace, |settings| {
        let container = &mut settings["spec"]["provider"]["kubernetes"]["envoyDeployment"]["container"];
        let key = json!({"secretKeyRef": {"name": "phantom-token", "key": "revocation-token"}});
        let variables = container["env"].as_array_mut().expect("variables");
        variables.push(json!({"name": "REVOCATION_TOKEN", "valueFrom": key}));
    });
    let mut policy = changed(edge, namespace, |config| {
        let admin = json!({"path": "/revocations", "token": {"env": "REVOCATION_TOKEN"}});
        config["revocation"] = json!({"admin": admin});
    });
    let keys = policy["spec"]["wasm"][0]["env"]["hostKeys"].as_array_mut().expect("names");
    keys.push(json!("REVOCATION_TOKEN"));
    (address, policy)
}

fn patch(edge: &Edge, namespace: &str) -> Value {
    let mut patch = edge.documented(SIGNALS, "EnvoyPatchPolicy", namespace);
    patch["spec"]["jsonPatches"][0]["name"] = json!(format!("{namespace}/eg/http"));
    patch
}

/// The order of an administrator to forget a token.
fn signal(access_token: &str) -> Request {
    Request::post("/revocations", json!({"token": access_token}).to_string())
        .header("content-type", "application/json")
        .bearer("a-token-of-the-administrator")
}
