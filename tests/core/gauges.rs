//! What gauges say, and the probe that finds out at the start whether the server answers.

use std::time::Duration;

use phantom_token_filter::filter::{Effect, Event};
use phantom_token_filter::http::HttpCall;
use phantom_token_filter::metrics::Gauge;
use serde_json::{Value, json};

use crate::support::{Fate, Request, START, Worker, active, config, inactive};

fn probed(introspection: Value) -> Value {
    let mut introspection = introspection;
    introspection["probe"] = json!(true);
    config(json!({"providers": {"main": {"introspection": introspection}}}))
}

/// The token that a call asks about.
fn asked_about(call: &HttpCall) -> String {
    let body = String::from_utf8(call.body.clone()).unwrap();
    body.split('&').find_map(|pair| pair.strip_prefix("token=")).unwrap().to_owned()
}

#[test]
fn one_worker_of_all_asks_once_about_a_token_that_nobody_issued() {
    let mut one = Worker::new(probed(json!({})));
    let effects = one.filter.step(START, Event::Start);
    let is_call = |effect: &Effect| matches!(effect, Effect::Call(..));
    assert!(
        !effects.iter().any(is_call),
        "a configuration that is only tried gets no tick, and asks nothing"
    );
    let mut two = Worker::sharing(probed(json!({})), one.shared.clone());
    one.start();
    two.start();
    assert_eq!((one.calls.len(), two.calls.len()), (1, 0));
    assert!(one.calls[0].1.headers.iter().any(|(name, _)| name == "authorization"), "our own credentials");
    assert_eq!(one.level(Gauge::IntrospectionAnswers), None, "nothing is known yet");
    one.answer(&inactive());
    assert_eq!(one.level(Gauge::IntrospectionAnswers), Some(1));
    one.pass(Duration::from_secs(60)).give_tick();
    two.pass(Duration::from_secs(60)).give_tick();
    assert_eq!((one.calls.len(), two.calls.len()), (0, 0));
    assert_eq!(one.level(Gauge::CacheEntries).unwrap_or(0), 0, "and nothing is remembered of it");
}

#[test]
fn no_two_made_up_tokens_are_alike_and_each_has_the_form_of_the_providers() {
    let tokens: Vec<String> = (0..2)
        .map(|_| {
            let mut plugin = probed(json!({}));
            plugin["providers"]["main"]["token_format"] =
                json!({"prefix": "at_", "min_length": 100, "max_length": 120});
            let mut worker = Worker::new(plugin);
            worker.start();
            asked_about(&worker.calls[0].1)
        })
        .collect();
    assert_ne!(tokens[0], tokens[1]);
    for token in tokens {
        assert!(token.starts_with("at_") && (100..=120).contains(&token.len()), "{token}");
    }
}

#[test]
fn nobody_is_asked_about_a_token_so_short_that_it_might_be_somebodys() {
    let mut plugin = probed(json!({}));
    plugin["providers"]["main"]["token_format"] = json!({"max_length": 16});
    let mut worker = Worker::new(plugin);
    worker.start();
    assert!(worker.calls.is_empty());
}

#[test]
fn an_answer_of_no_use_to_the_probe_is_none() {
    for (status, body) in [
        (401, json!({"error": "invalid_client"})),
        (500, json!({})),
        (200, json!({"html": true})),
        // Whoever calls made-up tokens active is not to be relied on.
        (200, active()),
    ] {
        let mut worker = Worker::new(probed(json!({})));
        worker.start();
        worker.answer_with(status, "application/json", body.to_string().as_bytes());
        assert_eq!(worker.level(Gauge::IntrospectionAnswers), Some(0), "{status} {body}");
        // It is asked about the first client's token nevertheless.
        assert!(matches!(worker.call(&Request::bearer("good"), &active()), Fate::Forwarded(_)));
        assert_eq!(worker.level(Gauge::IntrospectionAnswers), Some(1));
    }
    let mut worker = Worker::new(probed(json!({})));
    worker.start();
    worker.fail_call();
    assert_eq!(worker.level(Gauge::IntrospectionAnswers), Some(0));
}

#[test]
fn without_a_probe_nobody_is_asked_before_the_first_client() {
    let mut worker = Worker::new(config(json!({})));
    worker.start();
    assert!(worker.calls.is_empty());
    assert_eq!(worker.level(Gauge::IntrospectionAnswers), None);
}

#[test]
fn requests_that_wait_and_calls_under_way_are_told_while_they_are() {
    let mut worker = Worker::new(config(json!({})));
    worker.start();
    for token in ["one", "one", "two"] {
        worker.receive(&Request::bearer(token));
    }
    worker.give_turns();
    assert_eq!(worker.level(Gauge::RequestsWaiting), Some(3));
    assert_eq!(worker.level(Gauge::IntrospectionUnderWay), Some(2));
    worker.answer(&active());
    assert_eq!(worker.level(Gauge::RequestsWaiting), Some(1));
    assert_eq!(worker.level(Gauge::CacheEntries), Some(1));
    worker.end();
    assert_eq!(worker.level(Gauge::RequestsWaiting), Some(0), "who ends takes back what it has said");
    assert_eq!(worker.level(Gauge::IntrospectionUnderWay), Some(0));
    assert_eq!(worker.level(Gauge::CacheEntries), Some(1), "what is remembered stays");
}

#[test]
fn calls_that_are_held_back_are_told_until_the_server_is_back() {
    let breaker = json!({"breaker": {"failures": 2}, "retries": 0});
    let mut worker = Worker::new(config(json!({"providers": {"main": {"introspection": breaker}}})));
    for token in ["one", "two"] {
        worker.receive(&Request::bearer(token));
        worker.give_turns();
        worker.answer_with(500, "application/json", b"{}");
    }
    assert_eq!(worker.level(Gauge::IntrospectionHeldBack), Some(1));
    assert_eq!(worker.level(Gauge::IntrospectionAnswers), Some(0));
    worker.pass(Duration::from_secs(1));
    worker.call(&Request::bearer("three"), &active());
    assert_eq!(worker.level(Gauge::IntrospectionHeldBack), Some(0));
    assert_eq!(worker.level(Gauge::IntrospectionAnswers), Some(1));
}

#[test]
fn entries_are_counted_by_slots_that_hold_one() {
    let mut worker = Worker::new(config(json!({"cache": {"max_entries": 2, "max_negative_entries": 1}})));
    for number in 0..20 {
        worker.call(&Request::bearer(&format!("good-{number}")), &active());
        worker.call(&Request::bearer(&format!("bad-{number}")), &inactive());
    }
    assert_eq!(worker.level(Gauge::CacheEntries), Some(3));
}
