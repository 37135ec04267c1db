//! Envoy Gateway's control plane.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use base64ct::{Base64, Encoding};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    kubernetes::Kubernetes,
    rig::{client::Request, installed::installed, process::Process, started::until_ready},
};

const INSTALL: &str = "
gateway=github.com/envoyproxy/gateway
CGO_ENABLED=0 GOBIN=\"$PWD\" go install $gateway/cmd/envoy-gateway@v1.9.1
source=$(go mod download -json $gateway@v1.9.1 | sed -n 's/^.*\"Dir\": \"\\(.*\\)\".*$/\\1/p')
cat \"$source\"/charts/gateway-helm/charts/crds/crds/gatewayapi-crds.yaml > crds.yaml
for file in \"$source\"/charts/gateway-helm/charts/crds/crds/generated/*.yaml; do
  printf -- '---\\n' >> crds.yaml
  cat \"$file\" >> crds.yaml
done
";

/// Where its Envoys and their secrets are.
pub const SYSTEM: &str = "envoy-gateway-system";
/// Where it and its Envoys have their certificates; it cannot be told another folder.
const CERTIFICATES: &str = "/certs";

/// The folder with it, and with its kinds of resources.
pub fn programs() -> PathBuf {
    installed("control_planes", "envoy-gateway-1.9.1", "envoy-gateway", INSTALL)
}

pub struct Controller {
    process: Process,
    directory: TempDir,
}

impl Controller {
    pub async fn start(kubernetes: &Kubernetes) -> Self {
        let programs = programs();
        kubernetes.apply_text(&fs::read_to_string(programs.join("crds.yaml")).expect("its resources"));
        kubernetes.namespace(SYSTEM);
        let certgen = command(&programs, kubernetes)
            .args(["certgen", "--disable-topology-injector"])
            .output()
            .expect("envoy-gateway certgen");
        assert!(certgen.status.success(), "certgen: {}", String::from_utf8_lossy(&certgen.stderr));
        write_certificates(kubernetes);
        kubernetes.apply(&[json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": {"name": "eg"},
            "spec": {"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"},
        })]);
        let directory = tempfile::tempdir().expect("a temporary directory");
        let configuration = json!({
            "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyGateway",
            "gateway": {"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"},
            "provider": {"type": "Kubernetes", "kubernetes": {
                "leaderElection": {"disable": true}, "proxyTopologyInjector": {"disabled": true},
            }},
            "extensionApis": {"enableBackend": true, "enableEnvoyPatchPolicy": true},
        });
        fs::write(directory.path().join("eg.json"), configuration.to_string()).expect("the file, written");
        let mut controller = Self { process: launch(&programs, kubernetes, directory.path()), directory };
        controller.until_ready().await;
        controller
    }

    /// Ends it, and starts it anew.
    pub async fn restart(&mut self, kubernetes: &Kubernetes) {
        let running = std::mem::replace(&mut self.process, Process::start(&mut Command::new("true")));
        drop(running);
        self.process = launch(&programs(), kubernetes, self.directory.path());
        self.until_ready().await;
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    async fn until_ready(&mut self) {
        let address = "127.0.0.1:8081".parse().expect("its address");
        let log = self.directory.path().join("log");
        until_ready(&mut self.process, address, Request::get("/readyz"), &log).await;
    }
}

fn launch(programs: &Path, kubernetes: &Kubernetes, directory: &Path) -> Process {
    let log = File::create(directory.join("log")).expect("a log file");
    let mut command = command(programs, kubernetes);
    command.arg("server").arg("--config-path").arg(directory.join("eg.json"));
    Process::start(command.stdout(log.try_clone().expect("the log")).stderr(log))
}

fn command(programs: &Path, kubernetes: &Kubernetes) -> Command {
    let mut command = Command::new(programs.join("envoy-gateway"));
    command.env("KUBECONFIG", kubernetes.kubeconfig()).env("ENVOY_GATEWAY_NAMESPACE", SYSTEM);
    command
}

/// Puts its own certificate where it looks for it. Its Envoys look there, too, and would have another of the same authority,
/// which makes no difference to either.
fn write_certificates(kubernetes: &Kubernetes) {
    let secret = kubernetes.get("secret", SYSTEM, "envoy-gateway").expect("what certgen made");
    for name in ["ca.crt", "tls.crt", "tls.key"] {
        let bytes = Base64::decode_vec(text(&secret["data"][name])).expect("base64");
        fs::write(Path::new(CERTIFICATES).join(name), bytes).expect("a certificate, written");
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("expected a text, got {value}"))
}
