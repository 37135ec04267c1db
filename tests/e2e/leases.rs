//! A worker that holds the lease on a question and asks nobody, because its only client is gone again: who waits for it on
//! another worker is served nothing that is too old or withdrawn.

use std::time::Duration;

use serde_json::json;

use crate::rig::{
    answer::Answer,
    client::{Connection, Request},
    gateway::{Gateway, plugin},
    host::Host,
    http2_frames::{PREFACE, request_frame, reset_frame},
};

const ATTEMPTS: usize = 12;

const CACHE_TTL: Duration = Duration::from_secs(1);

/// What comes behind the stream that is broken off, in the same segment: so long the worker has no turn for its call.
const OTHERS: u32 = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_worker_that_asked_nobody_is_served_nothing_old_or_withdrawn() {
    let mut plugin = plugin().await;
    plugin["cache"] = json!({"refresh_ahead": 0});
    plugin["policies"] = json!({"default": {"cache_ttl": "1s"}, "long": {"cache_ttl": "10m"}});
    plugin["rules"] = json!([{"match": {"path": "/long"}, "policy": "long"}]);
    plugin["revocation"] =
        json!({"admin": {"path": "/revocations", "token": {"inline": "admin-secret-admin-secret"}}});
    let gateway = Gateway::with(plugin, |envoy| envoy.workers(2).allow_on_headers_stop_iteration()).await;
    gateway.server.answer_all(Answer::active(json!({})));
    // Every other token is withdrawn, the others just get old.
    let token = |number: usize| format!("token-{number}");
    let path = |number: usize| if number.is_multiple_of(2) { "/" } else { "/long" };
    for number in 0..ATTEMPTS {
        let request = Request::get(path(number)).bearer(&token(number));
        assert_eq!(gateway.send(request).await.status, 200);
    }
    gateway.server.answer_all(Answer::inactive());
    for number in (1..ATTEMPTS).step_by(2) {
        let order = Request::post("/revocations", json!({"token": token(number)}).to_string())
            .header("content-type", "application/json")
            .header("authorization", "Bearer admin-secret-admin-secret");
        assert_eq!(gateway.send(order).await.status, 200);
    }
    tokio::time::sleep(CACHE_TTL).await;

    let mut workers = gateway.envoy.connect_to_every_worker(ATTEMPTS).await;
    let (mut ones, mut twos) = (workers.remove(0).into_iter(), workers.remove(0).into_iter());
    let before = gateway.envoy.counter("cache.coalesced").await;
    let mut passed = Vec::new();
    for number in 0..ATTEMPTS {
        let (mut one, mut two) = (ones.next().expect("a connection"), twos.next().expect("a connection"));
        break_off(&mut one, path(number), &token(number)).await;
        tokio::time::sleep(Duration::from_micros(500 * (1 + number as u64 / 2))).await;
        let request = Request::get(path(number)).bearer(&token(number));
        let status = two.send(&request).await.expect("an answer").status;
        if status != 401 {
            passed.push((number, status));
        }
    }
    let joined = gateway.envoy.counter("cache.coalesced").await - before;
    println!("{joined} of {ATTEMPTS} waited for the other worker, {} passed", passed.len());
    assert_eq!(passed, [], "{joined} of {ATTEMPTS} waited for a worker that asked nobody");
    // As a dynamic module, the main thread makes the call at once: the moment is microseconds.
    assert!(joined > 0 || Host::tested() == Host::Native, "no attempt has met its moment");
}

/// One segment over HTTP/2: a request that is reset at once, and many others that are refused without a call.
async fn break_off(connection: &mut Connection, path: &str, token: &str) {
    let bearer = format!("Bearer {token}");
    let fields = |path, more: Option<(&'static str, &str)>| -> Vec<(String, String)> {
        let fixed = [(":method", "GET"), (":scheme", "http"), (":authority", "api.example"), (":path", path)];
        fixed.into_iter().chain(more).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    let frame = |stream, fields: &[(String, String)]| {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
        request_frame(stream, &fields)
    };
    let mut segment = PREFACE.to_vec();
    segment.extend(frame(1, &fields(path, Some(("authorization", &bearer)))));
    segment.extend(reset_frame(1));
    let refused = fields("/", None);
    for number in 1..=OTHERS {
        segment.extend(frame(1 + 2 * number, &refused));
    }
    connection.write(&segment).await.expect("a segment sent");
}
