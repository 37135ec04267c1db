//! The three forms in which Istio takes the filter.

use std::{fs, sync::Arc};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    istiod::programs,
    mesh::Mesh,
    proxy::{Part, Proxy},
};
use crate::{
    registry::released,
    rig::{client::Request, jose, wasm_filter::capabilities},
};

/// What `tests/tool` holds the tool against.
pub async fn keys(_: Arc<Mesh>) {
    let known: Value = serde_json::from_str(include_str!("../../vectors/istio-keys.json")).expect("JSON");
    let definitions = fs::read_to_string(programs().join("crd-all.gen.yaml")).expect("Istio's resources");
    let definitions: Vec<Value> = serde_yaml_ng::Deserializer::from_str(&definitions)
        .map(|document| Value::deserialize(document).expect("YAML"))
        .collect();
    for (kind, keys) in known.as_object().expect("kinds") {
        let is_it = |it: &&Value| it["spec"]["names"]["kind"] == kind.as_str();
        let definition = definitions.iter().find(is_it).expect(kind);
        let spec = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        for (path, keys) in keys.as_object().expect("paths") {
            let part = path.split('.').skip(1).fold(spec, |part, key| &part["properties"][key]);
            let defined: Vec<&String> = part["properties"].as_object().expect("properties").keys().collect();
            assert_eq!(json!(defined), *keys, "{kind} {path}");
        }
    }
}

