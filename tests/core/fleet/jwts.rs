//! JWTs that nobody is asked about, at all Envoys of a fleet.

use std::time::Duration;

use phantom_token_filter::cache::{Name, ProviderTag, Subject, Which};
use phantom_token_filter::filter::CallId;
use phantom_token_filter::fleet::{Envoy, Keys, Notice};
use phantom_token_filter::jwt::Algorithm;
use phantom_token_filter::token::UnixMillis;
use serde_json::{Value, json};

use super::etcd::{header, identity, number, page, pair, watched, withdrawal};
use super::{PREFIX, SECOND, UNAVAILABLE, answer, begin, contains, request, settings};
use crate::support::issuer::{jwk, sign};
use crate::support::withdrawing::order;
use crate::support::{Fate, Request, START, Worker, merge};

const ISSUER: &str = "https://as.example";

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
    worker.start().answer(&json!({"keys": [jwk(Algorithm::ES256, json!({}))]}));
    let stream = begin(&mut worker, &page(10, &[identity(5)], false));
    (worker, stream)
}

fn jwt(sub: &str, age: Duration) -> String {
    let claims = json!({"iss": ISSUER, "sub": sub, "client_id": "app", "iat": START.minus(age).as_secs(),
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
fn put(subject: &Subject, jwts: Option<UnixMillis>, revision: u64) -> Vec<u8> {
    let notice = Notice { name: Name::of(subject), settle: Duration::ZERO, jwts, by: Envoy(*b"another1") };
    let (key, value) = notice.write(&Keys::new(PREFIX));
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

#[test]
fn more_than_can_wait_for_the_store_refuse_all_that_was_issued_up_to_then_and_nothing_later() {
    let (mut one, stream) = watching(json!({}));
    one.grpc_closed(stream, UNAVAILABLE);
    for number in 0..20_000 {
        order(&mut one, &json!({"sub": format!("user-{number}")}));
    }
    one.pass(SECOND).give_tick();
    begin(&mut one, &page(10, &[identity(5)], false));
    answer(&mut one, "LeaseGrant", &[header(10), number(2, 1)].concat());
    let put = request(&one, "Txn").message;
    let everything = put.windows(94).find(|part| part.starts_with(b"/fleet/1/w/00")).unwrap().to_vec();
    let (_, value) =
        Notice { name: Name::everything(), settle: Duration::ZERO, jwts: None, by: Envoy(*b"another1") }
            .write(&Keys::new(PREFIX));
    let (mut two, stream) = watching(json!({}));
    two.grpc_message(stream, &watched(11, &[pair(&everything, &value, 11)], false));
    assert!(!passes(&mut two, &jwt("anybody", SECOND)));
    let later =
        json!({"iss": ISSUER, "sub": "anybody", "iat": START.as_secs() + 1, "exp": START.as_secs() + 600});
    assert!(passes(&mut two, &sign(Algorithm::ES256, json!({"typ": "at+jwt"}), &later)));
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
