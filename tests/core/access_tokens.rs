//! Access tokens of our own (RFC 6749 §4.4): fetched when a call needs one, in time, by few calls, and no secret anywhere
//! but where it belongs.

mod introspection;
mod replies;
mod store;

use std::time::Duration;

use phantom_token_filter::metrics::Counter;
use serde_json::{Value, json};

use crate::support::{Map, START, Worker, config, merge};

const SECOND: Duration = Duration::from_secs(1);

fn client_credentials() -> Value {
    json!({"client_credentials": {
        "cluster": "as", "path": "/token", "scopes": ["ssf.read", "ssf.manage"], "parameters": {"resource": "https://ssf.example"},
        "auth": {"client_secret_basic": {"client_id": "receiver", "client_secret": {"inline": "hush-hush-hush"}}},
    }})
}

/// Events are polled every 5 s with an access token of our own.
fn polling() -> Value {
    config(json!({
        "providers": {"main": {"issuer": "https://as.example", "jwks": {"cluster": "as", "path": "/jwks"}}},
        "revocation": {"security_events": {
            "audiences": ["https://gateway.example"],
            "poll": {"cluster": "ssf", "path": "/poll", "authorization": client_credentials()},
        }},
    }))
}

fn worker(config: Value, shared: &Map) -> Worker {
    let mut worker = Worker::sharing(config, shared.clone());
    worker.start();
    worker
}

/// What a token endpoint grants.
fn granted(token: &str, patch: Value) -> Value {
    let mut reply = json!({"access_token": token, "token_type": "Bearer", "expires_in": 300});
    merge(&mut reply, patch);
    reply
}

/// How many calls to this path are open.
fn open(worker: &Worker, path: &str) -> usize {
    worker.called().iter().filter(|called| **called == path).count()
}

/// Answers the open call to this path.
fn answer(worker: &mut Worker, path: &str, status: u16, body: &Value) {
    let place = worker.called().iter().position(|called| *called == path).expect(path);
    let (id, _) = worker.calls.remove(place);
    worker.reply(id, status, "application/json", body.to_string().as_bytes());
    worker.give_turns();
}

/// What the open call to this path shows.
fn shown(worker: &Worker, path: &str) -> Option<String> {
    let (_, call) = worker
        .calls
        .iter()
        .find(|(_, call)| call.headers.contains(&(":path".to_owned(), path.to_owned())))
        .expect(path);
    call.headers.iter().find(|(name, _)| name == "authorization").map(|(_, value)| value.clone())
}

fn tick_after(worker: &mut Worker, time: Duration) {
    worker.pass(time).give_tick();
}

#[test]
fn a_call_waits_for_the_token_that_it_needs_and_shows_it() {
    let mut worker = worker(polling(), &Map::default());
    assert_eq!(open(&worker, "/poll"), 0, "no call without a token");
    let (_, call) =
        worker.calls.iter().find(|(_, call)| call.cluster == "as" && !call.body.is_empty()).unwrap();
    assert_eq!(
        String::from_utf8(call.body.clone()).unwrap(),
        "grant_type=client_credentials&scope=ssf.read+ssf.manage&resource=https%3A%2F%2Fssf.example"
    );
    assert_eq!(shown(&worker, "/token").unwrap(), "Basic cmVjZWl2ZXI6aHVzaC1odXNoLWh1c2g=");
    assert!(call.headers.contains(&(":authority".to_owned(), "as.example".to_owned())), "the issuer's");
    answer(&mut worker, "/token", 200, &granted("one", json!({})));
    assert_eq!(shown(&worker, "/poll").unwrap(), "Bearer one");
    answer(&mut worker, "/poll", 200, &json!({"sets": {}}));
    tick_after(&mut worker, SECOND * 5);
    assert_eq!(shown(&worker, "/poll").unwrap(), "Bearer one", "the same again");
    assert_eq!((open(&worker, "/token"), worker.count(Counter::AccessTokenFetched)), (0, 1));
}

#[test]
fn a_token_in_use_is_renewed_before_it_ends_and_calls_go_on_meanwhile() {
    let mut worker = worker(polling(), &Map::default());
    answer(&mut worker, "/token", 200, &granted("1", json!({})));
    let (mut polls, mut tokens, mut asked, mut ends) = (0, 1, 0, 300);
    for second in 1..=900 {
        tick_after(&mut worker, SECOND);
        if open(&worker, "/poll") == 1 {
            assert!(second < ends, "a token that has ended");
            assert_eq!(shown(&worker, "/poll").unwrap(), format!("Bearer {tokens}"));
            answer(&mut worker, "/poll", 200, &json!({"sets": {}}));
            polls += 1;
        }
        // The server is slow.
        if open(&worker, "/token") == 1 {
            asked += 1;
            if asked == 3 {
                (tokens, asked, ends) = (tokens + 1, 0, second - 2 + 300);
                answer(&mut worker, "/token", 200, &granted(&tokens.to_string(), json!({})));
            }
        }
    }
    assert!((175..=181).contains(&polls), "{polls} polls in 900 s");
    assert_eq!((tokens, worker.count(Counter::AccessTokenError)), (4, 0));
}

