//! A provider that is configured by its issuer: what is found in its metadata, and what waits for them. Event by event, with a clock that stands still.

mod changes;
mod keys;

use std::time::Duration;

use phantom_token_filter::filter::StreamId;
use phantom_token_filter::http::HttpCall;
use phantom_token_filter::metrics::Counter;
use serde_json::{Value, json};

use crate::support::{Fate, Request, START, Worker, active, inactive, log, merge};

const ISSUER: &str = "https://as.example/tenant";
const OAUTH: &str = "/.well-known/oauth-authorization-server/tenant";
const OPENID: &str = "/tenant/.well-known/openid-configuration";

/// A configuration that names an issuer, and no endpoint; `patch` is merged into the provider.
fn config(patch: Value) -> Value {
    named("main", patch)
}

/// The same of a provider that the log can be asked about.
fn named(provider: &str, patch: Value) -> Value {
    log::keep();
    let mut main = json!({
        "issuer": ISSUER, "discovery": {"cluster": "as"},
        "introspection": {"retries": 0, "auth": {"client_secret": {
            "client_id": "gateway", "client_secret": {"inline": "hush-hush"},
        }}},
    });
    merge(&mut main, patch);
    json!({
        "providers": {provider: main},
        "policies": {"default": {"strategy": "introspection", "cache_ttl": "100s"}},
        "cache": {"jitter": 0},
    })
}

fn document(patch: Value) -> Value {
    let mut document = json!({
        "issuer": ISSUER, "introspection_endpoint": "https://as.example/introspect",
        "jwks_uri": "https://as.example/jwks",
    });
    merge(&mut document, patch);
    document
}

fn worker(patch: Value) -> Worker {
    Worker::new(config(patch))
}

/// A worker that has found this.
fn knowing(document: &Value) -> Worker {
    let mut worker = worker(json!({}));
    worker.start().answer(document);
    worker
}

fn header<'c>(call: &'c HttpCall, name: &str) -> &'c str {
    call.headers.iter().find(|(it, _)| it == name).map_or("", |(_, value)| value)
}

fn is_forwarded(worker: &Worker, stream: StreamId) -> bool {
    matches!(worker.fate(stream), Fate::Forwarded(_))
}

