//! Under load: one call per token for all workers, and renewal ahead of time.

use std::time::Duration;

use phantom_token_filter::metrics::Counter;
use serde_json::{Value, json};

use crate::support::{Fate, Request, START, Worker, active, after_first_call, config, inactive};

/// How often a worker looks at the clock that waits for nothing.
const IDLE: Duration = Duration::from_secs(10);

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Two workers of one Envoy.
fn two_workers(patch: Value) -> (Worker, Worker) {
    let one = Worker::new(config(patch.clone()));
    let two = Worker::sharing(config(patch), one.shared.clone());
    (one, two)
}

#[test]
fn two_workers_make_one_call() {
    for (body, passes) in [(active(), true), (inactive(), false)] {
        let (mut one, mut two) = two_workers(json!({}));
        one.receive(&Request::bearer("tok"));
        one.give_turns();
        let waiting: Vec<_> = (0..100).map(|_| two.receive(&Request::bearer("tok"))).collect();
        two.give_turns();
        assert!(two.calls.is_empty() && two.is_waiting(waiting[0]));
        one.answer(&body);
        two.read_letters(&mut one);
        for stream in &waiting {
            assert_eq!(matches!(two.fate(*stream), Fate::Forwarded(_)), passes);
        }
        assert!(two.calls.is_empty());
        assert_eq!((two.count(Counter::CacheMiss), two.count(Counter::CacheCoalesced)), (0, 100));
        assert_eq!(two.count(Counter::JwtMinted), 0, "the JWT is shared, too");
        two.give_tick();
        assert_eq!(two.tick, IDLE, "nobody is waited for any more");
    }
}

#[test]
fn a_failure_is_told_to_the_other_workers_too() {
    let (mut one, mut two) = two_workers(json!({}));
    one.receive(&Request::bearer("tok"));
    one.give_turns();
    let stream = two.receive(&Request::bearer("tok"));
    one.answer_with(500, "application/json", b"{}");
    two.read_letters(&mut one);
    assert_eq!(
        (two.fate(stream).status(), two.fate(stream).reason()),
        (503, "introspection_failed_on_other_worker")
    );
    // The lease is free again.
    assert!(matches!(two.call(&Request::bearer("tok"), &active()), Fate::Forwarded(_)));
}

#[test]
fn who_waits_for_another_worker_hears_of_it_though_we_have_asked_again() {
    let (mut one, mut two) = two_workers(json!({"policies": {"default": {"cache_ttl": "1s"}}}));
    one.receive(&Request::bearer("tok"));
    one.give_turns();
    let early = two.receive(&Request::bearer("tok"));
    // The other's answer will not be fresh enough for this one.
    let late = two.pass(millis(1_000)).receive(&Request::bearer("tok"));
    two.give_turns();
    assert_eq!(two.calls.len(), 1);
    one.answer(&active());
    two.read_letters(&mut one);
    assert!(matches!(two.fate(early), Fate::Forwarded(_)));
    assert!(two.is_waiting(late));
    two.answer(&active());
    assert!(matches!(two.fate(late), Fate::Forwarded(_)));
}

#[test]
fn a_worker_that_died_keeps_nobody_waiting() {
    let (mut one, mut two) = two_workers(json!({}));
    one.receive(&Request::bearer("tok"));
    one.give_turns();
    let stream = two.receive(&Request::bearer("tok"));
    assert!(two.tick > Duration::ZERO && two.tick < IDLE);
    drop(one);
    two.pass(millis(2_240)).give_tick();
    assert!(two.calls.is_empty(), "it may still answer");
    two.pass(millis(10)).give_tick();
    assert_eq!(two.calls.len(), 1);
    two.answer(&active());
    assert!(matches!(two.fate(stream), Fate::Forwarded(_)));
    two.give_tick();
    assert_eq!(two.tick, IDLE);
}

#[test]
fn of_several_that_wait_for_a_dead_worker_one_takes_over() {
    let (mut one, mut two) = two_workers(json!({}));
    let mut three = Worker::sharing(config(json!({})), one.shared.clone());
    one.receive(&Request::bearer("tok"));
    one.give_turns();
    let streams = (two.receive(&Request::bearer("tok")), three.receive(&Request::bearer("tok")));
    two.pass(millis(2_250)).give_tick();
    three.pass(millis(2_250)).give_tick();
    assert_eq!((two.calls.len(), three.calls.len()), (1, 0));
    two.answer(&active());
    three.read_letters(&mut two);
    assert!(matches!(two.fate(streams.0), Fate::Forwarded(_)));
    assert!(matches!(three.fate(streams.1), Fate::Forwarded(_)));
}

