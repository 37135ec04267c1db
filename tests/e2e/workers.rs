//! Many requests with one token that is new, over several workers of one Envoy: the authorization server is asked
//! once, and everybody hears of it.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use crate::rig::{
    answer::{Answer, Gate},
    client::{Connection, Reply, Request},
    eventually,
    gateway::{Gateway, plugin},
    process::allow_open_files,
    within_limit,
};

const CLIENTS: usize = 200;

const SERVER_TAKES: Duration = Duration::from_millis(100);

/// After the server's reply, or after its last timeout, all have theirs.
const MARGIN: Duration = Duration::from_millis(100);

/// And this is for the machine: two cores shared with other tests, of which some make 3,000 requests at once.
const SLACK: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_make_one_call_for_an_active_token() {
    one_call_for_all(2, Answer::active(json!({})), 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_make_one_call_for_an_inactive_token() {
    one_call_for_all(2, Answer::inactive(), 401).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_workers_make_one_call_for_an_active_token() {
    one_call_for_all(4, Answer::active(json!({})), 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_workers_make_one_call_for_an_inactive_token() {
    one_call_for_all(4, Answer::inactive(), 401).await;
}

/// Envoy ends calls when it goes down, and there is nothing left then that could be called again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envoy_ends_well_while_calls_are_under_way() {
    let mut gateway = Gateway::with(plugin().await, |envoy| envoy.workers(2).reloadable()).await;
    gateway.server.answer_all(Answer::hang());
    let mut waiting: Vec<_> = gateway.envoy.connect_to_every_worker(4).await.into_iter().flatten().collect();
    for (number, connection) in waiting.iter_mut().enumerate() {
        let request = Request::get("/").bearer(&format!("token-{number}"));
        connection.write(&request.head()).await.expect("a request sent");
    }
    gateway.server.called(waiting.len()).await;
    gateway.envoy.ends_well().await;
}

/// Longer than what is remembered, so every worker has to ask; but it hears at once that it has to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verdict_that_is_too_long_to_share_is_asked_for_once_by_each_worker() {
    let gateway = start(2, json!({})).await;
    gateway.server.answer_all(Answer::active(json!({"permissions": "x".repeat(20_000)})).after(SERVER_TAKES));
    let waiting = ask(&gateway, 2).await;
    for Answered { reply, .. } in all_answered(waiting).await {
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    assert_eq!(gateway.server.call_count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_server_hangs_all_workers_hear_of_it_and_nobody_hangs() {
    const TIMEOUT: Duration = Duration::from_millis(600);
    let gateway = start(2, json!({"timeout": "600ms", "retries": 1})).await;
    gateway.server.answer_all(Answer::hang());
    let start = Instant::now();
    let waiting = ask(&gateway, 2).await;
    for Answered { reply, at } in all_answered(waiting).await {
        assert_eq!(reply.status, 503, "{reply:?}");
        assert_eq!(reply.header("retry-after"), Some("1"));
        let took = at - start;
        assert!(took <= TIMEOUT * 2 + MARGIN + SLACK, "answered after {took:?}");
    }
    assert_eq!(gateway.server.call_count(), 2, "two tries of one call");
    for reason in ["introspection_timeout", "introspection_failed_on_other_worker"] {
        gateway.envoy.access_log_line(reason).await;
    }

    // Nothing is left behind: the next request asks, at once.
    gateway.server.answer_all(Answer::active(json!({})));
    let start = Instant::now();
    assert_eq!(gateway.get("new-to-all").await.status, 200);
    assert!(start.elapsed() <= MARGIN + SLACK, "answered after {:?}", start.elapsed());
    assert_eq!(gateway.server.call_count(), 3);
}

/// Whatever becomes of a call, no worker goes on believing that it is under way. The timeout is so long that a
/// request that waits for nothing would be noticed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_leaves_a_lease_behind() {
    let gateway = start(2, json!({"timeout": "10s", "retries": 0, "breaker": {"failures": 1000}})).await;
    let mut workers = gateway.envoy.connect_to_every_worker(1).await;
    for (token, answer, status) in [
        ("active", Answer::active(json!({})), 200),
        ("inactive", Answer::inactive(), 401),
        ("500", Answer::status(500), 503),
        ("close", Answer::close(), 503),
        ("broken-off", Answer::active(json!({})).broken_off(), 503),
        ("too-long", Answer::active(json!({"permissions": "x".repeat(20_000)})), 200),
        ("not-json", Answer::body("{"), 503),
    ] {
        gateway.server.answer(token, answer);
        for _ in 0..2 {
            for connection in workers.iter_mut().flatten() {
                let start = Instant::now();
                let reply = connection.send(&Request::get("/").bearer(token)).await.expect("an answer");
                assert_eq!(reply.status, status, "{token}: {reply:?}");
                assert!(start.elapsed() <= MARGIN + SLACK, "{token}: answered after {:?}", start.elapsed());
            }
        }
    }
    // And one whose only client hangs up.
    let gate = Gate::closed();
    gateway.server.answer_all(Answer::active(json!({})).behind(&gate));
    let calls = gateway.server.call_count();
    workers[0][0].write(&Request::get("/").bearer("left-alone").head()).await.expect("a request sent");
    gateway.server.called(calls + 1).await;
    drop(workers.remove(0));
    gateway.envoy.active_requests(0).await;
    gate.open();
    let reply = workers[0][0].send(&Request::get("/").bearer("left-alone")).await.expect("an answer");
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(gateway.server.call_count(), calls + 1, "its answer was not for nothing");
}

/// In a cache that is too small, workers live on what they have copied, but not beyond the server's word.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_made_room_for_others_serves_on_until_the_server_takes_it_away() {
    let mut plugin = plugin().await;
    plugin["cache"] = json!({"max_entries": 4});
    plugin["policies"] = json!({"default": {"cache_ttl": "60s"}, "fresh": {"cache_ttl": "0s"}});
    plugin["rules"] = json!([{"match": {"path": "/fresh"}, "policy": "fresh"}]);
    let gateway = Gateway::with(plugin, |envoy| envoy.workers(2)).await;
    gateway.server.answer_all(Answer::active(json!({})));
    let mut workers = gateway.envoy.connect_to_every_worker(1).await;
    let hot = Request::get("/").bearer("hot");
    for connection in workers.iter_mut().flatten() {
        for _ in 0..4 {
            assert_eq!(connection.send(&hot).await.expect("an answer").status, 200);
        }
    }
    let epoch = gateway.envoy.epoch().await;
    for number in 0..100 {
        let other = Request::get("/").bearer(&format!("other-{number}"));
        assert_eq!(workers[0][0].send(&other).await.expect("an answer").status, 200);
    }
    let (evicted, calls) = (gateway.envoy.counter("cache.evicted").await, gateway.server.call_count());
    assert_eq!((evicted, calls), (97, 101));
    for connection in workers.iter_mut().flatten() {
        assert_eq!(connection.send(&hot).await.expect("an answer").status, 200);
    }
    assert_eq!(gateway.server.call_count(), calls, "nobody had to ask");
    assert_eq!(gateway.envoy.epoch().await, epoch);

    gateway.server.answer_all(Answer::inactive());
    let fresh = Request::get("/fresh").bearer("hot");
    assert_eq!(workers[0][0].send(&fresh).await.expect("an answer").status, 401);
    for connection in workers.iter_mut().flatten() {
        assert_eq!(connection.send(&hot).await.expect("an answer").status, 401);
    }
    assert_eq!(gateway.server.call_count(), calls + 1, "one word is enough for all");
}

/// Where the server is slower than `cache_ttl`, later requests ask for themselves; earlier ones still wait for the
/// other worker's call, and hear of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_another_worker_hears_of_it_though_others_have_asked_again() {
    const CACHE_TTL: Duration = Duration::from_millis(300);
    let mut plugin = plugin().await;
    plugin["policies"] = json!({"default": {"cache_ttl": format!("{}ms", CACHE_TTL.as_millis())}});
    plugin["providers"]["main"]["introspection"]["timeout"] = json!("10s");
    let gateway = Gateway::with(plugin, |envoy| envoy.workers(2)).await;
    let (first, second) = (Gate::closed(), Gate::closed());
    let request = Request::get("/").bearer("new-to-all");
    let mut workers = gateway.envoy.connect_to_every_worker(2).await;
    gateway.server.answer_all(Answer::active(json!({})).behind(&first));
    workers[0][0].write(&request.head()).await.expect("a request sent");
    gateway.server.called(1).await;
    gateway.server.answer_all(Answer::active(json!({})).behind(&second));
    workers[1][0].write(&request.head()).await.expect("a request sent");
    gateway.envoy.active_requests(2).await;
    tokio::time::sleep(CACHE_TTL).await;
    workers[1][1].write(&request.head()).await.expect("a request sent");
    gateway.server.called(2).await;

    first.open();
    let start = Instant::now();
    for connections in &mut workers {
        let reply = connections[0].reply().await.expect("an answer");
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    assert!(start.elapsed() <= MARGIN + SLACK, "answered {:?} after the server's reply", start.elapsed());
    second.open();
    assert_eq!(workers[1][1].reply().await.expect("an answer").status, 200);
    assert_eq!(gateway.server.call_count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_tokens_in_blocks_of_twenty_make_a_thousand_calls() {
    a_thousand_calls_for_a_thousand_tokens(Duration::from_millis(10)).await;
}

/// Then some requests come just when the verdict does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_tokens_make_a_thousand_calls_even_if_the_server_answers_at_once() {
    a_thousand_calls_for_a_thousand_tokens(Duration::ZERO).await;
}

async fn a_thousand_calls_for_a_thousand_tokens(server_takes: Duration) {
    const TOKENS: usize = 1_000;
    const BLOCK: usize = 20;
    const GROUPS: usize = 5;
    let gateway = start(2, json!({})).await;
    gateway.server.answer_all(Answer::active(json!({})).after(server_takes));
    let mut of_workers = gateway.envoy.connect_to_every_worker(GROUPS * BLOCK / 2).await;
    let mut groups = JoinSet::new();
    for group in 0..GROUPS {
        // Half of each block to either worker.
        let halves =
            of_workers.iter_mut().map(|connections| connections.split_off(connections.len() - BLOCK / 2));
        let mut connections: Vec<_> = halves.flatten().collect();
        groups.spawn(async move {
            for number in (group..TOKENS).step_by(GROUPS) {
                let request = Request::get("/").bearer(&format!("token-{number}"));
                for connection in &mut connections {
                    connection.write(&request.head()).await.expect("a request sent");
                }
                for connection in &mut connections {
                    let reply = connection.reply().await.expect("an answer");
                    assert_eq!(reply.status, 200, "token {number}: {reply:?}");
                }
                // Another one is first the next time.
                connections.rotate_left(7);
            }
        });
    }
    // Some five seconds, if nobody waits for anything but the server.
    within_limit("answers to all requests", groups.join_all()).await;
    assert_eq!(gateway.server.call_count(), TOKENS);
    let counter = async |name| gateway.envoy.counter(name).await as usize;
    assert_eq!(counter("cache.miss").await, TOKENS);
    assert_eq!(counter("cache.coalesced").await + counter("cache.hit").await, TOKENS * (BLOCK - 1));
    assert_eq!(counter("requests.forwarded").await, TOKENS * BLOCK);
}

async fn one_call_for_all(workers: u32, answer: Answer, status: u16) {
    let gateway = start(workers, json!({})).await;
    let gate = Gate::closed();
    gateway.server.answer_all(answer.behind(&gate));
    let waiting = ask(&gateway, workers).await;
    gateway.server.called(1).await;
    let called = Instant::now();
    gateway.envoy.active_requests(CLIENTS).await;
    tokio::time::sleep(SERVER_TAKES.saturating_sub(called.elapsed())).await;
    let replied = Instant::now();
    gate.open();
    let answered = all_answered(waiting).await;

    let slowest = answered.iter().map(|answered| answered.at - replied).max().expect("answers");
    println!("{workers} workers, status {status}: the last answer {slowest:?} after the server's");
    for Answered { reply, .. } in &answered {
        assert_eq!(reply.status, status, "{reply:?}");
    }
    assert!(slowest <= MARGIN + SLACK, "the last was answered {slowest:?} after the server's reply");
    assert_eq!(gateway.server.call_count(), 1);
    assert_eq!(gateway.envoy.counter("cache.miss").await, 1);
    assert_eq!(gateway.envoy.counter("cache.coalesced").await, CLIENTS as u64 - 1, "they all waited");
    assert_eq!(gateway.envoy.counter("jwt.minted").await, u64::from(status == 200), "and share one JWT");
}

/// Every worker gets some of the requests, all with the same token.
async fn ask(gateway: &Gateway, workers: u32) -> Vec<Connection> {
    allow_open_files(10_000);
    let mut connections = Vec::new();
    for _ in 0..CLIENTS {
        connections.push(Connection::open(gateway.envoy.address()).await.expect("a connection to Envoy"));
    }
    let request = Request::get("/").bearer("new-to-all").head();
    for connection in &mut connections {
        connection.write(&request).await.expect("a request sent");
    }
    let by_worker = eventually("all connections at the workers", || async {
        let by_worker = gateway.envoy.connections_by_worker().await;
        (by_worker.iter().sum::<u64>() == CLIENTS as u64).then_some(by_worker)
    })
    .await;
    assert_eq!(by_worker.len(), workers as usize);
    assert!(by_worker.iter().all(|connections| *connections >= 10), "too uneven a spread: {by_worker:?}");
    connections
}

struct Answered {
    reply: Reply,
    at: Instant,
}

async fn all_answered(waiting: Vec<Connection>) -> Vec<Answered> {
    let mut clients = JoinSet::new();
    for mut connection in waiting {
        clients.spawn(async move {
            let reply = connection.reply().await.expect("an answer");
            Answered { reply, at: Instant::now() }
        });
    }
    clients.join_all().await
}

async fn start(workers: u32, introspection: serde_json::Value) -> Gateway {
    let mut plugin = plugin().await;
    for (key, value) in introspection.as_object().expect("settings") {
        plugin["providers"]["main"]["introspection"][key] = value.clone();
    }
    // No verdict has to make room for another.
    plugin["cache"] = json!({"max_entries": 100_000});
    Gateway::with(plugin, |envoy| envoy.workers(workers)).await
}
