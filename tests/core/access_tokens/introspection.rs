//! Introspection with an access token of our own (RFC 7662 §2.1).

use phantom_token_filter::metrics::Counter;
use serde_json::{Value, json};

use super::{SECOND, answer, client_credentials, granted, open, shown, tick_after, worker};
use crate::support::{Fate, Map, Request, Worker, active, config, inactive};

fn by_bearer(patch: Value) -> Value {
    let mut settings =
        config(json!({"policies": {"default": {"cache_ttl": "100s"}}, "cache": {"jitter": 0}}));
    settings["providers"]["main"]["introspection"]["auth"] =
        json!({"bearer": {"token": client_credentials()}});
    super::merge(&mut settings, patch);
    settings
}

fn asking() -> Worker {
    worker(by_bearer(json!({})), &Map::default())
}

fn receive(worker: &mut Worker, token: &str) -> phantom_token_filter::filter::StreamId {
    let stream = worker.receive(&Request::bearer(token));
    worker.give_turns();
    stream
}

#[test]
fn requests_wait_for_the_token_and_share_it() {
    let mut worker = asking();
    assert_eq!(open(&worker, "/token"), 0, "nobody needs one");
    let streams = ["a", "b", "a"].map(|token| receive(&mut worker, token));
    assert_eq!((open(&worker, "/token"), open(&worker, "/introspect")), (1, 0));
    answer(&mut worker, "/token", 200, &granted("ours", json!({})));
    assert_eq!(open(&worker, "/introspect"), 2);
    for verdict in [active(), inactive()] {
        assert_eq!(shown(&worker, "/introspect").unwrap(), "Bearer ours");
        answer(&mut worker, "/introspect", 200, &verdict);
    }
    let statuses = streams.map(|stream| matches!(worker.fate(stream), Fate::Forwarded(_)));
    assert_eq!(statuses, [true, false, true]);
    receive(&mut worker, "c");
    assert_eq!((open(&worker, "/token"), open(&worker, "/introspect")), (0, 1), "it is there");
}

#[test]
fn without_a_token_no_verdict_and_none_is_made_up() {
    let mut worker = asking();
    let first = receive(&mut worker, "a");
    answer(&mut worker, "/token", 401, &json!({"error": "invalid_client"}));
    let fate = worker.fate(first);
    assert_eq!((fate.status(), fate.reason()), (503, "introspection_no_access_token"));
    // Meanwhile nobody waits for what is not fetched.
    let second = receive(&mut worker, "b");
    assert_eq!((worker.fate(second).status(), open(&worker, "/token")), (503, 0));
    assert_eq!(worker.count(Counter::IntrospectionError), 2);
    worker.pass(SECOND * 2);
    let third = receive(&mut worker, "c");
    answer(&mut worker, "/token", 200, &granted("ours", json!({})));
    answer(&mut worker, "/introspect", 200, &active());
    assert!(matches!(worker.fate(third), Fate::Forwarded(_)), "no breaker was opened");
}

#[test]
fn while_the_token_endpoint_is_down_what_was_known_serves_on_and_while_it_refuses_us_it_does_not() {
    for (status, is_served) in [(503, true), (401, false)] {
        let mut worker = worker(
            by_bearer(json!({"cache": {"refresh_ahead": 0, "stale_if_error": "10m"}})),
            &Map::default(),
        );
        receive(&mut worker, "a");
        answer(&mut worker, "/token", 200, &granted("ours", json!({"expires_in": 60})));
        answer(&mut worker, "/introspect", 200, &active());
        worker.pass(SECOND * 120);
        let late = receive(&mut worker, "a");
        answer(&mut worker, "/token", status, &json!({}));
        assert_eq!(matches!(worker.fate(late), Fate::Forwarded(_)), is_served, "{status}");
    }
}

#[test]
fn a_refused_call_is_made_anew_once_with_another_token() {
    let mut worker = asking();
    let stream = receive(&mut worker, "a");
    answer(&mut worker, "/token", 200, &granted("old", json!({})));
    answer(&mut worker, "/introspect", 401, &json!({}));
    assert_eq!((open(&worker, "/token"), open(&worker, "/introspect")), (1, 0));
    answer(&mut worker, "/token", 200, &granted("new", json!({})));
    assert_eq!(shown(&worker, "/introspect").unwrap(), "Bearer new");
    answer(&mut worker, "/introspect", 401, &json!({}));
    let fate = worker.fate(stream);
    assert_eq!((fate.status(), fate.reason()), (503, "introspection_credentials_refused"));
    assert_eq!(open(&worker, "/token"), 0);
}

