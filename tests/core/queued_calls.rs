//! Calls that wait until another is over: who goes first, what is kept for tokens in use, and what ends the waiting.

use std::time::Duration;

use phantom_token_filter::filter::StreamId;
use serde_json::{Value, json};

use crate::support::{Fate, Request, Worker, active, after_first_call, config, inactive, merge};

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn with_calls(max_concurrent_calls: u32, patch: Value) -> Value {
    let mut settings = json!({
        "providers": {"main": {"introspection": {"max_concurrent_calls": max_concurrent_calls}}},
        "cache": {"refresh_ahead": 0},
    });
    merge(&mut settings, patch);
    settings
}

/// As many made-up tokens as that, all at once.
fn flood(worker: &mut Worker, tokens: u32) {
    for number in 0..tokens {
        worker.receive(&Request::bearer(&format!("made-up-{number}-{}", worker.now.as_millis())));
    }
    worker.give_turns();
}

/// The token that the call at this place is about.
fn asked(worker: &Worker, place: usize) -> String {
    let body = String::from_utf8(worker.calls[place].1.body.clone()).unwrap();
    body.split('&').find_map(|parameter| parameter.strip_prefix("token=")).unwrap().to_owned()
}

#[test]
fn of_two_or_three_calls_one_is_kept_for_tokens_in_use() {
    for (most, of_flood) in [(2, 1), (3, 2), (4, 3), (8, 6)] {
        let mut worker = after_first_call(with_calls(most, json!({})));
        worker.pass(millis(100_000));
        flood(&mut worker, 100);
        assert_eq!(worker.calls.len(), of_flood, "of {most}");
        let known = worker.receive(&Request::bearer("tok"));
        assert_eq!(
            worker.give_turns().calls.len(),
            of_flood + 1,
            "of {most}: the known one is asked about at once"
        );
        let (id, _) = worker.calls.pop().unwrap();
        worker.reply(id, 200, "application/json", active().to_string().as_bytes());
        worker.give_turns();
        assert!(matches!(worker.fate(known), Fate::Forwarded(_)), "of {most}");
    }
}

#[test]
fn a_single_call_is_for_all_and_those_in_use_go_first() {
    let mut worker = after_first_call(with_calls(1, json!({})));
    worker.pass(millis(100_000));
    flood(&mut worker, 100);
    assert!(worker.calls.len() == 1 && asked(&worker, 0).starts_with("made-up"));
    let known = worker.receive(&Request::bearer("tok"));
    worker.answer(&inactive());
    assert_eq!(asked(&worker, 0), "tok", "before those that came earlier");
    worker.answer(&active());
    assert!(matches!(worker.fate(known), Fate::Forwarded(_)));
}

/// Counted in answers of the server, and not in time: so many it gives before a token in use has its own.
#[test]
fn a_flood_puts_tokens_in_use_off_by_no_more_answers_than_there_are_calls() {
    const CALLS: usize = 8;
    const KNOWN: usize = 20;
    let mut worker = Worker::new(config(with_calls(
        CALLS as u32,
        json!({"policies": {"default": {"cache_ttl": "100s"}}}),
    )));
    let tokens: Vec<String> = (0..KNOWN).map(|number| format!("known-{number}")).collect();
    for token in &tokens {
        worker.call(&Request::bearer(token), &active());
    }
    worker.pass(millis(101_000));
    flood(&mut worker, 1_000);
    let streams: Vec<StreamId> = tokens.iter().map(|token| worker.receive(&Request::bearer(token))).collect();
    worker.give_turns();
    let (mut answers, mut of_flood) = (0, 0);
    while streams.iter().any(|stream| worker.is_waiting(*stream)) {
        let is_known = asked(&worker, 0).starts_with("known");
        answers += 1;
        of_flood += usize::from(!is_known);
        worker.answer(&if is_known { active() } else { inactive() });
        // The flood goes on.
        flood(&mut worker, 10);
    }
    let served = streams.iter().filter(|stream| matches!(worker.fate(**stream), Fate::Forwarded(_))).count();
    assert_eq!(served, KNOWN, "every one is served");
    assert!(answers <= KNOWN + CALLS, "{answers} answers for {KNOWN} tokens in use");
    assert!(of_flood <= CALLS, "{of_flood} made-up ones went before");
}

#[test]
fn looking_for_a_call_that_has_a_place_uses_up_no_probe() {
    let patch = json!({"providers": {"main": {"introspection": {"breaker": {"failures": 1}}}}});
    let mut worker = Worker::new(config(with_calls(1, patch)));
    worker.receive(&Request::bearer("first"));
    worker.fail_call();
    // The probe is under way; the next would be due, but there is no place for it.
    worker.pass(millis(50)).receive(&Request::bearer("probe"));
    assert_eq!(worker.give_turns().calls.len(), 1);
    let queued = worker.pass(millis(50)).receive(&Request::bearer("queued"));
    worker.give_tick();
    assert!(worker.is_waiting(queued), "given up, though it may be the next probe");
    worker.pass(millis(10)).answer(&active());
    assert_eq!(worker.calls.len(), 1);
    worker.answer(&active());
    assert!(matches!(worker.fate(queued), Fate::Forwarded(_)));
}

#[test]
fn what_waits_does_not_go_to_a_server_whose_answers_are_of_no_use() {
    let patch = json!({"providers": {"main": {"introspection": {"breaker": {"failures": 1}}}}});
    let mut worker = Worker::new(config(with_calls(1, patch)));
    worker.receive(&Request::bearer("first"));
    let queued = worker.give_turns().receive(&Request::bearer("queued"));
    // It refuses our credentials.
    worker.answer_with(401, "application/json", b"{}");
    assert_eq!(worker.calls.len(), 0, "asked all the same");
    let fate = worker.fate(queued);
    assert_eq!((fate.status(), fate.reason()), (503, "introspection_credentials_refused"));
}
