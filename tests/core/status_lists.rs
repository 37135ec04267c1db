//! Tokens that nobody is asked about are revoked by their issuer's status list.

use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};
use phantom_token_filter::jwt::Algorithm;
use serde_json::{Value, json};

use crate::support::issuer::{jwk, sign};
use crate::support::{Fate, Request, START, Worker, config, merge};

const ISSUER: &str = "https://as.example";

const LIST: &str = "https://as.example/statuslists/1";

/// Of the draft: 1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1.
const LST: &str = "eNrbuRgAAhcBXQ";

/// The same with two bits: 1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3.
const LST_OF_TWO_BITS: &str = "eNo76fITAAPfAgc";

fn worker(patch: Value) -> Worker {
    let mut settings = config(json!({
        "providers": {"main": {
            "issuer": ISSUER,
            "jwks": {"cluster": "as", "path": "/jwks"},
            "status_list": {"cluster": "lists", "uri_prefixes": ["https://as.example/statuslists/"]},
        }},
        "policies": {"default": {"strategy": "jwt", "cache_ttl": "10m"}},
    }));
    merge(&mut settings, patch);
    let mut worker = Worker::new(settings);
    worker.start();
    worker.answer(&json!({"keys": [jwk(Algorithm::ES256, json!({}))]}));
    worker
}

fn token(idx: Value, uri: &str) -> String {
    let claims = json!({"iss": ISSUER, "sub": "alice", "client_id": "app", "aud": "https://api.example",
        "iat": START.as_secs(), "exp": START.as_secs() + 3600, "jti": "1",
        "status": {"status_list": {"idx": idx, "uri": uri}}});
    sign(Algorithm::ES256, json!({"typ": "at+jwt"}), &claims)
}

fn list(now: u64, patch: Value) -> String {
    let mut claims = json!({"sub": LIST, "iat": now, "ttl": 60, "status_list": {"bits": 1, "lst": LST}});
    merge(&mut claims, patch);
    sign(Algorithm::ES256, json!({"typ": "statuslist+jwt"}), &claims)
}

fn answer_list(worker: &mut Worker, patch: Value) {
    let list = list(worker.now.as_secs(), patch);
    worker.answer_with(200, "application/statuslist+jwt", list.as_bytes());
}

/// What becomes of a request with the token at `idx`, without a call.
fn fate(worker: &mut Worker, idx: u64) -> Fate {
    let stream = worker.receive(&Request::bearer(&token(json!(idx), LIST)));
    worker.give_turns();
    worker.fate(stream)
}

fn passes(worker: &mut Worker, idx: u64) -> bool {
    matches!(fate(worker, idx), Fate::Forwarded(_))
}

#[test]
fn one_fetch_says_of_all_tokens_which_are_revoked() {
    let mut worker = worker(json!({}));
    let (good, bad) = (
        worker.receive(&Request::bearer(&token(json!(1), LIST))),
        worker.receive(&Request::bearer(&token(json!(0), LIST))),
    );
    worker.give_turns();
    assert!(worker.is_waiting(good) && worker.is_waiting(bad));
    assert_eq!(worker.called(), ["/statuslists/1"]);
    assert!(worker.calls[0].1.headers.contains(&(":authority".to_owned(), "as.example".to_owned())));
    assert!(
        worker.calls[0].1.headers.contains(&("accept".to_owned(), "application/statuslist+jwt".to_owned()))
    );
    answer_list(&mut worker, json!({}));
    assert!(matches!(worker.fate(good), Fate::Forwarded(_)));
    assert_eq!((worker.fate(bad).status(), worker.fate(bad).reason()), (401, "token_revoked"));
    for (idx, is_good) in [(0, false), (1, true), (2, true), (3, false), (15, false)] {
        assert_eq!(passes(&mut worker, idx), is_good, "{idx}");
    }
    assert_eq!(fate(&mut worker, 16).reason(), "token_of_unknown_status");
    assert!(worker.calls.is_empty());
}

