//! The wall clock is set back, or ahead by mistake and back: nothing is held back for as long, and no old verdict comes
//! back to life.

use std::time::Duration;

use phantom_token_filter::token::UnixMillis;
use serde_json::{Value, json};

use crate::support::{Fate, Request, START, Worker, active, config, inactive};

const HOUR: Duration = Duration::from_secs(3600);

fn settings(patch: Value) -> Value {
    let mut settings = json!({"policies": {"default": {"cache_ttl": "60s"}}, "cache": {"refresh_ahead": 0}});
    crate::support::merge(&mut settings, patch);
    config(settings)
}

fn set_clocks(workers: &mut [&mut Worker], now: UnixMillis) {
    for worker in workers {
        worker.now = now;
        worker.give_tick();
    }
}

fn long_lived() -> Value {
    json!({"active": true, "sub": "alice", "exp": START.plus(HOUR * 24).as_secs()})
}

#[test]
fn calls_are_not_held_back_for_as_long_as_the_clock_was_set_back() {
    let mut worker = Worker::new(settings(json!({})));
    for number in 0..5 {
        worker.receive(&Request::bearer(&format!("tok-{number}")));
        worker.fail_call();
    }
    let held_back = worker.receive(&Request::bearer("tok"));
    assert_eq!(worker.fate(held_back).reason(), "introspection_held_back");
    worker.now = START.minus(HOUR);
    let fate = worker.call(&Request::bearer("tok"), &active());
    assert!(matches!(fate, Fate::Forwarded(_)), "{fate:?}");
}

#[test]
fn an_old_active_does_not_come_back_to_life_when_the_clock_catches_up() {
    let mut one = Worker::new(settings(json!({})));
    let mut two = Worker::sharing(settings(json!({})), one.shared.clone());
    assert!(matches!(one.call(&Request::bearer("tok"), &long_lived()), Fate::Forwarded(_)));
    set_clocks(&mut [&mut one, &mut two], START.minus(HOUR));
    assert_eq!(one.call(&Request::bearer("tok"), &inactive()).status(), 401);
    // What is inactive is remembered for ten seconds only.
    set_clocks(&mut [&mut one, &mut two], START.plus(Duration::from_secs(1)));
    for worker in [&mut two, &mut one] {
        assert_eq!(worker.call(&Request::bearer("tok"), &inactive()).status(), 401, "an hour old");
    }
}

#[test]
fn a_verdict_that_nobody_looked_at_meanwhile_does_not_come_back_to_life_either() {
    let mut one = Worker::new(settings(json!({})));
    let mut two = Worker::sharing(settings(json!({})), one.shared.clone());
    // In the first level, too.
    for _ in 0..4 {
        one.call(&Request::bearer("tok"), &long_lived());
    }
    assert!(one.served_again > 0);
    set_clocks(&mut [&mut one, &mut two], START.minus(HOUR));
    set_clocks(&mut [&mut one, &mut two], START);
    for worker in [&mut two, &mut one] {
        assert_eq!(worker.call(&Request::bearer("tok"), &inactive()).status(), 401, "an hour old");
    }
}

#[test]
fn after_a_step_verdicts_are_remembered_as_before() {
    let mut worker = Worker::new(settings(json!({})));
    worker.call(&Request::bearer("tok"), &active());
    worker.now = START.minus(HOUR);
    worker.call(&Request::bearer("tok"), &active());
    worker.pass(Duration::from_secs(50));
    worker.receive(&Request::bearer("tok"));
    worker.give_turns();
    assert!(worker.calls.is_empty(), "it was asked for 50 s ago");
}

#[test]
fn a_verdict_on_the_wire_while_the_clock_is_set_back_is_asked_for_again() {
    let mut worker = Worker::new(settings(json!({})));
    let stream = worker.receive(&Request::bearer("tok"));
    worker.give_turns();
    worker.now = START.minus(HOUR);
    worker.answer(&long_lived());
    assert!(worker.is_waiting(stream));
    worker.answer(&inactive());
    assert_eq!(worker.fate(stream).status(), 401);
}

#[test]
fn nobody_waits_for_a_dead_worker_for_as_long_as_the_clock_was_set_back() {
    let mut one = Worker::new(settings(json!({})));
    let mut two = Worker::sharing(settings(json!({})), one.shared.clone());
    one.receive(&Request::bearer("tok"));
    one.give_turns();
    let waiting = two.receive(&Request::bearer("tok"));
    // The one dies.
    two.now = START.minus(HOUR);
    two.give_tick();
    assert_eq!(two.calls.len(), 1);
    two.answer(&active());
    assert!(matches!(two.fate(waiting), Fate::Forwarded(_)));
}

#[test]
fn an_idle_worker_looks_at_the_clock_now_and_then() {
    let mut worker = Worker::new(settings(json!({})));
    worker.start();
    assert_eq!(worker.tick, Duration::from_secs(10));
}
