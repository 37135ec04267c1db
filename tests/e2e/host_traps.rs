//! What has killed or fooled other Wasm filters in Envoy: odd bytes, failed calls, many waiting, null in metadata.
//! That no VM dies is checked whenever an Envoy of these tests ends.

use serde_json::{Value, json};

use crate::rig::{
    answer::{Answer, Gate},
    client::{Connection, Request},
    gateway::{Gateway, plugin},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn header_values_need_not_be_utf_8() {
    let gateway = Gateway::start().await;
    gateway.server.answer("good", Answer::active(json!({})));
    let odd = |request: Request| request.header("x-odd", b"\xff\xfe\x80").header("cookie", b"a=\xe9");
    assert_eq!(gateway.send(odd(Request::get("/").bearer("good"))).await.status, 200);
    assert_eq!(gateway.send(odd(Request::get("/").bearer("good"))).await.status, 200, "from the cache");
    assert_eq!(gateway.send(odd(Request::get("/"))).await.status, 401);
    assert_eq!(gateway.send(Request::get("/").header("authorization", b"\xff\xfe")).await.status, 401);
    assert_eq!(gateway.send(Request::get("/").header("authorization", b"Bearer \xff")).await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_bytes_never_reach_anyone() {
    let gateway = Gateway::start().await;
    gateway.server.answer_all(Answer::active(json!({})));
    for byte in [b'\x01', b'\t', b'\x0b', b'\x1f', b'\x7f'] {
        let value = [b"Bearer a", &[byte][..], b"b"].concat();
        let reply = gateway.send(Request::get("/").header("authorization", value)).await;
        // A tab is the one of them that Envoy lets into a header.
        let status = if byte == b'\t' { 401 } else { 400 };
        assert_eq!(reply.status, status, "{byte:#x}: {reply:?}");
    }
    assert_eq!((gateway.server.call_count(), gateway.upstream.requests()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn token_of_60_kb_is_refused_unasked() {
    let gateway = Gateway::with(plugin().await, |envoy| {
        envoy.adjust(|manager| manager["max_request_headers_kb"] = json!(96))
    })
    .await;
    gateway.server.answer_all(Answer::active(json!({})));
    let reply = gateway.get(&"x".repeat(60_000)).await;
    assert_eq!((reply.status, reply.json()["error"].as_str()), (401, Some("invalid_token")));
    assert_eq!(gateway.server.call_count(), 0);
    assert_eq!(gateway.get(&"x".repeat(8000)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answer_that_stops_after_its_headers_is_a_failure_not_a_panic() {
    let mut plugin = plugin().await;
    plugin["providers"]["main"]["introspection"]["timeout"] = json!("300ms");
    let gateway = Gateway::with(plugin, |envoy| envoy).await;
    gateway.server.answer("stalled", Answer::active(json!({})).stalled());
    gateway.server.answer("broken-off", Answer::active(json!({})).broken_off());
    gateway.server.answer("good", Answer::active(json!({})));
    for access_token in ["stalled", "broken-off"] {
        assert_eq!(gateway.get(access_token).await.status, 503, "{access_token}");
        assert_eq!(gateway.get("good").await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_waiting_requests_are_denied_at_once() {
    a_thousand_waiting(Answer::inactive(), 401).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_waiting_requests_are_answered_when_the_server_fails() {
    a_thousand_waiting(Answer::body("no JSON"), 503).await;
}

/// More than the 300 or so that V8's stack allows in one callback.
async fn a_thousand_waiting(answer: Answer, status: u16) {
    const CLIENTS: usize = 1000;
    let mut plugin = plugin().await;
    plugin["providers"]["main"]["introspection"]["timeout"] = json!("15s");
    let gateway = Gateway::with(plugin, |envoy| envoy).await;
    let gate = Gate::closed();
    gateway.server.answer_all(answer.behind(&gate));
    let mut waiting = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = Connection::open(gateway.envoy.address()).await.expect("a connection to Envoy");
        client.write(&Request::get("/").bearer("one-token").head()).await.expect("a request sent");
        waiting.push(client);
    }
    gateway.envoy.active_requests(CLIENTS).await;
    gate.open();
    for mut client in waiting {
        assert_eq!(client.reply().await.expect("an answer").status, status);
    }
    assert_eq!(gateway.upstream.requests(), 0);
    gateway.server.answer("good", Answer::active(json!({})));
    assert_eq!(gateway.get("good").await.status, 200, "the VM is alive");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn null_in_route_metadata_opens_nothing() {
    let mut plugin = plugin().await;
    plugin["policies"] = json!({"default": {}, "public": {"strategy": "allow"}});
    plugin["policy_from"] = json!("route_metadata");
    let gateway = Gateway::with(plugin, |envoy| {
        envoy
            .route(route("/public", json!({"policy": "public"})))
            .route(route("/null", json!({"policy": null})))
            .route(route("/null-beside", json!({"policy": "public", "other": null})))
            .route(route("/number", json!({"policy": 1})))
            .route(route("/unknown", json!({"policy": "no-such-policy"})))
    })
    .await;
    gateway.server.answer("good", Answer::active(json!({})));
    assert_eq!(gateway.send(Request::get("/public")).await.status, 200);
    for path in ["/null", "/number", "/unknown"] {
        let status = gateway.send(Request::get(path)).await.status;
        assert!([401, 503].contains(&status), "{path}: {status}");
    }
    assert_eq!(gateway.upstream.requests(), 1);
    assert_eq!(
        gateway.send(Request::get("/null-beside")).await.status,
        200,
        "the null of another key is not ours"
    );
    assert_eq!(gateway.send(Request::get("/")).await.status, 401, "the default policy");
    assert_eq!(gateway.get("good").await.status, 200);
}

fn route(path: &str, metadata: Value) -> Value {
    json!({
        "match": {"path": path},
        "route": {"cluster": "upstream"},
        "metadata": {"filter_metadata": {"phantom_token_filter": metadata}},
    })
}
