//! Requests that were passed on and are still open: ended when their verdict is withdrawn, or their token ends.

mod rechecks;

use std::rc::Rc;
use std::time::Duration;

use phantom_token_filter::cache::{Name, ProviderTag, Subject, Which, Withdrawals};
use phantom_token_filter::filter::StreamId;
use phantom_token_filter::jwt::Algorithm;
use phantom_token_filter::metrics::Counter;
use serde_json::{Value, json};

use crate::support::issuer::{jwk, sign};
use crate::support::withdrawing::order;
use crate::support::{Fate, Request, START, Worker, active, config, merge};

const SECOND: Duration = Duration::from_secs(1);

const ISSUER: &str = "https://as.example";

fn settings(patch: Value) -> Value {
    let mut config = config(json!({
        "policies": {"default": {"cache_ttl": "10m"}},
        "cache": {"refresh_ahead": 0},
        "revocation": {
            "settle": "0s",
            "admin": {"path": "/revocations", "token": {"inline": "admin-secret-admin-secret"}}
        }
    }));
    merge(&mut config, patch);
    config
}

fn two_workers(patch: Value) -> (Worker, Worker) {
    let one = Worker::new(settings(patch.clone()));
    let two = Worker::sharing(settings(patch), one.shared.clone());
    (one, two)
}

/// A request with this token is passed on, after a call that says so if there has to be one.
fn open(worker: &mut Worker, token: &str, claims: Value) -> StreamId {
    let mut verdict = active();
    merge(&mut verdict, claims);
    let stream = worker.receive(&Request::bearer(token));
    worker.give_turns();
    if !worker.calls.is_empty() {
        worker.answer(&verdict);
    }
    assert!(matches!(worker.fate(stream), Fate::Forwarded(_)));
    stream
}

fn withdraw(worker: &mut Worker, what: Value) {
    worker.pass(Duration::from_millis(1));
    let stream = order(worker, &what);
    let Fate::Answered(answer) = worker.fate(stream) else { panic!() };
    assert!(answer.status < 300, "{answer:?}");
}

/// The streams that a worker has ended since the last time within a second from now, in order.
fn ended_within_a_second(worker: &mut Worker) -> Vec<StreamId> {
    for _ in 0..4 {
        worker.pass(Duration::from_millis(250)).give_tick();
    }
    let mut ended: Vec<StreamId> =
        std::mem::take(&mut worker.ended).into_iter().map(|(stream, _)| stream).collect();
    ended.sort();
    ended
}

#[test]
fn what_is_withdrawn_ends_its_open_streams_on_every_worker_and_no_others() {
    let (mut one, mut two) = two_workers(json!({}));
    let alice = open(&mut one, "a", json!({"sub": "alice"}));
    let bob = open(&mut one, "b", json!({"sub": "bob"}));
    // By the cache, and by the first level.
    let alices = [(); 4].map(|()| open(&mut two, "a", json!({"sub": "alice"})));
    let bobs = [(); 4].map(|()| open(&mut two, "b", json!({"sub": "bob"})));
    assert!(two.served_again > 0);

    withdraw(&mut one, json!({"sub": "alice"}));

    one.pass(SECOND).give_tick();
    assert_eq!((one.ended[0].1.status, one.ended[0].1.details), (401, "token_revoked"));
    assert_eq!(ended_within_a_second(&mut one), [alice]);
    assert_eq!(ended_within_a_second(&mut two), alices);
    assert_eq!(two.count(Counter::StreamsEnded), 4);
    withdraw(&mut one, json!({"sub": "bob"}));
    assert_eq!(ended_within_a_second(&mut one), [bob]);
    assert_eq!(ended_within_a_second(&mut two), bobs);
}

#[test]
fn a_stream_that_is_gone_is_not_ended() {
    let mut worker = Worker::new(settings(json!({})));
    let (gone, left) = (open(&mut worker, "a", json!({})), open(&mut worker, "a", json!({})));
    worker.filter.closed(gone);
    withdraw(&mut worker, json!({"all": true}));
    assert_eq!(ended_within_a_second(&mut worker), [left]);
    assert_eq!(ended_within_a_second(&mut worker), []);
}

#[test]
fn a_stream_that_was_passed_on_after_a_withdrawal_stays_open() {
    let (mut one, mut two) = two_workers(json!({}));
    let before = open(&mut one, "a", json!({"sub": "alice"}));
    withdraw(&mut two, json!({"sub": "alice"}));
    one.now = two.now.plus(SECOND);
    let after = open(&mut one, "a", json!({"sub": "alice"}));
    assert_eq!(ended_within_a_second(&mut one), [before]);
    withdraw(&mut two, json!({"sub": "bob"}));
    assert_eq!(ended_within_a_second(&mut one), []);
    one.pass(SECOND);
    two.now = one.now;
    withdraw(&mut two, json!({"sub": "alice"}));
    assert_eq!(ended_within_a_second(&mut one), [after]);
}

