//! Floods in real Envoy: made-up revocations empty no cache, and made-up tokens keep nobody from what is in use.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tokio::task::JoinHandle;

use crate::rig::{
    answer::Answer,
    client::{Connection, Request},
    gateway::{Gateway, plugin},
};

const FORM: &str = "application/x-www-form-urlencoded";

/// A provider that says yes to everything: every token of honest clients is active, every revocation is answered 200.
fn says_yes(gateway: &Gateway) {
    gateway.server.keep_no_calls();
    gateway.server.answer_calls(|call| match call.parameter("token") {
        _ if call.path == "/token/revocation" => Answer::body(""),
        Some(token) if token.starts_with("honest-") => Answer::active(json!({})),
        // Slower than the flood: a server that has something to do.
        _ => Answer::inactive().after(Duration::from_millis(100)),
    });
}

/// Requests as fast as they go on so many connections, until `is_over`; counts them.
fn flood(
    gateway: &Gateway,
    connections: usize,
    is_over: &Arc<AtomicBool>,
    request: fn(usize) -> Request,
) -> (Vec<JoinHandle<()>>, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let address = gateway.envoy.address();
    let tasks = (0..connections).map(|_| {
        let (is_over, sent) = (is_over.clone(), sent.clone());
        tokio::spawn(async move {
            let mut connection = Connection::open(address).await.unwrap();
            while !is_over.load(Ordering::SeqCst) {
                let number = sent.fetch_add(1, Ordering::SeqCst);
                if connection.send(&request(number)).await.is_err() {
                    connection = Connection::open(address).await.unwrap();
                }
            }
        })
    });
    (tasks.collect(), sent)
}

/// What twenty honest tokens get within `span`, one request after the other: how often 200, how often something else.
async fn honest_requests(gateway: &Gateway, span: Duration) -> (usize, usize) {
    let mut connection = Connection::open(gateway.envoy.address()).await.unwrap();
    let (mut served, mut refused) = (0, 0);
    let begin = std::time::Instant::now();
    for number in (0..20).cycle() {
        if begin.elapsed() >= span {
            break;
        }
        let request = Request::get("/").bearer(&format!("honest-{number}"));
        match connection.send(&request).await.unwrap().status {
            200 => served += 1,
            _ => refused += 1,
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    (served, refused)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_empties_the_cache_by_revocations_without_credentials() {
    let mut plugin = plugin().await;
    plugin["policies"] = json!({"default": {"cache_ttl": "10m"}});
    plugin["revocation"] = json!({"endpoint": {"path": "/token/revocation"}});
    let to_server = json!({
        "match": {"path": "/token/revocation",
            "headers": [{"name": ":authority", "string_match": {"exact": "as.example"}}]},
        "route": {"cluster": "authorization_server"},
    });
    let gateway = Gateway::with(plugin, |envoy| envoy.workers(2).sees_answers().route(to_server)).await;
    says_yes(&gateway);
    // On another host it is a request like any other, and its service's 200 says nothing of tokens.
    let elsewhere = Request::post("/token/revocation", "token=x").header("content-type", FORM);
    let reply = gateway.send(elsewhere).await;
    assert_eq!((reply.status, gateway.upstream.requests()), (401, 0), "{reply:?}");
    assert_eq!(honest_requests(&gateway, Duration::from_millis(500)).await.1, 0);

    let is_over = Arc::new(AtomicBool::new(false));
    let (tasks, sent) = flood(&gateway, 8, &is_over, |number| {
        let body = match number % 3 {
            0 => format!("token=made-up-{number}"),
            1 => format!("token=made-up-{number}&client_id=app"),
            _ => format!("token=made-up-{number}&client_id=made-up-{number}"),
        };
        let request = Request::new_at("POST", "as.example", "/token/revocation").body(body);
        request.header("content-type", FORM)
    });
    let introspected = || gateway.envoy.counter("introspection.active");
    let before = introspected().await;
    let (served, refused) = honest_requests(&gateway, Duration::from_secs(4)).await;
    is_over.store(true, Ordering::SeqCst);
    for task in tasks {
        task.await.unwrap();
    }
    let (sent, asked) = (sent.load(Ordering::SeqCst), introspected().await - before);
    println!("{sent} revocations, {served} served, {refused} refused, {asked} introspections");
    assert!(sent > 500 && served > 200, "{sent} {served}");
    assert_eq!(refused, 0, "of {served}");
    // All tokens are those of the client that is named: once at the begin, and once ten seconds later at most.
    assert!(asked <= 40, "{asked} introspections for {served} requests and {sent} revocations");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn made_up_tokens_cost_those_in_use_nothing() {
    let mut plugin = plugin().await;
    plugin["policies"] = json!({"default": {"cache_ttl": "1s"}});
    plugin["providers"]["main"]["introspection"]["max_concurrent_calls"] = json!(20);
    let gateway = Gateway::with(plugin, |envoy| envoy.workers(1)).await;
    says_yes(&gateway);
    assert_eq!(honest_requests(&gateway, Duration::from_millis(500)).await.1, 0);
    let is_over = Arc::new(AtomicBool::new(false));
    let (tasks, sent) =
        flood(&gateway, 150, &is_over, |number| Request::get("/").bearer(&format!("made-up-{number}")));
    let (served, refused) = honest_requests(&gateway, Duration::from_secs(5)).await;
    is_over.store(true, Ordering::SeqCst);
    for task in tasks {
        task.await.unwrap();
    }
    let sent = sent.load(Ordering::SeqCst);
    println!("{sent} made-up tokens, {served} served, {refused} refused");
    assert!(sent > 300 && served > 20, "{sent} {served}");
    assert_eq!(refused, 0, "of {served}, beside {sent} made-up tokens");
}