#[test]
fn who_is_late_to_take_over_finds_what_another_has_got_meanwhile() {
    for (body, is_active) in [(active(), true), (inactive(), false)] {
        let (mut one, mut two) = two_workers(json!({}));
        let mut three = Worker::sharing(config(json!({})), one.shared.clone());
        one.receive(&Request::bearer("tok"));
        one.give_turns();
        let streams = (two.receive(&Request::bearer("tok")), three.receive(&Request::bearer("tok")));
        two.pass(millis(2_250)).give_tick().answer(&body);
        three.pass(millis(2_260)).give_tick();
        assert!(three.calls.is_empty(), "the verdict is there already");
        assert_eq!(three.fate(streams.1), two.fate(streams.0));
        assert_eq!(matches!(three.fate(streams.1), Fate::Forwarded(_)), is_active);
        // The lease is free again.
        let next = three.pass(Duration::from_secs(61)).receive(&Request::bearer("tok"));
        assert!(three.is_waiting(next));
        assert_eq!(three.give_turns().calls.len(), 1);
    }
}

#[test]
fn a_client_that_leaves_before_the_call_is_sent_lets_the_other_worker_ask() {
    let (mut one, mut two) = two_workers(json!({}));
    let first = one.receive(&Request::bearer("tok"));
    let second = two.receive(&Request::bearer("tok"));
    one.hang_up(first);
    one.give_turns();
    assert!(one.calls.is_empty());
    two.read_letters(&mut one);
    two.answer(&active());
    assert!(matches!(two.fate(second), Fate::Forwarded(_)));
}

#[test]
fn a_verdict_that_is_too_long_to_share_is_asked_for_again() {
    let (mut one, mut two) = two_workers(json!({}));
    one.receive(&Request::bearer("tok"));
    one.give_turns();
    let stream = two.receive(&Request::bearer("tok"));
    let mut long = active();
    long["permissions"] = json!("x".repeat(20_000));
    one.answer(&long);
    two.read_letters(&mut one);
    two.answer(&long);
    assert!(matches!(two.fate(stream), Fate::Forwarded(_)));
}

#[test]
fn a_policy_that_always_asks_waits_for_no_other_worker() {
    let (mut one, mut two) = two_workers(json!({"policies": {"default": {"cache_ttl": "0s"}}}));
    one.receive(&Request::bearer("tok"));
    two.receive(&Request::bearer("tok"));
    one.give_turns();
    two.give_turns();
    assert_eq!((one.calls.len(), two.calls.len()), (1, 1));
}

#[test]
fn another_configuration_asks_for_itself() {
    let one = &mut Worker::new(config(json!({})));
    let other = json!({"providers": {"main": {"introspection": {"path": "/other"}}}});
    let two = &mut Worker::sharing(config(other), one.shared.clone());
    one.receive(&Request::bearer("tok"));
    two.receive(&Request::bearer("tok"));
    one.give_turns();
    two.give_turns();
    assert_eq!((one.calls.len(), two.calls.len()), (1, 1));
}

#[test]
fn a_verdict_that_is_used_is_renewed_before_its_time_is_over() {
    let mut worker = after_first_call(json!({}));
    worker.pass(millis(79_999)).receive(&Request::bearer("tok"));
    worker.give_turns();
    assert!(worker.calls.is_empty());
    let stream = worker.pass(millis(1)).receive(&Request::bearer("tok"));
    assert!(matches!(worker.fate(stream), Fate::Forwarded(_)), "nobody waits for the renewal");
    worker.receive(&Request::bearer("tok"));
    worker.give_turns();
    assert_eq!(worker.calls.len(), 1, "and it is made once");
    worker.answer(&active());
    assert_eq!(worker.count(Counter::CacheRefreshed), 1);
    worker.now = START.plus(millis(179_000));
    let stream = worker.receive(&Request::bearer("tok"));
    assert!(matches!(worker.fate(stream), Fate::Forwarded(_)), "the renewed verdict serves on");
}

#[test]
fn a_verdict_that_nobody_uses_just_ends() {
    let mut worker = after_first_call(json!({}));
    worker.pass(millis(100_000)).give_tick();
    assert!(worker.calls.is_empty());
}

#[test]
fn a_renewal_that_says_inactive_takes_effect_at_once() {
    let mut worker = after_first_call(json!({}));
    worker.pass(millis(80_000)).receive(&Request::bearer("tok"));
    worker.answer(&inactive());
    let stream = worker.receive(&Request::bearer("tok"));
    assert_eq!(worker.fate(stream).reason(), "token_inactive");
}

