//! A running Envoy: where it listens, what it counts and logs. It ends with its value and leaves nothing behind.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    net::SocketAddr,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    bootstrap::Bootstrap,
    client::{Connection, Request},
    eventually,
    host::{Host, modules},
    process::{Process, envoy_command, keep_in},
    wasm_filter::{NAME, WasmFilter},
    within_limit,
};

/// What the log has when a VM died: our panic, V8's error, or Envoy's words for either.
const VM_FAILURES: [&str; 4] = ["panicked at", "RangeError", "RuntimeError", "in-VM backtrace"];

pub struct Envoy {
    // In this order: the process ends before its files go.
    process: Process,
    directory: TempDir,
    admin: SocketAddr,
    address: SocketAddr,
    wasm_filter: WasmFilter,
    version: AtomicU64,
}

impl Bootstrap {
    /// Starts Envoy and waits until it serves.
    pub async fn start(self) -> Envoy {
        let wasm_filter = self.wasm_filter.clone();
        let (process, directory) = self.spawn();
        Envoy::serving(process, directory, wasm_filter).await
    }

    /// Starts Envoy, which must refuse its configuration, and returns its log.
    pub async fn refused(self) -> String {
        let (mut process, directory) = self.spawn();
        within_limit("the end of an Envoy with a bad configuration", async {
            while !process.has_ended() {
                let served = addresses(directory.path()).await;
                assert!(served.is_none(), "Envoy serves with a bad configuration:\n{}", log_in(&directory));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        log_in(&directory)
    }

    fn spawn(self) -> (Process, TempDir) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        if let (true, Some(plugin)) = (self.is_reloadable, &self.plugin) {
            publish(directory.path(), &self.wasm_filter.discovery_response(plugin, 1));
        }
        let (workers, environment) = (self.workers, self.environment.clone());
        let bootstrap = self.into_json(directory.path()).to_string();
        let process = launch(&directory, ("envoy.json", &bootstrap), workers, &environment);
        (process, directory)
    }
}

impl Envoy {
    /// Starts Envoy with a complete configuration in YAML, which it reads itself, and whose listener for clients is named `main` or `api`, and waits
    /// until it serves.
    pub async fn start(yaml: &str, workers: u32, environment: &[(String, String)]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let process = launch(&directory, ("envoy.yaml", yaml), workers, environment);
        Self::serving(process, directory, WasmFilter::default()).await
    }

    async fn serving(mut process: Process, directory: TempDir, wasm_filter: WasmFilter) -> Self {
        let (admin, address) = within_limit("the start of Envoy", async {
            loop {
                assert!(!process.has_ended(), "Envoy does not start:\n{}", log_in(&directory));
                match addresses(directory.path()).await {
                    Some(found) => break found,
                    None => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        })
        .await;
        Self { process, directory, admin, address, wasm_filter, version: AtomicU64::new(1) }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where another of its listeners is.
    pub async fn listener(&self, name: &str) -> SocketAddr {
        listener(self.admin, name).await.unwrap_or_else(|| panic!("no listener {name}"))
    }

    pub fn process(&self) -> &Process {
        &self.process
    }

    /// All that Envoy and the filter logged so far.
    pub fn log(&self) -> String {
        log_in(&self.directory)
    }

    /// Waits for a line of the access log that contains `text`: path, status, response code details.
    pub async fn access_log_line(&self, text: &str) -> String {
        let file = self.directory.path().join("access.log");
        eventually(&format!("{text:?} in the access log"), || async {
            let log = fs::read_to_string(&file).ok()?;
            log.lines().find(|line| line.contains(text)).map(str::to_owned)
        })
        .await
    }

    /// All of the access log so far.
    pub fn access_log(&self) -> String {
        fs::read_to_string(self.directory.path().join("access.log")).unwrap_or_default()
    }

    /// How many connections of clients each worker has.
    pub async fn connections_by_worker(&self) -> Vec<u64> {
        let stats = self.stats("^listener.127.0.0.1_0.worker_[0-9].downstream_cx_active$").await;
        stats.into_values().collect()
    }

    /// How many each worker has ever had: unlike those it has, they do not become fewer when old ones close.
    async fn all_connections_by_worker(&self) -> Vec<u64> {
        let stats = self.stats("^listener.127.0.0.1_0.worker_[0-9].downstream_cx_total$").await;
        stats.into_values().collect()
    }

    /// New connections to every worker, `count` to each. Envoy chooses the worker, so it takes a few more, which
    /// are closed again; nobody else may connect meanwhile.
    pub async fn connect_to_every_worker(&self, count: usize) -> Vec<Vec<Connection>> {
        let mut before = self.all_connections_by_worker().await;
        let mut connections: Vec<Vec<Connection>> = before.iter().map(|_| Vec::new()).collect();
        while connections.iter().any(|of_worker| of_worker.len() < count) {
            let connection = Connection::open(self.address).await.expect("a connection to Envoy");
            let (worker, after) = eventually("a worker that takes the connection", || async {
                let after = self.all_connections_by_worker().await;
                let worker = before.iter().zip(&after).position(|(before, after)| after > before)?;
                Some((worker, after))
            })
            .await;
            connections[worker].push(connection);
            before = after;
        }
        connections.iter_mut().for_each(|of_worker| of_worker.truncate(count));
        connections
    }

    /// Counters and gauges whose names match a regular expression.
    pub async fn stats(&self, filter: &str) -> BTreeMap<String, u64> {
        let reply = Request::get(&format!("/stats?filter={filter}")).send(self.admin).await;
        let text = String::from_utf8(reply.body).expect("stats in UTF-8");
        let stat = |line: &str| {
            let (name, value) = line.split_once(": ")?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        text.lines().filter_map(stat).collect()
    }

    /// Sets all counters back to zero, as an operator can.
    pub async fn reset_counters(&self) {
        let reply = Request::post("/reset_counters", "").send(self.admin).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    /// One of the filter's own counters, of all providers, policies and reasons together; 0 while it is not there.
    pub async fn counter(&self, name: &str) -> u64 {
        let host = Host::tested();
        let (prefix, suffix) = (host.statistics(), host.labels_behind());
        self.stats(&format!("^{prefix}.(.*;)?phantom_token.{name}{suffix}$")).await.into_values().sum()
    }

    /// What tells workers to drop their own copies of verdicts; `None` where that is no statistic of Envoy's.
    pub async fn epoch(&self) -> Option<u64> {
        let epoch = async || self.stats("^wasmcustom.0.phantom_token.epoch$").await.into_values().sum();
        if Host::tested() == Host::Wasm { Some(epoch().await) } else { None }
    }

    /// What Prometheus gets: the value of each series of the filter, by its name and labels as they are written.
    pub async fn prometheus(&self) -> BTreeMap<String, f64> {
        let reply = Request::get("/stats/prometheus").send(self.admin).await;
        let text = String::from_utf8(reply.body).expect("metrics in UTF-8");
        let series = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        text.lines().filter(|line| line.contains("phantom_token")).filter_map(series).collect()
    }

    /// Where Prometheus finds its metrics.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Waits until exactly `count` requests are under way.
    pub async fn active_requests(&self, count: usize) {
        let name = "http.main.downstream_rq_active";
        eventually(&format!("{count} requests under way"), || async {
            let stats = self.stats(&format!("^{name}$")).await;
            (stats.get(name) == Some(&(count as u64))).then_some(())
        })
        .await;
    }

    /// Gives the filter another configuration, where it is [`reloadable`](Bootstrap::reloadable), and waits until
    /// Envoy took it.
    pub async fn reload(&self, plugin: &Value) {
        self.reload_with(&self.wasm_filter, plugin).await;
    }

    /// As [`Self::reload`], with other settings of the Wasm filter itself, too.
    pub async fn reload_with(&self, wasm_filter: &WasmFilter, plugin: &Value) {
        self.change(wasm_filter, plugin, "config_reload").await;
    }

    /// As [`Self::reload`], for a configuration that Envoy must not take.
    pub async fn refuses_to_reload(&self, plugin: &Value) {
        self.change(&self.wasm_filter, plugin, "config_fail").await;
    }

    /// Has it end as an operator would; it must do so by itself, and leave nothing in the log that tells of a fault.
    pub async fn ends_well(&mut self) {
        self.process.end();
        let status = within_limit("the end of Envoy", async {
            loop {
                if let Some(status) = self.process.child().try_wait().expect("the state of our own child") {
                    break status;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        let log = self.log();
        assert!(
            status.success() && !log.contains("[critical]") && !log.contains("[error]"),
            "{status}:\n{log}"
        );
    }

    async fn change(&self, wasm_filter: &WasmFilter, plugin: &Value, counter: &str) {
        let name = format!("extension_config_discovery.http_filter.{NAME}.{counter}$");
        let total = async || self.stats(&name).await.values().sum::<u64>();
        let before = total().await;
        let version = self.version.fetch_add(1, Ordering::SeqCst) + 1;
        publish(self.directory.path(), &wasm_filter.discovery_response(plugin, version));
        eventually(counter, || async { (total().await > before).then_some(()) }).await;
    }
}

impl Drop for Envoy {
    /// No test may kill a VM, whatever else it is about.
    fn drop(&mut self) {
        let log = self.log();
        let failure = log.lines().find(|line| VM_FAILURES.iter().any(|failure| line.contains(failure)));
        match failure {
            Some(line) if !thread::panicking() => panic!("the filter's VM failed: {line}\n{log}"),
            None if !thread::panicking() => {}
            _ => eprintln!("log of Envoy:\n{log}"),
        }
    }
}

/// Starts Envoy with the configuration `bootstrap`, and what it writes in `directory`.
fn launch(
    directory: &TempDir,
    (name, bootstrap): (&str, &str),
    workers: u32,
    environment: &[(String, String)],
) -> Process {
    let file = |name| directory.path().join(name);
    fs::write(file(name), bootstrap).expect("the bootstrap, written");
    let log = File::create(file("envoy.log")).expect("a log file");
    let mut command = envoy_command();
    keep_in(directory.path(), &mut command);
    command
        .args(["--disable-hot-restart", "--file-flush-interval-msec", "20"])
        .args(["--log-level", "warning", "--component-log-level", "wasm:info,dynamic_modules:info"])
        .args(["--concurrency", &workers.to_string()])
        .arg("--config-path")
        .arg(file(name))
        .arg("--admin-address-path")
        .arg(file("admin.address"))
        .env("ENVOY_DYNAMIC_MODULES_SEARCH_PATH", modules())
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdout(log.try_clone().expect("the log file"))
        .stderr(log);
    Process::start(&mut command)
}

/// Whether a configuration is one for Envoy and all that is in it (`--mode validate`), and what Envoy says.
pub async fn validate(yaml: &str, environment: &[(&str, &str)]) -> (bool, String) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("envoy.yaml");
    fs::write(&file, yaml).expect("the configuration, written");
    let mut command = envoy_command();
    keep_in(directory.path(), &mut command);
    command.args(["--mode", "validate", "--log-level", "warning"]);
    command.args(["--component-log-level", "wasm:info,dynamic_modules:info"]);
    command.arg("--config-path").arg(file).envs(environment.iter().copied());
    command.env("ENVOY_DYNAMIC_MODULES_SEARCH_PATH", modules());
    let run = tokio::task::spawn_blocking(move || command.output());
    let output = within_limit("envoy --mode validate", run).await.expect("a run").expect("Envoy");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

/// The addresses of the admin interface and of the listener for clients, once Envoy serves.
async fn addresses(directory: &Path) -> Option<(SocketAddr, SocketAddr)> {
    let admin = fs::read_to_string(directory.join("admin.address")).ok()?.parse().ok()?;
    Request::get("/ready").try_send(admin).await.ok().filter(|reply| reply.status == 200)?;
    let of_clients = match listener(admin, "main").await {
        Some(address) => address,
        None => listener(admin, "api").await?,
    };
    Some((admin, of_clients))
}

async fn listener(admin: SocketAddr, name: &str) -> Option<SocketAddr> {
    let listeners = Request::get("/listeners?format=json").try_send(admin).await.ok()?.json();
    let listeners = listeners["listener_statuses"].as_array()?;
    let named = listeners.iter().find(|listener| listener["name"] == name)?;
    let port = named["local_address"]["socket_address"]["port_value"].as_u64()?;
    Some(SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).ok()?)))
}

/// Replaces the file of extension discovery in one step, as Envoy expects.
fn publish(directory: &Path, discovery_response: &Value) {
    let draft = directory.join("filter.json.draft");
    fs::write(&draft, discovery_response.to_string()).expect("the filter's configuration, written");
    fs::rename(draft, directory.join("filter.json")).expect("the filter's configuration, in place");
}

fn log_in(directory: &TempDir) -> String {
    let bytes = fs::read(directory.path().join("envoy.log")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
