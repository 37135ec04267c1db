//! A Kubernetes API on loopback: etcd and the API server, built from their Go modules (`tests/control_planes/kubernetes`),
//! and `kubectl`, which speaks with them. There is no node and no controller, so no pod runs: what would be pods are processes
//! of the tests, and services are whatever a control plane takes besides.

use std::{
    fs,
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::rig::{
    client::Request,
    installed::installed,
    jose,
    process::Process,
    started::{free_port, started, until},
};

const ADMIN: &str = "an-administrator-of-the-tests";

pub struct Kubernetes {
    // In this order: the API server ends before what it keeps its state in, and both before their files go.
    _server: Process,
    _etcd: Process,
    directory: TempDir,
    _etcd_directories: [TempDir; 2],
    programs: PathBuf,
}

impl Kubernetes {
    pub async fn start() -> Self {
        let programs = programs();
        let (etcd, etcd_directories, etcd_address) = start_etcd(&programs).await;
        let directory = tempfile::tempdir().expect("a temporary directory");
        let address = free_port();
        let file = |name: &str| directory.path().join(name);
        fs::write(file("tokens"), format!("{ADMIN},admin,1,\"system:masters\"\n"))
            .expect("the tokens, written");
        fs::write(file("service-accounts.pem"), jose::generate("RS256").await.pem).expect("a key, written");
        fs::write(file("kubeconfig"), kubeconfig(address).to_string()).expect("a kubeconfig, written");
        let log = fs::File::create(file("log")).expect("a log file");
        let mut command = Command::new(programs.join("kube-apiserver"));
        command
            .arg(format!("--etcd-servers=http://{etcd_address}"))
            .arg(format!("--cert-dir={}", directory.path().display()))
            .arg(format!("--secure-port={}", address.port()))
            // The other is of the block for documentation (RFC 5737): nobody calls it, but it must not be of loopback.
            .args(["--bind-address=127.0.0.1", "--advertise-address=192.0.2.1"])
            .arg(format!("--service-account-key-file={}", file("service-accounts.pem").display()))
            .arg(format!("--service-account-signing-key-file={}", file("service-accounts.pem").display()))
            .args(["--service-account-issuer=https://kubernetes.default", "--api-audiences=api,istio-ca"])
            .arg(format!("--token-auth-file={}", file("tokens").display()))
            .args(["--authorization-mode=RBAC", "--service-cluster-ip-range=10.96.0.0/16"])
            // It would want a controller that makes accounts.
            .arg("--disable-admission-plugins=ServiceAccount")
            .stdout(log.try_clone().expect("the log"))
            .stderr(log);
        let mut server = Process::start(&mut command);
        let kubectl = || {
            let mut kubectl = Command::new(programs.join("kubectl"));
            kubectl.arg("--kubeconfig").arg(directory.path().join("kubeconfig"));
            kubectl.args(["get", "--raw", "/readyz"]).output().is_ok_and(|output| output.status.success())
        };
        until(&mut server, "the Kubernetes API to be ready", &directory.path().join("log"), async || {
            kubectl()
        })
        .await;
        Self { _server: server, _etcd: etcd, directory, _etcd_directories: etcd_directories, programs }
    }

    /// The file by which others speak with it, as its administrator.
    pub fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("kubeconfig")
    }

    /// Makes these resources, or makes them so.
    pub fn apply(&self, resources: &[Value]) {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": resources});
        self.apply_text(&list.to_string());
    }

    /// The same with resources in YAML, or JSON.
    pub fn apply_text(&self, text: &str) {
        self.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", "-"], text);
    }

    pub fn namespace(&self, name: &str) {
        self.apply(&[json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})]);
    }

    /// Deletes all resources of a kind, in every namespace.
    pub fn delete_all(&self, kind: &str) {
        self.kubectl(&["delete", kind, "--all", "--all-namespaces"], "");
    }

    pub fn annotate(&self, kind: &str, namespace: &str, name: &str, annotation: &str) {
        self.kubectl(&["annotate", kind, name, annotation, "--overwrite", "--namespace", namespace], "");
    }

    /// The resource, if it is there.
    pub fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        let words = ["get", kind, name, "--namespace", namespace, "--output", "json", "--ignore-not-found"];
        serde_json::from_str(&self.kubectl(&words, "")).ok()
    }

    /// All resources of a kind in a namespace that have a label.
    pub fn labelled(&self, kind: &str, namespace: &str, label: &str) -> Vec<Value> {
        let words = ["get", kind, "--namespace", namespace, "--selector", label, "--output", "json"];
        let list: Value = serde_json::from_str(&self.kubectl(&words, "")).expect("JSON of kubectl");
        list["items"].as_array().cloned().unwrap_or_default()
    }

    /// A token by which a service account shows who it is.
    pub fn token(&self, namespace: &str, account: &str, audience: &str) -> String {
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account, "namespace": namespace}});
        let name = account["metadata"]["name"].as_str().expect("its name").to_owned();
        self.apply(&[account]);
        self.kubectl(&["create", "token", &name, "--namespace", namespace, "--audience", audience], "")
    }

    fn kubectl(&self, words: &[&str], input: &str) -> String {
        let mut command = Command::new(self.programs.join("kubectl"));
        command.arg("--kubeconfig").arg(self.kubeconfig()).args(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut kubectl = command.spawn().expect("kubectl starts");
        let mut stdin = kubectl.stdin.take().expect("a piped stdin");
        // One that refuses need not have read it.
        _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = kubectl.wait_with_output().expect("kubectl ends");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {words:?}: {error}\n{input}");
        String::from_utf8(output.stdout).expect("UTF-8 of kubectl")
    }
}

/// The folder with etcd, the API server and kubectl.
pub fn programs() -> PathBuf {
    let version = "k8s.io/component-base/version";
    let install = format!(
        "
export CGO_ENABLED=0
cp \"$ROOT\"/tests/control_planes/kubernetes/* .
# Clients want to know the version, which a release gets in this way, too.
version='-X {version}.gitVersion=v1.36.3 -X {version}.gitMajor=1 -X {version}.gitMinor=36'
go build -ldflags '-s -w' -o etcd go.etcd.io/etcd/server/v3
go build -ldflags \"-s -w $version\" -o . k8s.io/kubernetes/cmd/kube-apiserver k8s.io/kubernetes/cmd/kubectl
"
    );
    installed("control_planes", "kubernetes-1.36.3", "kubectl", &install)
}

async fn start_etcd(programs: &Path) -> (Process, [TempDir; 2], SocketAddr) {
    let (address, peers) = (free_port(), free_port());
    let data = tempfile::tempdir().expect("a temporary directory");
    let mut command = Command::new(programs.join("etcd"));
    command
        .arg("--data-dir")
        .arg(data.path().join("data"))
        .arg("--unsafe-no-fsync")
        .arg(format!("--listen-client-urls=http://{address}"))
        .arg(format!("--advertise-client-urls=http://{address}"))
        .arg(format!("--listen-peer-urls=http://{peers}"))
        .arg(format!("--initial-advertise-peer-urls=http://{peers}"))
        .arg(format!("--initial-cluster=default=http://{peers}"));
    let (process, log) = started(&mut command, address, Request::get("/health")).await;

    (process, [data, log], address)
}

fn kubeconfig(address: SocketAddr) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "tests",
        // Its certificate is of its own making, and new with each start.
        "clusters": [{"name": "tests", "cluster": {
            "server": format!("https://{address}"), "insecure-skip-tls-verify": true,
        }}],
        "users": [{"name": "admin", "user": {"token": ADMIN}}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "admin"}}],
    })
}
