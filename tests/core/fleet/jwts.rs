//! JWTs that nobody is asked about, at all Envoys of a fleet.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use phantom_token_filter::cache::{Name, ProviderTag, Subject, Which};
use phantom_token_filter::filter::CallId;
use phantom_token_filter::fleet::{Envoy, Keys, Notice, Outbox, Waiting};
use phantom_token_filter::jwt::Algorithm;
use phantom_token_filter::metrics::Counter;
use phantom_token_filter::token::{AccessToken, UnixMillis};
use serde_json::{Value, json};

use super::etcd::{header, identity, number, page, pair, puts_of, watched, withdrawal};
use super::{PREFIX, SECOND, UNAVAILABLE, answer, begin, calls, contains, request, settings};
use crate::support::issuer::{jwk, sign};
use crate::support::withdrawing::order;
use crate::support::{Fate, Request, START, Worker, merge};

const ISSUER: &str = "https://as.example";

const PARTNER: &str = "https://partner.example";

/// A worker that watches, and validates JWTs.
fn watching(patch: Value) -> (Worker, CallId) {
    let mut all = settings(json!({}));
    merge(
        &mut all,
        json!({"providers": {"main": {"issuer": ISSUER, "jwks": {"cluster": "as", "path": "/jwks"}}},
            "policies": {"default": {"strategy": "jwt"}}}),
    );
    merge(&mut all, patch);
    let mut worker = Worker::new(all);
    worker.start();
    while !worker.calls.is_empty() {
        worker.answer(&json!({"keys": [jwk(Algorithm::ES256, json!({}))]}));
    }
    let stream = begin(&mut worker, &page(10, &[identity(5)], false));
    (worker, stream)
}

/// Settings with a second provider, which signs with the same key.
fn two_providers() -> Value {
    let of = |issuer: &str| json!({"issuer": issuer, "jwks": {"cluster": "as", "path": "/jwks"}});
    json!({"providers": {"main": of(ISSUER), "partner": of(PARTNER)},
        "policies": {"default": {"providers": ["main", "partner"]}}})
}

fn jwt(sub: &str, age: Duration) -> String {
    jwt_of(ISSUER, sub, age)
}

fn jwt_of(issuer: &str, sub: &str, age: Duration) -> String {
    let claims = json!({"iss": issuer, "sub": sub, "client_id": "app", "iat": START.minus(age).as_secs(),
        "exp": START.as_secs() + 600});
    sign(Algorithm::ES256, json!({"typ": "at+jwt"}), &claims)
}

fn passes(worker: &mut Worker, token: &str) -> bool {
    let stream = worker.receive(&Request::bearer(token));
    match worker.fate(stream) {
        Fate::Forwarded(_) => true,
        Fate::Answered(answer) => {
            assert_eq!(answer.details, "token_withdrawn");
            false
        }
    }
}

/// What another Envoy puts.
fn told(subject: &Subject, jwts: Option<UnixMillis>) -> (Vec<u8>, Vec<u8>) {
    let notice = Notice { name: Name::of(subject), settle: Duration::ZERO, jwts, by: Envoy(*b"another1") };
    notice.write(&Keys::new(PREFIX))
}

/// The same as the store tells it.
fn put(subject: &Subject, jwts: Option<UnixMillis>, revision: u64) -> Vec<u8> {
    let (key, value) = told(subject, jwts);
    pair(&key, &value, revision)
}

fn of(which: Which) -> Subject {
    Subject::Of(ProviderTag::new(ISSUER), which)
}

#[test]
fn what_another_envoy_withdraws_refuses_jwts_as_it_does_there() {
    let (mut worker, stream) = watching(json!({}));
    let (alices, bobs) = (jwt("alice", SECOND), jwt("bob", SECOND));
    assert!(passes(&mut worker, &alices) && passes(&mut worker, &bobs));
    let sub = |sub: &str| of(Which::Sub(sub.to_owned()));
    let spared = [put(&of(Which::Client("app".to_owned())), None, 11), put(&sub("bob"), None, 12)];
    worker.grpc_message(stream, &watched(12, &spared, false));
    assert!(
        passes(&mut worker, &alices) && passes(&mut worker, &bobs),
        "a public client may have asked for it"
    );
    worker.grpc_message(stream, &watched(13, &[put(&sub("alice"), Some(START.minus(SECOND)), 13)], false));
    assert!(!passes(&mut worker, &alices) && passes(&mut worker, &bobs));
    assert!(passes(&mut worker, &jwt("alice", Duration::ZERO)));
    // What is told later of earlier times takes nothing back.
    worker
        .grpc_message(stream, &watched(14, &[put(&sub("alice"), Some(START.minus(60 * SECOND)), 14)], false));
    assert!(!passes(&mut worker, &alices));

    let (mut worker, stream) = watching(json!({"revocation": {"jwts": "ignore"}}));
    worker.grpc_message(stream, &watched(11, &[put(&sub("alice"), Some(START), 11)], false));
    assert!(passes(&mut worker, &alices));
}

