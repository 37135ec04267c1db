//! What is withdrawn here, and put for others.

use phantom_token_filter::cache::{Name, SharedData, Subject};
use phantom_token_filter::metrics::{Counter, Gauge};
use phantom_token_filter::token::AccessToken;
use serde_json::json;

use super::etcd::{header, identity, number, page, pair, watched};
use super::{
    SECOND, UNAVAILABLE, answer, begin, calls, contains, refuse, remember, request, settings, watching,
    withdraw, worker,
};
use crate::support::withdrawing::is_remembered;
use crate::support::{Map, START, Worker};

#[test]
fn what_is_withdrawn_here_is_put_under_a_lease_that_many_share() {
    let shared = Map::default();
    let mut one = Worker::sharing(settings(json!({})), shared.clone());
    one.start();
    let mut two = Worker::sharing(settings(json!({})), shared);
    two.start();
    begin(&mut one, &page(10, &[identity(5)], false));
    withdraw(&mut two, "first");
    assert_eq!(two.woken, [one.mailbox]);
    one.wake();
    // As long as a verdict or a JWT may live, and the minute that the lease is used for.
    let life = request(&one, "LeaseGrant").message;
    let seconds = 3600 + 60;
    assert!((seconds..seconds + 30).any(|life_of| life == number(1, life_of)), "{life:?}");
    answer(&mut one, "LeaseGrant", &[header(10), number(2, 4711), number(3, 660)].concat());
    let put = request(&one, "Txn").message;
    assert!(
        contains(&put, b"/fleet/1/w/01") && contains(&put, &number(3, 4711)) && !contains(&put, b"first")
    );
    for token in ["second", "third"] {
        withdraw(&mut two, token);
        one.wake();
    }
    assert_eq!(one.grpc.iter().filter(|(_, call)| call.method == "Txn").count(), 1, "one at a time");
    answer(&mut one, "Txn", &header(11));
    assert_eq!(one.count(Counter::FleetPut), 1);
    answer(&mut one, "Txn", &header(12));
    assert_eq!(one.count(Counter::FleetPut), 3, "two at once");
    one.pass(61 * SECOND).give_tick();
    withdraw(&mut one, "fourth");
    one.give_turns();
    assert!(calls(&one, "LeaseGrant"), "a lease is used for a minute");
}

#[test]
fn what_cannot_be_put_waits_and_is_put_when_the_store_is_back() {
    let (mut worker, stream) = watching(json!({}));
    worker.grpc_closed(stream, UNAVAILABLE);
    for number in 0..100 {
        withdraw(&mut worker, &format!("token-{number:06}"));
    }
    worker.give_tick();
    assert_eq!(worker.level(Gauge::FleetWaiting), Some(100));
    worker.pass(SECOND).give_tick();
    refuse(&mut worker, "Range", UNAVAILABLE);
    worker.pass(SECOND).give_tick();
    begin(&mut worker, &page(10, &[identity(5)], false));
    answer(&mut worker, "LeaseGrant", &[header(10), number(2, 1)].concat());
    // A lease that has ended, say by an operator, is had anew at once.
    refuse(&mut worker, "Txn", 5);
    answer(&mut worker, "LeaseGrant", &[header(10), number(2, 2)].concat());
    for _ in 0..4 {
        answer(&mut worker, "Txn", &header(11));
    }
    assert!(!calls(&worker, "Txn"));
    worker.pass(SECOND).give_tick();
    assert_eq!((worker.count(Counter::FleetPut), worker.level(Gauge::FleetWaiting)), (100, Some(0)));
}

#[test]
fn more_than_can_wait_are_put_as_everything() {
    let (mut worker, stream) = watching(json!({}));
    worker.grpc_closed(stream, UNAVAILABLE);
    for number in 0..20_000 {
        withdraw(&mut worker, &format!("token-{number:06}"));
    }
    worker.give_tick();
    let waiting = worker.level(Gauge::FleetWaiting).unwrap();
    assert!(waiting < 128 * 64, "{waiting}");
    worker.pass(SECOND).give_tick();
    begin(&mut worker, &page(10, &[identity(5)], false));
    answer(&mut worker, "LeaseGrant", &[header(10), number(2, 1)].concat());
    assert!(contains(&request(&worker, "Txn").message, b"/fleet/1/w/00"));
}

#[test]
fn what_is_its_own_is_not_done_twice_and_a_store_without_identity_gets_one() {
    let mut worker = worker(json!({}));
    let stream = begin(&mut worker, &page(10, &[], false));
    let put = request(&worker, "Txn").message;
    assert!(contains(&put, b"/fleet/1/store"));
    answer(&mut worker, "Txn", &header(11));
    withdraw(&mut worker, "ours");
    worker.give_turns();
    answer(&mut worker, "LeaseGrant", &[header(11), number(2, 1)].concat());
    // What it has put, as the store tells it.
    let put = request(&worker, "Txn").message;
    let key = put.windows(94).find(|part| part.starts_with(b"/fleet/1/w/01")).unwrap().to_vec();
    let value = put.windows(13).rfind(|part| part[0] == 1 && part.ends_with(&[0, 0, 0, 0])).unwrap().to_vec();
    worker.pass(SECOND);
    remember(&mut worker, "ours");
    worker.grpc_message(stream, &watched(12, &[pair(&key, &value, 12)], false));
    assert!(is_remembered(&mut worker, "ours"));
    assert_eq!((worker.count(Counter::FleetApplied), worker.count(Counter::FleetError)), (0, 0));
}

#[test]
fn no_token_and_no_name_is_put() {
    let (mut worker, _) = watching(json!({}));
    withdraw(&mut worker, "a-token-that-nobody-may-see");
    worker.give_turns();
    answer(&mut worker, "LeaseGrant", &[header(10), number(2, 1)].concat());
    assert!(!contains(&request(&worker, "Txn").message, b"a-token-that"));
    assert!(!worker.shared.contains(b"a-token-that"));
}

#[test]
fn what_an_older_filter_could_not_put_is_put_by_a_newer_one() {
    let (mut worker, stream) = watching(json!({}));
    worker.grpc_closed(stream, UNAVAILABLE);
    let name = Name::of(&Subject::token(&AccessToken::parse(b"tok").unwrap()));
    let times = [0_u64, START.as_millis()].map(u64::to_le_bytes).concat();
    let older = [&[2, name.kind()][..], name.digest().as_bytes(), &[0; 4], &times].concat();
    worker.shared.set("f0", &older);
    worker.shared.set("outbox mark", b"another");
    worker.give_tick();
    assert_eq!(worker.level(Gauge::FleetWaiting), Some(1));
    worker.pass(SECOND).give_tick();
    begin(&mut worker, &page(10, &[identity(5)], false));
    answer(&mut worker, "LeaseGrant", &[header(10), number(2, 1)].concat());
    assert!(contains(&request(&worker, "Txn").message, b"/fleet/1/w/01"));
    answer(&mut worker, "Txn", &header(11));
    worker.pass(SECOND).give_tick();
    assert_eq!((worker.count(Counter::FleetPut), worker.level(Gauge::FleetWaiting)), (1, Some(0)));
}
