//! Whatever clients send, memory is bounded, and a flood of invalid tokens takes nothing from valid ones.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::json;
use tokio::task::JoinSet;

use crate::rig::{
    answer::Answer,
    client::{Connection, Request},
    gateway::{Gateway, plugin},
};

const CONNECTIONS: usize = 32;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_thousand_tokens_take_no_more_memory_than_ten_thousand() {
    const ALLOWED_GROWTH: u64 = 8 << 20;
    let mut plugin = plugin().await;
    // Both verdicts live equally long, so that neither is the first to make room.
    plugin["policies"] = json!({"default": {"cache_ttl": "10m"}});
    plugin["cache"] = json!({"negative_ttl": "10m"});
    let gateway = Gateway::with(plugin, |envoy| {
        // Envoy answers in place of the upstream: only the filter is of interest.
        envoy.route(json!({"match": {"prefix": "/"}, "direct_response": {"status": 200}}))
    })
    .await;
    gateway.server.keep_no_calls();
    gateway.server.answer_with(|access_token| match access_token.starts_with("inactive") {
        true => Answer::inactive(),
        false => Answer::active(json!({})),
    });

    flood(&gateway, "active", 0..10_000, 200).await;
    let before = gateway.envoy.process().resident_memory();
    flood(&gateway, "active", 10_000..100_000, 200).await;
    let after_active = gateway.envoy.process().resident_memory();

    assert_eq!(gateway.get("hot").await.status, 200);
    flood(&gateway, "inactive", 0..100_000, 401).await;
    let after = gateway.envoy.process().resident_memory();
    println!(
        "resident bytes: {before}, after the active tokens {after_active}, after the inactive ones {after}"
    );

    let calls = gateway.server.call_count();
    assert_eq!(gateway.get("hot").await.status, 200);
    assert_eq!(gateway.server.call_count(), calls, "the hot token is still cached");
    assert!(after_active < before + ALLOWED_GROWTH, "{before} grew to {after_active} with active tokens");
    assert!(after < before + ALLOWED_GROWTH, "{before} grew to {after} with inactive tokens");
}

/// Sends one request for each token, over many connections.
async fn flood(gateway: &Gateway, prefix: &'static str, numbers: std::ops::Range<usize>, status: u16) {
    let next = Arc::new(AtomicUsize::new(numbers.start));
    let mut clients = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (address, next, end) = (gateway.envoy.address(), next.clone(), numbers.end);
        clients.spawn(async move {
            let mut connection = Connection::open(address).await.expect("a connection to Envoy");
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= end {
                    return;
                }
                let request = Request::get("/").bearer(&format!("{prefix}-{number:032}"));
                let reply = connection.send(&request).await.expect("an answer");
                assert_eq!(reply.status, status, "{prefix} {number}: {reply:?}");
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.expect("all of its requests were answered");
    }
}
