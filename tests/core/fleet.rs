//! What Envoys of a fleet tell each other through a store, told by hand: what is said when, and what follows from answers
//! that are right, late, wrong or hostile.

mod etcd;
mod jwts;
mod puts;
mod silence;

use std::rc::Rc;
use std::time::Duration;

use etcd::{bytes, header, identity, number, page, pair, watched, withdrawal};
use phantom_token_filter::cache::{Name, Subject};
use phantom_token_filter::config::Config;
use phantom_token_filter::filter::CallId;
use phantom_token_filter::fleet::{Envoy, Keys, Notice};
use phantom_token_filter::grpc::GrpcCall;
use phantom_token_filter::metrics::{Counter, Gauge};
use phantom_token_filter::token::AccessToken;
use serde_json::{Value, json};

use crate::support::withdrawing::{is_remembered, order};
use crate::support::{Fate, Map, Request, Worker, active, config, merge};

const PREFIX: &str = "/fleet";

const SECOND: Duration = Duration::from_secs(1);

const UNAVAILABLE: u32 = 14;

fn settings(fleet: Value) -> Value {
    let mut of_fleet =
        json!({"cluster": "etcd", "prefix": PREFIX, "max_silence": "5s", "on_silence": "serve"});
    merge(&mut of_fleet, fleet);
    config(json!({
        "policies": {"default": {"cache_ttl": "10m"}},
        "cache": {"refresh_ahead": 0},
        "revocation": {
            "settle": "0s",
            "admin": {"path": "/revocations", "token": {"inline": "admin-secret-admin-secret"}},
            "fleet": of_fleet,
        }
    }))
}

/// A worker that speaks with the store, and has asked for all there is.
fn worker(fleet: Value) -> Worker {
    let mut worker = Worker::new(settings(fleet));
    worker.start();
    worker
}

/// A worker that watches from revision 10 on, with nothing read.
fn watching(fleet: Value) -> (Worker, CallId) {
    let mut worker = worker(fleet);
    let stream = begin(&mut worker, &page(10, &[identity(5)], false));
    (worker, stream)
}

/// Answers the open question for all there is, and lets the watch begin.
fn begin(worker: &mut Worker, page: &[u8]) -> CallId {
    answer(worker, "Range", page);
    let stream = open(worker, "Watch");
    worker.grpc_message(stream, &watched(10, &[], false));
    stream
}

/// The call to this method that is open.
fn open(worker: &Worker, method: &str) -> CallId {
    let found = worker.grpc.iter().rfind(|(_, call)| call.method == method);
    found.unwrap_or_else(|| panic!("no {method} among {:?}", worker.grpc)).0
}

fn request(worker: &Worker, method: &str) -> GrpcCall {
    let id = open(worker, method);
    worker.grpc.iter().find(|(open, _)| *open == id).unwrap().1.clone()
}

/// Whether there is a call to this method.
fn calls(worker: &Worker, method: &str) -> bool {
    worker.grpc.iter().any(|(_, call)| call.method == method)
}

fn answer(worker: &mut Worker, method: &str, message: &[u8]) {
    let id = open(worker, method);
    worker.grpc.retain(|(open, _)| *open != id);
    worker.grpc_message(id, message);
}

fn refuse(worker: &mut Worker, method: &str, status: u32) {
    let id = open(worker, method);
    worker.grpc_closed(id, status);
}

fn withdraw(worker: &mut Worker, token: &str) {
    let stream = order(worker, &json!({"token": token}));
    assert_eq!(worker.fate(stream).status(), 200);
}

fn remember(worker: &mut Worker, token: &str) {
    assert!(matches!(worker.call(&Request::bearer(token), &active()), Fate::Forwarded(_)));
}

fn contains(message: &[u8], part: &[u8]) -> bool {
    message.windows(part.len()).any(|window| window == part)
}

