//! What all tests of Istio share: its control plane, the services that are in the mesh, and the image.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::istiod::Istiod;
use crate::{
    documented::{Here, ISTIO},
    kubernetes::Kubernetes,
    registry::{Registry, image_digest, module_digest},
    rig::{
        jose::{self, Key},
        oidc_provider::OidcProvider,
        started::free_port,
        upstream::Upstream,
    },
};

/// The namespace of the services.
pub const SERVICES: &str = "services";

pub struct Mesh {
    // In this order: what asks ends before what it asks.
    pub istiod: Istiod,
    pub kubernetes: Kubernetes,
    _registry: Registry,
    pub server: OidcProvider,
    pub upstream: Upstream,
    /// Of the filter.
    pub signing_key: Key,
    /// Where a registry may start later.
    pub other_registry: SocketAddr,
    pub here: Here,
}

impl Mesh {
    pub async fn start() -> Self {
        let registry = Registry::start(free_port()).await;
        let kubernetes = Kubernetes::start().await;
        let istiod = Istiod::start(&kubernetes).await;
        let server = OidcProvider::start().await;
        let here = Here {
            issuer: server.issuer(),
            registry: registry.address().to_string(),
            image_digest: image_digest(),
            module_digest: module_digest(),
            client_id: "gw-basic",
        };
        let mesh = Self {
            istiod,
            kubernetes,
            _registry: registry,
            server,
            upstream: Upstream::start().await,
            signing_key: jose::generate("ES256").await,
            other_registry: free_port(),
            here,
        };
        mesh.kubernetes.namespace(SERVICES);
        let mut server = mesh.documented("The authorization server", "ServiceEntry", SERVICES);
        // It is on loopback, where the documented one has a name.
        server["spec"]["resolution"] = json!("STATIC");
        server["spec"]["endpoints"] =
            json!([{"address": "127.0.0.1", "ports": {"https": mesh.server.address().port()}}]);
        let upstream = json!({
            "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
            "metadata": {"name": "accounts", "namespace": SERVICES},
            "spec": {
                "hosts": ["accounts.example"], "resolution": "STATIC",
                "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
                "endpoints": [{"address": "127.0.0.1", "ports": {"http": mesh.upstream.address().port()}}],
            },
        });
        mesh.kubernetes.apply(&[server, upstream]);
        mesh
    }

    /// A resource of docs/istio.md.
    pub fn documented(&self, heading: &str, kind: &str, namespace: &str) -> Value {
        self.here.resource(ISTIO, heading, kind, namespace)
    }

    pub fn insecure_registries(&self) -> String {
        format!("{},{}", self.here.registry, self.other_registry)
    }

    /// A namespace with what makes a gateway in it listen, and lead everything to the one service. The listeners' addresses.
    pub fn edge<const COUNT: usize>(&self, namespace: &str) -> [SocketAddr; COUNT] {
        self.kubernetes.namespace(namespace);
        let addresses = [(); COUNT].map(|()| free_port());
        let server = |address: &SocketAddr| {
            let port = address.port();
            let port = json!({"number": port, "name": format!("http-{port}"), "protocol": "HTTP"});
            json!({"bind": "127.0.0.1", "hosts": ["*"], "port": port})
        };
        let gateway = json!({
            "apiVersion": "networking.istio.io/v1", "kind": "Gateway",
            "metadata": {"name": "edge", "namespace": namespace},
            "spec": {
                "selector": {"istio": "ingressgateway"},
                "servers": addresses.iter().map(server).collect::<Vec<_>>(),
            },
        });
        let routes = json!({
            "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
            "metadata": {"name": "edge", "namespace": namespace},
            "spec": {"gateways": ["edge"], "hosts": ["*"], "http": [{"route": [
                {"destination": {"host": "accounts.example", "port": {"number": 80}}},
            ]}]},
        });
        self.kubernetes.apply(&[gateway, routes]);
        addresses
    }

    /// What makes a sidecar in a namespace listen before the one service.
    pub fn beside_the_service(&self, namespace: &str) -> SocketAddr {
        self.kubernetes.namespace(namespace);
        let address = free_port();
        let port = json!({"number": address.port(), "name": "http", "protocol": "HTTP"});
        let labels = json!({"app": "accounts"});
        let sidecar = json!({
            "apiVersion": "networking.istio.io/v1", "kind": "Sidecar",
            "metadata": {"name": "accounts", "namespace": namespace},
            "spec": {
                "workloadSelector": {"labels": labels},
                "ingress": [{
                    "port": port, "bind": "127.0.0.1", "captureMode": "NONE",
                    "defaultEndpoint": self.upstream.address().to_string(),
                }],
                "egress": [{"captureMode": "NONE", "hosts": ["services/*"]}],
            },
        });
        let service = json!({
            "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
            "metadata": {"name": "accounts", "namespace": namespace},
            "spec": {
                "hosts": [format!("accounts.{namespace}.example")], "ports": [port], "resolution": "STATIC",
                "location": "MESH_INTERNAL", "workloadSelector": {"labels": labels},
            },
        });
        let workload = json!({
            "apiVersion": "networking.istio.io/v1", "kind": "WorkloadEntry",
            "metadata": {"name": "accounts", "namespace": namespace},
            "spec": {"address": "127.0.0.1", "labels": labels, "serviceAccount": "proxy"},
        });
        self.kubernetes.apply(&[sidecar, service, workload]);
        address
    }
}