#[test]
fn a_stream_that_was_passed_on_before_a_logout_was_settled_ends_when_it_is() {
    let mut worker = Worker::new(settings(json!({})));
    let alices = Subject::Of(ProviderTag::new("main"), Which::Sub("alice".to_owned()));
    Withdrawals::new(Rc::new(worker.shared.clone())).withdraw(&[alices], 3 * SECOND, worker.now);
    worker.pass(SECOND);
    // The server still says that it is active, for it tells of a logout before it ends the session.
    let alice = open(&mut worker, "a", json!({"sub": "alice"}));
    let bob = open(&mut worker, "b", json!({"sub": "bob"}));
    assert_eq!(ended_within_a_second(&mut worker), []);
    assert_eq!(ended_within_a_second(&mut worker), [alice]);
    assert_eq!(ended_within_a_second(&mut worker), []);
    _ = bob;
}

#[test]
fn a_crowd_of_streams_is_ended_some_in_each_callback() {
    let mut worker = Worker::new(settings(json!({})));
    let streams: Vec<StreamId> = (0..5_000)
        .map(|number| {
            open(&mut worker, &format!("t{}", number % 50), json!({"sub": format!("s{}", number % 2)}))
        })
        .collect();
    withdraw(&mut worker, json!({"sub": "s1"}));
    let ended = ended_within_a_second(&mut worker);
    let odd: Vec<StreamId> = streams.iter().skip(1).step_by(2).copied().collect();
    assert_eq!(ended, odd);
}

#[test]
fn however_often_something_is_withdrawn_all_watermarks_are_read_a_few_times_a_second() {
    let (mut one, mut two) = two_workers(json!({}));
    let alice = open(&mut one, "a", json!({"sub": "alice"}));
    one.give_tick();
    let before = one.shared.reads();
    for number in 0..100 {
        withdraw(&mut two, json!({"sub": format!("s{number}")}));
        // A token of which nothing is known takes a turn of the root.
        open(&mut one, &format!("t{number}"), json!({"sub": "bob"}));
    }
    let reads = one.shared.reads() - before;
    assert!(reads < 5_000, "{reads}");
    withdraw(&mut two, json!({"sub": "alice"}));
    one.now = two.now;
    assert_eq!(ended_within_a_second(&mut one), [alice]);
}

#[test]
fn a_policy_may_leave_them_open_or_end_them_with_their_token() {
    let mut worker = Worker::new(settings(json!({"policies": {"default": {
        "open_streams": {"on_revocation": false, "on_expiry": true},
    }}})));
    let exp = START.as_secs() + 30;
    let (short, long) = (
        open(&mut worker, "short", json!({"exp": exp})),
        open(&mut worker, "long", json!({"exp": exp + 600})),
    );
    withdraw(&mut worker, json!({"all": true}));
    assert_eq!(ended_within_a_second(&mut worker), []);
    worker.pass(27 * SECOND);
    assert_eq!(ended_within_a_second(&mut worker), []);
    worker.pass(2 * SECOND).give_tick();
    assert_eq!((worker.ended[0].1.status, worker.ended[0].1.details), (401, "token_expired"));
    assert_eq!(ended_within_a_second(&mut worker), [short]);
    assert_eq!(ended_within_a_second(&mut worker), []);
    worker.filter.closed(long);
}

#[test]
fn nothing_is_noted_where_no_signal_comes_in() {
    let mut worker = Worker::new(config(json!({})));
    open(&mut worker, "a", json!({}));
    worker.give_tick();
    assert!(worker.tick >= SECOND, "{:?}", worker.tick);
    // Unless the policy says so: another listener's filter may receive signals.
    let shared = Worker::new(settings(json!({})));
    let told = config(json!({"policies": {"default": {"open_streams": {"on_revocation": true}}}}));
    let mut told = Worker::sharing(told, shared.shared.clone());
    let stream = open(&mut told, "a", json!({"sub": "alice"}));
    let mut receives = shared;
    withdraw(&mut receives, json!({"sub": "alice"}));
    assert_eq!(ended_within_a_second(&mut told), [stream]);
}

#[test]
fn a_clock_that_is_set_back_ends_no_stream_and_hides_no_withdrawal() {
    let mut worker = Worker::new(settings(json!({})));
    let alice = open(&mut worker, "a", json!({"sub": "alice"}));
    let bob = open(&mut worker, "b", json!({"sub": "bob"}));
    worker.now = worker.now.minus(3600 * SECOND);
    assert_eq!(ended_within_a_second(&mut worker), []);
    withdraw(&mut worker, json!({"sub": "alice"}));
    assert_eq!(ended_within_a_second(&mut worker), [alice]);
    worker.filter.closed(bob);
}

