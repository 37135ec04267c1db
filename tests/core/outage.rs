//! While the server is down: verdicts that serve on, and calls that are held back.

use std::time::Duration;

use phantom_token_filter::metrics::Counter;
use serde_json::json;

use crate::support::{Fate, Request, START, Worker, active, after_first_call, config, inactive};

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn while_the_server_is_down_the_last_verdict_serves_on_for_so_long() {
    let mut worker = after_first_call(json!({"cache": {"stale_if_error": "50s"}}));
    let request_at = |worker: &mut Worker, at: u64| {
        worker.now = START.plus(millis(at));
        let stream = worker.receive(&Request::bearer("tok"));
        worker.give_turns();
        if worker.is_waiting(stream) {
            worker.fail_call();
        }
        worker.fate(stream)
    };
    assert!(matches!(request_at(&mut worker, 149_000), Fate::Forwarded(_)));
    assert_eq!(worker.count(Counter::CacheStale), 1);
    assert_eq!(worker.descriptions.last().unwrap().cache, Some("stale"));
    assert_eq!(request_at(&mut worker, 150_000).status(), 503);
}

#[test]
fn a_stale_verdict_never_serves_past_exp_nor_against_the_servers_word() {
    let long = json!({"cache": {"stale_if_error": "1h"}});
    let mut worker = after_first_call(long.clone());
    worker.pass(millis(600_000));
    let stream = worker.receive(&Request::bearer("tok"));
    worker.fail_call();
    assert!(matches!(worker.fate(stream).status(), 401 | 503));
    // The server is up, and says no; or it refuses us, which is no outage.
    let mut worker = after_first_call(long.clone());
    worker.pass(millis(200_000));
    assert_eq!(worker.call(&Request::bearer("tok"), &inactive()).status(), 401);
    let mut worker = after_first_call(long);
    worker.pass(millis(200_000));
    let stream = worker.receive(&Request::bearer("tok"));
    worker.answer_with(401, "application/json", b"{}");
    assert_eq!(worker.fate(stream).status(), 503);
}

/// Anybody can bring it about by made-up tokens, and would keep a revoked one alive.
#[test]
fn a_server_that_limits_our_rate_is_not_down_and_no_old_verdict_serves() {
    let stale = json!({"cache": {"stale_if_error": "50s"}});
    let after = |answer: &dyn Fn(&mut Worker)| {
        let mut worker = after_first_call(stale.clone());
        worker.now = START.plus(millis(149_000));
        answer(&mut worker);
        // In a pause or a hold nobody is asked, and the verdict of the first call is too old.
        let stream = worker.receive(&Request::bearer("tok"));
        worker.give_turns();
        assert!(worker.calls.is_empty());
        worker.fate(stream)
    };
    let asks_for_a_pause = |status: u16| {
        after(&move |worker| {
            worker.receive(&Request::bearer("made-up"));
            worker.ask_for_a_pause("/introspect", status, "7");
        })
    };
    assert_eq!(asks_for_a_pause(429).reason(), "introspection_retry_later");
    assert!(matches!(asks_for_a_pause(503), Fate::Forwarded(_)), "maintenance is an outage");
    let fails = |status: u16| {
        after(&move |worker| {
            for number in 0..5 {
                worker.receive(&Request::bearer(&format!("made-up-{number}")));
                while !worker.give_turns().calls.is_empty() {
                    worker.answer_with(status, "application/json", b"{}");
                }
            }
        })
    };
    assert_eq!(fails(429).reason(), "introspection_held_back");
    assert!(matches!(fails(500), Fate::Forwarded(_)));
}

#[test]
fn without_being_asked_to_nothing_stale_serves() {
    let mut worker = after_first_call(json!({}));
    worker.pass(millis(100_000));
    let stream = worker.receive(&Request::bearer("tok"));
    worker.fail_call();
    assert_eq!(worker.fate(stream).status(), 503);
}