#[test]
fn a_token_that_nobody_uses_is_not_renewed() {
    let mut config = polling();
    config["revocation"]["security_events"]["poll"]["interval"] = json!("1h");
    let mut worker = worker(config, &Map::default());
    answer(&mut worker, "/token", 200, &granted("one", json!({"expires_in": 60})));
    answer(&mut worker, "/poll", 200, &json!({"sets": {}}));
    // Once, for it was used; that one never is.
    tick_after(&mut worker, SECOND * 50);
    answer(&mut worker, "/token", 200, &granted("two", json!({"expires_in": 60})));
    for _ in 0..50 {
        tick_after(&mut worker, SECOND * 60);
        assert_eq!(open(&worker, "/token"), 0);
    }
    for _ in 0..10 {
        tick_after(&mut worker, SECOND * 60);
    }
    assert_eq!((open(&worker, "/token"), open(&worker, "/poll")), (1, 0), "until it is needed again");
}

#[test]
fn two_workers_make_one_call_where_one_of_them_does_the_work() {
    let shared = Map::default();
    let (mut one, mut two) = (worker(polling(), &shared), worker(polling(), &shared));
    answer(&mut one, "/token", 200, &granted("one", json!({})));
    answer(&mut one, "/poll", 200, &json!({"sets": {}}));
    for _ in 0..100 {
        for worker in [&mut one, &mut two] {
            tick_after(worker, SECOND);
        }
        if open(&one, "/poll") > 0 {
            answer(&mut one, "/poll", 200, &json!({"sets": {}}));
        }
    }
    assert_eq!((open(&two, "/token"), two.count(Counter::AccessTokenFetched)), (0, 0));
    assert_eq!(one.count(Counter::AccessTokenFetched), 1);
}

#[test]
fn while_no_token_is_to_be_had_it_is_asked_for_less_and_less_often_and_as_the_server_wants() {
    let mut worker = worker(polling(), &Map::default());
    let mut pauses = Vec::new();
    for _ in 0..6 {
        answer(&mut worker, "/token", 503, &json!({}));
        let failed = worker.now;
        while open(&worker, "/token") == 0 {
            tick_after(&mut worker, SECOND);
        }
        pauses.push(worker.now.since(failed).as_secs());
    }
    assert_eq!(pauses, [2, 4, 8, 10, 10, 10]);
    worker.ask_for_a_pause("/token", 503, "25");
    tick_after(&mut worker, SECOND * 24);
    assert_eq!(open(&worker, "/token"), 0, "Retry-After");
    tick_after(&mut worker, SECOND);
    assert_eq!((open(&worker, "/poll"), worker.count(Counter::AccessTokenError)), (0, 7));
    answer(&mut worker, "/token", 200, &granted("one", json!({})));
    assert_eq!(shown(&worker, "/poll").unwrap(), "Bearer one", "at once");
}

#[test]
fn a_token_serves_on_while_its_renewal_fails_and_not_for_longer() {
    let mut worker = worker(polling(), &Map::default());
    answer(&mut worker, "/token", 200, &granted("one", json!({"expires_in": 100})));
    let mut last = START;
    for _ in 0..150 {
        if open(&worker, "/poll") == 1 {
            last = worker.now;
            answer(&mut worker, "/poll", 200, &json!({"sets": {}}));
        }
        if open(&worker, "/token") == 1 {
            answer(&mut worker, "/token", 500, &json!({}));
        }
        tick_after(&mut worker, SECOND);
    }
    assert_eq!(last.since(START).as_secs() / 5, 19, "up to its end");
}

#[test]
fn a_refused_token_is_fetched_anew_once_and_not_in_a_circle() {
    let mut worker = worker(polling(), &Map::default());
    answer(&mut worker, "/token", 200, &granted("one", json!({})));
    answer(&mut worker, "/poll", 200, &json!({"sets": {}}));
    tick_after(&mut worker, SECOND * 5);
    answer(&mut worker, "/poll", 401, &json!({}));
    assert_eq!((open(&worker, "/token"), open(&worker, "/poll")), (1, 0), "fetched at once");
    answer(&mut worker, "/token", 200, &granted("two", json!({})));
    assert_eq!(shown(&worker, "/poll").unwrap(), "Bearer two", "and shown at once");
    answer(&mut worker, "/poll", 401, &json!({}));
    assert_eq!((open(&worker, "/token"), open(&worker, "/poll")), (0, 0), "it is not the token");
    let (mut tokens, mut polls) = (0, 0);
    for _ in 0..600 {
        tick_after(&mut worker, SECOND);
        for _ in 0..2 {
            if open(&worker, "/token") == 1 {
                tokens += 1;
                answer(&mut worker, "/token", 200, &granted(&format!("n{tokens}"), json!({})));
            }
            if open(&worker, "/poll") == 1 {
                polls += 1;
                answer(&mut worker, "/poll", 401, &json!({}));
            }
        }
    }
    assert!(
        (5..=20).contains(&tokens) && polls <= 2 * tokens + 3,
        "{tokens} tokens, {polls} polls in ten minutes"
    );
}

#[test]
fn a_token_ends_when_the_clock_is_set_back_for_nobody_knows_when_it_would() {
    let mut worker = worker(polling(), &Map::default());
    answer(&mut worker, "/token", 200, &granted("one", json!({})));
    answer(&mut worker, "/poll", 200, &json!({"sets": {}}));
    worker.now = worker.now.minus(SECOND * 3600);
    worker.give_tick();
    worker.give_tick();
    assert_eq!((open(&worker, "/token"), open(&worker, "/poll")), (1, 0));
}

#[test]
fn a_token_call_that_envoy_does_not_send_is_a_failure_as_any() {
    let mut worker = worker(polling(), &Map::default());
    worker.refuse_calls();
    assert_eq!(worker.count(Counter::AccessTokenError), 1);
    tick_after(&mut worker, SECOND * 2);
    assert_eq!(open(&worker, "/token"), 1);
}
