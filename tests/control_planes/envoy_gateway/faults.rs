//! What a slip does: to an Envoy that runs, and to one that starts.

use std::{sync::Arc, time::Duration};

use serde_json::json;

use super::{
    edge::{Edge, SHORTEST},
    policies::changed,
    proxy::Proxy,
};
use crate::rig::client::Request;

pub async fn wrong_cluster(edge: Arc<Edge>) {
    let namespace = "wrong-cluster";
    let address = edge.namespace(namespace);
    let policy = changed(&edge, namespace, |config| {
        config["providers"]["main"]["introspection"]["cluster"] = json!("httproute/default/nobody/rule/0");
    });
    edge.kubernetes.apply(&[policy]);
    edge.accepted(namespace, true).await;
    let proxy = Proxy::start(&edge, namespace, address).await;
    proxy.answers(401, Request::get("/")).await;
    let access_token = edge.server.token_for_audience("read").await;
    assert_eq!(proxy.get(&access_token).await.status, 503);
    proxy.logs(&["httproute/default/nobody/rule/0"]).await;
}

pub async fn bad_update(edge: Arc<Edge>) {
    let namespace = "bad-update";
    let address = edge.namespace(namespace);
    edge.kubernetes.apply(&[edge.documented(SHORTEST, "EnvoyExtensionPolicy", namespace)]);
    edge.accepted(namespace, true).await;
    let proxy = Proxy::start(&edge, namespace, address).await;
    proxy.answers(401, Request::get("/")).await;
    edge.kubernetes.apply(&[changed(&edge, namespace, |config| config["typo"] = json!(1))]);
    let line = proxy.logs(&["wasm log", "typo", "expected one of the keys"]).await;
    assert!(line.contains(&format!("envoyextensionpolicy/{namespace}/phantom-token/wasm/0")), "{line}");
    edge.accepted(namespace, true).await;
    let access_token = edge.server.token_for_audience("read").await;
    assert_eq!(proxy.get(&access_token).await.status, 200);
    assert_eq!(proxy.send(Request::get("/")).await.status, 401);
    let log = edge.controller.lock().await.log();
    assert!(
        log.contains("Unable to create Wasm plugin") && !log.contains("expected one of the keys"),
        "{log}"
    );
}

pub async fn bad_start(edge: Arc<Edge>) {
    let namespace = "bad-start";
    let address = edge.namespace(namespace);
    edge.kubernetes.apply(&[changed(&edge, namespace, |config| config["typo"] = json!(1))]);
    edge.accepted(namespace, true).await;
    let proxy = Proxy::start(&edge, namespace, address).await;
    let access_token = edge.server.token_for_audience("read").await;
    proxy.answers(503, Request::get("/").bearer(&access_token)).await;
    assert_eq!(proxy.send(Request::get("/.well-known/jwks.json")).await.status, 503);
    assert!(proxy.is_ready().await);
    proxy.logs(&["wasm_fail_stream"]).await;
    edge.kubernetes.apply(&[edge.documented(SHORTEST, "EnvoyExtensionPolicy", namespace)]);
    proxy.answers(200, Request::get("/").bearer(&access_token)).await;
}

pub async fn wrong_digest(edge: Arc<Edge>) {
    let namespace = "wrong-digest";
    let address = edge.namespace(namespace);
    let mut policy = edge.documented(SHORTEST, "EnvoyExtensionPolicy", namespace);
    policy["spec"]["wasm"][0]["code"]["http"]["sha256"] = json!("0".repeat(64));
    edge.kubernetes.apply(&[policy]);
    edge.accepted(namespace, false).await;
    let proxy = Proxy::start(&edge, namespace, address).await;
    let access_token = edge.server.token_for_audience("read").await;
    proxy.answers(500, Request::get("/").bearer(&access_token)).await;
}

pub async fn restart(edge: Arc<Edge>) {
    let namespace = "restart";
    let address = edge.namespace(namespace);
    // It asks for the modules of all policies one after the other, each five times.
    edge.kubernetes.delete_all("envoyextensionpolicies");
    edge.kubernetes.apply(&[edge.documented(SHORTEST, "EnvoyExtensionPolicy", namespace)]);
    edge.accepted(namespace, true).await;
    let proxy = Proxy::start(&edge, namespace, address).await;
    let access_token = edge.server.token_for_audience("read").await;
    proxy.answers(200, Request::get("/").bearer(&access_token)).await;
    edge.files.refuse_connections().await;
    edge.controller.lock().await.restart(&edge.kubernetes).await;
    proxy.answers(500, Request::get("/").bearer(&access_token)).await;

    edge.files.accept_connections().await;
    // Nobody asks it: there is no event to wait for, so this is a while in which nothing happens.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(proxy.get(&access_token).await.status, 500);
    edge.kubernetes
        .apply(&[changed(&edge, namespace, |config| config["challenge"] = json!({"realm": "changed"}))]);
    proxy.answers(200, Request::get("/").bearer(&access_token)).await;
}
