//! What clients are told: the table of answers, as JSON over HTTP and as status over gRPC.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::rig::{
    answer::Answer,
    client::{Reply, Request},
    gateway::{Gateway, plugin},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_token_gets_a_challenge_without_error_code() {
    let gateway = Gateway::start().await;
    for request in [Request::get("/a"), Request::get("/a").header("authorization", "Basic YTpi")] {
        let reply = gateway.send(request).await;
        assert_eq!(reply.status, 401);
        assert_eq!(reply.header("www-authenticate"), Some("Bearer realm=\"api\""));
        is_json_error(&reply, "unauthorized");
    }
    assert_eq!(gateway.envoy.access_log_line("/a").await, "/a 401 missing_token");
    assert_eq!(gateway.server.call_count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_tokens_are_refused_unasked() {
    let gateway = Gateway::start().await;
    for value in [
        &b"Bearer"[..],
        b"Bearer ",
        b"Bearer a b",
        b"Bearer a\tb",
        b"Bearer\ta",
        b"\tBearer\ta",
        b"Bearer \ta",
        b"Bearer caf\xe9",
    ] {
        let reply = gateway.send(Request::get("/a").header("authorization", value)).await;
        let challenge = reply.header("www-authenticate").expect("a challenge");
        assert!(challenge.starts_with("Bearer realm=\"api\", error=\"invalid_token\""), "{challenge}");
        assert_eq!(reply.status, 401);
        is_json_error(&reply, "invalid_token");
    }
    assert_eq!(gateway.envoy.access_log_line("/a").await, "/a 401 malformed_token");
    assert_eq!(gateway.server.call_count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_tokens_are_refused_unasked() {
    let gateway = Gateway::start().await;
    gateway.server.answer_all(Answer::active(json!({})));
    for second in ["Bearer one", "Bearer two", "bearer two", "Basic YTpi", "Basic YTpi,\tBearer\ttwo"] {
        let request = Request::get("/").bearer("one").header("authorization", second);
        refused_as_invalid_request(&gateway.send(request).await);
    }
    assert_eq!((gateway.server.call_count(), gateway.upstream.requests()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_are_not_valid_for_us_are_refused_as_invalid() {
    let gateway = Gateway::start().await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs();
    gateway.server.answer("token-of-yesterday", Answer::active(json!({"exp": now - 1})));
    gateway.server.answer("token-of-tomorrow", Answer::active(json!({"nbf": now + 3600})));
    for access_token in ["token-of-nobody", "token-of-yesterday", "token-of-tomorrow", &"x".repeat(9000)] {
        let reply = gateway.get(access_token).await;
        assert_eq!(reply.status, 401, "{access_token}");
        let challenge = reply.header("www-authenticate").expect("a challenge");
        assert!(challenge.starts_with("Bearer realm=\"api\", error=\"invalid_token\""), "{challenge}");
        is_json_error(&reply, "invalid_token");
        assert!(!String::from_utf8_lossy(&reply.body).contains(access_token), "the token is in the body");
    }
    assert_eq!(gateway.upstream.requests(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_scopes_that_are_needed_are_named() {
    let mut plugin = plugin().await;
    plugin["policies"] =
        json!({"default": {"require": {"scopes": ["read", "delete"], "client_ids": ["app"]}}});
    let gateway = Gateway::with(plugin, |envoy| envoy).await;
    gateway.server.answer("reader", Answer::active(json!({"scope": "read"})));
    gateway.server.answer("owner", Answer::active(json!({"scope": "delete read"})));
    let reply = gateway.get("reader").await;
    assert_eq!(reply.status, 403);
    let challenge = reply.header("www-authenticate").expect("a challenge");
    assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
    is_json_error(&reply, "insufficient_scope");
    gateway.server.answer("of-another", Answer::active(json!({"scope": "delete read", "client_id": "web"})));
    for (request, status) in [
        (Request::get("/"), 401),
        (Request::get("/").bearer("bad"), 401),
        (Request::get("/").bearer("b ad"), 401),
        (Request::get("/").bearer("reader"), 403),
        (Request::get("/").bearer("of-another"), 403),
    ] {
        let reply = gateway.send(request).await;
        let challenge = reply.header("www-authenticate").expect("a challenge");
        assert!(reply.status == status && challenge.ends_with(", scope=\"read delete\""), "{reply:?}");
    }
    assert_eq!(gateway.get("owner").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scheme_is_compared_without_case() {
    let gateway = Gateway::start().await;
    gateway.server.answer("good", Answer::active(json!({})));
    for scheme in ["Bearer", "bEARER", "bearer", "BEARER"] {
        let request = Request::get("/").header("authorization", format!("{scheme} good"));
        assert_ne!(gateway.send(request).await.echoed_bearer(), "good");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_requests_get_a_grpc_status() {
    let mut plugin = plugin().await;
    plugin["policies"] = json!({"default": {"require": {"scopes": ["delete"], "client_ids": ["app"]}}});
    let gateway = Gateway::with(plugin, |envoy| envoy).await;
    gateway.server.answer("reader", Answer::active(json!({"scope": "read"})));
    gateway.server.answer("of-another", Answer::active(json!({"client_id": "web"})));
    gateway.server.answer("in-trouble", Answer::status(500));
    let call = |request: Request| gateway.send(request.header("content-type", "application/grpc"));
    let method = || Request::post("/package.Service/Method", "");
    for (request, status) in [
        (method(), "16"),
        (method().bearer("inactive"), "16"),
        (method().bearer("mal formed"), "16"),
        (method().bearer("one").bearer("two"), "3"),
        (method().bearer("of-another"), "7"),
        (method().bearer("reader"), "7"),
        (method().bearer("in-trouble"), "14"),
    ] {
        let reply = call(request).await;
        assert_eq!((reply.status, reply.header("grpc-status")), (200, Some(status)), "{reply:?}");
        let message = reply.header("grpc-message").expect("a message");
        assert!(!message.contains("%0A") && message.len() < 200, "{message}");
    }
    assert_eq!(gateway.upstream.requests(), 0);
}

fn refused_as_invalid_request(reply: &Reply) {
    assert_eq!(reply.status, 400, "{reply:?}");
    let challenge = reply.header("www-authenticate").expect("a challenge");
    assert!(challenge.starts_with("Bearer realm=\"api\", error=\"invalid_request\""), "{challenge}");
    is_json_error(reply, "invalid_request");
}

fn is_json_error(reply: &Reply, error: &str) {
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.json()["error"], error);
}
