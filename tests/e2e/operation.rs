//! What `ops/` has for operators: alerts and a dashboard in a real Prometheus that scrapes a real Envoy under load, and an
//! access log in JSON.

use std::{collections::BTreeSet, fs, path::PathBuf, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::rig::{
    ROOT,
    answer::Answer,
    authorization_server::AuthorizationServer,
    client::Request,
    etcd::Etcd,
    eventually,
    gateway::{Gateway, plugin},
    host::Host,
    jose,
    process::Process,
    started::{free_port, until_ready},
    traffic::Traffic,
};

/// A program of Prometheus', that `install-prometheus` fetched or that is on PATH.
fn program(name: &str) -> Command {
    let fetched = PathBuf::from(ROOT).join("target/prometheus/usr/bin").join(name);
    Command::new(if fetched.exists() { fetched } else { PathBuf::from(name) })
}

fn yaml(file: &str) -> Value {
    let text = fs::read_to_string(format!("{ROOT}/{file}")).expect("a file of the repository");
    serde_yaml_ng::from_str(&text).expect("YAML")
}

fn promtool(arguments: &[&str]) -> (bool, String) {
    let output = program("promtool").args(arguments).current_dir(ROOT).output().expect("promtool");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn prometheus_alerts_fire_when_their_cases_say_and_not_before() {
    for arguments in [
        ["check", "rules", "ops/prometheus/rules.yaml"],
        ["test", "rules", "ops/prometheus/rules.test.yaml"],
        ["check", "config", "ops/prometheus/prometheus.yaml"],
    ] {
        let (is_good, says) = promtool(&arguments);
        assert!(is_good, "{says}");
    }
    // Each is seen to fire, and not to.
    let cases = yaml("ops/prometheus/rules.test.yaml");
    let cases = cases["tests"].as_array().expect("a list").iter();
    let cases: Vec<&Value> =
        cases.flat_map(|case| case["alert_rule_test"].as_array().expect("a list")).collect();
    for rule in rules() {
        let of_it = cases.iter().filter(|case| case["alertname"] == rule["alert"]);
        let fires: BTreeSet<bool> = of_it.map(|case| case["exp_alerts"] != json!([])).collect();
        let only_when_it_fires =
            ["PhantomTokenConfigurationRefused"].map(Value::from).contains(&rule["alert"]);
        assert!(fires.contains(&true) && (only_when_it_fires || fires.contains(&false)), "{}", rule["alert"]);
    }
}

fn rules() -> Vec<Value> {
    yaml("ops/prometheus/rules.yaml")["groups"][0]["rules"].as_array().expect("rules").clone()
}

/// The queries of the dashboard, each with its panel.
fn queries() -> Vec<(String, String)> {
    let text = fs::read_to_string(format!("{ROOT}/ops/grafana/dashboard.json")).expect("the dashboard");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let text = |value: &Value| value.as_str().expect("a text").to_owned();
            queries.push((text(&panel["title"]), text(&target["expr"])));
        }
    }
    queries
}

struct Prometheus {
    // In this order: the process ends before its files go.
    _process: Process,
    _directory: TempDir,
    address: std::net::SocketAddr,
}