#[test]
fn a_server_that_fails_is_asked_less_until_it_is_back() {
    let mut worker = Worker::new(config(json!({})));
    for number in 0..5 {
        worker.receive(&Request::bearer(&format!("tok{number}")));
        worker.fail_call();
    }
    let held = worker.receive(&Request::bearer("tok"));
    assert_eq!((worker.fate(held).status(), worker.fate(held).reason()), (503, "introspection_held_back"));
    worker.pass(millis(50));
    let (probe, other) = (worker.receive(&Request::bearer("tok")), worker.receive(&Request::bearer("other")));
    assert_eq!(worker.fate(other).reason(), "introspection_held_back");
    worker.answer(&active());
    assert!(matches!(worker.fate(probe), Fate::Forwarded(_)));
    assert!(
        matches!(worker.call(&Request::bearer("other"), &active()), Fate::Forwarded(_)),
        "it is back for all"
    );
}

#[test]
fn while_calls_are_held_back_stale_verdicts_serve_at_once() {
    let mut worker = after_first_call(json!({"cache": {"stale_if_error": "50s"}}));
    worker.pass(millis(110_000));
    for number in 0..5 {
        worker.receive(&Request::bearer(&format!("new{number}")));
        worker.fail_call();
    }
    worker.pass(millis(50));
    let stream = worker.receive(&Request::bearer("tok"));
    assert!(matches!(worker.fate(stream), Fate::Forwarded(_)), "nobody waits for the probe");
    worker.give_turns();
    assert_eq!((worker.calls.len(), worker.count(Counter::CacheStale)), (1, 1));
    worker.answer(&inactive());
    let stream = worker.receive(&Request::bearer("tok"));
    assert_eq!(worker.fate(stream).reason(), "token_inactive", "the server is back, and its word counts");
}

#[test]
fn an_answer_that_is_no_outage_holds_no_calls_back() {
    let mut worker = Worker::new(config(json!({})));
    for number in 0..20 {
        worker.receive(&Request::bearer(&format!("jwt{number}")));
        // What oidc-provider says to a JWT: clients must not be able to turn the server off with them.
        worker.answer_with(400, "application/json", br#"{"error":"unsupported_token_type"}"#);
    }
    assert!(matches!(worker.call(&Request::bearer("tok"), &active()), Fate::Forwarded(_)));
}

#[test]
fn calls_that_the_host_refuses_settle_no_more_streams_in_a_callback_than_one_that_is_answered() {
    let limits = json!({"retries": 1, "breaker": {"failures": 1000}, "max_concurrent_calls": 200});
    let mut worker = Worker::new(config(json!({"providers": {"main": {"introspection": limits}}})));
    let ask = |worker: &mut Worker, token: usize| worker.receive(&Request::bearer(&format!("token-{token}")));
    let waiting: Vec<_> = (0..300).map(|request| ask(&mut worker, request % 100)).collect();
    // One turn, as when all of them have come in the same moment.
    worker.turns = 1;
    worker.give_turn();
    assert_eq!(worker.calls.len(), 100);
    assert!(worker.refuse_calls() <= 32);
    worker.give_turns();
    for stream in waiting {
        assert_eq!(worker.fate(stream).reason(), "introspection_unreachable");
    }
    assert_eq!(worker.count(Counter::IntrospectionError), 200, "each was tried twice");
}

#[test]
fn requests_whose_keys_cannot_be_fetched_are_settled_in_turns_too() {
    let provider = json!({"issuer": "https://as.example", "jwks": {"cluster": "as", "path": "/jwks"}});
    let policy = json!({"strategy": "jwt", "require": {"audiences": ["https://api.example"]}});
    let mut plugin = config(json!({"providers": {"main": provider}, "policies": {"default": policy}}));
    plugin["providers"]["main"].as_object_mut().unwrap().remove("introspection");
    plugin.as_object_mut().unwrap().remove("phantom_token");
    let mut worker = Worker::new(plugin);
    let waiting: Vec<_> = (0..100).map(|_| worker.receive(&Request::bearer("a.b.c"))).collect();
    worker.turns = 1;
    worker.give_turn();
    assert_eq!(worker.called(), ["/jwks"]);
    assert!(worker.refuse_calls() <= 32);
    worker.give_turns();
    for stream in waiting {
        assert_eq!(worker.fate(stream).reason(), "jwks_unavailable");
    }
}
