//! What is tried before every server.

mod authentication;
mod bound;
mod discovery;
mod ends;
mod events;
mod inside;
mod logout;
mod offline;
mod rotation;
mod served;
mod smallest;
mod tokens;
mod untold;

use serde_json::{Value, json};

use crate::{
    documented::configuration,
    rig::{
        bootstrap::Bootstrap,
        client::{Reply, Request},
        envoy::Envoy,
        jose,
        upstream::Upstream,
    },
    server::{Gateway, Server},
    table::{Outcome, Table},
};

/// A server, and Envoy with the documented configuration before it.
struct Checks<'s, S> {
    server: &'s S,
    envoy: Envoy,
    /// The cluster that is asked about tokens.
    cluster: String,
    table: &'s mut Table,
}

/// Tries everything.
pub async fn run<S: Server>(table: &mut Table) {
    let gateway = Gateway::new().await;
    let server = S::start(&gateway).await;
    let upstream = Upstream::start().await;
    let mut plugin = configuration(S::NAME, &server.replaced());
    if let Some(issuer) = server.issuer() {
        plugin["providers"]["main"]["issuer"] = json!(issuer);
    }
    // What it tells otherwise is seen apart from that.
    let with_events = plugin.clone();
    plugin["revocation"].as_object_mut().map(|it| it.remove("security_events"));
    let main = &plugin["providers"]["main"];
    let cluster = main["introspection"]["cluster"].as_str().expect("a cluster").to_owned();
    let of_keys = main["jwks"]["cluster"].as_str().filter(|of_keys| *of_keys != cluster).map(str::to_owned);
    let has_keys = main["jwks"].is_object();
    if S::TELLS_LOGOUTS {
        plugin["revocation"]["back_channel_logout"]["provider"] = json!("main");
    }
    let methods = authentication::add(&mut plugin, &server.authentications(&gateway));
    add_policies(&mut plugin, S::SCOPE, has_keys, &methods);

    let mut envoy = Bootstrap::new(plugin)
        .workers(2)
        .allow_on_headers_stop_iteration()
        .environment("GATEWAY_CLIENT_SECRET", Gateway::SECRET)
        .environment("SIGNING_KEY", &jose::any_key().await.pem)
        .cluster(&cluster, server.address(&cluster))
        .cluster("upstream", upstream.address());
    if let Some(of_keys) = of_keys {
        envoy = envoy.cluster(&of_keys, server.address(&of_keys));
    }
    let mut checks = Checks { server: &server, envoy: envoy.start().await, cluster, table };
    checks.access_token().await;
    checks.strategies(has_keys).await;
    checks.no_access_tokens(has_keys).await;
    checks.revocation().await;
    checks.crowd().await;
    checks.bound().await;
    checks.rotation(has_keys).await;
    checks.logout().await;
    checks.served_after_logout_tokens().await;
    checks.offline().await;
    checks.authentication(&methods).await;
    checks.smallest(&upstream).await;
    checks.discovery(&upstream).await;
    checks.inside(&gateway, &upstream).await;
    checks.events(with_events.clone(), &upstream).await;
    checks.served_after_pushed_events(with_events.clone(), &upstream).await;
    // Last, because somebody is locked out at the end of them.
    checks.ends().await;
    checks.untold(with_events, &upstream).await;
}

/// One policy for each thing to try, by the first segment of the path.
fn add_policies(plugin: &mut Value, scope: &str, has_keys: bool, methods: &[String]) {
    let default = match &plugin["policies"]["default"] {
        Value::Object(default) => default.clone(),
        _ => serde_json::Map::new(),
    };
    let mut policies = json!({});
    let mut rules = Vec::new();
    let mut add = |name: &str, changes: Value| {
        let mut policy = Value::Object(default.clone());
        policy["provider"] = json!("main");
        for (key, value) in changes.as_object().expect("an object") {
            match key.as_str() {
                "require" => policy["require"]["scopes"] = value["scopes"].clone(),
                _ => policy[key] = value.clone(),
            }
        }
        policies[name] = policy;
        rules.push(json!({"match": {"path": format!("/{name}")}, "policy": name}));
    };
    add("default", json!({}));
    add("always", json!({"cache_ttl": "0s"}));
    add("introspection", json!({"strategy": "introspection"}));
    add("scope", json!({"require": {"scopes": [scope]}}));
    add("other-scope", json!({"require": {"scopes": ["no-such-scope"]}}));
    for method in methods {
        add(method, json!({"provider": method, "cache_ttl": "0s"}));
    }
    if has_keys {
        add("auto", json!({"strategy": "auto"}));
        add("jwt", json!({"strategy": "jwt"}));
        add("both", json!({"strategy": "jwt_and_introspection"}));
    }
    // What people get by a login is for no audience at some servers.
    for (name, cache_ttl) in [("long", "10m"), ("people", "0s")] {
        policies[name] = json!({"provider": "main", "cache_ttl": cache_ttl});
        rules.push(json!({"match": {"path": format!("/{name}")}, "policy": name}));
    }
    plugin["policies"] = policies;
    plugin["rules"] = json!(rules);
}

impl<S: Server> Checks<'_, S> {
    fn row(&mut self, check: impl Into<String>, seen: impl ToString, is_right: bool) {
        let outcome = if is_right { Outcome::Right } else { Outcome::Wrong };
        self.table.add(check.into(), seen.to_string(), outcome);
    }

    fn cannot(&mut self, check: impl Into<String>, why: &str) {
        self.table.add(check.into(), why.to_owned(), Outcome::Cannot);
    }

    async fn get(&self, path: &str, token: &str) -> Reply {
        Request::get(path).bearer(token).send(self.envoy.address()).await
    }

    async fn status(&self, path: &str, token: &str) -> u16 {
        self.get(path, token).await.status
    }

    /// The documented configuration in an Envoy of its own.
    async fn receiver(&self, plugin: &Value, upstream: &Upstream) -> Envoy {
        Bootstrap::new(plugin.clone())
            .workers(2)
            .allow_on_headers_stop_iteration()
            .environment("GATEWAY_CLIENT_SECRET", Gateway::SECRET)
            .environment("SIGNING_KEY", &jose::any_key().await.pem)
            .cluster(&self.cluster, self.server.address(&self.cluster))
            .cluster("upstream", upstream.address())
            .start()
            .await
    }

    /// How many calls Envoy has made to the server that is asked about tokens.
    async fn calls(&self) -> u64 {
        let name = format!("cluster.{}.upstream_rq_total", self.cluster);
        self.envoy.stats(&format!("^{name}$")).await.get(&name).copied().unwrap_or(0)
    }
}
