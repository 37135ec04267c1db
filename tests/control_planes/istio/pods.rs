//! What surrounds the proxy: its pod, the clusters that it has.

use std::sync::Arc;

use base64ct::{Base64, Encoding};
use json_patch::Patch;
use serde_json::{Value, json};

use super::{
    mesh::Mesh,
    proxy::{Part, Proxy},
};
use crate::rig::{client::Request, eventually};

pub async fn injected(mesh: Arc<Mesh>) {
    let deployment = mesh.documented("Secrets in the proxy's environment", "Deployment", "istio-ingress");
    let gateway = deployment["spec"]["template"].clone();
    let mut sidecar = gateway.clone();
    sidecar["metadata"] = json!({"labels": {"app": "accounts"}});
    let containers = sidecar["spec"]["containers"].as_array_mut().expect("a list");
    containers.push(json!({"name": "accounts", "image": "accounts"}));
    let wanted = &gateway["spec"]["containers"][0]["env"];
    for (what, pod) in [("gateway", &gateway), ("sidecar", &sidecar)] {
        let made = container_after_injection(&mesh, pod).await;
        let environment =
            made["env"].as_array().unwrap_or_else(|| panic!("{what}: no environment in {made}"));
        for variable in wanted.as_array().expect("a list") {
            assert!(environment.contains(variable), "{what}: no {variable} in {made}");
        }
        // It is Istio's proxy, not only what was in the template.
        assert!(environment.iter().any(|variable| variable["name"] == "PROXY_CONFIG"), "{what}: {made}");
    }
}

pub async fn module_in_the_pod(mesh: Arc<Mesh>) {
    let deployment = mesh.documented("The module in the pod", "Deployment", "accounts");
    let mut template = deployment["spec"]["template"].clone();
    let pod = after_injection(&mesh, &template).await;
    let proxy =
        named(&pod["spec"]["containers"], "istio-proxy").expect("the proxy after all init containers");
    let mounts = proxy["volumeMounts"].as_array().expect("mounts");
    let mount = json!({"name": "phantom-token-filter", "mountPath": "/var/local/phantom-token-filter"});
    assert!(mounts.contains(&mount), "{proxy}");
    assert!(named(&pod["spec"]["initContainers"], "phantom-token-filter").is_some(), "{pod}");
    assert!(named(&pod["spec"]["volumes"], "phantom-token-filter").is_some(), "{pod}");

    // Without the annotation that says so, the proxy would be the first to start.
    let annotations = template["metadata"]["annotations"].as_object_mut().expect("annotations");
    annotations.remove("sidecar.istio.io/nativeSidecar").expect("the annotation");
    let pod = after_injection(&mesh, &template).await;
    let names: Vec<_> =
        pod["spec"]["initContainers"].as_array().expect("them").iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["istio-init", "istio-proxy", "phantom-token-filter"]);
}

fn named<'a>(list: &'a Value, name: &str) -> Option<&'a Value> {
    list.as_array()?.iter().find(|it| it["name"] == name)
}

/// The pod's container `istio-proxy`, of the injector's making.
async fn container_after_injection(mesh: &Mesh, template: &Value) -> Value {
    let pod = after_injection(mesh, template).await;
    let lists = ["initContainers", "containers"].map(|key| &pod["spec"][key]);
    let proxy = lists.iter().find_map(|list| named(list, "istio-proxy"));
    proxy.unwrap_or_else(|| panic!("no istio-proxy in {pod}")).clone()
}

/// A pod of this template, of the injector's making.
async fn after_injection(mesh: &Mesh, template: &Value) -> Value {
    let mut pod = template.clone();
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["name"] = json!("proxy");
    // As the Kubernetes API fills it in before it asks the injector.
    for containers in ["initContainers", "containers"] {
        for container in pod["spec"][containers].as_array_mut().into_iter().flatten() {
            container["resources"] = json!({});
        }
    }
    let review = mesh.istiod.inject(&pod, "istio-ingress").await;
    assert_eq!(review["response"]["allowed"], true, "{review}");
    let patch = review["response"]["patch"].as_str().expect("a patch");
    let patch = Base64::decode_vec(patch).expect("base64");
    let patch: Patch = serde_json::from_slice(&patch).expect("a JSON Patch");
    json_patch::patch(&mut pod, &patch).unwrap_or_else(|error| panic!("{error}: {patch}"));
    pod
}

pub async fn egress(mesh: Arc<Mesh>) {
    let namespace = "egress";
    let address = mesh.beside_the_service(namespace);
    let mut sidecar = mesh.kubernetes.get("sidecar.networking.istio.io", namespace, "accounts").expect("it");
    let metadata = json!({"name": "accounts", "namespace": namespace});
    sidecar["metadata"] = metadata;
    sidecar["spec"]["egress"][0]["hosts"] = json!(["istio-system/*"]);
    let mut plugin = mesh.documented("WasmPlugin", "WasmPlugin", namespace);
    plugin["spec"]["selector"]["matchLabels"] = json!({"app": "accounts"});
    mesh.kubernetes.apply(&[sidecar.clone(), plugin]);
    let proxy = Proxy::start(&mesh, Part::Sidecar, namespace, address).await;
    proxy.answers(401, Request::get("/")).await;
    let access_token = mesh.server.token_for_audience("read").await;
    assert_eq!(proxy.get(&access_token).await.status, 503);
    proxy.logs(&["outbound|443||as.example"]).await;

    let documented = mesh.documented("Sidecars with a narrow egress", "Sidecar", namespace);
    sidecar["spec"]["egress"][0]["hosts"] = documented["spec"]["egress"][0]["hosts"].clone();
    mesh.kubernetes.apply(&[sidecar]);
    proxy.answers(200, Request::get("/").bearer(&access_token)).await;
}

pub async fn tls(mesh: Arc<Mesh>) {
    let namespace = "tls";
    let [address] = mesh.edge(namespace);
    // The server of the tests speaks no TLS, so this one is of the gateway's namespace, which alone sees it.
    let mut rule = mesh.documented("The authorization server", "DestinationRule", namespace);
    rule["spec"]["exportTo"] = json!(["."]);
    mesh.kubernetes.apply(&[rule]);
    let proxy = Proxy::start(&mesh, Part::Gateway, namespace, address).await;
    let cluster = eventually("the cluster with TLS", || async {
        let clusters = proxy.configured("ClustersConfigDump").await;
        let clusters = clusters["dynamic_active_clusters"].as_array()?.clone();
        let named = |cluster: &Value| cluster["cluster"]["name"] == "outbound|443||as.example";
        let cluster = clusters.into_iter().find(named)?["cluster"].clone();
        cluster["transport_socket"].is_object().then_some(cluster)
    })
    .await;
    let tls = &cluster["transport_socket"]["typed_config"];
    assert_eq!(tls["sni"], "as.example", "{cluster}");
    // By public authorities, and for this name alone.
    let checks = &tls["common_tls_context"]["combined_validation_context"];
    assert_eq!(checks["validation_context_sds_secret_config"]["name"], "file-root:system", "{cluster}");
    let names = checks["default_validation_context"].to_string();
    assert!(names.contains("as.example"), "{cluster}");
    assert_eq!(cluster["connect_timeout"], "1s", "{cluster}");
}
