//! Three Envoys and a real etcd: what is withdrawn at one is withdrawn at all, whatever becomes of the store.

mod members;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;

use crate::rig::{
    answer::Answer,
    client::{Connection, Request},
    etcd::Etcd,
    eventually,
    fleet::{Fleet, PREFIX, gauge, line_of, lines},
    hostile_store::{HostileStore, Said},
    within_limit,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_withdrawn_at_one_envoy_is_withdrawn_at_all() {
    let fleet = Fleet::start(3, json!({})).await;
    fleet.all_hear().await;
    for (token, order) in [
        ("by-token", json!({"token": "by-token"})),
        ("by-sub", json!({"sub": "alice"})),
        ("by-all", json!({"all": true})),
    ] {
        fleet.server.answer(token, Answer::active(json!({"sub": "alice"})));
        fleet.remember(token).await;
        fleet.end(token);
        let start = Instant::now();
        fleet.revoke(0, order).await;
        fleet.all_refuse(token).await;
        assert!(start.elapsed() < Duration::from_secs(1), "{token}: {:?}", start.elapsed());
    }
    for envoy in &fleet.envoys {
        assert_eq!(lines(envoy).len(), 1, "{:?}", lines(envoy));
    }
    let keys = fleet.etcd.keys(PREFIX).await;
    assert_eq!(keys.len(), 4, "three withdrawals and the store's identity: {keys:?}");
    for (key, value) in keys {
        let said = [key.as_bytes(), &value].concat();
        for secret in ["by-token", "alice"] {
            assert!(!said.windows(secret.len()).any(|part| part == secret.as_bytes()), "{key}");
        }
    }
    assert_eq!(fleet.envoys[0].counter("fleet.put").await, 3);
    assert_eq!(fleet.envoys[0].counter("fleet.applied").await, 0, "what is its own is done once");
    for envoy in &fleet.envoys[1..] {
        assert_eq!(envoy.counter("fleet.applied").await, 3);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_after_a_thousand_revocations_no_envoy_lets_any_of_them_pass() {
    const TOKENS: usize = 1000;
    let fleet = Fleet::start(3, json!({})).await;
    fleet.all_hear().await;
    // Of a length that leaves no bits to spare: tokens that differ in those alone are withdrawn together.
    let token = |number: usize| format!("token-{number:06}");
    let mut connections = Vec::new();
    for envoy in &fleet.envoys {
        let mut connection = Connection::open(envoy.address()).await.expect("a connection");
        for number in 0..TOKENS {
            let reply = connection.send(&Request::get("/").bearer(&token(number))).await.expect("an answer");
            assert_eq!(reply.status, 200);
        }
        connections.push(connection);
    }
    fleet.server.answer_all(Answer::inactive());
    // Hot traffic meanwhile, of tokens that stay good, and of such that do not.
    let (address, is_over) = (fleet.envoys[1].address(), Arc::new(AtomicBool::new(false)));
    let traffic = tokio::spawn({
        let is_over = is_over.clone();
        async move {
            let mut connection = Connection::open(address).await.expect("a connection");
            let mut served = 0;
            while !is_over.load(Ordering::Relaxed) {
                let request = Request::get("/").bearer(&format!("token-{:06}", served % TOKENS));
                connection.send(&request).await.expect("an answer");
                served += 1;
            }
            served
        }
    });
    let start = Instant::now();
    for number in 0..TOKENS {
        fleet.revoke(0, json!({"token": token(number)})).await;
    }
    let answered = Instant::now();
    tokio::time::sleep(Duration::from_secs(1)).await;
    for connection in &mut connections {
        for number in 0..TOKENS {
            let reply = connection.send(&Request::get("/").bearer(&token(number))).await.expect("an answer");
            assert_eq!(reply.status, 401, "{number}");
        }
    }
    is_over.store(true, Ordering::Relaxed);
    let served = traffic.await.expect("traffic");
    println!("{TOKENS} revocations in {:?}, {served} requests meanwhile", answered - start);
    assert_eq!(fleet.envoys[0].counter("fleet.put").await, TOKENS as u64);
}

/// How long it takes from the answer to the one who revokes to the first refusal at another Envoy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_envoys_refuse_a_revoked_token_within_a_moment() {
    const TOKENS: usize = 200;
    let fleet = Fleet::start(2, json!({})).await;
    fleet.all_hear().await;
    let mut there = Connection::open(fleet.envoys[1].address()).await.expect("a connection");
    let mut took = Vec::new();
    for number in 0..TOKENS {
        let token = format!("token-{number:06}");
        let request = Request::get("/").bearer(&token);
        assert_eq!(there.send(&request).await.expect("an answer").status, 200);
        fleet.end(&token);
        fleet.revoke(0, json!({"token": token})).await;
        let start = Instant::now();
        within_limit("a refusal", async {
            while there.send(&request).await.expect("an answer").status != 401 {}
        })
        .await;
        took.push(start.elapsed());
    }
    took.sort();
    let (median, p99) = (took[TOKENS / 2], took[TOKENS * 99 / 100]);
    println!(
        "from the answer here to the refusal there: p50 {median:?}, p99 {p99:?}, max {:?}",
        took[TOKENS - 1]
    );
    assert!(p99 < Duration::from_secs(1), "p99 {p99:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_withdrawn_while_the_store_is_down_is_withdrawn_everywhere_when_it_is_back() {
    let mut fleet = Fleet::start(3, json!({"on_silence": "serve", "max_silence": "60s"})).await;
    fleet.all_hear().await;
    fleet.remember("token").await;
    fleet.end("token");
    fleet.etcd.kill();
    fleet.none_hears().await;
    fleet.revoke(0, json!({"token": "token"})).await;
    assert_eq!(fleet.get(0, "token").await, 401, "it holds where it was answered");
    assert_eq!(fleet.get(1, "token").await, 200, "the others have not heard");
    eventually("one that waits", || async {
        (gauge(&fleet.envoys[0], "waiting").await == Some(1)).then_some(())
    })
    .await;
    fleet.etcd.start_again().await;
    fleet.all_refuse("token").await;
    fleet.all_hear().await;
    for envoy in &fleet.envoys {
        line_of(envoy, "is heard again").await;
        let lines = lines(envoy);
        assert_eq!(lines.len(), 3, "heard, lost, heard again: {lines:?}");
        assert!(lines[1].contains("is not heard: gRPC status"), "{lines:?}");
    }
    eventually("none that waits", || async {
        (gauge(&fleet.envoys[0], "waiting").await == Some(0)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_can_wait_for_the_store_is_put_as_all_of_the_provider_when_it_is_back() {
    let mut fleet = Fleet::start(0, json!({"on_silence": "serve", "max_silence": "5m"})).await;
    // Without dates, what many slots come to stand for is one key.
    fleet.plugin["revocation"]["jwts"] = json!("ignore");
    fleet.add().await;
    fleet.add().await;
    fleet.all_hear().await;
    fleet.remember("token").await;
    fleet.end("token");
    fleet.etcd.kill();
    fleet.none_hears().await;
    // As many as there is room for, did they fall evenly: in about half of the slots it is too little.
    for number in 0..8192 {
        fleet.revoke(0, json!({"sub": format!("user-{number}")})).await;
    }
    assert_eq!(fleet.get(1, "token").await, 200, "the others have not heard");
    fleet.etcd.start_again().await;
    fleet.all_refuse("token").await;
    eventually("none that waits", || async {
        (gauge(&fleet.envoys[0], "waiting").await == Some(0)).then_some(())
    })
    .await;
    let lines = lines(&fleet.envoys[0]);
    assert_eq!(lines.len(), 3, "heard, lost, heard again: {lines:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_store_hangs_servers_are_asked_again() {
    let fleet = Fleet::start(2, json!({"on_silence": "ask", "max_silence": "2s"})).await;
    fleet.all_hear().await;
    fleet.remember("token").await;
    fleet.end("token");
    fleet.etcd.process().stop();
    fleet.revoke(0, json!({"token": "token"})).await;
    assert_eq!(fleet.get(1, "token").await, 200, "nobody has heard of anything yet");
    let start = Instant::now();
    fleet.all_refuse("token").await;
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    for envoy in &fleet.envoys {
        line_of(envoy, "was silent for 2s: no verdict serves for longer").await;
        line_of(envoy, "is not heard").await;
    }
    let before = fleet.server.call_count();
    assert_eq!(fleet.get(1, "other").await, 200);
    assert_eq!(fleet.get(1, "other").await, 200);
    assert_eq!(fleet.server.call_count(), before + 1, "a verdict of a moment ago serves");
    fleet.etcd.process().go_on();
    fleet.all_hear().await;
    fleet.remember("another").await;
    let before = fleet.server.call_count();
    tokio::time::sleep(Duration::from_secs(4)).await;
    fleet.remember("another").await;
    assert_eq!(fleet.server.call_count(), before, "verdicts live as long as ever");
    for envoy in &fleet.envoys {
        let lines = lines(envoy);
        assert_eq!(lines.len(), 4, "heard, lost, silent, heard again: {lines:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_it_is_configured_so_requests_are_refused_while_the_store_is_silent() {
    let mut fleet = Fleet::start(1, json!({"on_silence": "refuse", "max_silence": "2s"})).await;
    fleet.all_hear().await;
    fleet.remember("token").await;
    fleet.etcd.kill();
    eventually("a refusal", || async { (fleet.get(0, "token").await == 503).then_some(()) }).await;
    fleet.envoys[0].access_log_line("fleet_silent").await;
    for _ in 0..20 {
        assert_eq!(fleet.get(0, "token").await, 503);
    }
    fleet.etcd.start_again().await;
    eventually("an answer", || async { (fleet.get(0, "token").await == 200).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_was_emptied_or_has_forgotten_is_taken_as_it_is() {
    let mut fleet = Fleet::start(2, json!({"on_silence": "serve"})).await;
    fleet.all_hear().await;
    for (round, token) in ["compacted", "emptied", "at-last"].into_iter().enumerate() {
        fleet.remember(token).await;
        fleet.end(token);
        fleet.revoke(round % 2, json!({"token": token})).await;
        fleet.all_refuse(token).await;
        match token {
            "compacted" => {
                fleet.etcd.compact().await;
                fleet.etcd.kill();
                fleet.etcd.start_again().await;
            }
            "emptied" => {
                fleet.etcd.kill();
                fleet.etcd.start_empty().await;
            }
            _ => return,
        }
        for envoy in &fleet.envoys {
            let text = if token == "emptied" { "another than before" } else { "is heard again" };
            line_of(envoy, text).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_said_once_and_the_right_one_works() {
    let etcd = Etcd::start().await;
    etcd.enable_users("right", PREFIX).await;
    let user = |password: &str| json!({"user": {"name": "gateway", "password": {"inline": password}}});
    let mut fleet = Fleet::with(etcd, 2, user("right")).await;
    fleet.all_hear().await;
    fleet.remember("token").await;
    fleet.end("token");
    fleet.revoke(0, json!({"token": "token"})).await;
    fleet.all_refuse("token").await;
    fleet.plugin["revocation"]["fleet"]["user"]["password"] = json!({"inline": "guessed-wrong"});
    fleet.add().await;
    line_of(&fleet.envoys[2], "it refuses us, gRPC status 3 (INVALID_ARGUMENT)").await;
    line_of(&fleet.envoys[2], "was silent for 5s").await;
    let lines = lines(&fleet.envoys[2]);
    assert_eq!(lines.len(), 2, "refused, silent: {lines:?}");
    assert!(!fleet.envoys[2].log().contains("guessed-wrong"));
    assert_eq!(fleet.get(2, "other").await, 200, "requests are asked about");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_envoy_and_a_new_configuration_begin_with_what_the_store_has() {
    let mut fleet = Fleet::start(1, json!({})).await;
    fleet.all_hear().await;
    for token in ["one", "two", "three"] {
        fleet.revoke(0, json!({"token": token})).await;
    }
    eventually("three that were put", || async {
        (fleet.envoys[0].counter("fleet.put").await == 3).then_some(())
    })
    .await;
    let envoy = fleet.bootstrap().reloadable().start().await;
    fleet.envoys.push(envoy);
    fleet.all_hear().await;
    assert_eq!(fleet.envoys[1].counter("fleet.applied").await, 3);
    line_of(&fleet.envoys[1], "is heard, with 3 withdrawals").await;
    // Another configuration takes over, and does nothing twice.
    fleet.remember("token").await;
    let mut plugin = fleet.plugin.clone();
    plugin["cache"]["jitter"] = json!(0.2);
    fleet.envoys[1].reload(&plugin).await;
    fleet.end("token");
    fleet.revoke(0, json!({"token": "token"})).await;
    fleet.all_refuse("token").await;
    assert_eq!(fleet.envoys[1].counter("fleet.applied").await, 4);
    assert_eq!(lines(&fleet.envoys[1]).len(), 1, "{:?}", lines(&fleet.envoys[1]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_withdrawal_under_the_prefix_withdraws_everything_and_no_more_than_once_a_second() {
    let fleet = Fleet::start(1, json!({})).await;
    fleet.all_hear().await;
    fleet.remember("token").await;
    fleet.end("token");
    for number in 0..100 {
        fleet.etcd.put(&format!("{PREFIX}/1/w/{number}"), b"junk").await;
    }
    fleet.all_refuse("token").await;
    let refused = fleet.envoys[0].counter("fleet.error").await;
    assert!((1..=5).contains(&refused), "{refused}");
    line_of(&fleet.envoys[0], "are no withdrawals of this version").await;
    assert_eq!(lines(&fleet.envoys[0]).len(), 2);
}

/// Whatever it says, requests are served, and no VM dies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_store_does_no_harm() {
    for said in Said::ALL {
        let store = HostileStore::start(said).await;
        let mut fleet = Fleet::start(0, json!({"on_silence": "serve"})).await;
        let envoy = fleet.bootstrap_with(store.address()).start().await;
        fleet.envoys.push(envoy);
        store.called(2).await;
        line_of(&fleet.envoys[0], "is not heard").await;
        let before = fleet.envoys[0].process().resident_memory();
        for _ in 0..300 {
            assert_eq!(fleet.get(0, "token").await, 200, "{said:?}");
        }
        store.called(4).await;
        let after = fleet.envoys[0].process().resident_memory();
        assert!(after < before + (48 << 20), "{said:?}: {before} bytes before, {after} after");
    }
}

/// Two Envoys, one of them in a fleet: reports what that costs it when nothing happens, and for each request that the cache
/// answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: cargo test --test e2e what_a_fleet_costs -- --ignored --nocapture"]
async fn what_a_fleet_costs() {
    const ROUNDS: usize = 60;
    const REQUESTS: u32 = 500;
    let mut fleet = Fleet::start(1, json!({})).await;
    fleet.all_hear().await;
    fleet.plugin["revocation"].as_object_mut().expect("an object").remove("fleet");
    fleet.add().await;
    fleet.remember("token").await;
    let cpu = |envoy: usize| fleet.envoys[envoy].process().cpu_time();
    let before = [cpu(0), cpu(1)];
    let span = Duration::from_secs(30);
    tokio::time::sleep(span).await;
    let idle = [0, 1].map(|envoy| (cpu(envoy) - before[envoy]).as_secs_f64() / span.as_secs_f64() * 100.0);
    let mut connections = Vec::new();
    for envoy in &fleet.envoys {
        connections.push(Connection::open(envoy.address()).await.expect("a connection"));
    }
    let mut ratios = Vec::new();
    for round in 0..ROUNDS {
        let mut costs = [Duration::ZERO; 2];
        for envoy in [round % 2, 1 - round % 2] {
            let before = cpu(envoy);
            for _ in 0..REQUESTS {
                let request = Request::get("/").bearer("token");
                assert_eq!(connections[envoy].send(&request).await.expect("an answer").status, 200);
            }
            costs[envoy] = (cpu(envoy) - before) / REQUESTS;
        }
        ratios.push(costs[0].as_secs_f64() / costs[1].as_secs_f64());
    }
    ratios.sort_by(f64::total_cmp);
    let [quarter, median, three_quarters] = [1, 2, 3].map(|part| ratios[ROUNDS * part / 4]);
    println!("idle: {:.2} % of a core with a fleet, {:.2} % without", idle[0], idle[1]);
    println!("CPU of a hit, with by without: {median:.3} ({quarter:.3} to {three_quarters:.3})");
}
