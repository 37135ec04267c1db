//! Three Envoys and a real etcd: what is withdrawn at one is withdrawn at all, whatever becomes of the store.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::rig::{
    answer::Answer,
    authorization_server::AuthorizationServer,
    bootstrap::Bootstrap,
    client::{Connection, Request},
    envoy::Envoy,
    etcd::Etcd,
    eventually,
    gateway::plugin,
    upstream::Upstream,
};

const PREFIX: &str = "/phantom-token/test";

const REVOCATION_TOKEN: &str = "admin-secret-admin-secret";

/// Envoys that share a store, an authorization server and an upstream.
struct Fleet {
    etcd: Etcd,
    server: AuthorizationServer,
    upstream: Upstream,
    plugin: Value,
    envoys: Vec<Envoy>,
}

impl Fleet {
    async fn start(count: usize, fleet: Value) -> Self {
        Self::with(Etcd::start().await, count, fleet).await
    }

    async fn with(etcd: Etcd, count: usize, fleet: Value) -> Self {
        let mut plugin = plugin().await;
        plugin["policies"] = json!({"default": {"cache_ttl": "10m"}});
        plugin["cache"] = json!({"refresh_ahead": 0});
        plugin["revocation"] = json!({
            "admin": {"path": "/revocations", "token": {"inline": REVOCATION_TOKEN}},
            "fleet": {"cluster": "etcd", "prefix": PREFIX},
        });
        for (name, value) in fleet.as_object().expect("keys of revocation.fleet") {
            plugin["revocation"]["fleet"][name] = value.clone();
        }
        let (server, upstream) = (AuthorizationServer::start().await, Upstream::start().await);
        server.answer_all(Answer::active(json!({})));
        let mut fleet = Self { etcd, server, upstream, plugin, envoys: Vec::new() };
        for _ in 0..count {
            fleet.add().await;
        }
        fleet
    }

    /// Another Envoy.
    async fn add(&mut self) {
        let envoy = self.bootstrap().start().await;
        self.envoys.push(envoy);
    }

    fn bootstrap(&self) -> Bootstrap {
        Bootstrap::new(self.plugin.clone())
            .workers(2)
            .allow_on_headers_stop_iteration()
            .cluster("authorization_server", self.server.address())
            .cluster("upstream", self.upstream.address())
            .fleet(self.etcd.address())
    }

    async fn get(&self, envoy: usize, token: &str) -> u16 {
        Request::get("/").bearer(token).send(self.envoys[envoy].address()).await.status
    }

    /// Withdraws at one Envoy.
    async fn revoke(&self, envoy: usize, order: Value) {
        let reply = revocation(&order).send(self.envoys[envoy].address()).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    /// The server says from now on that a token is not active.
    fn end(&self, token: &str) {
        self.server.answer(token, Answer::inactive());
    }

    /// Waits until every Envoy hears the store.
    async fn all_hear(&self) {
        for envoy in &self.envoys {
            hears(envoy, 1).await;
        }
    }

    /// Remembers a token at every Envoy.
    async fn remember(&self, token: &str) {
        for envoy in 0..self.envoys.len() {
            assert_eq!(self.get(envoy, token).await, 200);
        }
    }

    /// Waits until no Envoy lets a token pass.
    async fn all_refuse(&self, token: &str) {
        for envoy in 0..self.envoys.len() {
            eventually("a refusal", || async { (self.get(envoy, token).await == 401).then_some(()) }).await;
        }
    }
}

fn revocation(order: &Value) -> Request {
    Request::post("/revocations", order.to_string())
        .header("content-type", "application/json")
        .bearer(REVOCATION_TOKEN)
}

async fn gauge(envoy: &Envoy, name: &str) -> Option<u64> {
    envoy.stats(&format!("^wasmcustom.phantom_token.fleet.{name}$")).await.into_values().next()
}

async fn hears(envoy: &Envoy, value: u64) {
    eventually(&format!("fleet.heard at {value}"), || async {
        (gauge(envoy, "heard").await == Some(value)).then_some(())
    })
    .await;
}

/// What an Envoy's log says of the fleet, each line without what stands before it.
fn lines(envoy: &Envoy) -> Vec<String> {
    let log = envoy.log();
    let line = |line: &str| line.split_once("revocation.fleet: ").map(|(_, line)| line.to_owned());
    log.lines().filter_map(line).collect()
}

async fn line_of(envoy: &Envoy, text: &str) {
    eventually(&format!("{text:?} in the log"), || async {
        lines(envoy).iter().any(|line| line.contains(text)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_withdrawn_at_one_envoy_is_withdrawn_at_all() {
    let fleet = Fleet::start(3, json!({})).await;
    fleet.all_hear().await;
    for (token, order) in [
        ("by-token", json!({"token": "by-token"})),
        ("by-sub", json!({"sub": "alice"})),
        ("by-all", json!({"all": true})),
    ] {
        fleet.server.answer(token, Answer::active(json!({"sub": "alice"})));
        fleet.remember(token).await;
        fleet.end(token);
        let start = Instant::now();
        fleet.revoke(0, order).await;
        fleet.all_refuse(token).await;
        assert!(start.elapsed() < Duration::from_secs(1), "{token}: {:?}", start.elapsed());
    }
    for envoy in &fleet.envoys {
        assert_eq!(lines(envoy).len(), 1, "{:?}", lines(envoy));
    }
    let keys = fleet.etcd.keys(PREFIX).await;
    assert_eq!(keys.len(), 4, "three withdrawals and the store's identity: {keys:?}");
    for (key, value) in keys {
        let said = [key.as_bytes(), &value].concat();
        for secret in ["by-token", "alice"] {
            assert!(!said.windows(secret.len()).any(|part| part == secret.as_bytes()), "{key}");
        }
    }
    assert_eq!(fleet.envoys[0].counter("fleet.put").await, 3);
    assert_eq!(fleet.envoys[0].counter("fleet.applied").await, 0, "what is its own is done once");
    for envoy in &fleet.envoys[1..] {
        assert_eq!(envoy.counter("fleet.applied").await, 3);
    }
}