#[test]
fn all_there_is_is_read_and_then_watched_from_the_next_revision() {
    let mut worker = worker(json!({}));
    for token in ["read", "watched", "other"] {
        remember(&mut worker, token);
    }
    let range = request(&worker, "Range");
    assert_eq!((range.cluster.as_str(), range.service), ("etcd", "etcdserverpb.KV"));
    assert!(range.metadata.contains(&("hasleader", "true".to_owned())));
    assert!(contains(&range.message, b"/fleet/1/") && contains(&range.message, b"/fleet/10"));
    let stream = begin(&mut worker, &page(10, &[identity(5), withdrawal("read", 7)], false));
    assert!(!is_remembered(&mut worker, "read") && is_remembered(&mut worker, "watched"));
    let watch = request(&worker, "Watch");
    let create =
        [bytes(1, b"/fleet/1/"), bytes(2, b"/fleet/10"), number(3, 11), number(5, 1), number(8, 1)].concat();
    assert_eq!(watch.message, bytes(1, &create));
    worker.grpc_message(stream, &watched(11, &[withdrawal("watched", 11)], false));
    assert!(!is_remembered(&mut worker, "watched") && is_remembered(&mut worker, "other"));
    assert_eq!(worker.count(Counter::FleetApplied), 2);
    worker.pass(SECOND).give_tick();
    assert_eq!(worker.level(Gauge::FleetHeard), Some(1));
    assert_eq!(worker.sent, [(stream, vec![0x1a, 0])], "a sign of life is asked for");
}

#[test]
fn one_worker_of_an_envoy_speaks_with_the_store_and_another_when_it_says_nothing_more() {
    let shared = Map::default();
    let mut one = Worker::sharing(settings(json!({})), shared.clone());
    let mut two = Worker::sharing(settings(json!({})), shared);
    one.start();
    two.start();
    assert!(calls(&one, "Range") && two.grpc.is_empty());
    two.pass(2 * SECOND).give_tick();
    assert!(two.grpc.is_empty(), "it may be busy");
    two.pass(2 * SECOND).give_tick();
    assert!(calls(&two, "Range"));
    // The first finds out, and leaves the other alone.
    let stream = begin(&mut one, &page(10, &[identity(5)], false));
    one.pass(4 * SECOND).give_tick();
    assert_eq!(one.canceled, [stream]);
    // One whose configuration ends makes room at once.
    two.end();
    one.give_tick();
    assert!(calls(&one, "Range"));
}

#[test]
fn after_a_break_only_what_is_new_is_done_unless_the_store_is_another() {
    let (mut worker, stream) = watching(json!({}));
    worker.grpc_message(stream, &watched(11, &[withdrawal("old", 11)], false));
    // Compacted while nobody listened.
    worker.grpc_message(stream, &[header(20), number(4, 1), number(5, 15)].concat());
    assert_eq!(worker.canceled, [stream]);
    worker.pass(SECOND);
    remember(&mut worker, "old");
    remember(&mut worker, "new");
    worker.pass(SECOND).give_tick();
    let all = [identity(5), withdrawal("old", 11), withdrawal("new", 12)];
    let stream = begin(&mut worker, &page(20, &all, false));
    assert!(is_remembered(&mut worker, "old") && !is_remembered(&mut worker, "new"));
    // Emptied, and then filled to the same revision.
    worker.grpc_closed(stream, UNAVAILABLE);
    worker.pass(SECOND).give_tick();
    let another = pair(b"/fleet/1/store", b"identity-of-it-2", 2);
    begin(&mut worker, &page(30, &[another, withdrawal("old", 11)], false));
    assert!(!is_remembered(&mut worker, "old"));
}

