//! Many requests that are open at once, of every kind, and what may happen to one in the instant in which it is ended.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{io::AsyncWriteExt, task::JoinSet};

use super::{
    gateway::Gateway,
    kinds::{KINDS, Kind, Open},
};
use crate::rig::{answer::Answer, client::Request, process::allow_open_files, within_limit};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_every_kind_of_open_request_those_of_one_subject_end() {
    let gateway = crowded().await;
    let took = end_half(&gateway, &KINDS, 24 * KINDS.len()).await;
    println!("96 of 192 have ended after {took:?}");
    is_alive(&gateway).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: cargo test --test e2e crowds:: -- --ignored --nocapture --test-threads 1"]
async fn how_long_the_end_of_half_of_a_thousand_takes() {
    let gateway = crowded().await;
    for kind in KINDS {
        let took = end_half(&gateway, &[kind], 1_000).await;
        let resident = gateway.envoy.process().resident_memory() >> 20;
        println!("{kind:?}: 500 of 1,000 have ended after {took:?}; Envoy has {resident} MiB");
    }
    is_alive(&gateway).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, as above"]
async fn how_long_the_end_of_half_of_ten_thousand_takes() {
    let gateway = crowded().await;
    // Those over HTTP/1 take two files each of the tests' own, and there are 20,000.
    let kinds: Vec<Kind> = KINDS.into_iter().filter(|kind| kind.is_over_http2()).collect();
    let mixed: Vec<Kind> = [&KINDS[..], &kinds, &kinds].concat();
    for round in 1..=3 {
        let took = end_half(&gateway, &mixed, 10_000).await;
        let resident = gateway.envoy.process().resident_memory() >> 20;
        println!("round {round}: 5,000 of 10,000 have ended after {took:?}; Envoy has {resident} MiB");
    }
    is_alive(&gateway).await;
}

/// What may happen to a request in the instant in which it is ended: it ends by itself, its client reads nothing, it still
/// waits for its verdict.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_in_the_same_instant_takes_nobody_down() {
    rounds(8).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute: cargo test --test e2e a_hundred_rounds -- --ignored"]
async fn a_hundred_rounds_of_what_happens_in_the_same_instant_take_nobody_down() {
    rounds(100).await;
}

async fn rounds(count: usize) {
    let gateway = crowded().await;
    for round in 0..count {
        // Each round has a subject of its own, whose first verdict comes late.
        let name = format!("alice-{round}");
        let http2 = gateway.http2().await;
        gateway.server.answer(&name, Answer::active(json!({"sub": name})));
        let mut unread = gateway.open("GET /flood HTTP/1.1", &name).await;
        let mut gone = Vec::new();
        for kind in [Kind::Events, Kind::EventsOverHttp2, Kind::WebSocket, Kind::WaitingOverHttp2] {
            gone.push(Open::new(kind, &gateway, &http2, &name).await);
        }
        let mut ended_by_the_service = Open::new(Kind::EventsOverHttp2, &gateway, &http2, &name).await;
        // Its verdict is under way when the withdrawal comes.
        let late = format!("late-{round}");
        gateway.server.answer(&late, Answer::active(json!({"sub": name})).after(Duration::from_millis(20)));
        let asked = gateway.server.call_count();
        let (address, token) = (gateway.envoy.address(), late.clone());
        let waiting = tokio::spawn(async move { Request::get("/once").bearer(&token).send(address).await });
        gateway.server.called(asked + 1).await;

        let withdrawing = gateway.withdraw(&name);
        let leaving = async {
            // Somewhere within the quarter of a second in which workers look.
            tokio::time::sleep(Duration::from_millis((round as u64 * 37) % 260)).await;
            gateway.upstream.end_events();
            // The client goes, too, from half of them.
            gone.truncate(2);
        };
        tokio::join!(withdrawing, leaving);

        for open in &mut gone {
            open.ends_somehow().await;
        }
        ended_by_the_service.ends_somehow().await;
        _ = within_limit("the answer to one that waited", waiting).await;
        _ = unread.shutdown().await;
        drop(unread);
        gateway.envoy.active_requests(0).await;
    }
    is_alive(&gateway).await;
}

async fn crowded() -> Arc<Gateway> {
    allow_open_files(20_000);
    Arc::new(Gateway::start(2).await)
}

/// Opens so many, half of them Alice's, and withdraws what is hers. Returns how long it took until the last of hers had ended.
async fn end_half(gateway: &Arc<Gateway>, kinds: &[Kind], count: usize) -> Duration {
    let (before, requests) = (gateway.ended().await, gateway.upstream.requests());
    let mut opening = JoinSet::new();
    for connection in 0..CONNECTIONS {
        let (gateway, kinds) = (gateway.clone(), kinds.to_vec());
        opening.spawn(async move {
            let http2 = gateway.http2().await;
            let (mut alices, mut bobs) = (Vec::new(), Vec::new());
            for number in (connection..count).step_by(CONNECTIONS) {
                // Of each kind, every other one.
                let (kind, round) = (kinds[number % kinds.len()], number / kinds.len());
                let (name, opened) = if round % 2 == 0 { ("alice", &mut alices) } else { ("bob", &mut bobs) };
                opened.push(Open::new(kind, &gateway, &http2, name).await);
            }
            (alices, bobs, http2)
        });
    }
    let (mut alices, mut bobs, mut connections) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(opened) = opening.join_next().await {
        let (mut of_alice, mut of_bob, http2) = opened.expect("all of them, open");
        alices.append(&mut of_alice);
        bobs.append(&mut of_bob);
        connections.push(http2);
    }
    let expected = alices.len() as u64;
    // One that comes later would be asked about anew.
    gateway.until_upstream_has(requests + count).await;
    assert!(!alices.iter().chain(&bobs).any(Open::has_ended));

    gateway.withdraw("alice").await;
    let withdrawn = Instant::now();
    for alice in &mut alices {
        alice.ends().await;
    }
    let took = withdrawn.elapsed();

    let mut going_on = JoinSet::new();
    for mut bob in bobs {
        going_on.spawn(async move { bob.goes_on().await });
    }
    while let Some(bob) = going_on.join_next().await {
        bob.expect("one that goes on");
    }
    assert_eq!(gateway.ended().await - before, expected);
    drop(connections);
    gateway.envoy.active_requests(0).await;
    took
}

/// The VMs are alive.
async fn is_alive(gateway: &Gateway) {
    for mut connections in gateway.envoy.connect_to_every_worker(1).await {
        let reply = connections[0].send(&Request::get("/").bearer("")).await.expect("an answer");
        assert_eq!(reply.status, 401);
    }
}

/// Of clients that speak HTTP/2.
const CONNECTIONS: usize = 24;
