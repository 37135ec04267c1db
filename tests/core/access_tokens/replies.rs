//! What a token endpoint may answer, and what is made of it.

use std::time::Duration;

use phantom_token_filter::metrics::Counter;
use serde_json::{Value, json};

use super::{SECOND, answer, granted, open, polling, shown, tick_after, worker};
use crate::support::{Map, Worker};

fn asking() -> Worker {
    worker(polling(), &Map::default())
}

/// The life of a token after this reply, as it is seen by when it is fetched again while it is in use.
fn life(reply: &Value) -> Duration {
    let mut worker = asking();
    answer(&mut worker, "/token", 200, reply);
    let begin = worker.now;
    while open(&worker, "/token") == 0 {
        if open(&worker, "/poll") == 1 {
            answer(&mut worker, "/poll", 200, &json!({"sets": {}}));
        }
        tick_after(&mut worker, SECOND);
    }
    worker.now.since(begin)
}

#[test]
fn a_token_lives_as_long_as_its_server_says_and_for_five_minutes_where_it_does_not() {
    for (expires_in, renewed) in [
        (json!(300), 240),
        (json!(300.0), 240),
        (json!("300"), 240),
        (json!(10), 8),
        (json!(1), 1),
        (Value::Null, 240),
        (json!(1e300), 24 * 60 * 60 * 4 / 5),
    ] {
        let life = life(&granted("one", json!({"expires_in": expires_in})));
        assert_eq!(life.as_secs(), renewed, "{expires_in}");
    }
    assert_eq!(life(&json!({"access_token": "one", "token_type": "bearer"})).as_secs(), 240);
}

#[test]
fn what_is_no_bearer_token_is_none() {
    for (sentence, reply) in [
        ("no token", json!({"token_type": "Bearer", "expires_in": 300})),
        ("an empty one", granted("", json!({}))),
        ("one that ends a header", granted("a\r\nx-admin: 1", json!({}))),
        ("one with a space", granted("a b", json!({}))),
        ("one that is no ASCII", granted("tök", json!({}))),
        ("one that is longer than any", granted(&"a".repeat(16 * 1024 + 1), json!({}))),
        ("a number", granted("", json!({"access_token": 7}))),
        ("no type", json!({"access_token": "a", "expires_in": 300})),
        ("another type", granted("a", json!({"token_type": "DPoP"}))),
        ("a type that is no text", granted("a", json!({"token_type": ["Bearer"]}))),
        ("one that has ended", granted("a", json!({"expires_in": 0}))),
        ("one that ended before it began", granted("a", json!({"expires_in": -1}))),
        ("one of half a second", granted("a", json!({"expires_in": 0.5}))),
        ("a life that is none", granted("a", json!({"expires_in": "soon"}))),
        ("a life that is an object", granted("a", json!({"expires_in": {}}))),
        ("a list", json!([])),
    ] {
        let mut worker = asking();
        answer(&mut worker, "/token", 200, &reply);
        assert_eq!(open(&worker, "/poll"), 0, "{sentence}");
        assert_eq!(worker.count(Counter::AccessTokenError), 1, "{sentence}");
        tick_after(&mut worker, SECOND);
        assert_eq!(open(&worker, "/token"), 0, "{sentence}: not at once");
        tick_after(&mut worker, SECOND);
        assert_eq!(open(&worker, "/token"), 1, "{sentence}");
    }
}

#[test]
fn a_body_that_cannot_be_read_in_one_way_alone_is_none() {
    for body in [
        &b""[..],
        b"<html>",
        b"{\"access_token\":\"a\",\"access_token\":\"b\",\"token_type\":\"Bearer\"}",
        b"{\"access_token\":\"a\",\"token_type\":\"Bearer\"} {}",
        &[b'['; 100_000],
        &[b' '; 2 << 20],
    ] {
        let mut worker = asking();
        let place = worker.called().iter().position(|called| *called == "/token").unwrap();
        let (id, _) = worker.calls.remove(place);
        worker.reply(id, 200, "application/json", body);
        assert_eq!((open(&worker, "/poll"), worker.count(Counter::AccessTokenError)), (0, 1));
    }
}

#[test]
fn no_status_but_200_brings_a_token() {
    for status in [201, 204, 302, 400, 401, 403, 404, 429, 500, 502] {
        let mut worker = asking();
        answer(&mut worker, "/token", status, &granted("one", json!({})));
        assert_eq!(open(&worker, "/poll"), 0, "{status}");
    }
}

#[test]
fn the_type_counts_in_any_case() {
    for typ in ["bearer", "BEARER", "Bearer"] {
        let mut worker = asking();
        answer(&mut worker, "/token", 200, &granted("one", json!({"token_type": typ})));
        assert_eq!(shown(&worker, "/poll").unwrap(), "Bearer one");
    }
}

#[test]
fn a_token_that_has_ended_on_its_way_is_none() {
    let mut worker = asking();
    worker.pass(SECOND * 2);
    answer(&mut worker, "/token", 200, &granted("one", json!({"expires_in": 2})));
    assert_eq!((open(&worker, "/poll"), worker.count(Counter::AccessTokenError)), (0, 1));
}
