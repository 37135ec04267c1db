//! What the policy of the page does, and other policies beside it.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    edge::{Edge, SHORTEST, config},
    proxy::Proxy,
};
use crate::rig::{client::Request, eventually, jose};

pub async fn on_gateway(edge: Arc<Edge>) {
    let namespace = "on-gateway";
    let address = edge.namespace(namespace);
    edge.kubernetes.apply(&[edge.documented(SHORTEST, "EnvoyExtensionPolicy", namespace)]);
    edge.accepted(namespace, true).await;
    let proxy = Proxy::start(&edge, namespace, address).await;
    enforces(&edge, &proxy).await;

    // The route to the authorization server is covered, too.
    let host = "authorization-server.invalid";
    assert_eq!(proxy.send(Request::new_at("GET", host, "/")).await.status, 401);

    let plugin = plugin(&proxy.configuration().await);
    assert_eq!(plugin["name"], "phantom_token_filter");
    let vm_id = format!("envoyextensionpolicy/{namespace}/phantom-token/wasm/0");
    assert_eq!(plugin["vm_config"]["vm_id"], vm_id);
    assert_eq!(plugin["configuration"]["@type"], "type.googleapis.com/google.protobuf.StringValue");
    assert!(plugin["vm_config"]["code"]["remote"].is_object(), "{plugin}");
    for missing in ["failure_policy", "capability_restriction_config", "allow_on_headers_stop_iteration"] {
        assert_eq!(plugin[missing], Value::Null, "{missing}");
    }
}

pub async fn image(edge: Arc<Edge>) {
    let namespace = "image";
    let address = edge.namespace(namespace);
    let mut policy = edge.documented(SHORTEST, "EnvoyExtensionPolicy", namespace);
    let url = format!("{}/phantom-token-filter:{}", edge.registry.address(), env!("CARGO_PKG_VERSION"));
    let image = json!({"url": url, "sha256": crate::registry::image_digest()});
    policy["spec"]["wasm"][0]["code"] = json!({"type": "Image", "image": image});
    edge.kubernetes.apply(&[policy]);
    edge.accepted(namespace, true).await;
    let proxy = Proxy::start(&edge, namespace, address).await;
    enforces(&edge, &proxy).await;
}

pub async fn labels(edge: Arc<Edge>) {
    let namespace = "labels";
    let bootstrap =
        edge.documented("Labels of metrics", "EnvoyProxy", namespace)["spec"]["bootstrap"].clone();
    let address = edge.namespace_with(namespace, |settings| settings["spec"]["bootstrap"] = bootstrap);
    edge.kubernetes.apply(&[edge.documented(SHORTEST, "EnvoyExtensionPolicy", namespace)]);
    edge.accepted(namespace, true).await;
    let proxy = Proxy::start(&edge, namespace, address).await;
    enforces(&edge, &proxy).await;
    let statistics = proxy.prometheus().await;
    for series in [
        r#"phantom_token_jwt_minted{provider="main"}"#,
        r#"phantom_token_cache_miss{provider="main",policy="default"}"#,
        r#"phantom_token_requests_denied_missing_token{policy="default",reason="missing_token"}"#,
        r#"phantom_token_introspection_duration_ms_bucket{provider="main",le="1900"}"#,
    ] {
        assert!(statistics.contains(series), "{series}: {statistics}");
    }
}