#[test]
fn what_comes_in_pieces_is_known_when_all_of_it_is_there() {
    let (mut worker, stream) = watching(json!({}));
    worker.grpc_message(stream, &watched(11, &[withdrawal("piece-1", 11)], true));
    worker.grpc_closed(stream, UNAVAILABLE);
    remember(&mut worker, "piece-1");
    remember(&mut worker, "piece-2");
    worker.pass(SECOND).give_tick();
    begin(
        &mut worker,
        &page(20, &[identity(5), withdrawal("piece-1", 11), withdrawal("piece-2", 11)], false),
    );
    assert!(!is_remembered(&mut worker, "piece-1") && !is_remembered(&mut worker, "piece-2"));
}

#[test]
fn a_user_gets_a_token_and_a_wrong_password_is_not_tried_all_the_time() {
    let user = json!({"user": {"name": "gateway", "password": {"inline": "correct-horse"}}});
    let mut worker = worker(user);
    assert!(!calls(&worker, "Range"));
    refuse(&mut worker, "Authenticate", 3);
    for _ in 0..29 {
        worker.pass(SECOND).give_tick();
        assert!(worker.grpc.is_empty());
    }
    worker.pass(SECOND).give_tick();
    let asked = request(&worker, "Authenticate");
    assert_eq!(asked.message, [bytes(1, b"gateway"), bytes(2, b"correct-horse")].concat());
    assert!(!format!("{asked:?}").contains("correct-horse"));
    answer(&mut worker, "Authenticate", &[header(1), bytes(2, b"token.17")].concat());
    assert!(request(&worker, "Range").metadata.contains(&("token", "token.17".to_owned())));
    let stream = begin(&mut worker, &page(10, &[identity(5)], false));
    // A token that has ended is had anew, and the watch goes on.
    withdraw(&mut worker, "tok");
    worker.give_turns();
    refuse(&mut worker, "LeaseGrant", 16);
    answer(&mut worker, "Authenticate", &[header(1), bytes(2, b"token.18")].concat());
    assert!(request(&worker, "LeaseGrant").metadata.contains(&("token", "token.18".to_owned())));
    assert_eq!((worker.canceled.len(), open(&worker, "Watch")), (0, stream));
}

#[test]
fn a_token_that_is_configured_is_sent_as_it_is() {
    let worker = worker(json!({"authorization": {"inline": "token-of-an-operator"}}));
    assert!(request(&worker, "Range").metadata.contains(&("token", "token-of-an-operator".to_owned())));
}

#[test]
fn more_than_a_page_is_read_page_by_page_at_one_revision() {
    let mut worker = worker(json!({}));
    for token in ["one", "two"] {
        remember(&mut worker, token);
    }
    let first = withdrawal("one", 7);
    answer(&mut worker, "Range", &page(10, &[identity(5), first], true));
    let next = request(&worker, "Range").message;
    assert!(contains(&next, &number(4, 10)), "as of the same revision");
    begin(&mut worker, &page(12, &[withdrawal("two", 8)], false));
    assert!(contains(&request(&worker, "Watch").message, &number(3, 11)));
    assert!(!is_remembered(&mut worker, "one") && !is_remembered(&mut worker, "two"));
}

#[test]
fn more_than_can_be_told_apart_stands_for_everything() {
    let mut worker = worker(json!({}));
    remember(&mut worker, "tok");
    for number in 0..2000 {
        let key = format!("/fleet/1/w/{number:08}");
        answer(&mut worker, "Range", &page(10, &[pair(key.as_bytes(), b"", 1)], true));
    }
    assert!(calls(&worker, "Watch") && !is_remembered(&mut worker, "tok"));
}