#[test]
fn a_new_envoy_reads_what_others_have_withdrawn() {
    let mut all = settings(json!({}));
    merge(
        &mut all,
        json!({"providers": {"main": {"issuer": ISSUER, "jwks": {"cluster": "as", "path": "/jwks"}}},
            "policies": {"default": {"strategy": "jwt"}}}),
    );
    let mut worker = Worker::new(all);
    worker.start().answer(&json!({"keys": [jwk(Algorithm::ES256, json!({}))]}));
    let alice = put(&of(Which::Sub("alice".to_owned())), Some(START), 7);
    begin(&mut worker, &page(10, &[identity(5), alice], false));
    assert!(!passes(&mut worker, &jwt("alice", SECOND)) && passes(&mut worker, &jwt("bob", SECOND)));
}

#[test]
fn a_later_withdrawal_that_refuses_nothing_takes_no_key_of_one_that_does() {
    let (mut worker, _) = watching(json!({}));
    order(&mut worker, &json!({"client_id": "app"}));
    worker.give_turns();
    answer(&mut worker, "LeaseGrant", &[header(10), number(2, 4711)].concat());
    let refusing = format!("/{:016x}", START.as_millis());
    assert!(contains(&request(&worker, "Txn").message, refusing.as_bytes()));
    let subject = of(Which::Client("app".to_owned()));
    let keys = Keys::new(PREFIX);
    let key = |jwts| {
        Notice { name: Name::of(&subject), settle: Duration::ZERO, jwts, by: Envoy([0; 8]) }.write(&keys).0
    };
    assert!(contains(&request(&worker, "Txn").message, &key(Some(START))));
    assert_ne!(key(Some(START)), key(None));
}

#[test]
fn what_cannot_be_read_refuses_no_jwt() {
    let (mut worker, stream) = watching(json!({}));
    let token = jwt("alice", SECOND);
    worker.grpc_message(stream, &watched(11, &[pair(b"/fleet/1/w/zz", b"?", 11)], false));
    worker.pass(SECOND).give_tick();
    assert!(passes(&mut worker, &token));
    worker.grpc_message(stream, &watched(12, &[withdrawal("opaque", 12)], false));
    assert!(passes(&mut worker, &token));
}

/// Answers what is put, as long as something is; returns all of it as the store tells it to others.
fn all_that_is_put(worker: &mut Worker) -> Vec<Vec<u8>> {
    let mut told = Vec::new();
    while calls(worker, "Txn") {
        let pairs = puts_of(&request(worker, "Txn").message);
        let keys: BTreeSet<_> = pairs.iter().map(|(key, _)| key).collect();
        assert_eq!(keys.len(), pairs.len(), "etcd takes no key twice in one transaction");
        told.extend(pairs.iter().map(|(key, value)| pair(key, value, 11)));
        answer(worker, "Txn", &header(11));
    }
    told
}

#[test]
fn more_than_can_wait_for_the_store_refuse_all_of_the_provider_that_was_issued_up_to_then_and_nothing_else() {
    let (mut one, stream) = watching(two_providers());
    one.grpc_closed(stream, UNAVAILABLE);
    order(&mut one, &json!({"sub": "alice", "provider": "partner"}));
    for number in 0..20_000 {
        order(&mut one, &json!({"sub": format!("user-{number}"), "provider": "main"}));
    }
    one.pass(SECOND).give_tick();
    begin(&mut one, &page(10, &[identity(5)], false));
    answer(&mut one, "LeaseGrant", &[header(10), number(2, 1)].concat());
    let told = all_that_is_put(&mut one);
    let (mut two, stream) = watching(two_providers());
    two.grpc_message(stream, &watched(11, &told, false));
    assert!(!passes(&mut two, &jwt("anybody", SECOND)));
    let later =
        json!({"iss": ISSUER, "sub": "anybody", "iat": START.as_secs() + 1, "exp": START.as_secs() + 600});
    assert!(passes(&mut two, &sign(Algorithm::ES256, json!({"typ": "at+jwt"}), &later)));
    for (sub, is_good) in [("anybody", true), ("bob", true), ("alice", false)] {
        assert_eq!(passes(&mut two, &jwt_of(PARTNER, sub, SECOND)), is_good, "{sub}");
    }
}

