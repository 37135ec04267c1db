//! An Envoy of Envoy Gateway's: as the Deployment says that it writes for a Gateway, but for ports.

use std::{
    fs::{self, File},
    net::SocketAddr,
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

use super::{controller::SYSTEM, edge::Edge};
use crate::{
    launcher::launcher,
    rig::{
        client::{Reply, Request},
        eventually,
        process::Process,
        started::{free_port, until_ready},
    },
};

pub struct Proxy {
    // In this order: the process ends before its files go.
    _process: Process,
    directory: TempDir,
    address: SocketAddr,
    admin: SocketAddr,
}

impl Proxy {
    /// Starts the Envoy of the Gateway `eg` in a namespace, which listens at `address`, and waits until it is ready.
    pub async fn start(edge: &Edge, namespace: &str, address: SocketAddr) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let owner = format!("gateway.envoyproxy.io/owning-gateway-namespace={namespace}");
        let deployment = eventually("the Deployment of a Gateway", || async {
            edge.kubernetes.labelled("deployment", SYSTEM, &owner).into_iter().next()
        })
        .await;
        let containers = &deployment["spec"]["template"]["spec"]["containers"];
        let container = containers.as_array().expect("containers").iter().find(|it| it["name"] == "envoy");
        let container = container.expect("a container envoy");
        let name = deployment["metadata"]["name"].as_str().expect("its name");
        write_sds(edge, name, &directory);
        let (admin, stats) = (free_port(), free_port());
        let here = |argument: &Value| {
            let sds = format!("{}/", directory.path().display());
            // A name that ends with a dot is not looked for in /etc/hosts.
            let argument = argument.as_str().expect("a text").replace("/sds/", &sds);
            let argument = argument.replace(".svc.cluster.local.", ".svc.cluster.local");
            // Those that Envoy Gateway itself has here.
            let ports = [(19000, admin), (19001, stats)];
            let variables = [("ENVOY_POD_NAME", name), ("ENVOY_SERVICE_ZONE", "")];
            let argument = ports.iter().fold(argument, |text, (port, free)| {
                text.replace(&format!("port_value: {port}"), &format!("port_value: {}", free.port()))
            });
            variables.iter().fold(argument, |text, (name, value)| text.replace(&format!("$({name})"), value))
        };
        let mut command = Command::new(launcher(directory.path()));
        command.args(container["args"].as_array().expect("arguments").iter().map(here));
        command.args(["--disable-hot-restart", "--concurrency", "2"]);
        // What the Secret would be in the pod: one variable for each that the EnvoyProxy names.
        for variable in container["env"].as_array().expect("variables") {
            let name = variable["name"].as_str().expect("a name");
            if variable["valueFrom"]["secretKeyRef"].is_object() {
                command.env(name, edge.secret(name));
            }
        }
        let log = File::create(directory.path().join("log")).expect("a log file");
        let mut process = Process::start(command.stdout(log.try_clone().expect("the log")).stderr(log));
        until_ready(&mut process, ready(), Request::get("/ready"), &directory.path().join("log")).await;
        Self { _process: process, directory, address, admin }
    }

    pub async fn send(&self, request: Request) -> Reply {
        request.send(self.address).await
    }

    /// `GET /` with an access token.
    pub async fn get(&self, access_token: &str) -> Reply {
        self.send(Request::get("/").bearer(access_token)).await
    }

    /// Waits until `request` is answered with this status, and gives the answer.
    pub async fn answers(&self, status: u16, request: Request) -> Reply {
        eventually(&format!("{status} of the proxy"), || async {
            request.try_send(self.address).await.ok().filter(|reply| reply.status == status)
        })
        .await
    }

    /// Whether Kubernetes would call it ready.
    pub async fn is_ready(&self) -> bool {
        Request::get("/ready").send(ready()).await.status == 200
    }

    /// All that Envoy and the filter logged so far.
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

    /// What Prometheus gets of it.
    pub async fn prometheus(&self) -> String {
        let reply = Request::get("/stats/prometheus").send(self.admin).await;
        String::from_utf8(reply.body).expect("metrics in UTF-8")
    }

    /// All that Envoy has.
    pub async fn configuration(&self) -> Value {
        let reply = Request::get("/config_dump").send(self.admin).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()
    }
}

/// Where each of them says that it is ready: one runs at a time.
fn ready() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 19003))
}

/// The files by which Envoy finds its certificates.
fn write_sds(edge: &Edge, name: &str, directory: &TempDir) {
    let files = edge.kubernetes.get("configmap", SYSTEM, name).expect("the files of an Envoy");
    for (file, text) in files["data"].as_object().expect("files") {
        fs::write(directory.path().join(file), text.as_str().expect("a text")).expect("a file, written");
    }
}
