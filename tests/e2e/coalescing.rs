//! Many requests with one token that is new: the authorization server is asked once.

use std::{net::SocketAddr, time::Duration};

use serde_json::json;

use crate::rig::{
    answer::{Answer, Gate},
    client::{Connection, Request},
    gateway::{Gateway, plugin},
    process::allow_open_files,
};

const SERVER_TAKES: Duration = Duration::from_millis(100);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_requests_with_an_active_token_share_one_call() {
    one_call_for(200, Answer::active(json!({})), 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_requests_with_an_inactive_token_share_one_call() {
    one_call_for(200, Answer::inactive(), 401).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_thousand_requests_with_an_active_token_share_one_call() {
    one_call_for(3000, Answer::active(json!({})), 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_thousand_requests_with_an_inactive_token_share_one_call() {
    one_call_for(3000, Answer::inactive(), 401).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_hang_up_take_no_active_verdict_with_them() {
    answered_though_a_quarter_hangs_up(Answer::active(json!({})), 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_hang_up_take_no_inactive_verdict_with_them() {
    answered_though_a_quarter_hangs_up(Answer::inactive(), 401).await;
}

async fn one_call_for(clients: usize, answer: Answer, status: u16) {
    let gateway = Gateway::start().await;
    gateway.server.answer_all(answer.after(SERVER_TAKES));
    let mut waiting = connect(gateway.envoy.address(), clients).await;
    ask(&mut waiting).await;
    all_answered(waiting, status).await;
    assert_eq!(gateway.server.call_count(), 1);

    let counter = async |name| gateway.envoy.counter(name).await as usize;
    let later = counter("cache.hit").await + counter("cache.negative_hit").await;
    assert_eq!(counter("cache.miss").await, 1);
    assert_eq!(counter("cache.coalesced").await + later, clients - 1);
}

/// All 3,000 wait, then a quarter of them hangs up, and with it the one whose request caused the call.
async fn answered_though_a_quarter_hangs_up(answer: Answer, status: u16) {
    const CLIENTS: usize = 3000;
    let mut plugin = plugin().await;
    plugin["providers"]["main"]["introspection"]["timeout"] = json!("15s");
    let gateway = Gateway::with(plugin, |envoy| envoy).await;
    let gate = Gate::closed();
    gateway.server.answer_all(answer.behind(&gate));
    let mut waiting = connect(gateway.envoy.address(), CLIENTS).await;
    ask(&mut waiting[..1]).await;
    gateway.server.called(1).await;
    ask(&mut waiting[1..]).await;
    gateway.envoy.active_requests(CLIENTS).await;

    drop(waiting.drain(..CLIENTS / 4));
    gateway.envoy.active_requests(CLIENTS - CLIENTS / 4).await;
    gate.open();
    all_answered(waiting, status).await;
    assert_eq!(gateway.server.call_count(), 1);
}

async fn connect(to: SocketAddr, clients: usize) -> Vec<Connection> {
    allow_open_files(10_000); // Ours; and Envoy, which inherits this, has as many connections.
    let mut connections = Vec::new();
    for _ in 0..clients {
        connections.push(Connection::open(to).await.expect("a connection to Envoy"));
    }
    connections
}

async fn ask(clients: &mut [Connection]) {
    let request = Request::get("/").bearer("new-to-all").head();
    for client in clients {
        client.write(&request).await.expect("a request sent");
    }
}

async fn all_answered(clients: Vec<Connection>, status: u16) {
    let total = clients.len();
    for (index, mut client) in clients.into_iter().enumerate() {
        match client.reply().await {
            Ok(reply) => assert_eq!(reply.status, status, "client {index} of {total}: {reply:?}"),
            Err(error) => panic!("client {index} of {total} got no answer: {error}"),
        }
    }
}
