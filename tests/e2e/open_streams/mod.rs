//! Requests that were passed on and are still open, in real Envoy: a withdrawal ends those that it is about, of every kind and
//! on every worker, and no others.

mod crowds;
mod endless;
mod gateway;
mod kinds;

use std::time::{Duration, Instant, SystemTime};

use http_body_util::BodyExt;
use hyper::{Response, StatusCode, body::Incoming};
use serde_json::json;
use tokio::{io::AsyncWriteExt, task::JoinSet};

use crate::rig::{answer::Answer, client::Request, process::allow_open_files, within_limit};
use endless::{read_to_end, read_until};
use gateway::Gateway;

/// Longer than it takes to be seen by every worker.
const SEEN: Duration = Duration::from_millis(600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_stream_ends_when_its_token_is_withdrawn_and_others_go_on() {
    let gateway = Gateway::start(2).await;
    let mut alice = gateway.open("GET /events HTTP/1.1", "alice").await;
    let mut bob = gateway.open("GET /events HTTP/1.1", "bob").await;
    for connection in [&mut alice, &mut bob] {
        read_until(connection, "data: x").await;
    }

    gateway.withdraw("alice").await;

    let rest = read_to_end(&mut alice).await;
    assert!(!rest.ends_with("0\r\n\r\n"), "no last chunk: the client sees that it was broken off");
    gateway.envoy.access_log_line("/events 200 token_revoked").await;
    read_until(&mut bob, "data: x").await;
    tokio::time::sleep(SEEN).await;
    read_until(&mut bob, "data: x").await;
    assert_eq!(gateway.ended().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_ends() {
    let gateway = Gateway::start(1).await;
    let upgrade = "GET /socket HTTP/1.1\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                   sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==";
    let mut alice = gateway.open(upgrade, "alice").await;
    assert!(read_until(&mut alice, "\r\n\r\n").await.starts_with("HTTP/1.1 101"));
    alice.write_all(b"ping").await.expect("an open connection");
    assert_eq!(read_until(&mut alice, "ping").await, "ping");
    gateway.withdraw("alice").await;
    read_to_end(&mut alice).await;
    gateway.envoy.access_log_line("/socket 101 token_revoked").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_without_an_answer_gets_one() {
    let gateway = Gateway::start(1).await;
    let mut alice = gateway.open("GET /silence HTTP/1.1", "alice").await;
    gateway.until_upstream_has(1).await;
    gateway.withdraw("alice").await;
    let answer = read_until(&mut alice, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{answer}");
    assert!(answer.contains("www-authenticate: Bearer realm=\"api\", error=\"invalid_token\""), "{answer}");
    gateway.envoy.access_log_line("/silence 401 token_revoked").await;

    // gRPC: status 16, UNAUTHENTICATED.
    let client = gateway.http2().await;
    let call = client.send("/silence", "alice", Some("application/grpc"));
    let (reply, ()) = tokio::join!(call, async {
        gateway.until_upstream_has(2).await;
        gateway.withdraw("alice").await;
    });
    assert_eq!(
        (reply.status(), &reply.headers()["grpc-status"]),
        (StatusCode::OK, &"16".parse().expect("a value"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_under_way_ends_and_nothing_more_of_it_passes() {
    let gateway = Gateway::start(1).await;
    let mut alice = gateway.open("POST /silence HTTP/1.1\r\ncontent-length: 1000000", "alice").await;
    alice.write_all(&[b'x'; 1000]).await.expect("an open connection");
    gateway.until_upstream_has(1).await;
    gateway.withdraw("alice").await;
    let writing = async {
        // Whatever the client sends until it hears of it.
        while alice.write_all(&[b'x'; 1000]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
            let mut answer = [0; 12];
            if let Ok(12..) = alice.try_read(&mut answer) {
                return answer;
            }
        }
        panic!("the connection closes before its answer")
    };
    assert_eq!(&within_limit("an answer", writing).await, b"HTTP/1.1 401");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_end_with_their_token_where_the_policy_says_so() {
    let gateway = Gateway::start_with(json!({"on_revocation": false, "on_expiry": true}), 1).await;
    let exp = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a date").as_secs() + 4;
    gateway.server.answer_with(move |token| Answer::active(json!({"sub": token, "exp": exp})));
    let mut alice = gateway.open("GET /events HTTP/1.1", "alice").await;
    read_until(&mut alice, "data: x").await;
    gateway.withdraw("alice").await;
    tokio::time::sleep(SEEN).await;
    read_until(&mut alice, "data: x").await;
    read_to_end(&mut alice).await;
    gateway.envoy.access_log_line("/events 200 token_expired").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_streams_on_two_workers_those_of_one_subject_end_within_a_second() {
    allow_open_files(8_000);
    let gateway = Gateway::start(2).await;
    // One of each first, so that the server is asked only once about each.
    for name in ["alice", "bob"] {
        read_until(&mut gateway.open("GET /events HTTP/1.1", name).await, "data: x").await;
    }
    let (mut alices, mut bobs) = (JoinSet::new(), Vec::new());
    for number in 0..20 {
        let (client, name) = (gateway.http2().await, if number % 2 == 0 { "alice" } else { "bob" });
        for _ in 0..50 {
            let mut events = client.send("/events", name, None).await;
            assert_eq!(events.status(), 200);
            events.body_mut().frame().await.expect("a frame").expect("an event");
            match name {
                "alice" => _ = alices.spawn(async move { until_end(events).await }),
                _ => bobs.push(events),
            }
        }
    }
    let withdrawn = Instant::now();
    gateway.withdraw("alice").await;
    within_limit("the end of all of them", async {
        while let Some(ended) = alices.join_next().await {
            assert!(ended.expect("a stream").is_err(), "broken off, and so seen by the client");
        }
    })
    .await;
    println!("500 streams have ended after {:?}", withdrawn.elapsed());
    for bob in &mut bobs {
        bob.body_mut().frame().await.expect("a frame").expect("an event");
    }
    assert_eq!(gateway.ended().await, 500);
    // The VMs are alive.
    let reply = Request::get("/events-of-nobody").bearer("").send(gateway.envoy.address()).await;
    assert_eq!(reply.status, 401);
}

async fn until_end(mut events: Response<Incoming>) -> Result<(), hyper::Error> {
    while let Some(frame) = events.body_mut().frame().await {
        frame?;
    }
    Ok(())
}
