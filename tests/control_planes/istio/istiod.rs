//! Istio's control plane.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    kubernetes::Kubernetes,
    rig::{
        client::Request,
        installed::installed,
        process::Process,
        started::{free_port, started},
    },
};

/// Of 27 August 2026, on the way to 1.31: the newest that the Go module proxy has, which has no tagged releases of Istio.
const INSTALL: &str = "
export CGO_ENABLED=0 GOBIN=\"$PWD\"
istio=istio.io/istio@v0.0.0-20260827124520-eed52ebb66ad
go install ${istio%@*}/pilot/cmd/pilot-agent@${istio#*@}
source=$(go mod download -json $istio | sed -n 's/^.*\"Dir\": \"\\(.*\\)\".*$/\\1/p')
cp \"$source/manifests/charts/base/files/crd-all.gen.yaml\" \"$source/tools/packaging/common/envoy_bootstrap.json\" .
cp \"$source\"/manifests/charts/istio-control/istio-discovery/files/*injection-template.yaml .
cp \"$source/manifests/charts/istio-control/istio-discovery/values.yaml\" .
chmod u+w *
go install ${istio%@*}/pilot/cmd/pilot-discovery@${istio#*@}
";

/// The folder with istiod, the agent and what belongs to them.
pub fn programs() -> PathBuf {
    installed("control_planes", "istiod-1.31", "pilot-discovery", INSTALL)
}

pub struct Istiod {
    // In this order: the process ends before its files go.
    _process: Process,
    _directories: [TempDir; 2],
    /// Where proxies get their configuration, by TLS.
    pub discovery: SocketAddr,
    http: SocketAddr,
    programs: PathBuf,
}

impl Istiod {
    pub async fn start(kubernetes: &Kubernetes) -> Self {
        let programs = programs();
        let crds = fs::read_to_string(programs.join("crd-all.gen.yaml")).expect("Istio's resources");
        kubernetes.apply_text(&crds);
        kubernetes.namespace("istio-system");
        let directory = tempfile::tempdir().expect("a temporary directory");
        // No protocol between proxies that only Istio's own Envoy has.
        let mesh = json!({"defaultProviders": {}, "enableAutoMtls": false});
        fs::write(directory.path().join("mesh.yaml"), mesh.to_string()).expect("the mesh, written");
        write_injection(&programs, &directory.path().join("var/lib/istio/inject"));
        let (http, discovery) = (free_port(), free_port());
        let mut command = Command::new(programs.join("pilot-discovery"));
        command
            .current_dir(directory.path())
            .arg("discovery")
            .args(["--meshConfig", "mesh.yaml", "--ctrlz_port", "0", "--shutdownDuration", "0s"])
            .arg("--kubeconfig")
            .arg(kubernetes.kubeconfig())
            .args(["--httpAddr", &http.to_string(), "--secureGRPCAddr", &discovery.to_string()])
            // Without an address of their own, the webhooks are at that of HTTP.
            .args(["--httpsAddr", "", "--grpcAddr", ""])
            .args(["--monitoringAddr", &free_port().to_string()])
            .envs([("POD_NAMESPACE", "istio-system"), ("POD_NAME", "istiod")])
            .envs([("PILOT_ENABLE_METADATA_EXCHANGE", "false"), ("PILOT_ENABLE_ALPN_FILTER", "false")])
            .envs([("INJECTION_WEBHOOK_CONFIG_NAME", ""), ("VALIDATION_WEBHOOK_CONFIG_NAME", "")])
            // Each test has a namespace, and a gateway in it.
            .env("PILOT_SCOPE_GATEWAY_TO_NAMESPACE", "true")
            .envs([("PILOT_DEBOUNCE_AFTER", "10ms"), ("PILOT_DEBOUNCE_MAX", "100ms")]);
        let (process, log) = started(&mut command, http, Request::get("/ready")).await;
        Self { _process: process, _directories: [directory, log], discovery, http, programs }
    }

    /// The folder with the agent, and with the proxies' bootstrap.
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// What the injector makes of a pod: patches to it (RFC 6902).
    pub async fn inject(&self, pod: &Value, namespace: &str) -> Value {
        let review = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {"uid": "1", "namespace": namespace, "operation": "CREATE", "object": pod},
        });
        let request = Request::post("/inject", review.to_string()).header("content-type", "application/json");
        let reply = request.send(self.http).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()
    }
}

/// The templates of Istio's own chart, and its values.
fn write_injection(programs: &Path, folder: &Path) {
    let read = |name: &str| fs::read_to_string(programs.join(name)).expect("a file of Istio's chart");
    let chart: Value = serde_yaml_ng::from_str(&read("values.yaml")).expect("YAML");
    let values = &chart["_internal_defaults_do_not_set"];
    let config = json!({
        "policy": "enabled", "defaultTemplates": ["sidecar"],
        "templates": {
            "sidecar": read("injection-template.yaml"), "gateway": read("gateway-injection-template.yaml"),
        },
    });
    fs::create_dir_all(folder).expect("a folder");
    fs::write(folder.join("config"), config.to_string()).expect("the templates, written");
    fs::write(folder.join("values"), values.to_string()).expect("the values, written");
}
