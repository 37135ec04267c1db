//! Tokens are asked about again while their streams are open.

use phantom_token_filter::config::Config;

use super::*;
use crate::support::inactive;

const PERIOD: Duration = Duration::from_secs(30);

fn rechecking(patch: Value) -> Value {
    let mut settings = settings(json!({
        "policies": {"default": {"cache_ttl": "5s", "open_streams": {"recheck": "30s"}}},
    }));
    merge(&mut settings, patch);
    settings
}

/// Time passes, as ticks tell, until the worker has something to ask.
fn until_asked(worker: &mut Worker, longest: Duration) {
    let end = worker.now.plus(longest);
    while worker.calls.is_empty() {
        assert!(worker.now < end, "not asked within {longest:?}");
        worker.pass(Duration::from_millis(250)).give_tick();
    }
}

/// The body of the call that is open.
fn asked(worker: &Worker) -> String {
    String::from_utf8(worker.calls[0].1.body.clone()).unwrap()
}

#[test]
fn a_token_is_asked_about_again_once_for_all_its_streams_which_end_when_it_is_inactive() {
    let mut worker = Worker::new(rechecking(json!({})));
    let alices = [(); 5].map(|()| open(&mut worker, "a", json!({"sub": "alice"})));
    let bob = open(&mut worker, "b", json!({"sub": "bob"}));
    worker.pass(PERIOD - SECOND);
    assert_eq!(ended_within_a_second(&mut worker), []);
    assert_eq!(worker.calls.len(), 2);
    assert!(asked(&worker).contains("token=a"));
    worker.answer(&inactive()).answer(&active());
    worker.pass(Duration::from_millis(250)).give_tick();
    assert_eq!((worker.ended[0].1.status, worker.ended[0].1.details), (401, "token_inactive"));
    assert_eq!(ended_within_a_second(&mut worker), alices);
    // The next time is a period after the answer.
    worker.pass(PERIOD - 3 * SECOND).give_tick();
    assert_eq!(worker.calls.len(), 0);
    until_asked(&mut worker, 2 * SECOND);
    worker.answer(&inactive());
    assert_eq!(ended_within_a_second(&mut worker), [bob]);
    worker.pass(10 * PERIOD).give_tick();
    assert_eq!(worker.calls.len(), 0, "nothing is open");
}

#[test]
fn what_was_said_for_a_requests_sake_serves_the_streams_that_are_open() {
    let mut worker = Worker::new(rechecking(json!({})));
    let first = open(&mut worker, "a", json!({"sub": "alice"}));
    worker.pass(PERIOD - 2 * SECOND);
    let second = open(&mut worker, "a", json!({"sub": "alice"}));
    worker.pass(PERIOD - 3 * SECOND).give_tick();
    assert_eq!(worker.calls.len(), 0);
    // A request hears that it is inactive: so does whoever is open.
    let third = worker.receive(&Request::bearer("a"));
    worker.give_turns().answer(&inactive());
    assert_eq!(worker.fate(third).status(), 401);
    worker.pass(3 * SECOND);
    let mut ended = ended_within_a_second(&mut worker);
    ended.sort();
    assert_eq!(ended, [first, second]);
    assert_eq!(worker.calls.len(), 0);
}

#[test]
fn two_workers_ask_once() {
    let one = &mut Worker::new(rechecking(json!({})));
    let two = &mut Worker::sharing(rechecking(json!({})), one.shared.clone());
    let streams = (open(one, "a", json!({"sub": "alice"})), open(two, "a", json!({"sub": "alice"})));
    two.now = one.now;
    for worker in [&mut *one, &mut *two] {
        worker.pass(PERIOD).give_tick();
    }
    assert_eq!((one.calls.len(), two.calls.len()), (1, 0));
    one.answer(&inactive());
    assert_eq!((ended_within_a_second(one), ended_within_a_second(two)), (vec![streams.0], vec![streams.1]));
    assert_eq!(two.calls.len(), 0);
}

#[test]
fn one_that_is_not_remembered_is_asked_about_all_the_same() {
    let mut worker = Worker::new(rechecking(json!({"policies": {"default": {"cache_ttl": "0s"}}})));
    let stream = open(&mut worker, "a", json!({"sub": "alice"}));
    worker.pass(PERIOD).give_tick();
    worker.answer(&active());
    assert_eq!(ended_within_a_second(&mut worker), []);
    worker.pass(PERIOD).give_tick();
    worker.answer(&inactive());
    assert_eq!(ended_within_a_second(&mut worker), [stream]);
}

#[test]
fn a_server_that_cannot_be_asked_ends_a_stream_when_its_verdict_is_too_old() {
    for (patch, longest) in [
        (json!({}), 2 * PERIOD),
        (json!({"policies": {"default": {"cache_ttl": "2m"}}}), Duration::from_secs(120)),
        (json!({"cache": {"stale_if_error": "3m"}}), 2 * PERIOD + Duration::from_secs(180)),
    ] {
        let mut worker = Worker::new(rechecking(patch));
        let start = worker.now;
        let stream = open(&mut worker, "a", json!({"sub": "alice", "exp": START.as_secs() + 3600}));
        while worker.ended.is_empty() {
            worker.pass(Duration::from_millis(250)).give_tick();
            while !worker.calls.is_empty() {
                worker.fail_call().give_turns();
            }
            assert!(worker.now.since(start) < longest + SECOND);
        }
        assert!(worker.now.since(start) >= longest);
        assert_eq!((worker.ended[0].0, worker.ended[0].1.status), (stream, 503));
    }
}

#[test]
fn a_server_that_is_back_in_time_ends_nothing() {
    let mut worker = Worker::new(rechecking(json!({})));
    open(&mut worker, "a", json!({"sub": "alice"}));
    worker.pass(PERIOD).give_tick();
    while !worker.calls.is_empty() {
        worker.fail_call().give_turns();
    }
    until_asked(&mut worker, PERIOD);
    worker.answer(&active());
    worker.pass(PERIOD - SECOND);
    assert_eq!(ended_within_a_second(&mut worker), []);
}

#[test]
fn many_tokens_at_once_are_asked_about_as_the_server_can_take_them() {
    let mut worker = Worker::new(rechecking(json!({
        "providers": {"main": {"introspection": {"max_concurrent_calls": 8}}},
    })));
    for number in 0..1_000 {
        open(&mut worker, &format!("t{number}"), json!({}));
    }
    worker.pass(PERIOD).give_tick();
    let mut answers = 0;
    while answers < 1_000 {
        assert!((1..=8).contains(&worker.calls.len()), "{} after {answers}", worker.calls.len());
        worker.answer(&active());
        answers += 1;
    }
    assert_eq!(ended_within_a_second(&mut worker), []);
    assert_eq!(worker.calls.len(), 0);
}

#[test]
fn where_nobody_is_asked_it_is_a_mistake() {
    let config = config(json!({
        "providers": {"main": {"jwks": {"cluster": "c", "path": "/jwks"}, "issuer": "https://as.example"}},
        "policies": {"default": {"strategy": "jwt", "open_streams": {"recheck": "30s"}}},
    }));
    let errors = Config::parse(config.to_string().as_bytes(), &|_| None).err().unwrap();
    assert_eq!(
        errors[0].to_string(),
        "policies.default.open_streams.recheck: expected 0s, for under jwt nobody is asked, got \"30s\""
    );
}
