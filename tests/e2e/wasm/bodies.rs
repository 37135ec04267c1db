//! Envoy's switch for Wasm filters that read bodies. A dynamic module says itself what is kept back.

use serde_json::json;

use crate::rig::{
    answer::Answer,
    client::Request,
    gateway::{Gateway, plugin},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_envoy_keeps_bodies_back_a_signal_is_refused_and_the_log_says_why() {
    let mut plugin = plugin().await;
    plugin["revocation"] =
        json!({"admin": {"path": "/revocations", "token": {"inline": "admin-secret-admin-secret"}}});
    let gateway = Gateway::with(plugin, |envoy| envoy).await;
    gateway.server.answer_all(Answer::active(json!({})));
    assert_eq!(gateway.get("token").await.status, 200);
    let order = Request::post("/revocations", r#"{"sub":"alice"}"#)
        .header("content-type", "application/json")
        .header("authorization", "Bearer admin-secret-admin-secret");
    let reply = gateway.send(order).await;
    assert_eq!(reply.status, 503, "{reply:?}");
    assert!(gateway.envoy.log().contains("allow_on_headers_stop_iteration: true"));
    assert_eq!(gateway.upstream.requests(), 1, "no signal reaches the service");
}
