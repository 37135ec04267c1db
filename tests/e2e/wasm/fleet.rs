//! What a fleet needs of Envoy: a dynamic module needs nothing.

use serde_json::json;

use crate::rig::fleet::Fleet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_capabilities_for_it_a_fleet_is_refused() {
    let fleet = Fleet::start(0, json!({})).await;
    let mut bootstrap = fleet.bootstrap();
    bootstrap.wasm_filter.calls_by_grpc = false;
    let log = bootstrap.refused().await;
    let names = "proxy_grpc_call, proxy_grpc_cancel, proxy_grpc_send, proxy_grpc_stream";
    assert!(log.contains(&format!("allowed_capabilities: expected {names} among them, got none")), "{log}");
}
