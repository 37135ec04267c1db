//! A server that says when it wants to be asked again (`Retry-After`, RFC 9110 §10.2.3) is left alone until then, whatever it
//! was asked, and clients are told the same: but no longer than is bounded.

use std::time::Duration;

use phantom_token_filter::filter::StreamId;
use phantom_token_filter::jwt::Algorithm;
use serde_json::{Value, json};

use crate::support::issuer::{jwk, sign};
use crate::support::{Fate, Request, START, Worker, active, config, log, merge};

const ISSUER: &str = "https://as.example";
const LIST: &str = "https://as.example/statuslists/1";
/// Where the server asks for a pause, and the longest that it gets.
const BOUNDS: [(&str, u64); 4] =
    [("/introspect", 10), ("/jwks", 30), ("/statuslists/1", 30), ("/ssf/poll", 60)];

/// A provider that is asked in all ways: `/asked` introspects, all else is validated and looked up in status lists.
fn settings(provider: &str) -> Value {
    log::keep();
    let mut settings = config(json!({
        "providers": {"main": {
            "issuer": ISSUER,
            "jwks": {"cluster": "as", "path": "/jwks"},
            "status_list": {"cluster": "as", "uri_prefixes": ["https://as.example/statuslists/"]},
        }},
        "policies": {
            "default": {"strategy": "jwt", "provider": provider},
            "asked": {"strategy": "introspection", "provider": provider},
        },
        "rules": [{"match": {"path": "/asked"}, "policy": "asked"}],
        "revocation": {"security_events": {"provider": provider, "audiences": ["gateway"],
            "poll": {"cluster": "as", "path": "/ssf/poll", "interval": "1s"}}},
    }));
    settings.as_object_mut().unwrap().remove("phantom_token");
    let main = settings["providers"]["main"].take();
    settings["providers"] = json!({ provider: main });
    settings
}

fn keys() -> Value {
    json!({"keys": [jwk(Algorithm::ES256, json!({}))]})
}

fn token(header: Value) -> String {
    let claims = json!({"iss": ISSUER, "sub": "alice", "aud": "api", "exp": START.as_secs() + 3600,
        "status": {"status_list": {"idx": 1, "uri": LIST}}});
    let mut typed = json!({"typ": "at+jwt"});
    merge(&mut typed, header);
    sign(Algorithm::ES256, typed, &claims)
}

fn calls_to(worker: &Worker, path: &str) -> usize {
    worker.called().iter().filter(|called| **called == path).count()
}

/// Lets time pass second by second, with requests of both kinds; how long nothing was asked of `path`.
fn left_alone_for(worker: &mut Worker, path: &str) -> u64 {
    for second in 0..200 {
        ask(worker);
        if calls_to(worker, path) > 0 {
            return second;
        }
        worker.pass(Duration::from_secs(1)).give_tick();
    }
    200
}

fn ask(worker: &mut Worker) -> [StreamId; 2] {
    let streams = [
        worker.receive(&Request::get("/asked").with("authorization", "Bearer tok")),
        worker.receive(&Request::bearer(&token(json!({})))),
    ];
    worker.give_turns();
    streams
}

/// A worker that has just asked `path`, and all that this needs.
fn asking(provider: &str, path: &str) -> Worker {
    let mut worker = Worker::new(settings(provider));
    worker.start();
    if path != "/jwks" {
        let place = worker.called().iter().position(|called| *called == "/jwks").unwrap();
        let (id, _) = worker.calls.remove(place);
        worker.reply(id, 200, "application/json", keys().to_string().as_bytes());
        worker.give_turns();
    }
    ask(&mut worker);
    assert_eq!(calls_to(&worker, path), 1, "{:?}", worker.called());
    worker
}

