//! Envoys that share a store.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{
    answer::Answer, authorization_server::AuthorizationServer, bootstrap::Bootstrap, client::Request,
    envoy::Envoy, etcd::Etcd, eventually, gateway::plugin, host::Host, upstream::Upstream,
};

pub const PREFIX: &str = "/phantom-token/test";

const REVOCATION_TOKEN: &str = "admin-secret-admin-secret";

/// Envoys that share a store, an authorization server and an upstream.
pub struct Fleet {
    pub etcd: Etcd,
    /// Other members of the store's cluster.
    pub others: Vec<Etcd>,
    pub server: AuthorizationServer,
    pub upstream: Upstream,
    pub plugin: Value,
    pub envoys: Vec<Envoy>,
}

impl Fleet {
    pub async fn start(count: usize, fleet: Value) -> Self {
        Self::with(Etcd::start().await, count, fleet).await
    }

    pub async fn with(etcd: Etcd, count: usize, fleet: Value) -> Self {
        Self::with_members(vec![etcd], count, fleet).await
    }

    /// With a store of several members.
    pub async fn with_members(mut others: Vec<Etcd>, count: usize, fleet: Value) -> Self {
        let etcd = others.remove(0);
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
        let mut fleet = Self { etcd, others, server, upstream, plugin, envoys: Vec::new() };
        for _ in 0..count {
            fleet.add().await;
        }
        fleet
    }

    /// Another Envoy.
    pub async fn add(&mut self) {
        let envoy = self.bootstrap().start().await;
        self.envoys.push(envoy);
    }

    pub fn bootstrap(&self) -> Bootstrap {
        let mut bootstrap = self.bootstrap_with(self.etcd.address());
        for other in &self.others {
            bootstrap = bootstrap.another_host(other.address());
        }
        match self.etcd.certificate {
            Some(_) => bootstrap.over_tls("as.example").over_http2(),
            None => bootstrap,
        }
    }

    /// With another store.
    pub fn bootstrap_with(&self, store: SocketAddr) -> Bootstrap {
        Bootstrap::new(self.plugin.clone())
            .workers(2)
            .allow_on_headers_stop_iteration()
            .cluster("authorization_server", self.server.address())
            .cluster("upstream", self.upstream.address())
            .fleet(store)
    }

    pub async fn get(&self, envoy: usize, token: &str) -> u16 {
        Request::get("/").bearer(token).send(self.envoys[envoy].address()).await.status
    }

    /// Withdraws at one Envoy.
    pub async fn revoke(&self, envoy: usize, order: Value) {
        let reply = revocation(&order).send(self.envoys[envoy].address()).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    /// The server says from now on that a token is not active.
    pub fn end(&self, token: &str) {
        self.server.answer(token, Answer::inactive());
    }

    /// Waits until every Envoy hears the store.
    pub async fn all_hear(&self) {
        for envoy in &self.envoys {
            hears(envoy, 1).await;
        }
    }

    /// Waits until no Envoy hears the store.
    pub async fn none_hears(&self) {
        for envoy in &self.envoys {
            hears(envoy, 0).await;
        }
    }

    /// Remembers a token at every Envoy.
    pub async fn remember(&self, token: &str) {
        for envoy in 0..self.envoys.len() {
            assert_eq!(self.get(envoy, token).await, 200);
        }
    }

    /// Waits until no Envoy lets a token pass.
    pub async fn all_refuse(&self, token: &str) {
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

pub async fn gauge(envoy: &Envoy, name: &str) -> Option<u64> {
    let prefix = Host::tested().statistics();
    envoy.stats(&format!("^{prefix}.phantom_token.fleet.{name}$")).await.into_values().next()
}

pub async fn hears(envoy: &Envoy, value: u64) {
    eventually(&format!("fleet.heard at {value}"), || async {
        (gauge(envoy, "heard").await == Some(value)).then_some(())
    })
    .await;
}

/// What an Envoy's log says of the fleet, each line without what stands before it.
pub fn lines(envoy: &Envoy) -> Vec<String> {
    let log = envoy.log();
    let line = |line: &str| line.split_once("revocation.fleet: ").map(|(_, line)| line.to_owned());
    log.lines().filter_map(line).collect()
}

pub async fn line_of(envoy: &Envoy, text: &str) {
    eventually(&format!("{text:?} in the log"), || async {
        lines(envoy).iter().any(|line| line.contains(text)).then_some(())
    })
    .await;
}
