//! Signing keys change over while requests come in: none fails, and every JWT verifies by the published keys.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::rig::{
    answer::Answer,
    client::{Connection, Request},
    eventually,
    gateway::{Gateway, plugin_with, published_key, signing_key},
    jose,
};

const CLIENTS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_keys_change_over() {
    let (old, new) = (jose::generate("ES256").await, jose::generate("ES256").await);
    let with_keys = |keys: Value| {
        let mut plugin = plugin_with(&old);
        plugin["phantom_token"]["signing_keys"] = keys;
        plugin
    };
    let stages = [
        json!([signing_key("old", &old)]),
        json!([signing_key("old", &old), published_key("new", &new)]),
        json!([signing_key("new", &new), published_key("old", &old)]),
        json!([signing_key("new", &new)]),
    ];
    let [first, rest @ ..] = stages.map(with_keys);
    let gateway = Gateway::with(first, |envoy| envoy.workers(2).reloadable()).await;
    gateway.server.answer_all(Answer::active(json!({})));

    let mut traffic = Traffic::start(&gateway);
    let mut jwks = gateway.jwks().await;
    traffic.goes_on(&gateway).await;
    for plugin in rest {
        gateway.envoy.reload(&plugin).await;
        traffic.goes_on(&gateway).await;
        let published = gateway.jwks().await["keys"].as_array_mut().expect("keys").split_off(0);
        jwks["keys"].as_array_mut().expect("keys").extend(published);
    }
    let jwts = traffic.stop().await;

    let verified = jose::verify(&jwts, &jwks).await;
    let signed_by = |kid: &str| verified.iter().filter(|jwt| jwt.header["kid"] == kid).count();
    assert!(signed_by("old") > 0 && signed_by("new") > 0);
    assert_eq!(signed_by("old") + signed_by("new"), jwts.len());
    assert_eq!(
        jose::verify(&[gateway.get("last").await.echoed_bearer()], &jwks).await[0].header["kid"],
        "new"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_change_of_configuration_leaves_the_good_one_in_place() {
    let good = plugin_with(jose::any_key().await);
    let gateway = Gateway::with(good.clone(), |envoy| envoy.reloadable()).await;
    gateway.server.answer_all(Answer::active(json!({})));
    assert_eq!(gateway.get("one").await.status, 200);
    let mut bad = good;
    bad["phantom_token"]["signing_keys"] = json!([]);
    gateway.envoy.refuses_to_reload(&bad).await;
    assert_eq!(gateway.get("two").await.status, 200);
    assert!(gateway.envoy.log().contains("phantom_token.signing_keys"), "{}", gateway.envoy.log());
}

/// Clients that ask on and on: every second time with one token that is always the same, else with a new one.
struct Traffic {
    clients: JoinSet<Vec<String>>,
    ends: Arc<AtomicBool>,
}

impl Traffic {
    fn start(gateway: &Gateway) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            let (address, ends) = (gateway.envoy.address(), ends.clone());
            clients.spawn(async move {
                let mut connection = Connection::open(address).await.expect("a connection to Envoy");
                let mut jwts = Vec::new();
                while !ends.load(Ordering::SeqCst) {
                    let new = format!("new-{client}-{}", jwts.len());
                    let access_token = if jwts.len() % 2 == 0 { "always-the-same" } else { &new };
                    let reply =
                        connection.send(&Request::get("/").bearer(access_token)).await.expect("an answer");
                    jwts.push(reply.echoed_bearer());
                }
                jwts
            });
        }
        Self { clients, ends }
    }

    /// Waits until it has gone on for a while.
    async fn goes_on(&self, gateway: &Gateway) {
        let enough = gateway.upstream.requests() + 100;
        eventually("traffic", || async { (gateway.upstream.requests() >= enough).then_some(()) }).await;
    }

    /// All JWTs that reached the upstream; every request was answered with 200.
    async fn stop(&mut self) -> Vec<String> {
        self.ends.store(true, Ordering::SeqCst);
        let mut jwts = Vec::new();
        while let Some(client) = self.clients.join_next().await {
            jwts.extend(client.expect("no request failed"));
        }
        jwts
    }
}
