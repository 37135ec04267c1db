//! What is tried before every server.

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    documented::configuration,
    rig::{
        bootstrap::Bootstrap,
        client::Request,
        envoy::Envoy,
        jose::{self, verify},
        upstream::Upstream,
    },
    server::{GATEWAY_SECRET, Server},
};

/// A line of the table.
pub struct Row {
    pub server: &'static str,
    pub what: String,
    pub seen: String,
    pub is_right: bool,
}

/// A server, and Envoy with the documented configuration before it.
struct Checks<'s, S> {
    server: &'s S,
    envoy: Envoy,
    rows: Vec<Row>,
}

/// Tries everything.
pub async fn run<S: Server>(server: &S) -> Vec<Row> {
    let mut plugin = configuration(S::NAME, &server.replaced());
    let provider = plugin["providers"].as_object().expect("providers").values().next().expect("one").clone();
    let cluster = provider["introspection"]["cluster"].as_str().expect("a cluster").to_owned();
    if let Some(issuer) = server.issuer() {
        plugin["providers"].as_object_mut().expect("providers").values_mut().for_each(|provider| {
            provider["issuer"] = json!(issuer);
        });
    }
    let has_keys = provider["jwks"].is_object();
    add_policies(&mut plugin, S::SCOPE, has_keys);
    let upstream = Upstream::start().await;
    let envoy = Bootstrap::new(plugin)
        .workers(2)
        .environment("GATEWAY_CLIENT_SECRET", GATEWAY_SECRET)
        .environment("SIGNING_KEY", &jose::any_key().await.pem)
        .cluster(&cluster, server.address())
        .cluster("upstream", upstream.address());
    let mut checks = Checks { server, envoy: envoy.start().await, rows: Vec::new() };
    checks.tokens().await;
    checks.strategies(has_keys).await;
    checks.no_tokens(has_keys).await;
    checks.revocation().await;
    checks.crowd(&cluster).await;
    checks.rows
}

/// One policy for each thing to try, by the first segment of the path.
fn add_policies(plugin: &mut Value, scope: &str, has_keys: bool) {
    let default = plugin["policies"]["default"].clone();
    let mut add = |name: &str, changes: Value| {
        let mut policy = if default.is_object() { default.clone() } else { json!({}) };
        for (key, value) in changes.as_object().expect("an object") {
            policy[key] = value.clone();
        }
        plugin["policies"][name] = policy;
        let rules = plugin.as_object_mut().expect("an object").entry("rules").or_insert(json!([]));
        rules.as_array_mut().expect("rules").push(json!({
            "match": {"path_prefix": format!("/{name}")}, "policy": name,
        }));
    };
    let require = |more: Value| {
        let mut require = default["require"].clone();
        if !require.is_object() {
            require = json!({});
        }
        require.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        require
    };
    add("always", json!({"cache_ttl": "0s"}));
    add("introspection", json!({"strategy": "introspection"}));
    add("scope", json!({"require": require(json!({"scopes": [scope]}))}));
    add("other-scope", json!({"require": require(json!({"scopes": ["no-such-scope"]}))}));
    if has_keys {
        add("jwt", json!({"strategy": "jwt"}));
        add("both", json!({"strategy": "jwt_and_introspection"}));
    }
    plugin["policies"]["default"] = if default.is_object() { default } else { json!({}) };
}

impl<S: Server> Checks<'_, S> {
    fn row(&mut self, what: impl Into<String>, seen: impl ToString, is_right: bool) {
        let (what, seen) = (what.into(), seen.to_string());
        println!("  {what}: {seen}{}", if is_right { "" } else { "  <-- WRONG" });
        self.rows.push(Row { server: S::NAME, what, seen, is_right });
    }

    async fn status(&self, path: &str, token: &str) -> u16 {
        Request::get(path).bearer(token).send(self.envoy.address()).await.status
    }

    async fn tokens(&mut self) {
        let token = self.server.access_token().await;
        let reply = Request::get("/").bearer(&token).send(self.envoy.address()).await;
        if reply.status != 200 {
            let log = self.envoy.log();
            return self.row("access token", format!("{reply:?}\n{log}"), false);
        }
        let keys = Request::get("/.well-known/jwks.json").send(self.envoy.address()).await.json();
        let jwt = verify(&[reply.echoed_bearer()], &keys).await.remove(0);
        let has = |name: &str| jwt.claims[name].is_string() || jwt.claims[name].is_array();
        let lacks: Vec<_> =
            ["iss", "sub", "aud", "client_id"].into_iter().filter(|name| !has(name)).collect();
        self.row(
            "access token → JWT that `jose` verifies",
            format!("200, lacks {lacks:?}"),
            lacks.is_empty(),
        );
        for (path, wanted) in [("/scope", 200), ("/other-scope", 403), ("/always", 200)] {
            let status = self.status(path, &token).await;
            self.row(format!("access token, policy {path}"), status, status == wanted);
        }
        let status = self.status("/", "made-up-token-of-nobody").await;
        self.row("a token that it never gave", status, status == 401);
    }

    async fn strategies(&mut self, has_keys: bool) {
        let token = self.server.access_token().await;
        let reply = Request::get("/introspection").bearer(&token).send(self.envoy.address()).await;
        let is_right = reply.status == 200 && reply.echoed_bearer() == token;
        self.row("strategy introspection", reply.status, is_right);
        if has_keys {
            let token = self.server.jwt().await.unwrap_or(token);
            for strategy in ["jwt", "both"] {
                let status = self.status(&format!("/{strategy}"), &token).await;
                self.row(format!("its JWT under {strategy}"), status, status == 200);
            }
        }
    }

    async fn no_tokens(&mut self, has_keys: bool) {
        for (name, token) in self.server.no_access_tokens().await {
            for path in if has_keys { &["/", "/jwt"][..] } else { &["/"] } {
                let status = self.status(path, &token).await;
                self.row(format!("{name}, policy {path}"), status, [401, 403].contains(&status));
            }
        }
    }

    async fn revocation(&mut self) {
        let token = self.server.access_token().await;
        let before = self.status("/always", &token).await;
        self.server.revoke(&token).await;
        let after = self.status("/always", &token).await;
        self.row(
            "revoked at the server, cache_ttl 0s",
            format!("{before}, then {after}"),
            (before, after) == (200, 401),
        );
    }

    /// Many clients at once with one new token.
    async fn crowd(&mut self, cluster: &str) {
        let name = format!("cluster.{cluster}.upstream_rq_total");
        let calls = async || self.envoy.stats(&format!("^{name}$")).await.get(&name).copied().unwrap_or(0);
        let (token, before) = (self.server.access_token().await, calls().await);
        let mut requests = JoinSet::new();
        for _ in 0..200 {
            let (request, address) = (Request::get("/").bearer(&token), self.envoy.address());
            requests.spawn(async move { request.send(address).await.status });
        }
        let statuses = requests.join_all().await;
        let passed = statuses.iter().filter(|status| **status == 200).count();
        let made = calls().await - before;
        self.row(
            "200 clients, one new token",
            format!("{passed} × 200, {made} call"),
            (passed, made) == (200, 1),
        );
    }
}