pub async fn wasm_plugin(mesh: Arc<Mesh>) {
    let [address] = mesh.edge("wasm-plugin");
    mesh.kubernetes.apply(&[mesh.documented("WasmPlugin", "WasmPlugin", "wasm-plugin")]);
    let proxy = Proxy::start(&mesh, Part::Gateway, "wasm-plugin", address).await;
    enforces(&mesh, &proxy).await;

    let name = "wasm-plugin.phantom-token-filter~istio-translated-wasmplugin";
    let config = plugin_config(&proxy).await;
    assert_eq!(config["name"], name);
    assert_eq!(config["failure_policy"], "FAIL_RELOAD");
    assert_eq!(config["configuration"]["@type"], "type.googleapis.com/google.protobuf.StringValue");
    assert_eq!(
        config["vm_config"]["environment_variables"],
        json!({"host_env_keys": ["GATEWAY_CLIENT_SECRET", "SIGNING_KEY"]})
    );
    assert_eq!(config["vm_config"]["vm_id"], Value::Null);
    for missing in ["capability_restriction_config", "allow_on_headers_stop_iteration", "root_id"] {
        assert_eq!(config[missing], Value::Null, "{missing}");
    }
    // The filter's statistics are among those that Istio keeps, Envoy's own of updates are at the admin interface.
    let statistics = proxy.prometheus().await;
    for series in [
        r#"phantom_token_jwt_minted{provider="main"}"#,
        r#"phantom_token_cache_miss{provider="main",policy="default"}"#,
        r#"phantom_token_requests_forwarded{policy="default"}"#,
        r#"phantom_token_requests_denied_missing_token{policy="default",reason="missing_token"}"#,
    ] {
        assert!(statistics.contains(series), "{series}: {statistics}");
    }
    let updates = proxy.admin("/stats?filter=config_reload").await;
    assert!(updates.contains("extension_config_discovery.http_filter."), "{updates}");

    let manager = proxy.configured("ListenersConfigDump").await.to_string();
    assert!(manager.contains(r#""normalize_path":true"#), "{manager}");
    assert!(!manager.contains(r#""merge_slashes":true"#), "{manager}");
    assert!(manager.contains(r#""forward_client_cert_details":"SANITIZE_SET""#), "{manager}");
    let routes = proxy.configured("RoutesConfigDump").await.to_string();
    assert!(routes.contains(r#""ignore_port_in_host_matching":true"#), "{routes}");
}

pub async fn sidecar(mesh: Arc<Mesh>) {
    let address = mesh.beside_the_service("sidecar");
    let mut plugin = mesh.documented("WasmPlugin", "WasmPlugin", "sidecar");
    plugin["spec"]["selector"]["matchLabels"] = json!({"app": "accounts"});
    plugin["spec"]["match"] = json!([{"mode": "SERVER"}]);
    mesh.kubernetes.apply(&[plugin]);
    let proxy = Proxy::start(&mesh, Part::Sidecar, "sidecar", address).await;
    enforces(&mesh, &proxy).await;
}

pub async fn traffic_extension(mesh: Arc<Mesh>) {
    let [address] = mesh.edge("extension");
    mesh.kubernetes.apply(&[mesh.documented("TrafficExtension", "TrafficExtension", "extension")]);
    let proxy = Proxy::start(&mesh, Part::Gateway, "extension", address).await;
    enforces(&mesh, &proxy).await;
    let config = plugin_config(&proxy).await;
    assert_eq!(config["name"], "extension.phantom-token-filter");
    assert_eq!(config["vm_config"]["vm_id"], Value::Null);
}

pub async fn envoy_filter(mesh: Arc<Mesh>) {
    let [address] = mesh.edge("envoy-filter");
    let filter = mesh.documented("EnvoyFilter", "EnvoyFilter", "envoy-filter");
    let documented = &filter["spec"]["configPatches"][1]["patch"]["value"]["typed_config"]["config"];
    // No other than that of the sample.
    assert_eq!(
        documented["capability_restriction_config"]["allowed_capabilities"],
        Value::Object(capabilities())
    );
    mesh.kubernetes.apply(std::slice::from_ref(&filter));
    let proxy = Proxy::start(&mesh, Part::Gateway, "envoy-filter", address).await;
    let access_token = enforces(&mesh, &proxy).await;

    let config = plugin_config(&proxy).await;
    for kept in ["name", "failure_policy", "allow_on_headers_stop_iteration", "capability_restriction_config"]
    {
        assert_eq!(config[kept], documented[kept], "{kept}");
    }
    assert_eq!(config["vm_config"]["vm_id"], "phantom_token_filter");

    // The server has ended it, and the verdict is remembered: 200, until the signal comes.
    mesh.server.revoke(&access_token).await;
    assert_eq!(proxy.get(&access_token).await.status, 200);
    assert_eq!(proxy.send(signal(&access_token)).await.status, 200);
    assert_eq!(proxy.get(&access_token).await.status, 401);
}

pub async fn signals_by_wasm_plugin(mesh: Arc<Mesh>) {
    let [address] = mesh.edge("signals");
    let mut plugin = mesh.documented("WasmPlugin", "WasmPlugin", "signals");
    let environment = plugin["spec"]["vmConfig"]["env"].as_array_mut().expect("a list");
    environment.push(json!({"name": "REVOCATION_TOKEN", "valueFrom": "HOST"}));
    let admin = json!({"path": "/revocations", "token": {"env": "REVOCATION_TOKEN"}});
    plugin["spec"]["pluginConfig"]["revocation"] = json!({"admin": admin});
    mesh.kubernetes.apply(&[plugin]);
    let proxy = Proxy::start(&mesh, Part::Gateway, "signals", address).await;
    proxy.answers(401, Request::get("/")).await;
    assert_eq!(proxy.send(signal("any")).await.status, 503);
    proxy.logs(&["allow_on_headers_stop_iteration"]).await;
}

pub async fn local_file(mesh: Arc<Mesh>) {
    let [address] = mesh.edge("local-file");
    let mut plugin = mesh.documented("WasmPlugin", "WasmPlugin", "local-file");
    let file = released().join("phantom_token_filter.wasm");
    plugin["spec"]["url"] = json!(format!("file://{}", file.display()));
    plugin["spec"].as_object_mut().expect("an object").remove("sha256");
    mesh.kubernetes.apply(&[plugin]);
    let proxy = Proxy::start(&mesh, Part::Gateway, "local-file", address).await;
    enforces(&mesh, &proxy).await;
    let config = plugin_config(&proxy).await;
    assert_eq!(config["vm_config"]["code"], json!({"local": {"filename": file}}));
}

/// The order of an administrator to forget a token.
fn signal(access_token: &str) -> Request {
    Request::post("/revocations", json!({"token": access_token}).to_string())
        .header("content-type", "application/json")
        .bearer("a-token-of-the-administrator")
}

/// What the filter does at all: no request without a token, and none with a wrong one, whatever its body; a JWT of the
/// published keys in the place of an opaque token, also where the body comes with a token that nobody has seen before. A
/// token that passed.
pub async fn enforces(mesh: &Mesh, proxy: &Proxy) -> String {
    let reply = proxy.answers(401, Request::get("/")).await;
    assert_eq!(reply.header("www-authenticate"), Some("Bearer realm=\"api\""), "{reply:?}");
    let access_token = mesh.server.token_for_audience("read").await;
    let jwt = proxy.get(&access_token).await.echoed_bearer();
    let keys = proxy.send(Request::get("/.well-known/jwks.json")).await.json();
    let verified = jose::verify(&[jwt], &keys).await.remove(0);
    assert_eq!(verified.claims["iss"], "https://gateway.example");
    assert_eq!(verified.claims["scope"], "read");
    for size in [100_000, 2_000_000] {
        let access_token = mesh.server.token_for_audience("read").await;
        let reply = proxy.send(Request::post("/", vec![b'x'; size]).bearer(&access_token)).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.json()["body_length"], size);
    }
    assert_eq!(proxy.get("forged").await.status, 401);
    access_token
}

/// What Envoy got as the plugin's.
async fn plugin_config(proxy: &Proxy) -> Value {
    let extensions = proxy.configured("EcdsConfigDump").await;
    let filters = extensions["ecds_filters"].as_array().expect("extensions").iter();
    let mut filters = filters.map(|filter| filter["ecds_filter"]["typed_config"]["config"].clone());
    let config = filters.next().expect("one extension");
    assert!(filters.next().is_none(), "{extensions}");
    config
}