#[test]
fn a_renewal_that_fails_changes_nothing() {
    let mut worker = after_first_call(json!({}));
    worker.pass(millis(80_000)).receive(&Request::bearer("tok"));
    worker.fail_call();
    let stream = worker.receive(&Request::bearer("tok"));
    assert!(matches!(worker.fate(stream), Fate::Forwarded(_)));
}

#[test]
fn one_worker_renews_for_all() {
    let mut one = after_first_call(json!({}));
    let patch = json!({"policies": {"default": {"cache_ttl": "100s"}}, "cache": {"jitter": 0}});
    let mut two = Worker::sharing(config(patch), one.shared.clone());
    for worker in [&mut one, &mut two] {
        worker.pass(millis(80_000)).receive(&Request::bearer("tok"));
        worker.give_turns();
    }
    assert_eq!((one.calls.len(), two.calls.len()), (1, 0));
}

#[test]
fn jitter_puts_renewals_off_but_never_past_their_time() {
    let mut worker = Worker::new(config(json!({
        "providers": {"main": {"introspection": {"max_concurrent_calls": 1000}}},
        "policies": {"default": {"cache_ttl": "100s"}},
        "cache": {"jitter": 0.2}
    })));
    let tokens: Vec<String> = (0..200).map(|number| format!("tok{number}")).collect();
    for token in &tokens {
        worker.call(&Request::bearer(token), &active());
    }
    let mut renewed_by = |at: u64| {
        worker.now = START.plus(millis(at));
        tokens.iter().for_each(|token| _ = worker.receive(&Request::bearer(token)));
        worker.give_turns();
        worker.calls.len()
    };
    assert_eq!(renewed_by(79_900), 0);
    let halfway = renewed_by(88_000);
    assert!((60..=140).contains(&halfway), "{halfway}");
    assert_eq!(renewed_by(96_000), 200);
}

#[test]
fn a_thousand_tokens_over_two_workers_make_a_thousand_calls() {
    let (mut one, mut two) = two_workers(json!({}));
    let mut calls = 0;
    for block in 0..50 {
        let tokens: Vec<String> = (0..20).map(|number| format!("tok{block}-{number}")).collect();
        let mut streams = (Vec::new(), Vec::new());
        for _ in 0..10 {
            for token in &tokens {
                streams.0.push(one.receive(&Request::bearer(token)));
                streams.1.push(two.receive(&Request::bearer(token)));
            }
            one.give_turns();
            two.give_turns();
        }
        calls += one.calls.len() + two.calls.len();
        while !one.calls.is_empty() {
            one.answer(&active());
        }
        two.read_letters(&mut one);
        assert!(two.calls.is_empty());
        streams.0.iter().for_each(|stream| assert!(matches!(one.fate(*stream), Fate::Forwarded(_))));
        streams.1.iter().for_each(|stream| assert!(matches!(two.fate(*stream), Fate::Forwarded(_))));
        one.fates.clear();
        two.fates.clear();
    }
    assert_eq!(calls, 1_000);
}

#[test]
fn more_requests_than_may_wait_are_refused() {
    const MOST: u32 = 16_384;
    let mut worker = Worker::new(config(json!({})));
    (0..MOST).for_each(|_| _ = worker.receive(&Request::bearer("tok")));
    let one_more = worker.receive(&Request::bearer("tok"));
    assert_eq!(worker.fate(one_more).reason(), "too_many_waiting_requests");
    worker.answer(&active()).give_turns();
    assert_eq!(worker.count(Counter::Forwarded), MOST, "who waited gets the verdict");
    let later = worker.receive(&Request::bearer("other"));
    assert!(worker.is_waiting(later), "there is room again");
}

#[test]
fn a_flood_of_unknown_tokens_leaves_calls_to_those_in_use() {
    let patch = json!({
        "providers": {"main": {"introspection": {"max_concurrent_calls": 8}}},
        "cache": {"stale_if_error": "1h"},
    });
    let mut worker = after_first_call(patch);
    let flood = |worker: &mut Worker| {
        for number in 0..1_000 {
            worker.receive(&Request::bearer(&format!("made-up-{number}-{}", worker.now.as_millis())));
        }
        worker.give_turns();
    };
    // A renewal.
    worker.pass(millis(80_000));
    flood(&mut worker);
    assert_eq!(worker.calls.len(), 6, "a quarter is kept");
    worker.receive(&Request::bearer("tok"));
    assert_eq!(worker.give_turns().calls.len(), 7);
    while !worker.calls.is_empty() {
        worker.answer(&active());
    }
    // One that has ended.
    worker.pass(millis(101_000));
    flood(&mut worker);
    let stream = worker.receive(&Request::bearer("tok"));
    assert_eq!(worker.give_turns().calls.len(), 7);
    let (id, _) = worker.calls.remove(6);
    worker.reply(id, 200, "application/json", inactive().to_string().as_bytes());
    worker.give_turns();
    assert_eq!(worker.fate(stream).status(), 401);
}