impl Prometheus {
    /// Scrapes an Envoy every second, and judges the alerts.
    async fn scraping(gateway: &Gateway) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let address = free_port();
        let mut configuration = yaml("ops/prometheus/prometheus.yaml");
        configuration["global"] = json!({"scrape_interval": "1s", "evaluation_interval": "1s"});
        configuration["rule_files"] = json!([format!("{ROOT}/ops/prometheus/rules.yaml")]);
        configuration["scrape_configs"][0]["static_configs"] =
            json!([{"targets": [gateway.envoy.admin().to_string()]}]);
        let file = directory.path().join("prometheus.yaml");
        fs::write(&file, configuration.to_string()).expect("the configuration, written");
        let log = directory.path().join("log");
        let to_log = fs::File::create(&log).expect("a log file");
        let mut process = Process::start(
            program("prometheus")
                .arg(format!("--config.file={}", file.display()))
                .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
                .arg(format!("--web.listen-address={address}"))
                .stdout(to_log.try_clone().expect("the log"))
                .stderr(to_log),
        );
        until_ready(&mut process, address, Request::get("/-/ready"), &log).await;
        Self { _process: process, _directory: directory, address }
    }

    async fn get(&self, path: &str) -> Value {
        let reply = Request::get(path).send(self.address).await.json();
        assert_eq!(reply["status"], "success", "{path}: {reply}");
        reply["data"].clone()
    }

    /// The numbers that a query finds.
    async fn find(&self, query: &str) -> Vec<f64> {
        let query: String =
            form_urlencoded::Serializer::new(String::new()).append_pair("query", query).finish();
        let data = self.get(&format!("/api/v1/query?{query}")).await;
        let series = data["result"].as_array().expect("a list");
        let value = |series: &Value| series["value"][1].as_str().and_then(|it| it.parse().ok());
        series.iter().map(|series| value(series).expect("a number")).collect()
    }
}