#[test]
fn a_token_that_is_revoked_while_its_verdict_is_cached_is_refused_with_the_next_list() {
    let mut worker = worker(json!({}));
    worker.receive(&Request::bearer(&token(json!(1), LIST)));
    answer_list(&mut worker, json!({}));
    assert!(passes(&mut worker, 1));
    // Ahead of its end it is fetched again, and nobody waits.
    worker.pass(Duration::from_secs(49)).give_tick();
    assert!(passes(&mut worker, 1));
    worker.pass(Duration::from_secs(1)).give_tick();
    assert!(passes(&mut worker, 1), "the old one serves meanwhile");
    answer_list(&mut worker, json!({"status_list": {"bits": 2, "lst": LST_OF_TWO_BITS}}));
    assert_eq!(fate(&mut worker, 1).reason(), "token_revoked", "suspended");
    assert_eq!(fate(&mut worker, 3).reason(), "token_revoked", "whatever a 3 may mean");
    assert!(passes(&mut worker, 2));
}

#[test]
fn a_list_that_is_not_used_is_not_fetched_again() {
    let mut worker = worker(json!({}));
    worker.receive(&Request::bearer(&token(json!(1), LIST)));
    answer_list(&mut worker, json!({}));
    // Once more, for it was used since.
    worker.pass(Duration::from_secs(50)).give_tick();
    answer_list(&mut worker, json!({}));
    worker.pass(Duration::from_secs(600)).give_tick();
    assert!(!worker.called().contains(&"/statuslists/1"));
}

#[test]
fn without_a_list_nobody_passes() {
    for answer in [
        (500, "application/statuslist+jwt", list(START.as_secs(), json!({}))),
        (200, "application/json", list(START.as_secs(), json!({}))),
        (200, "application/statuslist+jwt", "rubbish".to_owned()),
        (
            200,
            "application/statuslist+jwt",
            list(START.as_secs(), json!({"sub": "https://as.example/statuslists/2"})),
        ),
        (200, "application/statuslist+jwt", list(START.as_secs(), json!({"exp": START.as_secs()}))),
        (200, "application/statuslist+jwt", token(json!(1), LIST)),
    ] {
        let mut worker = worker(json!({}));
        let stream = worker.receive(&Request::bearer(&token(json!(1), LIST)));
        worker.answer_with(answer.0, answer.1, answer.2.as_bytes());
        assert_eq!(
            (worker.fate(stream).status(), worker.fate(stream).reason()),
            (503, "status_list_unavailable")
        );
        // Nor does anybody wait while the next try is some time away; then it is tried again.
        assert_eq!(fate(&mut worker, 1).status(), 503);
        worker.pass(Duration::from_secs(2));
        let stream = worker.receive(&Request::bearer(&token(json!(1), LIST)));
        answer_list(&mut worker, json!({}));
        assert!(matches!(worker.fate(stream), Fate::Forwarded(_)));
    }
}

#[test]
fn the_last_good_list_serves_as_long_as_the_configuration_says() {
    for (max_stale, at, status) in [("0s", 61, 503), ("30s", 89, 200), ("30s", 90, 503)] {
        let mut worker = worker(json!({"providers": {"main": {"status_list": {"max_stale": max_stale}}}}));
        worker.receive(&Request::bearer(&token(json!(1), LIST)));
        answer_list(&mut worker, json!({}));
        worker.pass(Duration::from_secs(at));
        let stream = worker.receive(&Request::bearer(&token(json!(1), LIST)));
        worker.give_turns();
        if worker.is_waiting(stream) {
            let place = worker.called().iter().position(|path| *path == "/statuslists/1").unwrap();
            worker.calls.swap(0, place);
            worker.fail_call();
        }
        let is_forwarded = matches!(worker.fate(stream), Fate::Forwarded(_));
        assert_eq!(is_forwarded, status == 200, "{max_stale} {at}");
    }
}

