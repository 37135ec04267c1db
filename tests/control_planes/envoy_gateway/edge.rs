//! What all tests of Envoy Gateway share.

use std::{fs, net::SocketAddr};

use hyper::Response;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::controller::Controller;
use crate::{
    documented::{ENVOY_GATEWAY, Here},
    kubernetes::Kubernetes,
    registry::{Registry, image_digest, module_digest, released},
    rig::{
        eventually,
        http_server::{HttpServer, whole},
        jose::{self, Key},
        oidc_provider::OidcProvider,
        started::free_port,
        upstream::Upstream,
    },
};

/// The page's heading of most resources.
pub const SHORTEST: &str = "The shortest way";

pub struct Edge {
    // In this order: what asks ends before what it asks.
    pub controller: Mutex<Controller>,
    pub kubernetes: Kubernetes,
    pub registry: Registry,
    /// Where the module can be fetched by HTTP.
    pub files: HttpServer,
    pub server: OidcProvider,
    pub upstream: Upstream,
    /// Of the filter.
    signing_key: Key,
    here: Here,
}

impl Edge {
    pub async fn start() -> Self {
        let registry = Registry::start(free_port()).await;
        let kubernetes = Kubernetes::start().await;
        let controller = Mutex::new(Controller::start(&kubernetes).await);
        let module = fs::read(released().join("phantom_token_filter.wasm")).expect("the module");
        let files = HttpServer::start(move |_| {
            let module = module.clone();
            async move { Ok(Response::new(whole(module))) }
        })
        .await;
        let server = OidcProvider::start().await;
        let here = Here {
            issuer: server.issuer(),
            registry: files.address().to_string(),
            image_digest: image_digest(),
            module_digest: module_digest(),
            client_id: "gw-basic",
        };
        let (upstream, signing_key) = (Upstream::start().await, jose::generate("ES256").await);
        Self { controller, kubernetes, registry, files, server, upstream, signing_key, here }
    }

    /// A resource of docs/envoy-gateway.md.
    pub fn documented(&self, heading: &str, kind: &str, namespace: &str) -> Value {
        let mut resource = self.here.resource(ENVOY_GATEWAY, heading, kind, namespace);
        if kind == "EnvoyExtensionPolicy" {
            let introspection = &mut config(&mut resource)["providers"]["main"]["introspection"];
            introspection["cluster"] = json!(format!("httproute/{namespace}/authorization-server/rule/0"));
        }
        resource
    }

    /// A namespace with the resources of the shortest way, but for the policy, and a route to the service. Where its Envoy
    /// listens.
    pub fn namespace(&self, namespace: &str) -> SocketAddr {
        self.namespace_with(namespace, |_| {})
    }

    /// The same with a change of the EnvoyProxy.
    pub fn namespace_with(&self, namespace: &str, change: impl FnOnce(&mut Value)) -> SocketAddr {
        self.kubernetes.namespace(namespace);
        let address = free_port();
        let documented = |kind| self.documented(SHORTEST, kind, namespace);
        let mut gateway = documented("Gateway");
        gateway["spec"]["listeners"][0]["port"] = json!(address.port());
        // The server of the tests speaks no TLS.
        let mut server = documented("Backend");
        server["spec"] = self.endpoint(self.server.address());
        let accounts = json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
            "metadata": {"name": "accounts", "namespace": namespace},
            "spec": {"parentRefs": [{"name": "eg"}], "rules": [{"backendRefs": [
                {"group": "gateway.envoyproxy.io", "kind": "Backend", "name": "accounts"},
            ]}]},
        });
        let upstream = json!({
            "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "Backend",
            "metadata": {"name": "accounts", "namespace": namespace},
            "spec": self.endpoint(self.upstream.address()),
        });
        let mut settings = documented("EnvoyProxy");
        change(&mut settings);
        let resources = [gateway, settings, documented("HTTPRoute"), server, accounts, upstream];
        self.kubernetes.apply(&resources);
        address
    }

    /// An endpoint of loopback, which cannot be named by its address: `alone` gives it a name.
    fn endpoint(&self, address: SocketAddr) -> Value {
        json!({"endpoints": [{"fqdn": {"hostname": "as.example", "port": address.port()}}]})
    }

    /// What the Secret of the page holds for a variable.
    pub fn secret(&self, variable: &str) -> &str {
        match variable {
            "GATEWAY_CLIENT_SECRET" => "gw-secret",
            "SIGNING_KEY" => &self.signing_key.pem,
            "REVOCATION_TOKEN" => "a-token-of-the-administrator",
            other => panic!("no such variable: {other}"),
        }
    }

    /// Waits until Envoy Gateway says of a policy that it is accepted, or not.
    pub async fn accepted(&self, namespace: &str, accepted: bool) {
        let status = if accepted { "True" } else { "False" };
        eventually(&format!("a policy with Accepted: {status}"), || async {
            let policy = self.kubernetes.get("envoyextensionpolicy", namespace, "phantom-token")?;
            let current = policy["metadata"]["generation"].clone();
            let conditions = policy["status"]["ancestors"][0]["conditions"].as_array()?.clone();
            let mut of_kind = conditions.iter().filter(|condition| condition["type"] == "Accepted");
            of_kind.any(|it| it["status"] == status && it["observedGeneration"] == current).then_some(())
        })
        .await;
    }
}

/// The filter's own configuration in a policy.
pub fn config(policy: &mut Value) -> &mut Value {
    &mut policy["spec"]["wasm"][0]["config"]
}
