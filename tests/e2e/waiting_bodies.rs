//! A request's body waits with it, whichever way Envoy takes a pause: nothing reaches the upstream unjudged.

use serde_json::json;

use crate::rig::{
    answer::{Answer, Gate},
    client::{Connection, Request},
    eventually,
    gateway::{Gateway, plugin},
};

const BODY: usize = 100_000;

/// Bytes that Envoy has read from clients.
const RECEIVED: &str = "http.main.downstream_cx_rx_bytes_total";

/// Requests that Envoy began to send to the upstream.
const FORWARDED: &str = "cluster.upstream.upstream_rq_total";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn body_waits_when_envoy_stops_all_iteration() {
    body_waits(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn body_waits_when_envoy_really_stops_at_the_headers() {
    body_waits(true).await;
}

async fn body_waits(allow_on_headers_stop_iteration: bool) {
    let mut plugin = plugin().await;
    plugin["providers"]["main"]["introspection"]["timeout"] = json!("15s");
    let gateway = Gateway::with(plugin, |envoy| match allow_on_headers_stop_iteration {
        true => envoy.allow_on_headers_stop_iteration(),
        false => envoy,
    })
    .await;
    for (access_token, answer, status) in
        [("good", Answer::active(json!({})), 200), ("bad", Answer::inactive(), 401)]
    {
        let gate = Gate::closed();
        gateway.server.answer(access_token, answer.behind(&gate));
        let (calls, forwarded) = (gateway.server.call_count(), stat(&gateway, FORWARDED).await);
        let received = stat(&gateway, RECEIVED).await;
        let mut client = Connection::open(gateway.envoy.address()).await.expect("a connection to Envoy");
        let request = Request::post("/", vec![b'x'; BODY]).bearer(access_token);
        client.write(&request.head()).await.expect("the headers sent");
        gateway.server.called(calls + 1).await;
        client.write(&[b'x'; BODY]).await.expect("the body sent");
        eventually("the body at Envoy", || async {
            (stat(&gateway, RECEIVED).await >= received + BODY as u64).then_some(())
        })
        .await;
        assert_eq!(
            stat(&gateway, FORWARDED).await,
            forwarded,
            "{access_token}: forwarded before the verdict"
        );

        gate.open();
        let reply = client.reply().await.expect("an answer");
        assert_eq!(reply.status, status, "{access_token}: {reply:?}");
        if status == 200 {
            assert_eq!(reply.json()["body_length"], BODY);
        }
    }
    assert_eq!(stat(&gateway, FORWARDED).await, 1);
}

async fn stat(gateway: &Gateway, name: &str) -> u64 {
    gateway.envoy.stats(&format!("^{name}$")).await.get(name).copied().unwrap_or(0)
}