#[test]
fn a_call_that_is_tried_again_after_that_shows_the_new_token_and_wants_no_third() {
    let mut worker =
        Worker::new(by_bearer(json!({"providers": {"main": {"introspection": {"retries": 1}}}})));
    worker.start();
    receive(&mut worker, "a");
    answer(&mut worker, "/token", 200, &granted("one", json!({})));
    answer(&mut worker, "/introspect", 401, &json!({}));
    answer(&mut worker, "/token", 200, &granted("two", json!({})));
    answer(&mut worker, "/introspect", 503, &json!({}));
    assert_eq!(shown(&worker, "/introspect").unwrap(), "Bearer two");
    assert_eq!(open(&worker, "/token"), 0);
}

#[test]
fn whoever_can_bring_about_a_401_takes_the_token_from_nobody() {
    let mut worker = asking();
    receive(&mut worker, "good");
    answer(&mut worker, "/token", 200, &granted("ours", json!({})));
    answer(&mut worker, "/introspect", 200, &active());
    let mut tokens = 0;
    for number in 0..200 {
        // A server that answers so of tokens that it does not know.
        receive(&mut worker, &format!("made-up-{number}"));
        answer(&mut worker, "/introspect", 401, &json!({}));
        let other = receive(&mut worker, &format!("good-{number}"));
        if open(&worker, "/introspect") == 1 {
            answer(&mut worker, "/introspect", 200, &active());
            assert!(
                matches!(worker.fate(other), Fate::Forwarded(_)),
                "{number}: the old one serves meanwhile"
            );
        }
        if open(&worker, "/token") == 1 {
            tokens += 1;
            answer(&mut worker, "/token", 200, &granted("ours", json!({})));
            answer(&mut worker, "/introspect", 401, &json!({}));
        }
        tick_after(&mut worker, SECOND / 10);
    }
    assert!(tokens <= 2, "{tokens} tokens in 20 s");
}

#[test]
fn each_worker_has_a_token_of_its_own_and_none_lies_where_others_can_read() {
    let shared = Map::default();
    let (mut one, mut two) = (worker(by_bearer(json!({})), &shared), worker(by_bearer(json!({})), &shared));
    for (worker, token) in [(&mut one, "first-SECRET"), (&mut two, "second-SECRET")] {
        receive(worker, &format!("of-{token}"));
        answer(worker, "/token", 200, &granted(token, json!({})));
        assert_eq!(shown(worker, "/introspect").unwrap(), format!("Bearer {token}"));
        answer(worker, "/introspect", 200, &active());
    }
    assert!(!shared.contains(b"SECRET"));
}

#[test]
fn a_probe_waits_for_the_token_too() {
    let settings = by_bearer(json!({"providers": {"main": {"introspection": {"probe": true}}}}));
    let mut worker = worker(settings, &Map::default());
    assert_eq!((open(&worker, "/token"), open(&worker, "/introspect")), (1, 0));
    answer(&mut worker, "/token", 200, &granted("ours", json!({})));
    assert_eq!(shown(&worker, "/introspect").unwrap(), "Bearer ours");
}

#[test]
fn a_request_that_is_gone_is_not_asked_about_when_the_token_comes() {
    let mut worker = asking();
    let stream = receive(&mut worker, "a");
    worker.hang_up(stream);
    answer(&mut worker, "/token", 200, &granted("ours", json!({})));
    assert_eq!(open(&worker, "/introspect"), 0);
    receive(&mut worker, "a");
    assert_eq!(open(&worker, "/introspect"), 1);
}

#[test]
fn hundreds_that_wait_in_vain_are_told_in_turns() {
    let mut worker = asking();
    let streams: Vec<_> = (0..100).map(|number| receive(&mut worker, &format!("t{number}"))).collect();
    answer(&mut worker, "/token", 500, &json!({}));
    for stream in streams {
        assert_eq!(worker.fate(stream).status(), 503);
    }
}