#[test]
fn only_lists_that_are_allowed_are_fetched() {
    for (idx, uri) in [
        (json!(1), "https://evil.example/statuslists/1"),
        (json!(1), "https://as.example/other"),
        (json!(1), "https://as.example/statuslists/1 2"),
        (json!(-1), LIST),
        (json!("1"), LIST),
        (Value::Null, LIST),
    ] {
        let mut worker = worker(json!({}));
        let stream = worker.receive(&Request::bearer(&token(idx.clone(), uri)));
        worker.give_turns();
        assert_eq!(worker.fate(stream).reason(), "token_of_unknown_status", "{idx} {uri}");
        assert!(worker.calls.is_empty());
    }
}

#[test]
fn lists_that_are_remembered_are_bounded() {
    let mut worker = worker(json!({}));
    // A mebibyte of zeros, as zlib has it in a few bytes.
    let zeros = miniz_oxide::deflate::compress_to_vec_zlib(&vec![0; 1 << 20], 9);
    let large = json!({"status_list": {"bits": 1, "lst": Base64UrlUnpadded::encode_string(&zeros)}});
    let ask = |worker: &mut Worker, number: u32| {
        let uri = format!("https://as.example/statuslists/{number}");
        let stream = worker.receive(&Request::bearer(&token(json!(1), &uri)));
        worker.give_turns();
        if worker.is_waiting(stream) {
            let mut patch = large.clone();
            merge(&mut patch, json!({"sub": uri}));
            answer_list(worker, patch);
        }
        matches!(worker.fate(stream), Fate::Forwarded(_))
    };
    for number in 0..16 {
        assert!(ask(&mut worker, number), "{number}");
    }
    assert!(
        !ask(&mut worker, 16),
        "no list goes that was just fetched, or all would be fetched for each request"
    );
    assert!(ask(&mut worker, 0));
    worker.pass(Duration::from_secs(11));
    assert!(ask(&mut worker, 16), "now one goes");
}

#[test]
fn a_list_of_a_new_key_is_read_once_the_keys_are_here() {
    let mut worker = worker(json!({}));
    worker.pass(Duration::from_secs(2));
    let stream = worker.receive(&Request::bearer(&token(json!(1), LIST)));
    let claims = json!({"sub": LIST, "iat": START.as_secs(), "status_list": {"bits": 1, "lst": LST}});
    let list = sign(Algorithm::ES256, json!({"typ": "statuslist+jwt", "kid": "new"}), &claims);
    worker.answer_with(200, "application/statuslist+jwt", list.as_bytes());
    assert_eq!(worker.fate(stream).status(), 503);
    worker.give_tick();
    assert_eq!(worker.called(), ["/jwks"]);
    worker.answer(
        &json!({"keys": [jwk(Algorithm::ES256, json!({})), jwk(Algorithm::ES256, json!({"kid": "new"}))]}),
    );
    worker.pass(Duration::from_secs(2));
    let stream = worker.receive(&Request::bearer(&token(json!(1), LIST)));
    worker.answer_with(200, "application/statuslist+jwt", list.as_bytes());
    assert!(matches!(worker.fate(stream), Fate::Forwarded(_)));
}

/// Two providers that validate, and whose status lists may lie at the same address.
fn two_providers() -> Worker {
    let provider = |issuer: &str, jwks: &str| {
        json!({"issuer": issuer, "jwks": {"cluster": "as", "path": jwks},
               "status_list": {"cluster": "lists", "uri_prefixes": ["https://as.example/statuslists/"]}})
    };
    let mut settings = config(json!({
        "policies": {"default": {"strategy": "jwt", "providers": ["main", "partner"], "cache_ttl": "10m"}},
    }));
    settings["providers"] = json!({"main": provider(ISSUER, "/jwks"), "partner": provider("https://partner.example", "/partner")});
    let mut worker = Worker::new(settings);
    worker.start();
    for _ in 0..2 {
        worker.answer(&json!({"keys": [jwk(Algorithm::ES256, json!({}))]}));
    }
    worker
}