/// So long that metadata are fetched again.
fn a_refresh(worker: &mut Worker) -> &mut Worker {
    worker.pass(Duration::from_secs(600)).give_tick()
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[test]
fn a_request_that_comes_before_the_metadata_waits_for_them() {
    let mut worker = worker(json!({}));
    let early = worker.receive(&Request::bearer("tok"));
    worker.give_turns();
    assert!(worker.is_waiting(early));
    assert_eq!(worker.called(), [OAUTH]);
    let (_, call) = &worker.calls[0];
    assert_eq!(
        (&*call.cluster, header(call, ":authority"), header(call, ":scheme")),
        ("as", "as.example", "https")
    );
    assert_eq!(header(call, ":method"), "GET");
    worker.answer(&document(json!({})));
    assert!(worker.is_waiting(early));
    assert_eq!(worker.called(), ["/introspect"]);
    let (_, call) = &worker.calls[0];
    assert_eq!(
        (&*call.cluster, header(call, ":authority"), header(call, ":scheme")),
        ("as", "as.example", "https")
    );
    assert!(header(call, "authorization").starts_with("Basic "));
    worker.answer(&active());
    assert!(is_forwarded(&worker, early));
}

#[test]
fn the_first_document_is_looked_for_before_anybody_asks() {
    let mut worker = worker(json!({}));
    worker.start();
    assert_eq!(worker.called(), [OAUTH]);
    worker.answer(&document(json!({})));
    let stream = worker.receive(&Request::bearer("tok"));
    worker.give_turns();
    assert_eq!(worker.called(), ["/introspect"]);
    worker.answer(&inactive());
    assert_eq!(worker.fate(stream).reason(), "token_inactive");
}

#[test]
fn where_there_is_no_first_document_the_second_counts() {
    for (status, body) in [
        (404, &b"not found"[..]),
        (200, b"<!doctype html><title>Log in</title>"),
        (301, b""),
        (200, br#"{"issuer": "https://as.example/tenant", "jwks_uri": "https://as.example/jwks"}"#),
    ] {
        let mut worker = worker(json!({}));
        let early = worker.receive(&Request::bearer("tok"));
        worker.answer_with(status, "text/html", body);
        assert_eq!(worker.called(), [OPENID], "{status}");
        assert!(worker.is_waiting(early));
        worker.answer(&document(json!({}))).answer(&active());
        assert!(is_forwarded(&worker, early));
        let counted = (worker.count(Counter::DiscoveryRefreshed), worker.count(Counter::DiscoveryError));
        assert_eq!(counted, (1, 0));
    }
    for (kind, path) in [("oauth", OAUTH), ("openid", OPENID)] {
        let mut worker = worker(json!({"discovery": {"document": kind}}));
        let early = worker.receive(&Request::bearer("tok"));
        worker.give_turns();
        assert_eq!(worker.called(), [path]);
        worker.answer_with(404, "text/plain", b"");
        assert_eq!(worker.fate(early).reason(), "discovery_unavailable");
        assert!(worker.calls.is_empty());
    }
}

#[test]
fn metadata_that_are_refused_let_nobody_pass_and_the_log_says_why() {
    let other_issuer = document(json!({"issuer": "https://evil.example"})).to_string();
    let other_host = document(json!({"introspection_endpoint": "https://evil.example/"})).to_string();
    let plain = document(json!({"introspection_endpoint": "http://as.example/"})).to_string();
    let long = vec![b' '; 5 << 20];
    for (status, body, said) in [
        (200, other_issuer.as_bytes(), "got \"https://evil.example\""),
        (200, other_host.as_bytes(), "introspection_endpoint is on the host \"evil.example\""),
        (200, plain.as_bytes(), "`discovery.scheme: http` says so"),
        (200, &long[..], "longer than 1048576 bytes"),
        (503, b"", "expected status 200, got 503"),
    ] {
        let provider = format!("refused by {status}: {said}");
        let mut worker = Worker::new(named(&provider, json!({})));
        let early = worker.receive(&Request::bearer("tok"));
        worker.answer_with(status, "application/json", body);
        let lines = log::about(&provider);
        assert_eq!(
            (worker.fate(early).status(), worker.fate(early).reason()),
            (503, "discovery_unavailable")
        );
        assert!(
            lines.iter().any(|line| line.contains(said) && line.contains("discovery: ")),
            "{said}: {lines:?}"
        );
        assert!(
            worker.calls.is_empty(),
            "nobody is asked, not even for the other document: {:?}",
            worker.called()
        );
        // Within the second, nobody waits in vain.
        let next = worker.receive(&Request::bearer("tok"));
        assert_eq!(worker.fate(next).reason(), "discovery_unavailable");
        // And then the next request is the reason for another fetch.
        worker.pass(secs(1));
        let later = worker.receive(&Request::bearer("tok"));
        worker.give_turns();
        assert_eq!(worker.called(), [OAUTH]);
        worker.answer(&document(json!({}))).answer(&active());
        assert!(is_forwarded(&worker, later));
        let counted = (worker.count(Counter::DiscoveryRefreshed), worker.count(Counter::DiscoveryError));
        assert_eq!(counted, (1, 1));
    }
}

#[test]
fn a_server_without_introspection_endpoint_needs_it_written_and_the_log_says_so() {
    let hydra = json!({"issuer": ISSUER, "jwks_uri": "https://as.example/jwks"});
    Worker::new(named("without", json!({}))).start().answer(&hydra).answer(&hydra);
    let lines = log::about("without");
    assert!(
        lines.iter().any(|line| line.contains("no introspection_endpoint: write `introspection.path`")),
        "{lines:?}"
    );
    let written = json!({"introspection": {
        "cluster": "admin", "authority": "admin.internal", "path": "/admin/introspect", "auth": {"client_secret": null},
    }});
    let mut written = config(written);
    let auth = &mut written["providers"]["main"]["introspection"]["auth"];
    *auth = json!({"none": {}});
    let mut other = Worker::new(written);
    let stream = other.start().receive(&Request::bearer("tok"));
    other.give_turns();
    assert_eq!(other.called(), ["/admin/introspect"], "nothing has to be found");
    assert_eq!(header(&other.calls[0].1, ":authority"), "admin.internal");
    other.answer(&active());
    assert!(is_forwarded(&other, stream));
}

#[test]
fn a_way_to_authenticate_is_taken_from_the_metadata() {
    for (methods, is_basic) in [
        (json!({}), true),
        (json!({"introspection_endpoint_auth_methods_supported": ["client_secret_post", "bearer"]}), false),
        (json!({"introspection_endpoint_auth_methods_supported": ["client_secret_basic", "bearer"]}), true),
        (
            json!({"introspection_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"]}),
            true,
        ),
        (json!({"token_endpoint_auth_methods_supported": ["client_secret_post"]}), false),
        (
            json!({
                "token_endpoint_auth_methods_supported": ["client_secret_post"],
                "introspection_endpoint_auth_methods_supported": ["client_secret_basic"],
            }),
            true,
        ),
    ] {
        let mut worker = knowing(&document(methods.clone()));
        worker.receive(&Request::bearer("tok"));
        worker.give_turns();
        let (_, call) = &worker.calls[0];
        assert_eq!(!header(call, "authorization").is_empty(), is_basic, "{methods}");
        assert_eq!(String::from_utf8_lossy(&call.body).contains("client_secret=hush-hush"), !is_basic);
    }
    let mut worker = worker(json!({}));
    let early = worker.receive(&Request::bearer("tok"));
    let none = json!({"introspection_endpoint_auth_methods_supported": ["private_key_jwt"]});
    worker.answer(&document(none));
    assert_eq!(worker.fate(early).reason(), "discovery_unavailable");
}

#[test]
fn a_client_that_leaves_takes_nobody_elses_metadata_with_it() {
    let mut worker = worker(json!({}));
    let streams: Vec<_> =
        (0..3).map(|index| worker.receive(&Request::bearer(&format!("tok{index}")))).collect();
    worker.give_turns();
    worker.hang_up(streams[0]);
    worker.answer(&document(json!({})));
    assert_eq!(worker.calls.len(), 2);
    worker.answer(&active()).answer(&active());
    assert!(is_forwarded(&worker, streams[1]) && is_forwarded(&worker, streams[2]));
}

#[test]
fn a_clock_that_is_set_back_makes_nobody_wait_for_it() {
    let mut worker = worker(json!({}));
    worker.start().fail_call();
    worker.now = START.minus(secs(3600));
    let stream = worker.receive(&Request::bearer("tok"));
    worker.give_turns();
    assert_eq!(worker.called(), [OAUTH]);
    worker.answer(&document(json!({}))).answer(&active());
    assert!(is_forwarded(&worker, stream));
}
