//! A provider that is configured by its issuer: what is found in its metadata, what waits for them, and what becomes of
//! requests when they change. Event by event, with a clock that stands still.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::time::Duration;

use phantom_token_filter::filter::StreamId;
use phantom_token_filter::http::HttpCall;
use phantom_token_filter::jwt::Algorithm;
use serde_json::{Value, json};
use support::issuer::{jwk, sign};
use support::{Fate, Map, Request, START, Worker, active, inactive, log, merge};

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
fn a_verdict_of_another_endpoint_is_not_served_after_a_change() {
    let mut worker = knowing(&document(json!({})));
    worker.call(&Request::bearer("tok"), &active());
    let again = worker.receive(&Request::bearer("tok"));
    assert!(is_forwarded(&worker, again) && worker.calls.is_empty());
    // The last second before the verdict is too old.
    let moved = document(json!({"introspection_endpoint": "https://as.example/v2/introspect"}));
    let mut config = named("moved", json!({"discovery": {"refresh_interval": "20s"}}));
    config["cache"]["refresh_ahead"] = json!(0);
    let mut worker = Worker::new(config);
    worker.start().answer(&document(json!({})));
    worker.call(&Request::bearer("tok"), &active());
    worker.pass(secs(20)).give_tick();
    assert_eq!(worker.called(), [OAUTH]);
    let meanwhile = worker.receive(&Request::bearer("tok"));
    assert!(is_forwarded(&worker, meanwhile), "what is known serves on while it is fetched again");
    worker.answer(&moved);
    let lines = log::about("moved");
    assert!(
        lines.iter().any(|line| line.contains("/v2/introspect") && line.contains("before: ")),
        "{lines:?}"
    );
    let after = worker.receive(&Request::bearer("tok"));
    worker.give_turns();
    assert!(worker.is_waiting(after));
    assert_eq!(worker.called(), ["/v2/introspect"]);
    worker.answer(&inactive());
    assert_eq!(worker.fate(after).reason(), "token_inactive");
}