#[test]
fn the_list_of_one_provider_says_nothing_of_the_tokens_of_another() {
    let mut worker = two_providers();
    let good = worker.receive(&Request::bearer(&token(json!(1), LIST)));
    answer_list(&mut worker, json!({}));
    assert!(matches!(worker.fate(good), Fate::Forwarded(_)));
    let claims = json!({"iss": "https://partner.example", "sub": "alice", "client_id": "app",
        "aud": "https://api.example", "iat": START.as_secs(), "exp": START.as_secs() + 3600, "jti": "1",
        "status": {"status_list": {"idx": 1, "uri": LIST}}});
    let partners = sign(Algorithm::ES256, json!({"typ": "at+jwt"}), &claims);
    let stream = worker.receive(&Request::bearer(&partners));
    worker.give_turns();
    assert!(worker.is_waiting(stream), "judged by the list that main's keys signed");
}

#[test]
fn a_list_never_serves_past_its_exp_nor_before_its_nbf() {
    let mut worker = worker(json!({"providers": {"main": {"status_list": {"max_stale": "1h"}}}}));
    worker.receive(&Request::bearer(&token(json!(1), LIST)));
    let exp = START.as_secs() + 90;
    answer_list(&mut worker, json!({"exp": exp}));
    worker.pass(Duration::from_secs(89));
    worker.give_tick();
    for _ in 0..worker.calls.len() {
        worker.fail_call();
    }
    assert!(passes(&mut worker, 1), "max_stale is past its ttl, not past its exp");
    worker.pass(Duration::from_secs(1));
    let stream = worker.receive(&Request::bearer(&token(json!(1), LIST)));
    worker.give_turns();
    assert!(!worker.fates.iter().any(|(of, fate)| *of == stream && matches!(fate, Fate::Forwarded(_))));

    let mut worker = self::worker(json!({}));
    let stream = worker.receive(&Request::bearer(&token(json!(1), LIST)));
    answer_list(&mut worker, json!({"nbf": START.as_secs() + 600}));
    assert_eq!(worker.fate(stream).reason(), "status_list_unavailable");
}

#[test]
fn forty_lists_of_usual_size_are_fetched_once_each() {
    let mut worker = worker(json!({}));
    for number in 0..40 {
        let uri = format!("https://as.example/statuslists/{number}");
        worker.receive(&Request::bearer(&token(json!(1), &uri)));
        answer_list(&mut worker, json!({"sub": uri}));
    }
    for number in 0..40 {
        let uri = format!("https://as.example/statuslists/{number}");
        let stream = worker.receive(&Request::bearer(&token(json!(1), &uri)));
        worker.give_turns();
        assert!(matches!(worker.fate(stream), Fate::Forwarded(_)), "{number} was fetched again");
    }
}

#[test]
fn ticks_come_soon_as_long_as_a_list_is_yet_to_be_asked_for() {
    let mut worker = worker(json!({}));
    let seldom = worker.give_tick().tick;
    for uri in [LIST, "https://as.example/statuslists/2"] {
        let first = worker.receive(&Request::bearer(&token(json!(1), uri)));
        let second = worker.receive(&Request::bearer(&token(json!(2), uri)));
        assert_eq!(worker.tick, Duration::from_millis(50));
        worker.give_turns().give_tick();
        assert_eq!(worker.tick, seldom, "it is asked for");
        let third = worker.receive(&Request::bearer(&token(json!(5), uri)));
        worker.give_tick();
        assert_eq!(worker.tick, seldom, "it is asked for already");
        answer_list(&mut worker, json!({"sub": uri}));
        worker.give_tick();
        assert_eq!(worker.tick, seldom);
        for stream in [first, second, third] {
            assert!(!worker.is_waiting(stream));
        }
    }
}
