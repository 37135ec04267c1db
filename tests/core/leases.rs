//! A worker that waits for another one goes by its own policies and by what was withdrawn, whatever it is told.

use std::rc::Rc;
use std::time::Duration;

use phantom_token_filter::cache::{ProviderTag, Subject, Which, Withdrawals};
use phantom_token_filter::filter::{StreamId, Told};
use phantom_token_filter::token::AccessToken;
use serde_json::{Value, json};

use crate::support::{Fate, Request, START, Worker, config, inactive, merge};

const SECOND: Duration = Duration::from_secs(1);

const HOUR: Duration = Duration::from_secs(3600);

/// Two workers of one Envoy with a short `cache_ttl`, and a shorter one under `/strict`.
fn two_workers(patch: Value) -> (Worker, Worker) {
    let mut settings = json!({
        "policies": {"default": {"cache_ttl": "10s"}, "strict": {"cache_ttl": "1s"}},
        "rules": [{"match": {"path": "/strict"}, "policy": "strict"}],
        "cache": {"refresh_ahead": 0},
    });
    merge(&mut settings, patch);
    let one = Worker::new(config(settings.clone()));
    let two = Worker::sharing(config(settings), one.shared.clone());
    (one, two)
}

fn active() -> Value {
    json!({"active": true, "sub": "alice", "client_id": "app", "exp": START.plus(HOUR * 24).as_secs()})
}

fn pass(one: &mut Worker, two: &mut Worker, time: Duration) {
    one.pass(time);
    two.pass(time);
}

fn strict(token: &str) -> Request {
    Request::get("/strict").with("authorization", format!("Bearer {token}"))
}

/// `one` takes the lease for a request that is gone before it asks, while `two` waits for it with `request`.
fn lease_without_a_question(one: &mut Worker, two: &mut Worker, request: &Request) -> StreamId {
    let gone = one.receive(request);
    let waiting = two.receive(request);
    two.give_turns();
    assert!(two.is_waiting(waiting) && two.calls.is_empty(), "it waits for the other worker");
    one.hang_up(gone);
    one.give_turns();
    assert!(one.calls.is_empty() && one.letters.len() == 1);
    two.read_letters(one);
    waiting
}

#[test]
fn who_waits_for_a_worker_that_asked_nobody_does_not_take_what_is_five_hours_old() {
    let (mut one, mut two) = two_workers(json!({}));
    assert!(matches!(one.call(&Request::bearer("tok"), &active()), Fate::Forwarded(_)));
    pass(&mut one, &mut two, HOUR * 5);
    let waiting = lease_without_a_question(&mut one, &mut two, &Request::bearer("tok"));
    assert!(two.is_waiting(waiting), "passed by a verdict of five hours ago under a cache_ttl of 10 s");
    two.answer(&inactive());
    assert_eq!(two.fate(waiting).status(), 401);
}

#[test]
fn who_waits_for_a_worker_that_asked_nobody_does_not_take_what_an_order_had_withdrawn() {
    let (mut one, mut two) = two_workers(json!({}));
    let withdrawals = Withdrawals::new(Rc::new(one.shared.clone()));
    withdrawals.create();
    one.call(&Request::bearer("tok"), &active());
    withdrawals.withdraw(
        &[Subject::token(&AccessToken::parse(b"tok").unwrap())],
        Duration::ZERO,
        START.plus(SECOND),
    );
    pass(&mut one, &mut two, HOUR * 5);
    // Watermarks that are older than any verdict may serve make room for others.
    for number in 0..4_000 {
        let subject = Subject::Of(ProviderTag::new("main"), Which::Sub(format!("sub-{number}")));
        withdrawals.withdraw(&[subject], Duration::ZERO, one.now);
    }
    let waiting = lease_without_a_question(&mut one, &mut two, &Request::bearer("tok"));
    assert!(two.is_waiting(waiting), "passed by a verdict that was withdrawn");
    two.answer(&inactive());
    assert_eq!(two.fate(waiting).status(), 401);
}

#[test]
fn word_of_a_verdict_that_was_too_long_to_remember_revives_no_older_one() {
    let (mut one, mut two) = two_workers(json!({}));
    one.call(&Request::bearer("tok"), &active());
    pass(&mut one, &mut two, HOUR);
    one.receive(&Request::bearer("tok"));
    one.give_turns();
    let waiting = two.receive(&Request::bearer("tok"));
    let mut long = active();
    merge(&mut long, json!({"permissions": "x".repeat(20_000)}));
    one.answer(&long);
    assert_eq!(one.letters[0].2, Told::Verdict);
    two.read_letters(&mut one);
    assert!(two.is_waiting(waiting), "passed by a verdict that is an hour old");
    two.answer(&inactive());
    assert_eq!(two.fate(waiting).status(), 401);
}

#[test]
fn a_verdict_serves_all_who_wait_or_none() {
    // The one's policy takes what is 5 s old, the other's does not.
    let (mut one, mut two) = two_workers(json!({}));
    one.receive(&Request::bearer("tok"));
    one.give_turns();
    let usual = two.receive(&Request::bearer("tok"));
    let strict = two.receive(&strict("tok"));
    // Another worker's verdict of before, which comes late.
    let (id, _) = one.calls.remove(0);
    pass(&mut one, &mut two, SECOND / 2);
    one.reply(id, 200, "application/json", active().to_string().as_bytes());
    two.read_letters(&mut one);
    assert!(two.calls.is_empty(), "it was asked for no longer ago than either allows");
    assert!(matches!(two.fate(usual), Fate::Forwarded(_)));
    assert!(matches!(two.fate(strict), Fate::Forwarded(_)));
}

#[test]
fn a_strict_policy_does_not_join_another_workers_older_question() {
    let (mut one, mut two) =
        two_workers(json!({"providers": {"main": {"introspection": {"timeout": "5s"}}}}));
    one.receive(&Request::bearer("tok"));
    one.give_turns();
    pass(&mut one, &mut two, SECOND / 2);
    let usual = two.receive(&Request::bearer("tok"));
    pass(&mut one, &mut two, SECOND);
    let strict = two.receive(&strict("tok"));
    two.give_turns();
    assert_eq!(two.calls.len(), 1, "joined a question that is 1.5 s old under a cache_ttl of 1 s");
    one.answer(&active());
    two.read_letters(&mut one);
    assert!(matches!(two.fate(usual), Fate::Forwarded(_)) && two.is_waiting(strict));
    two.answer(&inactive());
    assert_eq!(two.fate(strict).status(), 401);
}

#[test]
fn a_worker_that_may_not_ask_leaves_it_to_those_that_may() {
    let (mut one, mut two) =
        two_workers(json!({"providers": {"main": {"introspection": {"max_concurrent_calls": 1}}}}));
    one.receive(&Request::bearer("other"));
    one.give_turns();
    let refused = one.receive(&Request::bearer("tok"));
    one.pass(Duration::from_millis(500)).give_tick();
    assert_eq!(one.fate(refused).status(), 503);
    two.pass(Duration::from_millis(500));
    assert!(matches!(two.call(&Request::bearer("tok"), &active()), Fate::Forwarded(_)));
}
