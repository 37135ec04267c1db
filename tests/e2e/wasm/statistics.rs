//! Withdrawals take effect whatever statistics Envoy keeps. (Where the filter may not use them, it does not start: see
//! `tests/capabilities.rs`.)

use serde_json::{Value, json};

use crate::rig::{
    answer::Answer,
    bootstrap::Bootstrap,
    client::Request,
    gateway::{Gateway, plugin},
};

/// What the filter says where the cheap way of withdrawals is not to be had.
const WARNING: &str = "withdrawals go by shared data instead";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withdrawal_takes_effect_whatever_the_stats_matcher_leaves_out() {
    for (matcher, has_gauge) in [
        (json!({"reject_all": true}), false),
        (json!({"exclusion_list": {"patterns": [{"contains": "phantom_token"}]}}), false),
        (json!({"inclusion_list": {"patterns": [{"prefix": "listener"}, {"prefix": "cluster"}]}}), false),
        // As Istio's proxies have it, among other prefixes: statistics of Wasm filters are kept.
        (json!({"inclusion_list": {"patterns": [{"prefix": "cluster_manager"}, {"prefix": "wasm"}]}}), true),
    ] {
        withdraws(&matcher.to_string(), has_gauge, |envoy| envoy.stats_matcher(matcher)).await;
    }
}

/// Twelve requests pass by a verdict that is remembered; after the order twelve of twelve are refused.
async fn withdraws(name: &str, has_gauge: bool, of_envoy: impl FnOnce(Bootstrap) -> Bootstrap) {
    let mut plugin: Value = plugin().await;
    plugin["policies"] = json!({"default": {"cache_ttl": "10m"}});
    plugin["revocation"] =
        json!({"admin": {"path": "/revocations", "token": {"inline": "admin-secret-admin-secret"}}});
    let gateway =
        Gateway::with(plugin, |envoy| of_envoy(envoy.workers(2).allow_on_headers_stop_iteration())).await;
    gateway.server.answer_all(Answer::active(json!({})));
    for _ in 0..12 {
        assert_eq!(gateway.get("good-token").await.status, 200, "{name}");
    }
    assert_eq!(gateway.server.call_count(), 1, "{name}: the verdict is remembered");
    gateway.server.answer_all(Answer::inactive());
    let order = Request::post("/revocations", json!({"token": "good-token"}).to_string())
        .header("content-type", "application/json")
        .header("authorization", "Bearer admin-secret-admin-secret");
    assert_eq!(gateway.send(order).await.status, 200, "{name}");
    for number in 0..12 {
        let status = gateway.get("good-token").await.status;
        assert_eq!(status, 401, "{name}: request {number} after the order");
    }
    assert_eq!(gateway.envoy.log().contains(WARNING), !has_gauge, "{name}: {}", gateway.envoy.log());
}
