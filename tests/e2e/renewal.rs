//! A verdict that is used is renewed before its time is over, while it goes on serving: on no worker does anybody
//! wait. One that nobody uses just ends.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::rig::{
    answer::{Answer, Gate},
    client::Request,
    eventually,
    gateway::{Gateway, plugin},
    traffic::Traffic,
};

/// With the default `refresh_ahead` and `jitter`, a renewal begins at least 0.12 of it before the verdict's end: 360 ms
/// for a server that takes 100, on a busy machine.
const CACHE_TTL: Duration = Duration::from_secs(3);

const SERVER_TAKES: Duration = Duration::from_millis(100);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_the_renewal_of_a_hot_token() {
    const PERIODS: u32 = 10;
    let gateway = start().await;
    gateway.server.answer_all(Answer::active(json!({})).after(SERVER_TAKES));
    let connections = gateway.envoy.connect_to_every_worker(4).await.into_iter().flatten().collect();
    assert_eq!(gateway.get("cold").await.status, 200);
    assert_eq!(gateway.get("hot").await.status, 200);

    let start = Instant::now();
    let traffic =
        Traffic::start(gateway.envoy.address(), connections, 200, |_| Request::get("/").bearer("hot"));
    tokio::time::sleep(CACHE_TTL * PERIODS).await;
    let answered = traffic.stop().await;
    let periods = start.elapsed().as_secs_f64() / CACHE_TTL.as_secs_f64();

    let calls_for = |token: &str| {
        gateway.server.calls().iter().filter(|call| call.parameter("token") == Some(token)).count()
    };
    let mut times: Vec<Duration> = answered.iter().map(|answered| answered.took).collect();
    times.sort();
    let p99 = times[times.len() * 99 / 100];
    println!(
        "{} requests in {periods:.1} cache_ttl: {} calls; p50 {:?}, p99 {p99:?}, slowest {:?}",
        answered.len(),
        calls_for("hot"),
        times[times.len() / 2],
        times.last().expect("answers"),
    );
    assert!(answered.iter().all(|answered| answered.status == 200));
    // Who waits for the server is counted as one or the other. Times alone would not tell it from a busy machine.
    let counter = async |name| gateway.envoy.counter(name).await;
    assert_eq!((counter("cache.miss").await, counter("cache.coalesced").await), (2, 0), "nobody waited");
    assert!(p99 < SERVER_TAKES, "the slowest of a hundred took {p99:?}");
    assert_eq!(counter("cache.refreshed").await as usize, calls_for("hot") - 1);
    assert!(calls_for("hot") as f64 <= 1.3 * periods.ceil(), "{} in {periods}", calls_for("hot"));
    assert!(calls_for("hot") as f64 >= periods.floor(), "{} in {periods}", calls_for("hot"));

    assert_eq!(calls_for("cold"), 1, "nobody used it");
    assert_eq!(gateway.get("cold").await.status, 200);
    assert_eq!(calls_for("cold"), 2, "so it ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renewal_that_says_inactive_takes_effect_at_once_on_every_worker() {
    let gateway = start().await;
    gateway.server.answer("hot", Answer::active(json!({})));
    let mut workers = gateway.envoy.connect_to_every_worker(1).await;
    let connections = gateway.envoy.connect_to_every_worker(4).await.into_iter().flatten().collect();
    let asked = Instant::now();
    assert_eq!(gateway.get("hot").await.status, 200);

    let gate = Gate::closed();
    gateway.server.answer("hot", Answer::inactive().behind(&gate));
    let traffic =
        Traffic::start(gateway.envoy.address(), connections, 200, |_| Request::get("/").bearer("hot"));
    gateway.server.called(2).await;
    let early = asked.elapsed();
    assert!(early < CACHE_TTL, "asked again after {early:?}");
    let under_renewal = traffic.answered() + 20;
    eventually("traffic", || async { (traffic.answered() >= under_renewal).then_some(()) }).await;
    let opened = Instant::now();
    gate.open();
    eventually("the verdict", || async {
        (gateway.envoy.counter("introspection.inactive").await > 0).then_some(())
    })
    .await;
    let verdict = Instant::now();
    for connection in workers.iter_mut().flatten() {
        let reply = connection.send(&Request::get("/").bearer("hot")).await.expect("an answer");
        assert_eq!(reply.status, 401, "{reply:?}");
    }
    let answered = traffic.stop().await;
    for answered in answered {
        if answered.ended() < opened {
            assert_eq!(answered.status, 200, "it served on while it was renewed");
        } else if answered.sent > verdict {
            assert_eq!(answered.status, 401);
        }
    }
    assert_eq!(gateway.server.call_count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renewal_that_fails_is_tried_again_and_nobody_notices() {
    let gateway = start().await;
    gateway.server.answer("hot", Answer::active(json!({})));
    let connections = gateway.envoy.connect_to_every_worker(4).await.into_iter().flatten().collect();
    assert_eq!(gateway.get("hot").await.status, 200);
    gateway.server.answer("hot", Answer::status(500));
    let traffic =
        Traffic::start(gateway.envoy.address(), connections, 200, |_| Request::get("/").bearer("hot"));
    gateway.server.called(2).await;
    gateway.server.answer("hot", Answer::active(json!({})));
    eventually("the renewal", || async {
        (gateway.envoy.counter("cache.refreshed").await > 0).then_some(())
    })
    .await;
    assert!(traffic.stop().await.iter().all(|answered| answered.status == 200));
    assert_eq!(gateway.envoy.counter("cache.miss").await, 1, "nobody waited");
}

async fn start() -> Gateway {
    let mut plugin = plugin().await;
    plugin["policies"] = json!({"default": {"cache_ttl": format!("{}s", CACHE_TTL.as_secs())}});
    Gateway::with(plugin, |envoy| envoy.workers(2)).await
}