pub async fn tls(edge: Arc<Edge>) {
    let namespace = "tls";
    let address = edge.namespace(namespace);
    edge.kubernetes.apply(&[edge.documented(SHORTEST, "Backend", namespace)]);
    let proxy = Proxy::start(&edge, namespace, address).await;
    let name = format!("httproute/{namespace}/authorization-server/rule/0");
    let cluster = eventually("the cluster with TLS", || async {
        let configuration = proxy.configuration().await;
        let mut clusters = configuration["configs"].as_array()?.iter();
        let clusters = clusters.find_map(|section| section["dynamic_active_clusters"].as_array())?;
        let cluster = clusters.iter().find(|cluster| cluster["cluster"]["name"] == name)?;
        let text = cluster.to_string();
        text.contains("UpstreamTlsContext").then_some(text)
    })
    .await;
    assert!(cluster.contains(r#""sni":"as.example""#), "{cluster}");
    assert!(cluster.contains(r#""exact":"as.example""#), "{cluster}");
}

pub async fn claims(edge: Arc<Edge>) {
    let namespace = "claims";
    let address = edge.namespace(namespace);
    edge.kubernetes.apply(&[edge.documented(SHORTEST, "EnvoyExtensionPolicy", namespace)]);
    edge.accepted(namespace, true).await;
    let proxy = Proxy::start(&edge, namespace, address).await;
    let keys = proxy.answers(200, Request::get("/.well-known/jwks.json")).await.json();
    let mut security = edge.documented("Claims in a SecurityPolicy", "SecurityPolicy", namespace);
    security["spec"]["jwt"]["providers"][0]["localJWKS"]["inline"] = json!(keys.to_string());
    edge.kubernetes.apply(&[security]);
    let read = edge.server.token_for_audience("read").await;
    let write = edge.server.token_for_audience("write").await;
    proxy.answers(403, Request::get("/").bearer(&write)).await;
    assert_eq!(proxy.get(&read).await.status, 200);
    assert_eq!(proxy.send(Request::get("/")).await.status, 401);

    // Without the order the first to look at the token wants a JWT.
    let mut settings = edge.documented(SHORTEST, "EnvoyProxy", namespace);
    settings["spec"]["filterOrder"] = json!([]);
    edge.kubernetes.apply(&[settings]);
    proxy.answers(401, Request::get("/").bearer(&read)).await;
    assert_eq!(proxy.send(Request::get("/.well-known/jwks.json")).await.status, 401);
}

pub async fn rate_limit(edge: Arc<Edge>) {
    let namespace = "rate-limit";
    let address = edge.namespace(namespace);
    let limit = json!({"clientSelectors": [], "limit": {"requests": 3, "unit": "Hour"}});
    let traffic = json!({
        "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "BackendTrafficPolicy",
        "metadata": {"name": "accounts", "namespace": namespace},
        "spec": {
            "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "accounts"}],
            "rateLimit": {"type": "Local", "local": {"rules": [limit]}},
        },
    });
    edge.kubernetes.apply(&[edge.documented(SHORTEST, "EnvoyExtensionPolicy", namespace), traffic]);
    edge.accepted(namespace, true).await;
    let proxy = Proxy::start(&edge, namespace, address).await;
    proxy.answers(401, Request::get("/")).await;
    proxy.answers(429, Request::get("/")).await;
}

pub async fn overridden(edge: Arc<Edge>) {
    let namespace = "overridden";
    let address = edge.namespace(namespace);
    edge.kubernetes.apply(&[edge.documented(SHORTEST, "EnvoyExtensionPolicy", namespace)]);
    edge.accepted(namespace, true).await;
    let proxy = Proxy::start(&edge, namespace, address).await;
    proxy.answers(401, Request::get("/")).await;
    let other = json!({
        "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyExtensionPolicy",
        "metadata": {"name": "other", "namespace": namespace},
        "spec": {
            "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "accounts"}],
            "wasm": [],
        },
    });
    edge.kubernetes.apply(&[other]);
    proxy.answers(200, Request::get("/")).await;
    let policy = edge.kubernetes.get("envoyextensionpolicy", namespace, "phantom-token").expect("it");
    assert!(policy["status"].to_string().contains("Overridden"), "{policy}");
}

/// No request without a token, and none with a wrong one; a JWT of the published keys in the place of an opaque token.
pub async fn enforces(edge: &Edge, proxy: &Proxy) {
    let reply = proxy.answers(401, Request::get("/")).await;
    assert_eq!(reply.header("www-authenticate"), Some("Bearer realm=\"api\""), "{reply:?}");
    let access_token = edge.server.token_for_audience("read").await;
    let jwt = proxy.get(&access_token).await.echoed_bearer();
    let keys = proxy.send(Request::get("/.well-known/jwks.json")).await.json();
    let verified = jose::verify(&[jwt], &keys).await.remove(0);
    assert_eq!(verified.claims["iss"], "https://gateway.example");
    assert_eq!(proxy.get("forged").await.status, 401);
    let access_token = edge.server.token_for_audience("read").await;
    let reply = proxy.send(Request::post("/", vec![b'x'; 1_000_000]).bearer(&access_token)).await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

/// What Envoy got as the plugin's.
fn plugin(configuration: &Value) -> Value {
    fn find(value: &Value) -> Option<Value> {
        match value {
            Value::Object(members) if members.contains_key("vm_config") => Some(value.clone()),
            Value::Object(members) => members.values().find_map(find),
            Value::Array(elements) => elements.iter().find_map(find),
            _ => None,
        }
    }
    find(configuration).unwrap_or_else(|| panic!("no plugin in {configuration}"))
}

/// With a change of the filter's own configuration.
pub fn changed(edge: &Edge, namespace: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut policy = edge.documented(SHORTEST, "EnvoyExtensionPolicy", namespace);
    change(config(&mut policy));
    policy
}
