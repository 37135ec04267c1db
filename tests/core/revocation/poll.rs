use std::time::Duration;

use phantom_token_filter::jwt::Algorithm;
use phantom_token_filter::metrics::Counter;
use serde_json::{Value, json};

use super::{ISSUER, answer_call, event_token, is_remembered, remember, two_workers};
use crate::support::issuer::{jwk, sign};
use crate::support::{Request, START, Worker, inactive, merge};

#[test]
fn one_worker_polls_and_acknowledges_what_it_has_applied() {
    let (mut one, mut two) = two_workers(json!({}));
    remember(&mut one, "tok", json!({}));
    one.give_tick();
    two.give_tick();
    let polls = |worker: &Worker| worker.called().iter().filter(|path| **path == "/ssf/poll").count();
    assert_eq!((polls(&one), polls(&two)), (1, 0), "one of them");
    let poll = |worker: &Worker| {
        let (_, call) = worker.calls.iter().find(|(_, call)| call.cluster == "ssf").unwrap();
        assert!(call.headers.contains(&("authorization".to_owned(), "Bearer poll-secret".to_owned())));
        serde_json::from_slice::<Value>(&call.body).unwrap()
    };
    assert_eq!(poll(&one), json!({"maxEvents": 100, "returnImmediately": true, "ack": []}));
    let sets = json!({"sets": {
        "e1": event_token(json!({})),
        "bad": event_token(json!({"jti": "bad", "aud": "other"})),
        "lie": event_token(json!({"jti": "e9"})),
        "nothing": 7,
    }});
    answer_call(&mut one, "/ssf/poll", 200, &sets);
    assert!(!is_remembered(&mut two, "tok"));
    let next = poll(&one);
    assert_eq!(next["ack"], json!(["e1"]));
    let errors: Vec<_> = ["bad", "lie", "nothing"].map(|jti| next["setErrs"][jti]["err"].clone()).into();
    assert_eq!(errors, ["invalid_audience", "invalid_request", "invalid_request"]);
    // The transmitter did not get that: it is said again.
    answer_call(&mut one, "/ssf/poll", 503, &json!({}));
    assert_eq!(polls(&one), 0);
    one.pass(Duration::from_secs(10)).give_tick();
    assert_eq!(poll(&one)["ack"], json!(["e1"]));
    answer_call(&mut one, "/ssf/poll", 200, &json!({"sets": {}}));
    assert_eq!(polls(&one), 0, "nothing to say, and nothing more to hear");
}

#[test]
fn when_the_worker_that_polls_is_gone_another_takes_over() {
    let (mut one, mut two) = two_workers(json!({}));
    one.give_tick();
    two.give_tick();
    assert!(!two.called().contains(&"/ssf/poll"));
    for _ in 0..10 {
        two.pass(Duration::from_secs(5)).give_tick();
    }
    assert!(two.called().contains(&"/ssf/poll"));
    // What the first had applied and not acknowledged comes again, and is acknowledged without effect.
    answer_call(&mut one, "/ssf/poll", 200, &json!({"sets": {"e1": event_token(json!({}))}}));
    answer_call(&mut two, "/ssf/poll", 200, &json!({"sets": {"e1": event_token(json!({}))}}));
    let (_, call) = two.calls.iter().find(|(_, call)| call.cluster == "ssf").unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&call.body).unwrap()["ack"], json!(["e1"]));
    assert_eq!(two.count(Counter::RevocationReceived), 0);
}

#[test]
fn a_polled_event_of_an_unknown_key_is_left_to_come_again() {
    let (mut one, _) = two_workers(json!({}));
    one.give_tick();
    let mut claims = json!({"iss": ISSUER, "aud": "https://gateway.example", "iat": START.as_secs(), "jti": "e1",
        "sub_id": {"format": "iss_sub", "iss": ISSUER, "sub": "alice"}});
    merge(
        &mut claims,
        json!({"events": {"https://schemas.openid.net/secevent/caep/event-type/session-revoked": {}}}),
    );
    let token = sign(Algorithm::ES256, json!({"typ": "secevent+jwt", "kid": "new"}), &claims);
    let sets = json!({"sets": {"e1": token}});
    answer_call(&mut one, "/ssf/poll", 200, &sets);
    one.pass(Duration::from_secs(6)).give_tick();
    answer_call(&mut one, "/jwks", 200, &json!({"keys": [jwk(Algorithm::ES256, json!({"kid": "new"}))]}));
    answer_call(&mut one, "/ssf/poll", 200, &sets);
    assert_eq!(one.count(Counter::RevocationReceived), 1);
    assert_eq!(one.count(Counter::RevocationRefused), 0);
}

#[test]
fn however_often_requests_begin_and_end_to_wait_for_another_worker_events_are_polled() {
    let (mut one, mut two) = two_workers(json!({}));
    let mut polled = START;
    for number in 0..1_000 {
        // Anybody can have two workers look for the same token at the same time, now one first, now the other.
        let (asks, waits) = if number % 2 == 0 { (&mut one, &mut two) } else { (&mut two, &mut one) };
        let token = Request::bearer(&format!("made-up-{number}"));
        asks.receive(&token);
        asks.give_turns();
        waits.receive(&token);
        pass_with_ticks([&mut *asks, &mut *waits], Duration::from_millis(20));
        answer_call(asks, "/introspect", 200, &inactive());
        waits.read_letters(asks);
        pass_with_ticks([&mut *asks, &mut *waits], Duration::from_millis(20));
        for worker in [asks, waits] {
            if worker.called().contains(&"/ssf/poll") {
                polled = worker.now;
                answer_call(worker, "/ssf/poll", 200, &json!({}));
            }
        }
        let unpolled = one.now.since(polled);
        assert!(unpolled <= Duration::from_secs(8), "no events are polled for {unpolled:?}");
    }
}

/// Time passes, and ticks come if they are due.
fn pass_with_ticks(workers: [&mut Worker; 2], time: Duration) {
    for worker in workers {
        worker.pass(time);
        if worker.next_tick <= worker.now {
            worker.give_tick();
        }
    }
}