#[test]
fn tokens_that_refuse_nothing_come_to_stand_for_everything_and_refuse_nothing() {
    let (mut one, stream) = watching(json!({}));
    one.grpc_closed(stream, UNAVAILABLE);
    let outbox = Outbox::new(Rc::new(one.shared.clone()));
    order(&mut one, &json!({"token": jwt("alice", SECOND)}));
    for number in 0..20_000 {
        let token = AccessToken::parse(format!("opaque-{number}").as_bytes()).unwrap();
        let name = Name::of(&Subject::token(&token));
        outbox.add(Waiting { name, settle: Duration::ZERO, jwts: None, at: START });
    }
    one.pass(SECOND).give_tick();
    begin(&mut one, &page(10, &[identity(5)], false));
    answer(&mut one, "LeaseGrant", &[header(10), number(2, 1)].concat());
    let told = all_that_is_put(&mut one);
    let (mut two, stream) = watching(json!({}));
    two.grpc_message(stream, &watched(11, &told, false));
    assert!(!passes(&mut two, &jwt("alice", SECOND)));
    assert!(passes(&mut two, &jwt("bob", SECOND)), "only what is ordered refuses");
}

#[test]
fn very_many_withdrawals_of_one_provider_at_another_envoy_refuse_no_jwt_of_another() {
    let (mut worker, stream) = watching(two_providers());
    let subject = |number: u32| of(Which::Sub(format!("user-{number}")));
    for hundred in 0..600 {
        let told: Vec<_> = (0..100)
            .map(|number| put(&subject(100 * hundred + number), Some(START), 11 + u64::from(hundred)))
            .collect();
        worker.grpc_message(stream, &watched(11 + u64::from(hundred), &told, false));
    }
    for number in [0, 30_000, 59_999] {
        assert!(!passes(&mut worker, &jwt(&format!("user-{number}"), SECOND)), "{number}");
    }
    assert!((0..5).any(|number| !passes(&mut worker, &jwt(&format!("nobody-{number}"), SECOND))));
    for number in 0..5 {
        assert!(passes(&mut worker, &jwt_of(PARTNER, &format!("user-{number}"), SECOND)), "{number}");
    }
}

#[test]
fn what_an_envoy_of_before_tells_names_no_provider_and_refuses_the_same() {
    let (mut worker, stream) = watching(two_providers());
    let (key, _) = told(&of(Which::Sub("alice".to_owned())), Some(START));
    let of_before = [&[1][..], b"another1", &[0; 4]].concat();
    worker.grpc_message(stream, &watched(11, &[pair(&key, &of_before, 11)], false));
    worker.pass(SECOND).give_tick();
    assert_eq!(worker.count(Counter::FleetError), 0);
    assert!(!passes(&mut worker, &jwt("alice", SECOND)) && passes(&mut worker, &jwt("bob", SECOND)));
    assert!(passes(&mut worker, &jwt_of(PARTNER, "alice", SECOND)));
}

#[test]
fn whose_jwts_are_refused_is_told_and_of_what_refuses_none_what_it_was_before() {
    let keys = Keys::new(PREFIX);
    let of_alice = of(Which::Sub("alice".to_owned()));
    let (key, value) = told(&of_alice, Some(START));
    assert_eq!((value[0], value.len()), (2, 21));
    assert_eq!(Notice::read(&keys, &key, &value).unwrap().name.provider(), Some(ProviderTag::new(ISSUER)));
    let none = [&value[..13], &[0; 8]].concat();
    assert_eq!(Notice::read(&keys, &key, &none), None, "one that names no provider is of version 1");
    for cut in 0..value.len() {
        assert_eq!(Notice::read(&keys, &key, &value[..cut]), None);
    }
    assert_eq!(Notice::read(&keys, &key, &[&value[..], b"0"].concat()), None);
    let (key, spared) = told(&of_alice, None);
    assert_eq!((spared[0], spared.len()), (1, 13));
    assert_eq!(Notice::read(&keys, &key, &value), None);
    // What is of all providers is not one's.
    let (key, everything) = told(&Subject::Everything, Some(START));
    assert_eq!(everything[0], 1);
    assert_eq!(Notice::read(&keys, &key, &value), None);
}

#[test]
fn a_lease_lives_as_long_as_the_longest_jwt_that_was_seen() {
    let (mut worker, _) = watching(json!({}));
    let claims =
        json!({"iss": ISSUER, "sub": "job", "iat": START.as_secs(), "exp": START.as_secs() + 36_000});
    assert!(passes(&mut worker, &sign(Algorithm::ES256, json!({"typ": "at+jwt"}), &claims)));
    order(&mut worker, &json!({"sub": "alice"}));
    worker.give_turns();
    let life = request(&worker, "LeaseGrant").message;
    assert!((36_000 + 60..36_000 + 120).any(|seconds| life == number(1, seconds)), "{life:?}");
}