#[test]
fn a_call_that_is_under_way_while_the_endpoint_changes_counts_for_those_who_made_it_alone() {
    let mut worker = worker(json!({"discovery": {"refresh_interval": "20s"}}));
    worker.start().answer(&document(json!({})));
    let before = worker.receive(&Request::bearer("tok"));
    worker.give_turns();
    let (asked, _) = worker.calls.remove(0);
    worker.pass(secs(20)).give_tick();
    worker.answer(&document(json!({"introspection_endpoint": "https://as.example/v2/introspect"})));
    let after = worker.receive(&Request::bearer("tok"));
    worker.give_turns();
    assert_eq!(worker.called(), ["/v2/introspect"], "it joins no question to another endpoint");
    worker.reply(asked, 200, "application/json", active().to_string().as_bytes());
    worker.give_turns();
    assert!(is_forwarded(&worker, before) && worker.is_waiting(after));
    worker.answer(&inactive());
    assert_eq!(worker.fate(after).reason(), "token_inactive");
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
fn the_last_good_stays_whatever_comes_after_it() {
    let mut worker = knowing(&document(json!({})));
    let evil = document(json!({"introspection_endpoint": "https://evil.example/introspect"}));
    let html = b"<!doctype html>";
    for round in 0..6 {
        a_refresh(&mut worker);
        assert_eq!(worker.called(), [OAUTH], "{round}");
        match round {
            0 => worker.fail_call(),
            1 => worker.answer(&evil),
            2 => worker.answer_with(200, "text/html", html).answer_with(200, "text/html", html),
            3 => worker.answer_with(404, "text/plain", b"").answer_with(404, "text/plain", b""),
            4 => worker.answer_with(200, "application/json", &vec![b' '; 5 << 20]),
            _ => worker.answer(&document(json!({"issuer": "https://evil.example"}))),
        };
        let stream = worker.receive(&Request::bearer(&format!("tok{round}")));
        worker.give_turns();
        assert_eq!(worker.called(), ["/introspect"], "{round}");
        worker.answer(&json!({"active": true, "exp": START.as_secs() + 36_000}));
        assert!(is_forwarded(&worker, stream), "{round}");
    }
}

#[test]
fn metadata_are_fetched_again_at_times_that_workers_do_not_share() {
    let shared = Map::default();
    let mut times = Vec::new();
    for _ in 0..8 {
        let mut worker = Worker::sharing(config(json!({})), shared.clone());
        worker.start().answer(&document(json!({})));
        let mut passed = 0;
        while worker.calls.is_empty() {
            worker.pass(secs(1)).give_tick();
            passed += 1;
        }
        assert!((449..=600).contains(&passed), "{passed}");
        times.push(passed);
    }
    times.sort_unstable();
    times.dedup();
    assert!(times.len() > 5, "{times:?}");
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

/// What an issuer has whose only key is for this algorithm.
fn jwks(alg: Algorithm) -> Value {
    json!({"keys": [jwk(alg, json!({}))]})
}

/// A JWT access token by that key.
fn jwt(alg: Algorithm) -> String {
    let claims = json!({
        "iss": ISSUER, "sub": "alice", "aud": "https://api.example", "exp": START.as_secs() + 3600,
    });
    sign(alg, json!({"typ": "at+jwt"}), &claims)
}

const OLD: Algorithm = Algorithm::ES256;
const NEW: Algorithm = Algorithm::EdDSA;

/// Under these strategies JWTs are validated by keys that are to be found, too.
fn validating(strategy: &str) -> Value {
    let mut config = config(json!({"discovery": {"refresh_interval": "20s"}}));
    config["policies"]["default"] = json!({
        "strategy": strategy, "cache_ttl": "100s", "require": {"audiences": ["https://api.example"]},
        "forward": {"authorization": "original"},
    });
    config["cache"]["refresh_ahead"] = json!(0);
    config
}

#[test]
fn keys_are_found_and_then_fetched() {
    let mut worker = Worker::new(validating("jwt"));
    let early = worker.receive(&Request::bearer(&jwt(OLD)));
    worker.give_turns();
    assert_eq!(worker.called(), [OAUTH]);
    worker.answer(&document(json!({"introspection_endpoint": null})));
    assert_eq!(worker.called(), ["/jwks"], "nobody wants an introspection endpoint");
    assert!(worker.is_waiting(early));
    worker.answer(&jwks(OLD));
    assert!(is_forwarded(&worker, early));
}

#[test]
fn keys_serve_on_until_those_at_the_new_place_are_here() {
    let (by_old, by_new) = (jwt(OLD), jwt(NEW));
    let mut worker = Worker::new(validating("jwt"));
    worker.start().answer(&document(json!({}))).answer(&jwks(OLD));
    assert!(matches!(worker.call(&Request::bearer(&by_old), &json!({})), Fate::Forwarded(_)));
    worker.pass(secs(20)).give_tick();
    worker.answer(&document(json!({"jwks_uri": "https://as.example/v2/jwks"})));
    assert_eq!(worker.called(), ["/v2/jwks"]);
    let meanwhile = worker.receive(&Request::bearer(&by_old));
    assert!(is_forwarded(&worker, meanwhile));
    worker.fail_call();
    let still = worker.receive(&Request::bearer(&by_old));
    assert!(is_forwarded(&worker, still));
    worker.pass(secs(3)).give_tick();
    assert_eq!(worker.called(), ["/v2/jwks"]);
    worker.answer(&jwks(NEW));
    let next = worker.receive(&Request::bearer(&by_new));
    assert!(is_forwarded(&worker, next));
    let refused = worker.receive(&Request::bearer(&by_old));
    worker.give_turns();
    assert!(!worker.fates.iter().any(|(of, fate)| *of == refused && matches!(fate, Fate::Forwarded(_))));
}

#[test]
fn a_fetch_of_keys_from_the_former_place_counts_no_more() {
    let mut worker = Worker::new(validating("jwt"));
    worker.start().answer(&document(json!({})));
    let early = worker.receive(&Request::bearer(&jwt(NEW)));
    worker.give_turns();
    let (from_the_former, _) = worker.calls.remove(0);
    worker.pass(secs(20)).give_tick();
    worker.answer(&document(json!({"jwks_uri": "https://as.example/v2/jwks"})));
    worker.reply(from_the_former, 200, "application/json", jwks(OLD).to_string().as_bytes());
    worker.give_turns();
    assert!(worker.is_waiting(early));
    assert_eq!(worker.called(), ["/v2/jwks"]);
    worker.answer(&jwks(NEW));
    assert!(is_forwarded(&worker, early));
}

#[test]
fn where_both_are_asked_a_verdict_of_another_endpoint_is_not_served_either() {
    let token = jwt(OLD);
    let mut worker = Worker::new(validating("jwt_and_introspection"));
    let early = worker.receive(&Request::bearer(&token));
    worker.answer(&document(json!({}))).answer(&jwks(OLD));
    assert_eq!(worker.called(), ["/introspect"]);
    worker.answer(&active());
    assert!(is_forwarded(&worker, early));
    let again = worker.receive(&Request::bearer(&token));
    assert!(is_forwarded(&worker, again) && worker.calls.is_empty());
    worker.pass(secs(20)).give_tick();
    worker.answer(&document(json!({"introspection_endpoint": "https://as.example/v2/introspect"})));
    let after = worker.receive(&Request::bearer(&token));
    worker.give_turns();
    assert_eq!(worker.called(), ["/v2/introspect"]);
    worker.answer(&inactive());
    assert_eq!(worker.fate(after).reason(), "token_inactive");
}

#[test]
fn a_signal_that_comes_before_the_metadata_waits_for_the_keys() {
    let mut config = config(json!({}));
    config["revocation"] = json!({"back_channel_logout": {"path": "/logout", "audiences": ["web"]}});
    let logout = sign(
        OLD,
        json!({"typ": "logout+jwt"}),
        &json!({
            "iss": ISSUER, "aud": "web", "iat": START.as_secs(), "jti": "one", "sub": "alice",
            "exp": START.as_secs() + 60, "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        }),
    );
    let body = format!("logout_token={logout}");
    let request = Request::default()
        .with(":path", "/logout")
        .with(":method", "POST")
        .with(":authority", "api.example")
        .with("content-type", "application/x-www-form-urlencoded");
    let mut worker = Worker::new(config.clone());
    let stream = worker.post(&request, body.as_bytes());
    assert!(worker.is_waiting(stream));
    worker.give_tick();
    worker.answer(&document(json!({})));
    assert_eq!(worker.called(), ["/jwks"]);
    worker.answer(&jwks(OLD));
    assert_eq!(worker.fate(stream).status(), 200);
    // Where nothing is found, its sender is told to come back.
    let mut worker = Worker::new(config);
    let stream = worker.post(&request, body.as_bytes());
    worker.give_tick().fail_call();
    assert_eq!(worker.fate(stream).status(), 503);
    let next = worker.post(&request, body.as_bytes());
    worker.give_turns();
    assert_eq!(worker.fate(next).status(), 503);
}

#[test]
fn an_endpoint_that_is_gone_is_looked_for_again_at_once() {
    let moved = document(json!({
        "introspection_endpoint": "https://as.example/v2/introspect", "jwks_uri": "https://as.example/v2/jwks",
    }));
    for status in [301, 307, 404, 410] {
        let mut worker = knowing(&document(json!({})));
        worker.pass(secs(10));
        // So many that calls are held back.
        for index in 0..10 {
            worker.receive(&Request::bearer(&format!("tok{index}")));
        }
        worker.give_turns();
        while worker.called().contains(&"/introspect") {
            let place = worker.called().iter().position(|path| *path == "/introspect").unwrap();
            let (id, _) = worker.calls.remove(place);
            worker.reply(id, status, "text/html", b"");
        }
        worker.give_tick();
        assert_eq!(worker.called(), [OAUTH], "{status}");
        worker.answer(&moved);
        let next = worker.receive(&Request::bearer("tok"));
        worker.give_turns();
        assert_eq!(
            worker.called(),
            ["/v2/introspect"],
            "what the former endpoint did is not held against it"
        );
        worker.answer(&active());
        assert!(is_forwarded(&worker, next));
    }
    // Keys, too; and not more often than once a second, whatever comes.
    let mut worker = Worker::new(validating("jwt"));
    worker.start().answer(&document(json!({}))).pass(secs(2));
    let early = worker.receive(&Request::bearer(&jwt(NEW)));
    worker.answer_with(404, "text/html", b"");
    assert_eq!(worker.fate(early).reason(), "jwks_unavailable");
    worker.give_tick();
    assert_eq!(worker.called(), [OAUTH]);
    worker.answer(&moved);
    assert_eq!(worker.called(), ["/v2/jwks"]);
    worker.answer(&jwks(NEW));
    let next = worker.receive(&Request::bearer(&jwt(NEW)));
    assert!(is_forwarded(&worker, next));
}

#[test]
fn a_server_that_is_down_after_it_has_moved_is_asked_at_its_new_place_at_once() {
    let mut worker = worker(
        json!({"discovery": {"refresh_interval": "20s"}, "introspection": {"breaker": {"failures": 1}}}),
    );
    worker.start().answer(&document(json!({})));
    let down = worker.receive(&Request::bearer("tok"));
    worker.give_turns().fail_call();
    assert_eq!(worker.fate(down).status(), 503);
    worker.pass(secs(20)).give_tick();
    let held = worker.receive(&Request::bearer("tok"));
    worker.give_turns();
    for _ in 0..2 {
        if worker.called().contains(&"/introspect") {
            let place = worker.called().iter().position(|path| *path == "/introspect").unwrap();
            let (id, _) = worker.calls.remove(place);
            worker.reply(id, 503, "text/html", b"");
        }
    }
    assert_eq!(worker.fate(held).status(), 503);
    worker.answer(&document(json!({"introspection_endpoint": "https://as.example/v2/introspect"})));
    let next = worker.receive(&Request::bearer("tok"));
    worker.give_turns();
    assert_eq!(worker.called(), ["/v2/introspect"]);
    worker.answer(&active());
    assert!(is_forwarded(&worker, next));
}
