//! What operators see: counters that add up, access logs that give the reason; and the key set, for everyone to see.

use serde_json::json;

use crate::rig::{
    answer::Answer,
    client::Request,
    gateway::{Gateway, plugin},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_is_counted_once() {
    let mut plugin = plugin().await;
    plugin["policies"] =
        json!({"default": {"require": {"scopes": ["read"]}}, "public": {"strategy": "allow"}});
    plugin["rules"] = json!([{"match": {"path": "/public"}, "policy": "public"}]);
    plugin["providers"]["main"]["introspection"]["retries"] = json!(0);
    let gateway = Gateway::with(plugin, |envoy| envoy.workers(2)).await;
    gateway.server.answer("good", Answer::active(json!({})));
    gateway.server.answer("other-scope", Answer::active(json!({"scope": "write"})));
    gateway.server.answer("in-trouble", Answer::status(500));
    let requests = [
        (Request::get("/").bearer("good"), 3, 200),
        (Request::get("/public"), 2, 200),
        (Request::get("/"), 2, 401),
        (Request::get("/").bearer("not a token"), 1, 401),
        (Request::get("/").bearer("one").bearer("two"), 1, 400),
        (Request::get("/").bearer("inactive"), 4, 401),
        (Request::get("/").bearer("other-scope"), 2, 403),
        (Request::get("/").bearer("in-trouble"), 2, 503),
    ];
    let mut sent = 0;
    for (request, times, status) in requests {
        for _ in 0..times {
            assert_eq!(gateway.send(request.clone()).await.status, status);
            sent += 1;
        }
    }
    gateway.jwks().await; // our own answer, no request for a verdict

    for (name, expected) in [
        ("requests.forwarded", 5),
        ("requests.denied.missing_token", 2),
        ("requests.denied.invalid_request", 1),
        ("requests.denied.invalid_token", 5),
        ("requests.denied.insufficient_scope", 2),
        ("requests.unavailable", 2),
        ("cache.miss", 5),
        ("cache.hit", 3),
        ("cache.negative_hit", 3),
        ("cache.coalesced", 0),
        ("introspection.active", 2),
        ("introspection.inactive", 1),
        ("introspection.error", 2),
        ("jwt.minted", 1),
    ] {
        assert_eq!(gateway.envoy.counter(name).await, expected, "{name}");
    }
    let outcomes = gateway.envoy.stats("phantom_token.requests").await;
    assert_eq!(outcomes.values().sum::<u64>(), sent, "{outcomes:?}");
    assert_eq!(gateway.upstream.requests(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tries_without_answer_are_counted_as_such() {
    let mut plugin = plugin().await;
    plugin["providers"]["main"]["introspection"]["timeout"] = json!("100ms");
    plugin["providers"]["main"]["introspection"]["retries"] = json!(2);
    let gateway = Gateway::with(plugin, |envoy| envoy).await;
    gateway.server.answer_all(Answer::hang());
    assert_eq!(gateway.get("any").await.status, 503);
    assert_eq!(gateway.envoy.counter("introspection.timeout").await, 3);
    assert_eq!(gateway.envoy.counter("requests.unavailable").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn access_log_can_tell_who_asked_and_what_became_of_it() {
    let format = ["outcome", "policy", "client_id", "sub", "cache"]
        .map(|name| format!("%FILTER_STATE(wasm.phantom_token.{name}:PLAIN)%"));
    let mut plugin = plugin().await;
    plugin["access_log"] = json!({"hits": true});
    let gateway = Gateway::with(plugin, |envoy| {
        envoy.adjust(move |manager| {
            let log = &mut manager["access_log"][0]["typed_config"]["log_format"];
            log["text_format_source"]["inline_string"] = json!(format.join(" ") + "\n");
        })
    })
    .await;
    gateway.server.answer("good", Answer::active(json!({})));
    for (access_token, line) in [
        ("good", "forwarded default app alice miss"),
        ("good", "forwarded default app alice hit"),
        ("inactive", "token_inactive default - - miss"),
        ("inactive", "token_inactive default - - negative_hit"),
    ] {
        gateway.get(access_token).await;
        gateway.envoy.access_log_line(line).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn access_log_gives_the_reason() {
    let gateway = Gateway::start().await;
    gateway.server.answer("in-trouble", Answer::status(500));
    gateway.get("inactive").await;
    assert_eq!(gateway.envoy.access_log_line(" 401 ").await, "/ 401 token_inactive");
    gateway.get("in-trouble").await;
    assert_eq!(gateway.envoy.access_log_line(" 503 ").await, "/ 503 introspection_status");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key_set_is_answered_before_any_policy() {
    let gateway = Gateway::start().await;
    let reply = gateway.send(Request::get("/.well-known/jwks.json")).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("application/jwk-set+json"));
    assert!(reply.header("cache-control").is_some_and(|control| control.contains("max-age=")), "{reply:?}");
    assert_eq!(reply.json()["keys"][0]["kid"], "key-1");

    let head = gateway.send(Request::new("HEAD", "/.well-known/jwks.json?fresh")).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("cache-control"), reply.header("cache-control"));

    assert_eq!(gateway.send(Request::get("/.well-known/jwks.json/")).await.status, 401, "another path");
    assert_eq!((gateway.server.call_count(), gateway.upstream.requests()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key_set_can_be_turned_off() {
    let mut plugin = plugin().await;
    plugin["phantom_token"]["jwks_path"] = json!("");
    let gateway = Gateway::with(plugin, |envoy| envoy).await;
    assert_eq!(gateway.send(Request::get("/.well-known/jwks.json")).await.status, 401);
}
