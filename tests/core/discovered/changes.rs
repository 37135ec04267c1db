//! Metadata that say something else than before, or nothing any more.

use phantom_token_filter::metrics::Counter;
use serde_json::json;

use super::keys::{NEW, jwks, jwt, validating};
use super::{OAUTH, a_refresh, config, document, is_forwarded, knowing, named, secs, worker};
use crate::support::{Map, Request, START, Worker, active, inactive, log};

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
    let counted = (worker.count(Counter::DiscoveryRefreshed), worker.count(Counter::DiscoveryError));
    assert_eq!(counted, (1, 6), "two documents are one fetch");
}

#[test]
fn a_status_by_which_a_server_says_that_a_token_is_not_active_says_nothing_of_its_place() {
    let mut worker = worker(json!({"introspection": {"inactive_statuses": [404]}}));
    worker.start().answer(&document(json!({})));
    worker.pass(secs(10));
    let stream = worker.receive(&Request::bearer("made-up"));
    worker.give_turns().answer_with(404, "text/plain", b"").give_tick();
    assert_eq!((worker.fate(stream).reason(), worker.called()), ("token_inactive", vec![]));
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
