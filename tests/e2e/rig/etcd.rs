//! A real etcd of one member or three, on ports of its own: killed, stopped, restored and asked by its JSON gateway.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use base64ct::{Base64, Encoding};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    ROOT,
    client::Request,
    process::Process,
    started::{free_port, until_ready},
};

pub struct Etcd {
    // In this order: the process ends before its files go.
    process: Option<Process>,
    directory: TempDir,
    address: SocketAddr,
    /// Where it says whether it is well, also where clients need TLS.
    health: SocketAddr,
    peers: SocketAddr,
    name: String,
    /// All members: their names, and where each listens to the others.
    members: String,
    /// What it shows its clients, of `tests/keys`; without one they need no TLS.
    pub certificate: Option<&'static str>,
    /// Numbers its data: another one after it was emptied.
    data: u32,
}

impl Etcd {
    /// The only member.
    pub async fn start() -> Self {
        let mut only = Self::members(1);
        let mut etcd = only.remove(0);
        etcd.start_again().await;
        etcd
    }

    /// The only member, which shows its clients this certificate.
    pub async fn secured(certificate: &'static str) -> Self {
        let mut etcd = Self { certificate: Some(certificate), ..Self::members(1).remove(0) };
        etcd.start_again().await;
        etcd
    }

    /// Three members of one cluster.
    pub async fn three() -> Vec<Self> {
        let mut members = Self::members(3);
        // None is well before most of them are there.
        members.iter_mut().for_each(Self::spawn);
        for member in &mut members {
            member.until_well().await;
        }
        members
    }

    fn members(count: usize) -> Vec<Self> {
        let peers: Vec<SocketAddr> = (0..count).map(|_| free_port()).collect();
        let member = |(number, peers): (usize, &SocketAddr)| format!("member-{number}=http://{peers}");
        let members = peers.iter().enumerate().map(member).collect::<Vec<_>>().join(",");
        let etcd = |(number, peers): (usize, &SocketAddr)| Self {
            process: None,
            directory: tempfile::tempdir().expect("a temporary directory"),
            address: free_port(),
            health: free_port(),
            peers: *peers,
            name: format!("member-{number}"),
            members: members.clone(),
            certificate: None,
            data: 0,
        };
        peers.iter().enumerate().map(etcd).collect()
    }

    /// Where its clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("a running etcd")
    }

    /// Kills it: what it has written stays.
    pub fn kill(&mut self) {
        drop(self.process.take());
    }

    /// Starts it with what it had.
    pub async fn start_again(&mut self) {
        self.spawn();
        self.until_well().await;
    }

    fn spawn(&mut self) {
        let data = self.directory.path().join(format!("data-{}", self.data));
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        let (client, peer) = (format!("{scheme}://{}", self.address), format!("http://{}", self.peers));
        let log = fs::File::create(self.log()).expect("a log file");
        let mut command = Command::new(program());
        command.args(["--name", &self.name, "--data-dir"]).arg(data);
        command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        command.args(["--listen-metrics-urls", &format!("http://{}", self.health)]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        command.args(["--initial-cluster", &self.members, "--logger", "zap"]);
        if let Some(certificate) = self.certificate {
            command.args(["--cert-file", &format!("{ROOT}/tests/keys/{certificate}")]);
            command.args(["--key-file", &format!("{ROOT}/tests/keys/ec256.pem")]);
        }
        // As it says itself, Go's own compatibility of old names: none of the tests' variables are its options.
        command.env_clear().stdout(log.try_clone().expect("the log")).stderr(log);
        self.process = Some(Process::start(&mut command));
    }

    async fn until_well(&mut self) {
        let log = self.log();
        let process = self.process.as_mut().expect("a running etcd");
        until_ready(process, self.health, Request::get("/health"), &log).await;
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// Starts it with nothing.
    pub async fn start_empty(&mut self) {
        self.data += 1;
        self.start_again().await;
    }

    /// Calls a method by its JSON gateway.
    pub async fn call(&self, method: &str, body: Value) -> Value {
        let request = Request::post(&format!("/v3/{method}"), body.to_string());
        let reply = request.header("content-type", "application/json").send(self.address).await;
        assert_eq!(reply.status, 200, "{method}: {reply:?}");
        reply.json()
    }

    /// Its keys and values below a prefix, as a user with this token reads them.
    pub async fn keys(&self, prefix: &str) -> Vec<(String, Vec<u8>)> {
        let mut end = prefix.as_bytes().to_vec();
        *end.last_mut().expect("a prefix") += 1;
        let range = json!({"key": encoded(prefix.as_bytes()), "range_end": encoded(&end)});
        let found = self.call("kv/range", range).await;
        let bytes = |pair: &Value, name: &str| {
            Base64::decode_vec(pair[name].as_str().unwrap_or_default()).expect("base64")
        };
        let pairs = found["kvs"].as_array().cloned().unwrap_or_default();
        let text = |key: Vec<u8>| String::from_utf8(key).expect("a key in ASCII");
        pairs.iter().map(|pair| (text(bytes(pair, "key")), bytes(pair, "value"))).collect()
    }

    /// Puts a key.
    pub async fn put(&self, key: &str, value: &[u8]) {
        self.call("kv/put", json!({"key": encoded(key.as_bytes()), "value": encoded(value)})).await;
    }

    /// Forgets all that was before now.
    pub async fn compact(&self) {
        let found = self.call("kv/range", json!({"key": encoded(b"nothing")})).await;
        self.call("kv/compaction", json!({"revision": found["header"]["revision"]})).await;
    }

    /// From now on only users are served: `root` with the password `root`, and `gateway` with this one, who may do all
    /// below a prefix.
    pub async fn enable_users(&self, password: &str, prefix: &str) {
        let mut end = prefix.as_bytes().to_vec();
        *end.last_mut().expect("a prefix") += 1;
        for name in ["root", "fleet"] {
            self.call("auth/role/add", json!({"name": name})).await;
        }
        let all =
            json!({"permType": "READWRITE", "key": encoded(prefix.as_bytes()), "range_end": encoded(&end)});
        self.call("auth/role/grant", json!({"name": "fleet", "perm": all})).await;
        for (name, password, role) in [("root", "root", "root"), ("gateway", password, "fleet")] {
            self.call("auth/user/add", json!({"name": name, "password": password})).await;
            self.call("auth/user/grant", json!({"user": name, "role": role})).await;
        }
        self.call("auth/enable", json!({})).await;
    }
}

fn encoded(bytes: &[u8]) -> String {
    Base64::encode_string(bytes)
}

/// Fetched by `install-etcd`, or on PATH.
fn program() -> String {
    let fetched = format!("{ROOT}/target/etcd/usr/bin/etcd");
    if Path::new(&fetched).exists() { fetched } else { "etcd".to_owned() }
}
