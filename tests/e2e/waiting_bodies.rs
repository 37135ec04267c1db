//! A request's body waits with it, whichever way Envoy takes a pause: nothing reaches the upstream unjudged.

use serde_json::json;

use crate::rig::{
    answer::{Answer, Gate},
    bootstrap::Bootstrap,
    client::{Connection, Reply, Request},
    eventually,
    gateway::{Gateway, plugin},
};

/// More than fits into one read.
static BODY: [u8; 100_000] = [b'x'; 100_000];

/// Bytes that Envoy has read from clients.
const RECEIVED: &str = "http.main.downstream_cx_rx_bytes_total";

/// Requests that Envoy began to send to the upstream.
const FORWARDED: &str = "cluster.upstream.upstream_rq_total";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn body_waits_when_envoy_stops_all_iteration() {
    let gateway = start(|envoy| envoy).await;
    verdict_comes_first(&gateway, Request::post("/", BODY), &BODY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn body_waits_when_envoy_really_stops_at_the_headers() {
    let gateway = start(Bootstrap::allow_on_headers_stop_iteration).await;
    verdict_comes_first(&gateway, Request::post("/", BODY), &BODY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trailers_wait_when_envoy_really_stops_at_the_headers() {
    let gateway = start(|envoy| {
        let envoy = envoy.allow_on_headers_stop_iteration();
        envoy.adjust(|manager| manager["http_protocol_options"] = json!({"enable_trailers": true}))
    })
    .await;
    let request = Request::new("PUT", "/").header("transfer-encoding", "chunked");
    verdict_comes_first(&gateway, request, b"5\r\nhello\r\n0\r\nx-trailer: 1\r\n\r\n").await;
}

/// With a good token and with a bad one: all of the request is at Envoy, nothing of it at the upstream, before the
/// authorization server answers.
async fn verdict_comes_first(gateway: &Gateway, request: Request, body: &[u8]) {
    let good = answered_late(gateway, request.clone().bearer("good"), body, Answer::active(json!({}))).await;
    assert_eq!(good.status, 200, "{good:?}");
    assert_ne!(good.json()["body_length"], 0);
    let bad = answered_late(gateway, request.bearer("bad"), body, Answer::inactive()).await;
    assert_eq!(bad.status, 401, "{bad:?}");
    assert_eq!(stat(gateway, FORWARDED).await, 1);
}

async fn answered_late(gateway: &Gateway, request: Request, body: &[u8], answer: Answer) -> Reply {
    let gate = Gate::closed();
    gateway.server.answer_all(answer.behind(&gate));
    let (calls, forwarded) = (gateway.server.call_count(), stat(gateway, FORWARDED).await);
    let received = stat(gateway, RECEIVED).await;
    let mut client = Connection::open(gateway.envoy.address()).await.expect("a connection to Envoy");
    client.write(&request.head()).await.expect("the headers sent");
    gateway.server.called(calls + 1).await;
    client.write(body).await.expect("the body sent");
    let all = received + (request.head().len() + body.len()) as u64;
    eventually("the body at Envoy", || async { (stat(gateway, RECEIVED).await >= all).then_some(()) }).await;
    assert_eq!(stat(gateway, FORWARDED).await, forwarded, "forwarded before the verdict");
    gate.open();
    client.reply().await.expect("an answer")
}

async fn stat(gateway: &Gateway, name: &str) -> u64 {
    gateway.envoy.stats(&format!("^{name}$")).await.get(name).copied().unwrap_or(0)
}

async fn start(of_envoy: impl FnOnce(Bootstrap) -> Bootstrap) -> Gateway {
    let mut plugin = plugin().await;
    plugin["providers"]["main"]["introspection"]["timeout"] = json!("15s");
    Gateway::with(plugin, of_envoy).await
}