#[test]
fn streams_beyond_those_that_can_be_noted_are_refused() {
    let mut worker = Worker::new(settings(json!({})));
    // Claims so long that there is room for few.
    let long = json!({"sub": "alice", "more": "x".repeat(6_000)});
    let opened = (0..).take_while(|_| {
        let stream = worker.receive(&Request::bearer("a"));
        worker.give_turns();
        if !worker.calls.is_empty() {
            let mut verdict = active();
            merge(&mut verdict, long.clone());
            worker.answer(&verdict);
        }
        matches!(worker.fates.last(), Some((of, Fate::Forwarded(_))) if *of == stream)
    });
    let opened = opened.count();
    assert!((15_000..30_000).contains(&opened), "{opened}");
    let Some((_, Fate::Answered(answer))) = worker.fates.last() else { panic!() };
    assert_eq!((answer.status, answer.details), (503, "too_many_open_streams"));
    withdraw(&mut worker, json!({"sub": "alice"}));
    assert_eq!(ended_within_a_second(&mut worker).len(), opened);
    open(&mut worker, "a", long);
}

/// A worker that validates JWTs, with the key that they are signed with.
fn validating() -> Worker {
    let mut worker = Worker::new(settings(json!({
        "providers": {"main": {"issuer": ISSUER, "jwks": {"cluster": "as", "path": "/jwks"}}},
        "policies": {"default": {"strategy": "jwt"}},
    })));
    worker.start().answer(&json!({"keys": [jwk(Algorithm::ES256, json!({}))]}));
    worker
}

fn jwt(sub: &str, iat: u64) -> String {
    let claims = json!({"iss": ISSUER, "sub": sub, "iat": iat, "exp": START.as_secs() + 600});
    sign(Algorithm::ES256, json!({"typ": "at+jwt"}), &claims)
}

#[test]
fn a_stream_by_a_newer_jwt_is_not_ended_when_a_logout_is_settled() {
    let mut worker = validating();
    let bob = open(&mut worker, &jwt("bob", START.as_secs() - 10), json!({}));
    let alice = open(&mut worker, &jwt("alice", START.as_secs() - 10), json!({}));
    let alices = Subject::Of(ProviderTag::new(ISSUER), Which::Sub("alice".to_owned()));
    let names = [(Name::of(&alices), Some(START))];
    Withdrawals::new(Rc::new(worker.shared.clone())).withdraw_names(names, 3 * SECOND, worker.now);
    worker.pass(SECOND);
    let newer = open(&mut worker, &jwt("alice", START.as_secs() + 1), json!({}));
    assert_eq!(ended_within_a_second(&mut worker), [alice]);
    for _ in 0..10 {
        assert_eq!(ended_within_a_second(&mut worker), []);
    }
    // What comes late, or withdraws more than was meant, ends nothing that is newer.
    let clients = Subject::Of(ProviderTag::new(ISSUER), Which::All);
    for (subject, date) in [(&alices, Some(START)), (&clients, None)] {
        let withdrawals = Withdrawals::new(Rc::new(worker.shared.clone()));
        withdrawals.withdraw_names([(Name::of(subject), date)], Duration::ZERO, worker.now);
        assert_eq!(ended_within_a_second(&mut worker), []);
    }
    withdraw(&mut worker, json!({"sub": "alice"}));
    assert_eq!(ended_within_a_second(&mut worker), [newer]);
    withdraw(&mut worker, json!({"all": true}));
    assert_eq!(ended_within_a_second(&mut worker), [bob]);
}

#[test]
fn a_stream_by_a_jwt_of_offline_access_outlives_the_session_that_ended_before() {
    let mut worker = validating();
    let of_session = |scope: &str, iat: u64| {
        let claims = json!({"iss": ISSUER, "sub": "alice", "sid": "s1", "scope": scope, "iat": iat, "exp": START.as_secs() + 600});
        sign(Algorithm::ES256, json!({"typ": "at+jwt"}), &claims)
    };
    let before = open(&mut worker, &of_session("offline_access", START.as_secs() - 10), json!({}));
    withdraw(&mut worker, json!({"sid": "s1"}));
    assert_eq!(ended_within_a_second(&mut worker), [before]);
    open(&mut worker, &of_session("openid offline_access", START.as_secs() + 10), json!({}));
    // It is looked into again.
    withdraw(&mut worker, json!({"sid": "s2"}));
    assert_eq!(ended_within_a_second(&mut worker), []);
}

#[test]
fn a_stream_that_was_passed_on_just_before_an_order_of_a_worker_whose_clock_is_behind_ends() {
    let mut worker = validating();
    worker.pass(SECOND / 2);
    let alice = open(&mut worker, &jwt("alice", START.as_secs() - 10), json!({}));
    let alices = Subject::Of(ProviderTag::new(ISSUER), Which::Sub("alice".to_owned()));
    let names = [(Name::of(&alices), Some(START))];
    Withdrawals::new(Rc::new(worker.shared.clone())).withdraw_names(names, Duration::ZERO, START);
    assert_eq!(ended_within_a_second(&mut worker), [alice]);
}