#[test]
fn no_server_is_asked_again_before_it_wants_to_be_nor_left_alone_for_longer_than_is_bounded() {
    for (number, (path, bound)) in BOUNDS.into_iter().enumerate() {
        for status in [429, 503] {
            for (wanted, alone) in [("7", 7), ("86400", bound), ("99999999999999999999", bound)] {
                let provider = format!("pause-{number}-{status}-{wanted}");
                let mut worker = asking(&provider, path);
                worker.ask_for_a_pause(path, status, wanted);
                assert_eq!(left_alone_for(&mut worker, path), alone, "{path} {status} {wanted}");
                let said = log::about(&provider).into_iter().filter(|line| line.contains("status")).count();
                assert!(said >= 1, "{:?}", log::about(&provider));
            }
        }
        // Any other status asks for nothing.
        let mut worker = asking(&format!("pause-{number}"), path);
        worker.ask_for_a_pause(path, 500, "60");
        assert!(left_alone_for(&mut worker, path) <= 2, "{path}");
    }
}

#[test]
fn clients_are_told_to_come_back_when_the_server_wants_to_be_asked() {
    for (number, (path, _)) in BOUNDS.into_iter().take(3).enumerate() {
        let mut worker = asking(&format!("told-{number}"), path);
        worker.ask_for_a_pause(path, 429, "7");
        let told = |worker: &mut Worker| {
            let [asked, validated] = ask(worker);
            let stream = if path == "/introspect" { asked } else { validated };
            let Fate::Answered(answer) = worker.fate(stream) else { panic!("{path}: forwarded") };
            assert_eq!(answer.status, 503, "{path}");
            answer.headers.iter().find(|(name, _)| *name == "retry-after").unwrap().1.clone()
        };
        assert_eq!(told(&mut worker), "7", "{path}");
        worker.pass(Duration::from_millis(2500));
        assert_eq!(told(&mut worker), "5", "{path}: a second that has begun counts");
    }
}

#[test]
fn a_token_of_a_new_key_does_not_wait_for_a_server_that_wants_to_be_left_alone() {
    let mut worker = asking("new-key", "/statuslists/1");
    worker.calls.clear();
    worker.pass(Duration::from_secs(10));
    let of_new_key = Request::bearer(&token(json!({"kid": "new"})));
    let first = worker.receive(&of_new_key);
    worker.give_turns().ask_for_a_pause("/jwks", 503, "20");
    assert_eq!(worker.fate(first).reason(), "jwks_unavailable");
    worker.pass(Duration::from_secs(5));
    let second = worker.receive(&of_new_key);
    worker.give_turns();
    let Fate::Answered(answer) = worker.fate(second) else { panic!("forwarded") };
    assert!(answer.headers.contains(&("retry-after", "15".to_owned())), "{answer:?}");
    worker.pass(Duration::from_secs(15));
    let third = worker.receive(&of_new_key);
    worker.give_turns();
    assert!(worker.is_waiting(third));
    worker.answer(&json!({"keys": [jwk(Algorithm::ES256, json!({"kid": "new"}))]}));
    assert!(worker.is_waiting(third), "for its list, for it is good");
}

#[test]
fn while_one_worker_leaves_a_transmitter_alone_so_do_the_others() {
    let mut one = asking("poll-one", "/ssf/poll");
    let mut two = Worker::sharing(settings("poll-two"), one.shared.clone());
    two.start();
    assert_eq!(calls_to(&two, "/ssf/poll"), 0, "one of them polls");
    one.ask_for_a_pause("/ssf/poll", 429, "50");
    for _ in 0..50 {
        for worker in [&mut one, &mut two] {
            assert_eq!(calls_to(worker, "/ssf/poll"), 0);
            worker.pass(Duration::from_secs(1)).give_tick();
        }
    }
    let polls = calls_to(&one, "/ssf/poll") + calls_to(&two, "/ssf/poll");
    assert_eq!(polls, 1, "and then one polls again");
}

#[test]
fn an_active_verdict_after_a_pause_is_one() {
    let mut worker = asking("after", "/introspect");
    worker.ask_for_a_pause("/introspect", 429, "7").pass(Duration::from_secs(7));
    let [asked, _] = ask(&mut worker);
    let place = worker.called().iter().position(|called| *called == "/introspect").unwrap();
    let (id, _) = worker.calls.remove(place);
    worker.reply(id, 200, "application/json", active().to_string().as_bytes());
    worker.give_turns();
    assert!(matches!(worker.fate(asked), Fate::Forwarded(_)));
}
