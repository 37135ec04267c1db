//! A gateway or a sidecar: Istio's agent, as in a pod, and the Envoy that it starts.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::Path,
    process::Command,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::mesh::Mesh;
use crate::launcher::launcher;
use crate::rig::{
    client::{Reply, Request},
    eventually,
    process::Process,
    started::{free_port, until_ready},
};

/// In which part a proxy is.
#[derive(Clone, Copy)]
pub enum Part {
    /// At the edge, with the label `istio: ingressgateway`.
    Gateway,
    /// Beside a service, with the label `app: accounts`.
    Sidecar,
}

pub struct Proxy {
    // In this order: the process ends before its files go.
    _process: Process,
    directory: TempDir,
    /// Where its listener for requests is.
    address: SocketAddr,
    admin: SocketAddr,
    status: SocketAddr,
}

impl Proxy {
    /// Starts one in a namespace whose resources tell it to listen at `address`, and waits until its agent calls it ready.
    pub async fn start(mesh: &Mesh, part: Part, namespace: &str, address: SocketAddr) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        write_identity(mesh, namespace, directory.path()).await;
        let (admin, status) = (free_port(), free_port());
        let mut command = agent(mesh, part, namespace, directory.path(), (admin, status));
        let log = File::create(directory.path().join("log")).expect("a log file");
        let mut process = Process::start(command.stdout(log.try_clone().expect("the log")).stderr(log));
        let ready = Request::get("/healthz/ready");
        until_ready(&mut process, status, ready, &directory.path().join("log")).await;
        Self { _process: process, directory, address, admin, status }
    }

    pub async fn send(&self, request: Request) -> Reply {
        self.try_send(&request).await.unwrap_or_else(|| panic!("no answer:\n{}", self.log()))
    }

    /// The answer, once its listener is there.
    pub async fn try_send(&self, request: &Request) -> Option<Reply> {
        request.try_send(self.address).await.ok()
    }

    /// `GET /` with an access token.
    pub async fn get(&self, access_token: &str) -> Reply {
        self.send(Request::get("/").bearer(access_token)).await
    }

    /// Waits until `request` is answered with this status, and gives the answer.
    pub async fn answers(&self, status: u16, request: Request) -> Reply {
        eventually(&format!("{status} of the proxy, whose log is:\n{}", self.log()), || async {
            self.try_send(&request).await.filter(|reply| reply.status == status)
        })
        .await
    }

    /// Whether its agent calls it ready.
    pub async fn is_ready(&self) -> bool {
        Request::get("/healthz/ready").send(self.status).await.status == 200
    }

    /// All that the agent, Envoy and the filter logged so far.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.directory.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits for a line of its log that has all of these words.
    pub async fn logs(&self, words: &[&str]) -> String {
        eventually(&format!("{words:?} in the log"), || async {
            let log = self.log();
            log.lines().find(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned)
        })
        .await
    }

    /// What Envoy prints at a path of its admin interface.
    pub async fn admin(&self, path: &str) -> String {
        let reply = Request::get(path).send(self.admin).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        String::from_utf8(reply.body).expect("text")
    }

    /// What Envoy has of a kind, e.g. `EcdsConfigDump`.
    pub async fn configured(&self, kind: &str) -> Value {
        let dump: Value = serde_json::from_str(&self.admin("/config_dump?include_eds").await).expect("JSON");
        let sections = dump["configs"].as_array().expect("sections").iter();
        let kind = format!("type.googleapis.com/envoy.admin.v3.{kind}");
        let mut of_kind = sections.filter(|section| section["@type"] == kind);
        of_kind.next().cloned().unwrap_or(Value::Null)
    }

    /// What the agent's own address has for Prometheus.
    pub async fn prometheus(&self) -> String {
        let reply = Request::get("/stats/prometheus").send(self.status).await;
        String::from_utf8(reply.body).expect("text")
    }
}

/// Who it is, for istiod, and how it knows istiod: what Kubernetes mounts into a pod.
async fn write_identity(mesh: &Mesh, namespace: &str, directory: &Path) {
    let secrets = directory.join("var/run/secrets");
    let token = mesh.kubernetes.token(namespace, "proxy", "istio-ca");
    let roots = eventually("istiod's root certificate in the namespace", || async {
        let map = mesh.kubernetes.get("configmap", namespace, "istio-ca-root-cert")?;
        map["data"]["root-cert.pem"].as_str().map(str::to_owned)
    })
    .await;
    for (folder, file, text) in [("tokens", "istio-token", token), ("istio", "root-cert.pem", roots)] {
        fs::create_dir_all(secrets.join(folder)).expect("a folder");
        fs::write(secrets.join(folder).join(file), text).expect("a secret, written");
    }
    // The pod's annotations, as docs/istio.md has them.
    let pod = directory.join("etc/istio/pod");
    fs::create_dir_all(&pod).expect("a folder");
    let annotation = "sidecar.istio.io/extraStatTags=\"provider,transmitter,policy,reason\"\n";
    fs::write(pod.join("annotations"), annotation).expect("the annotations, written");
}

fn agent(
    mesh: &Mesh,
    part: Part,
    namespace: &str,
    directory: &Path,
    (admin, status): (SocketAddr, SocketAddr),
) -> Command {
    let (role, labels) = match part {
        Part::Gateway => ("router", json!({"istio": "ingressgateway"})),
        Part::Sidecar => ("sidecar", json!({"app": "accounts"})),
    };
    let configuration = json!({
        "discoveryAddress": mesh.istiod.discovery.to_string(),
        "configPath": directory.join("envoy"),
        "binaryPath": launcher(directory),
        "proxyAdminPort": admin.port(), "statusPort": status.port(), "concurrency": 2,
        "drainDuration": "1s", "terminationDrainDuration": "1s",
        // As docs/istio.md has it.
        "proxyStatsMatcher": {"inclusionRegexps": [".*extension_config_discovery.*"]},
    });
    let programs = mesh.istiod.programs();
    let mut command = Command::new(programs.join("pilot-agent"));
    command
        .current_dir(directory)
        .args(["proxy", role, "--domain", &format!("{namespace}.svc.cluster.local")])
        .args(["--proxyLogLevel", "warning", "--proxyComponentLogLevel", "wasm:info"])
        .arg("--templateFile")
        .arg(programs.join("envoy_bootstrap.json"))
        .envs([("POD_NAME", "proxy"), ("POD_NAMESPACE", namespace), ("SERVICE_ACCOUNT", "proxy")])
        .envs([("INSTANCE_IP", "127.0.0.1"), ("ISTIOD_SAN", "istiod.istio-system.svc")])
        .env("ISTIO_META_CLUSTER_ID", "Kubernetes")
        .env("ISTIO_METAJSON_LABELS", labels.to_string())
        .env("ISTIO_META_INTERCEPTION_MODE", "NONE")
        .env("PROXY_CONFIG", configuration.to_string())
        .env("ENVOY_STATUS_PORT", free_port().port().to_string())
        .env("ENVOY_PROMETHEUS_PORT", free_port().port().to_string())
        .env("WASM_INSECURE_REGISTRIES", mesh.insecure_registries())
        // What the Secret of docs/istio.md puts into the proxy's environment.
        .env("GATEWAY_CLIENT_SECRET", "gw-secret")
        .env("SIGNING_KEY", &mesh.signing_key.pem)
        .env("REVOCATION_TOKEN", "a-token-of-the-administrator");
    command
}
