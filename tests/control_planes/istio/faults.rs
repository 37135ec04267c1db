//! What a slip does: to a proxy that runs, and to one that starts.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{
    mesh::Mesh,
    proxy::{Part, Proxy},
};
use crate::{registry::Registry, rig::client::Request};

pub async fn bad_update(mesh: Arc<Mesh>) {
    let namespace = "bad-update";
    let [address] = mesh.edge(namespace);
    mesh.kubernetes.apply(&[mesh.documented("WasmPlugin", "WasmPlugin", namespace)]);
    let proxy = Proxy::start(&mesh, Part::Gateway, namespace, address).await;
    proxy.answers(401, Request::get("/")).await;
    mesh.kubernetes.apply(&[bad_plugin(&mesh, namespace)]);
    proxy.logs(&["wasm log", "pluginConfig-typo", "expected one of the keys"]).await;
    let failures = proxy.admin("/stats?filter=config_fail").await;
    assert!(failures.contains(".config_fail: 1"), "{failures}");
    let access_token = mesh.server.token_for_audience("read").await;
    assert_eq!(proxy.get(&access_token).await.status, 200);
    assert_eq!(proxy.send(Request::get("/")).await.status, 401);
    // A variable that is not passed is one, too.
    let mut plugin = mesh.documented("WasmPlugin", "WasmPlugin", namespace);
    plugin["spec"]["vmConfig"] = json!({"env": []});
    mesh.kubernetes.apply(&[plugin]);
    proxy.logs(&["wasm log", "GATEWAY_CLIENT_SECRET"]).await;
    assert_eq!(proxy.get(&access_token).await.status, 200);
}

/// A running proxy whose plugin moves to where nothing is has no module any more, though it had one.
pub async fn moved(mesh: Arc<Mesh>) {
    let namespace = "moved";
    let [address] = mesh.edge(namespace);
    mesh.kubernetes.apply(&[mesh.documented("WasmPlugin", "WasmPlugin", namespace)]);
    let proxy = Proxy::start(&mesh, Part::Gateway, namespace, address).await;
    proxy.answers(401, Request::get("/")).await;
    let mut plugin = mesh.documented("WasmPlugin", "WasmPlugin", namespace);
    plugin["spec"]["url"] = json!("oci://127.0.0.1:1/phantom-token-filter:next");
    plugin["spec"].as_object_mut().expect("an object").remove("sha256");
    mesh.kubernetes.apply(&[plugin]);
    proxy.answers(403, Request::get("/")).await;
}

pub async fn bad_start(mesh: Arc<Mesh>) {
    let namespace = "bad-start";
    let [address] = mesh.edge(namespace);
    mesh.kubernetes.apply(&[bad_plugin(&mesh, namespace)]);
    let proxy = Proxy::start(&mesh, Part::Gateway, namespace, address).await;
    let access_token = mesh.server.token_for_audience("read").await;
    let reply = proxy.answers(500, Request::get("/").bearer(&access_token)).await;
    assert!(reply.body.is_empty(), "{reply:?}");
    assert!(proxy.is_ready().await);
    proxy.logs(&["wasm log", "pluginConfig-typo"]).await;
    mesh.kubernetes.apply(&[mesh.documented("WasmPlugin", "WasmPlugin", namespace)]);
    proxy.answers(200, Request::get("/").bearer(&access_token)).await;
}

pub async fn no_registry(mesh: Arc<Mesh>) {
    let namespace = "no-registry";
    let [address] = mesh.edge(namespace);
    let plugin = without_registry(&mesh, namespace);
    mesh.kubernetes.apply(&[plugin]);
    let proxy = Proxy::start(&mesh, Part::Gateway, namespace, address).await;
    let access_token = mesh.server.token_for_audience("read").await;
    let denied = |reply: &crate::rig::client::Reply| reply.body == b"RBAC: access denied";
    let reply = proxy.answers(403, Request::get("/").bearer(&access_token)).await;
    assert!(denied(&reply), "{reply:?}");
    assert!(denied(&proxy.send(Request::get("/.well-known/jwks.json")).await));
    assert!(proxy.is_ready().await);

    let _registry = Registry::start(mesh.other_registry).await;
    // Nobody asks it: there is no event to wait for, so this is a while in which nothing happens.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(proxy.get(&access_token).await.status, 403);
    mesh.kubernetes.annotate("wasmplugin", namespace, "phantom-token-filter", "example.com/changed=1");
    proxy.answers(200, Request::get("/").bearer(&access_token)).await;
}

pub async fn fail_open(mesh: Arc<Mesh>) {
    let namespace = "fail-open";
    let [address] = mesh.edge(namespace);
    let mut plugin = without_registry(&mesh, namespace);
    plugin["spec"]["failStrategy"] = json!("FAIL_OPEN");
    plugin["spec"]["url"] = json!("oci://127.0.0.1:1/nobody:0");
    mesh.kubernetes.apply(&[plugin]);
    let proxy = Proxy::start(&mesh, Part::Gateway, namespace, address).await;
    proxy.answers(200, Request::get("/")).await;
}

/// One with a key that there is not.
fn bad_plugin(mesh: &Mesh, namespace: &str) -> Value {
    let mut plugin = mesh.documented("WasmPlugin", "WasmPlugin", namespace);
    plugin["spec"]["pluginConfig"]["pluginConfig-typo"] = json!(1);
    plugin
}

/// One whose image lies where nobody listens yet.
fn without_registry(mesh: &Mesh, namespace: &str) -> Value {
    let mut plugin = mesh.documented("WasmPlugin", "WasmPlugin", namespace);
    let url = plugin["spec"]["url"].as_str().expect("a URL");
    plugin["spec"]["url"] = json!(url.replace(&mesh.here.registry, &mesh.other_registry.to_string()));
    plugin
}