/// Traffic of every kind: what passes by the cache and by the server, what is refused for every class of reasons, and
/// servers and signals that are not in order.
async fn under_load() -> (Gateway, Etcd, Traffic) {
    let key = jose::any_key().await;
    let mut plugin = plugin().await;
    plugin["providers"]["main"] = json!({
        "issuer": "https://as.example",
        "introspection": {
            "cluster": "authorization_server", "path": "/introspect", "timeout": "200ms", "retries": 0,
            "auth": plugin["providers"]["main"]["introspection"]["auth"],
        },
        "jwks": {"cluster": "authorization_server", "path": "/jwks"},
    });
    plugin["policies"] = json!({
        "default": {},
        "write": {"require": {"scopes": ["write"]}},
        "strong": {"require": {"acr_values": ["mfa"]}},
        "jwt": {"strategy": "jwt", "require": {"audiences": ["https://api.example"]}},
    });
    plugin["rules"] = json!([
        {"match": {"path": "/write"}, "policy": "write"},
        {"match": {"path": "/strong"}, "policy": "strong"},
        {"match": {"path": "/jwt"}, "policy": "jwt"},
    ]);
    plugin["revocation"] = json!({
        "admin": {"path": "/revocations", "token": {"inline": "admin-secret-admin-secret"}},
        "security_events": {
            "audiences": ["https://gateway.example"],
            "poll": {"cluster": "transmitter", "path": "/poll", "interval": "1s"},
        },
        "fleet": {"cluster": "etcd", "prefix": "/phantom-token/test"},
    });
    let etcd = Etcd::start().await;
    let store = etcd.address();
    let server = AuthorizationServer::start().await;
    server.publish(std::slice::from_ref(&key.public_jwk));
    server.answer("slow", Answer::hang());
    server.answer("broken", Answer::status(400));
    for number in 0..50 {
        let claims = json!({"scope": "read", "iss": "https://as.example"});
        server.answer(&format!("good-{number}"), Answer::active(claims));
    }
    let gateway = Gateway::with_server(server, plugin, |envoy| {
        let stats_config = yaml("envoy/envoy.yaml")["stats_config"].clone();
        let envoy = envoy.empty_cluster("transmitter").fleet(store);
        envoy.workers(2).reloadable().allow_on_headers_stop_iteration().stats_config(stats_config)
    })
    .await;
    // After this answer Envoy closes the connection, which would cut off those that come after it.
    assert_eq!(gateway.send(Request::get("/").bearer("one").bearer("two")).await.status, 400);
    let request = |number: usize| match number % 20 {
        0 => Request::get("/"),
        2 => Request::get("/write").bearer("good-0"),
        3 => Request::get("/strong").bearer("good-1"),
        4 => Request::get("/").bearer("slow"),
        5 => Request::get("/").bearer("broken"),
        6 => Request::get("/").bearer(&format!("bad-{}", number % 400)),
        7 => Request::get("/revocations").bearer("another-secret"),
        _ => Request::get("/").bearer(&format!("good-{}", number % 50)),
    };
    let traffic = Traffic::start(gateway.envoy.address(), Vec::new(), 100, request);
    (gateway, etcd, traffic)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_finds_something_for_every_query_of_the_dashboard_and_every_alert() {
    let (gateway, _etcd, traffic) = under_load().await;
    let prometheus = Prometheus::scraping(&gateway).await;
    let queries = queries();
    assert!(queries.len() > 40, "{}", queries.len());
    for (panel, query) in queries {
        if Host::tested() == Host::Native && query.contains("envoy_wasm_") {
            continue; // there are no VMs
        }
        // As Grafana fills them in, where all is chosen.
        let filled =
            ["$job", "$provider", "$policy"].iter().fold(query, |query, name| query.replace(name, ".*"));
        let filled = filled.replace("$__rate_interval", "15s");
        assert!(!filled.contains('$'), "{panel}: {filled}");
        eventually(&format!("{panel}: {filled}"), || async {
            let found = prometheus.find(&filled).await;
            (!found.is_empty() && found.iter().all(|it| it.is_finite())).then_some(())
        })
        .await;
    }
    // What the alerts go by is there, as far as it has happened.
    let data = prometheus.get("/api/v1/label/__name__/values").await;
    let names: Vec<&str> = data.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    for rule in rules() {
        let expression = rule["expr"].as_str().expect("an expression");
        let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for name in words.filter(|word| word.starts_with("phantom_token_")) {
            assert!(names.contains(&name), "{}: {name} in {names:?}", rule["alert"]);
        }
    }
    let is_reload = |name: &&str| name.starts_with("envoy_wasm_") && name.ends_with("_vm_reload_failure");
    assert!(Host::tested() == Host::Native || names.iter().any(is_reload), "only VMs are made anew");
    assert!(
        names
            .iter()
            .any(|name| name.contains("extension_config_discovery") && name.ends_with("_config_fail"))
    );
    // And they are judged without an error; the one for which it is high time is on its way.
    let wanted = ["introspection_status", "introspection_timeout"];
    let data = eventually("alerts that were judged", || async {
        let data = prometheus.get("/api/v1/rules").await;
        let rules = data["groups"][0]["rules"].as_array().expect("rules").clone();
        let unavailable = rules.iter().find(|rule| rule["name"] == "PhantomTokenUnavailable")?;
        let alerts = unavailable["alerts"].as_array()?.iter();
        let reasons: BTreeSet<&str> = alerts.filter_map(|it| it["labels"]["reason"].as_str()).collect();
        let are_judged = rules.iter().all(|rule| rule["health"] == "ok");
        (are_judged && wanted.iter().all(|reason| reasons.contains(reason))).then_some(rules)
    })
    .await;
    assert_eq!(data.len(), rules().len());
    traffic.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_access_log_is_an_object_a_line() {
    let log = yaml("ops/access-log.yaml")[0]["typed_config"]["log_format"].clone();
    let gateway = Gateway::with(plugin().await, |envoy| {
        envoy.adjust(move |manager| manager["access_log"][0]["typed_config"]["log_format"] = log)
    })
    .await;
    gateway.server.answer("good", Answer::active(json!({"sub": "al\"ice\n"})));
    for (path, access_token, expected) in [
        (
            "/first?access_token=secret",
            "good",
            json!({"status": 200, "outcome": "forwarded", "client_id": "app"}),
        ),
        ("/second", "bad", json!({"status": 401, "outcome": "token_inactive", "details": "token_inactive"})),
    ] {
        gateway.send(Request::get(path).bearer(access_token)).await;
        let path = path.split('?').next().expect("a path");
        let line = gateway.envoy.access_log_line(&format!("\"{path}\"")).await;
        assert!(!line.contains("secret"), "{line}");
        let line: Value = serde_json::from_str(&line).expect("JSON");
        for (name, value) in expected.as_object().expect("an object") {
            assert_eq!(&line[name], value, "{name}: {line}");
        }
        assert_eq!((&line["provider"], &line["policy"]), (&json!("main"), &json!("default")), "{line}");
        assert_eq!(line["token"].as_str().map(str::len), Some(8), "{line}");
    }
}
