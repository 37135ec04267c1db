//! Istio's own policies on what the filter makes of tokens, and the filter's policies by what Istio knows.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    mesh::Mesh,
    proxy::{Part, Proxy},
};
use crate::{
    documented::{ISTIO, README, configuration, resources},
    rig::{client::Request, eventually},
};

const OWN_POLICIES: &str = "Istio's own policies on opaque tokens";
const BY_ROUTES: &str = "Policies by a VirtualService's routes";

pub async fn opaque_tokens(mesh: Arc<Mesh>) {
    let namespace = "claims";
    let [address] = mesh.edge(namespace);
    mesh.kubernetes.apply(&[mesh.documented("WasmPlugin", "WasmPlugin", namespace)]);
    let proxy = Proxy::start(&mesh, Part::Gateway, namespace, address).await;
    proxy.answers(401, Request::get("/")).await;
    let mut authentication = mesh.documented(OWN_POLICIES, "RequestAuthentication", namespace);
    let keys = format!("http://{address}/.well-known/jwks.json");
    authentication["spec"]["jwtRules"][0]["jwksUri"] = json!(keys);
    let authorization = mesh.documented(OWN_POLICIES, "AuthorizationPolicy", namespace);
    // README leads with it.
    assert_eq!(resources(README, "In Istio")[0]["spec"], authorization["spec"]);
    mesh.kubernetes.apply(&[authentication, authorization]);

    let read = mesh.server.token_for_audience("read").await;
    let write = mesh.server.token_for_audience("write").await;
    // Istiod's, once it is there.
    let reply = proxy.answers(403, Request::post("/", "").bearer(&read)).await;
    assert_eq!(reply.body, b"RBAC: access denied", "{reply:?}");
    let reply = proxy.answers(200, Request::get("/").bearer(&read)).await;
    assert!(reply.echoed_bearer().starts_with("ey"), "a JWT reaches the service");
    assert_eq!(proxy.send(Request::post("/", "").bearer(&write)).await.status, 200);
    assert_eq!(proxy.send(Request::get("/").bearer(&write)).await.status, 403);
    // The filter's.
    assert_eq!(proxy.send(Request::get("/")).await.status, 401);
    let reply = proxy.send(Request::get("/").bearer("forged")).await;
    assert_eq!(reply.status, 401);
    assert_eq!(reply.json()["error"], "invalid_token");
}

pub async fn route_names(mesh: Arc<Mesh>) {
    let namespace = "route-names";
    let [address] = mesh.edge(namespace);
    let mut plugin = mesh.documented("WasmPlugin", "WasmPlugin", namespace);
    let policies = configuration(ISTIO, BY_ROUTES);
    for (key, value) in policies.as_object().expect("an object") {
        plugin["spec"]["pluginConfig"][key] = value.clone();
    }
    mesh.kubernetes.apply(&[plugin, mesh.documented(BY_ROUTES, "VirtualService", namespace)]);
    let proxy = Proxy::start(&mesh, Part::Gateway, namespace, address).await;
    proxy.answers(401, Request::get("/")).await;
    let read = mesh.server.token_for_audience("read").await;
    let write = mesh.server.token_for_audience("write").await;
    assert_eq!(proxy.send(Request::get("/status")).await.status, 200);
    assert_eq!(proxy.get(&read).await.status, 200);
    assert_eq!(proxy.send(Request::get("/payments").bearer(&read)).await.status, 403);
    assert_eq!(proxy.send(Request::get("/payments").bearer(&write)).await.status, 200);
    assert_eq!(proxy.send(Request::get("/payments")).await.status, 401);
    let routes = proxy.configured("RoutesConfigDump").await.to_string();
    assert!(routes.contains(r#""name":"payments""#), "{routes}");
}

pub async fn two_plugins(mesh: Arc<Mesh>) {
    let namespace = "two-plugins";
    let addresses: [_; 2] = mesh.edge(namespace);
    let plugins = [("first", "read", addresses[0]), ("second", "write", addresses[1])];
    let plugins = plugins.map(|(name, scope, address)| {
        let mut plugin = mesh.documented("WasmPlugin", "WasmPlugin", namespace);
        plugin["metadata"]["name"] = json!(name);
        plugin["spec"]["match"] = json!([{"ports": [{"number": address.port()}]}]);
        let config = &mut plugin["spec"]["pluginConfig"];
        config["policies"]["default"]["require"]["scopes"] = json!([scope]);
        config["challenge"] = json!({"realm": name});
        plugin
    });
    mesh.kubernetes.apply(&plugins);
    let proxy = Proxy::start(&mesh, Part::Gateway, namespace, addresses[0]).await;
    let read = mesh.server.token_for_audience("read").await;
    for (address, realm, status) in [(addresses[0], "first", 200), (addresses[1], "second", 403)] {
        let request = Request::get("/");
        let reply = eventually("an answer of each", || async {
            request.try_send(address).await.ok().filter(|reply| reply.status == 401)
        })
        .await;
        let challenge = reply.header("www-authenticate").expect("a challenge");
        assert!(challenge.starts_with(&format!("Bearer realm=\"{realm}\"")), "{challenge}");
        assert_eq!(Request::get("/").bearer(&read).send(address).await.status, status);
    }
    let extensions: Value = proxy.configured("EcdsConfigDump").await;
    assert_eq!(extensions["ecds_filters"].as_array().map(Vec::len), Some(2));
}