#[test]
fn what_cannot_be_read_is_not_believed() {
    for bad in [
        &b"\xff"[..],
        b"",
        &[0x0a, 0x7f],
        &page(10, &[pair(b"/fleet/1/w/x", b"", u64::MAX)], false),
        &page(0, &[], false),
    ] {
        let mut worker = worker(json!({}));
        answer(&mut worker, "Range", bad);
        assert!(worker.grpc.is_empty(), "{bad:?}");
        worker.pass(SECOND).give_tick();
        assert!(calls(&worker, "Range"), "it is read anew");
        assert_eq!(worker.count(Counter::FleetError), 1);
    }
    let (mut worker, stream) = watching(json!({}));
    worker.grpc_message_too_long(stream);
    assert_eq!(worker.canceled, [stream]);
    // A page that does not get on.
    worker.pass(SECOND).give_tick();
    let same = page(10, &[withdrawal("tok", 1)], true);
    answer(&mut worker, "Range", &same);
    answer(&mut worker, "Range", &same);
    assert!(worker.grpc.is_empty());
    // One that knows less when it is watched than when it was read.
    worker.pass(SECOND).give_tick();
    answer(&mut worker, "Range", &page(10, &[identity(5)], false));
    let stream = open(&worker, "Watch");
    worker.grpc_message(stream, &watched(9, &[], false));
    assert_eq!(worker.canceled.last(), Some(&stream));
}

#[test]
fn keys_that_are_no_withdrawals_withdraw_everything_once_a_second_at_most() {
    let (mut worker, stream) = watching(json!({}));
    remember(&mut worker, "tok");
    for revision in 11..100 {
        worker.grpc_message(stream, &watched(revision, &[pair(b"/fleet/1/w/junk", b"?", revision)], false));
    }
    worker.pass(SECOND).give_tick();
    assert!(!is_remembered(&mut worker, "tok"));
    assert_eq!(worker.count(Counter::FleetError), 1);
}

#[test]
fn answers_to_calls_that_were_given_up_change_nothing() {
    let mut worker = worker(json!({}));
    let late = open(&worker, "Range");
    for _ in 0..4 {
        worker.pass(SECOND).give_tick();
    }
    remember(&mut worker, "tok");
    worker.grpc_message(late, &page(10, &[withdrawal("tok", 7)], false));
    worker.grpc_closed(late, UNAVAILABLE);
    worker.grpc_message(CallId(4_000_000), b"");
    assert!(is_remembered(&mut worker, "tok") && !calls(&worker, "Watch"));
}

#[test]
fn a_withdrawal_is_read_as_it_was_written_and_nothing_else_is_one() {
    let keys = Keys::new(PREFIX);
    let name = Name::of(&Subject::token(&AccessToken::parse(b"abc").unwrap()));
    let notice = Notice { name, settle: Duration::from_secs(10), jwts: None, by: Envoy([7; 8]) };
    let refusing = Notice { jwts: Some(crate::support::START), ..notice };
    let (longer, value) = refusing.write(&keys);
    assert_eq!(Notice::read(&keys, &longer, &value), Some(refusing));
    let (key, value) = notice.write(&keys);
    assert_eq!(Notice::read(&keys, &key, &value), Some(notice));
    for cut in key.len() + 1..longer.len() {
        assert_eq!(Notice::read(&keys, &longer[..cut], &value), None);
    }
    for cut in 0..value.len() {
        assert_eq!(Notice::read(&keys, &key, &value[..cut]), None);
    }
    for cut in 0..key.len() {
        assert_eq!(Notice::read(&keys, &key[..cut], &value), None);
    }
    assert_eq!(Notice::read(&keys, &[&key[..], b"0"].concat(), &value), None);
    assert_eq!(Notice::read(&keys, &key.to_ascii_uppercase(), &value), None);
    assert_eq!(Notice::read(&keys, &key, &[&value[..], b"0"].concat()), None);
    assert_eq!(Notice::read(&Keys::new("/other"), &key, &value), None);
}

#[test]
fn a_configuration_without_a_fleet_speaks_with_nobody() {
    let mut worker = Worker::new(config(json!({})));
    worker.start();
    assert!(worker.grpc.is_empty());
    let config = Config::parse(config(json!({})).to_string().as_bytes(), &|_| None).unwrap();
    assert!(Rc::new(config).revocation.fleet.is_none());
}