#[test]
fn a_full_house_is_no_outage() {
    let patch = json!({
        "providers": {"main": {"introspection": {"max_concurrent_calls": 1}}},
        "cache": {"stale_if_error": "1h", "refresh_ahead": 0},
    });
    let mut worker = after_first_call(patch);
    for other in ["other", "third"] {
        worker.call(&Request::bearer(other), &active());
    }
    worker.pass(millis(100_000)).receive(&Request::bearer("other"));
    worker.give_turns().receive(&Request::bearer("third"));
    let stream = worker.receive(&Request::bearer("tok"));
    worker.pass(millis(250)).answer(&active());
    worker.pass(millis(250)).give_tick();
    assert_eq!(worker.fate(stream).reason(), "too_many_introspection_calls", "it may have been revoked");
    assert_eq!(worker.count(Counter::CacheStale), 0);
}

#[test]
fn a_house_that_is_full_because_the_server_answers_nobody_is_an_outage() {
    let patch = json!({
        "providers": {"main": {"introspection": {"max_concurrent_calls": 1}}},
        "cache": {"stale_if_error": "1h", "refresh_ahead": 0},
    });
    let mut worker = after_first_call(patch);
    worker.call(&Request::bearer("other"), &active());
    worker.pass(millis(100_000)).receive(&Request::bearer("other"));
    worker.give_turns();
    let stream = worker.receive(&Request::bearer("tok"));
    worker.pass(millis(500)).give_tick();
    assert!(matches!(worker.fate(stream), Fate::Forwarded(_)), "by its stale verdict");
}

#[test]
fn unknown_tokens_are_asked_about_so_often_in_a_second() {
    let patch = json!({"providers": {"main": {"introspection": {"max_unknown_per_second": 10}}}});
    let mut worker = after_first_call(patch);
    worker.pass(millis(1_000));
    let streams: Vec<_> =
        (0..50).map(|number| worker.receive(&Request::bearer(&format!("made-up-{number}")))).collect();
    assert_eq!(worker.give_turns().calls.len(), 10);
    assert_eq!(worker.fate(streams[10]).reason(), "too_many_unknown_tokens");
    // The known one is none of them, and the next second is another.
    worker.pass(millis(99_000)).receive(&Request::bearer("tok"));
    worker.receive(&Request::bearer("new"));
    assert_eq!(worker.give_turns().calls.len(), 12);
}

#[test]
fn requests_that_wait_hold_bounded_bytes_of_their_clients() {
    let policy = json!({"token_sources": [{"cookie": "at"}], "forward": {"authorization": "jwt"}});
    let mut worker = Worker::new(config(json!({"policies": {"default": policy}})));
    let long = format!("at=tok; other={}", "x".repeat(50_000));
    let request = Request::get("/").with("cookie", &long);
    let waiting: Vec<_> = (0..1000).map(|_| worker.receive(&request)).collect();
    let kept = waiting.iter().filter(|stream| worker.is_waiting(**stream)).count();
    assert!((600..700).contains(&kept), "{kept} of 50 KB each are not 32 MiB");
    let refused = worker.fate(waiting[999]);
    assert_eq!((refused.status(), refused.reason()), (503, "too_many_waiting_requests"));
    assert_eq!(worker.count(Counter::Unavailable), 1000 - u32::try_from(kept).unwrap());
    worker.answer(&active());
    assert!(matches!(worker.fate(waiting[0]), Fate::Forwarded(_)));
    let after = worker.receive(&request);
    assert!(matches!(worker.fate(after), Fate::Forwarded(_)), "there is room again");
}

#[test]
fn control_characters_of_claims_never_reach_an_access_log() {
    let mut worker = Worker::new(config(json!({})));
    let mut claims = active();
    claims["sub"] = json!("al\nice\u{1b}[31m\u{85}\u{2028}\u{7f}");
    claims["client_id"] = json!("a\r\tpp\0");
    worker.call(&Request::bearer("tok"), &claims);
    let told = worker.descriptions.last().unwrap();
    let text = |claim: &Option<Vec<u8>>| String::from_utf8(claim.clone().unwrap()).unwrap();
    assert_eq!((text(&told.sub).as_str(), text(&told.client_id).as_str()), ("al?ice?[31m???", "a??pp?"));
}
