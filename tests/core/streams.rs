//! The stream of security events that the filter finds or makes at its transmitter (SSF 1.0 §8.1).

mod answers;

use std::time::Duration;

use phantom_token_filter::jwt::Algorithm;
use phantom_token_filter::metrics::Counter;
use serde_json::{Value, json};

use crate::support::issuer::{jwk, sign};
use crate::support::{Map, START, Worker, config, merge};

const SECOND: Duration = Duration::from_secs(1);

const ISSUER: &str = "https://as.example/realms/api";

const CAEP: &str = "https://schemas.openid.net/secevent/caep/event-type";

const STREAMS: &str = "/ssf/streams";

const METADATA: &str = "/.well-known/ssf-configuration/realms/api";

fn settings(stream: Value) -> Value {
    let mut of_stream = json!({"cluster": "ssf", "path": STREAMS, "authorization": {"inline": "stream-secret"},
        "events": [format!("{CAEP}/session-revoked"), format!("{CAEP}/credential-change")]});
    merge(&mut of_stream, stream);
    config(json!({
        "providers": {"main": {"issuer": ISSUER, "jwks": {"cluster": "as", "path": "/jwks"}}},
        "revocation": {"settle": "0s", "security_events": {"stream": of_stream}},
    }))
}

fn worker(stream: Value, shared: &Map) -> Worker {
    let mut worker = Worker::sharing(settings(stream), shared.clone());
    worker.start();
    answer(&mut worker, "/jwks", 200, &json!({"keys": [jwk(Algorithm::ES256, json!({}))]}));
    worker
}

/// What a transmitter says of a stream.
fn stream(patch: Value) -> Value {
    let mut stream = json!({
        "stream_id": "s-1", "iss": ISSUER, "aud": ["gateway/s-1"],
        "events_requested": [format!("{CAEP}/session-revoked"), format!("{CAEP}/credential-change")],
        "delivery": {"method": "urn:ietf:rfc:8936", "endpoint_url": "https://as.example/ssf/streams/s-1/poll"},
        "description": "phantom-token-filter",
    });
    merge(&mut stream, patch);
    stream
}

fn metadata(patch: Value) -> Value {
    let mut metadata = json!({
        "issuer": ISSUER, "default_subjects": "ALL",
        "add_subject_endpoint": "https://as.example/ssf/subjects/add",
        "verification_endpoint": "https://as.example/ssf/verify",
    });
    merge(&mut metadata, patch);
    metadata
}

fn open(worker: &Worker, path: &str) -> usize {
    worker.called().iter().filter(|called| **called == path).count()
}

/// Answers the open call to this path; returns what it said.
fn answer(worker: &mut Worker, path: &str, status: u16, body: &Value) -> (String, Value) {
    let called = worker.called();
    let place =
        called.iter().position(|called| *called == path).unwrap_or_else(|| panic!("{path}: {called:?}"));
    let (id, call) = worker.calls.remove(place);
    worker.reply(id, status, "application/json", body.to_string().as_bytes());
    worker.give_turns();
    let method = call.headers.iter().find(|(name, _)| name == ":method").unwrap().1.clone();
    (method, serde_json::from_slice(&call.body).unwrap_or_default())
}

fn tick_after(worker: &mut Worker, time: Duration) {
    worker.pass(time).give_tick();
}

/// A worker that has found its stream, and polls it.
fn found(of_stream: Value, shared: &Map) -> Worker {
    let mut worker = worker(of_stream, shared);
    answer(&mut worker, STREAMS, 200, &json!([stream(json!({}))]));
    worker
}

fn event(claims: Value) -> String {
    let mut all = json!({"iss": ISSUER, "aud": "gateway/s-1", "iat": START.as_secs(), "jti": "e1",
        "sub_id": {"format": "iss_sub", "iss": ISSUER, "sub": "alice"}, "events": {(format!("{CAEP}/session-revoked")): {}}});
    merge(&mut all, claims);
    sign(Algorithm::ES256, json!({"typ": "secevent+jwt"}), &all)
}

#[test]
fn a_stream_is_made_where_there_is_none_polled_and_verified() {
    let mut worker = worker(json!({}), &Map::default());
    assert_eq!(open(&worker, STREAMS), 1);
    assert_eq!(answer(&mut worker, STREAMS, 200, &json!([])).0, "GET");
    let (method, body) = answer(&mut worker, STREAMS, 201, &stream(json!({})));
    assert_eq!(method, "POST");
    assert_eq!(
        body,
        json!({
            "delivery": {"method": "urn:ietf:rfc:8936"}, "description": "phantom-token-filter",
            "events_requested": [format!("{CAEP}/session-revoked"), format!("{CAEP}/credential-change")],
        })
    );
    assert_eq!(open(&worker, "/ssf/streams/s-1/poll"), 1, "polled where the transmitter says");
    answer(&mut worker, METADATA, 200, &metadata(json!({})));
    let (_, body) = answer(&mut worker, "/ssf/verify", 204, &Value::Null);
    assert_eq!(body["stream_id"], "s-1");
    let state = body["state"].as_str().unwrap().to_owned();
    assert!(state.len() >= 16);
    let verification = json!({"jti": "v1", "sub_id": {"format": "opaque", "id": "s-1"},
        "events": {"https://schemas.openid.net/secevent/ssf/event-type/verification": {"state": state}}});
    let mut token = json!({"iss": ISSUER, "aud": "gateway/s-1", "iat": START.as_secs()});
    merge(&mut token, verification);
    let token = sign(Algorithm::ES256, json!({"typ": "secevent+jwt"}), &token);
    answer(&mut worker, "/ssf/streams/s-1/poll", 200, &json!({"sets": {"v1": token}}));
    let (_, next) = answer(&mut worker, "/ssf/streams/s-1/poll", 200, &json!({}));
    assert_eq!(next["ack"], json!(["v1"]));
    for _ in 0..1000 {
        tick_after(&mut worker, SECOND);
        assert_eq!(open(&worker, "/ssf/verify"), 0, "once is enough");
        if open(&worker, "/ssf/streams/s-1/poll") == 1 {
            answer(&mut worker, "/ssf/streams/s-1/poll", 200, &json!({}));
        }
    }
}

#[test]
fn a_restart_finds_the_same_stream_and_makes_none() {
    let streams = |order: &[&str]| {
        let described = |id: &&str| {
            let patch = match *id {
                "other" => json!({"stream_id": "a-0", "description": "of somebody else"}),
                "push" => {
                    json!({"stream_id": "a-1", "description": "", "delivery": {"method": "urn:ietf:rfc:8935"}})
                }
                id => {
                    json!({"stream_id": id, "delivery": {"endpoint_url": format!("https://as.example/poll/{id}")}})
                }
            };
            stream(patch)
        };
        Value::from(order.iter().map(described).collect::<Vec<_>>())
    };
    for (order, polled) in [
        (&["s-1"][..], "/poll/s-1"),
        (&["other", "s-1", "push"], "/poll/s-1"),
        (&["s-2", "s-1"], "/poll/s-1"),
        (&["s-1", "s-2"], "/poll/s-1"),
    ] {
        let mut worker = worker(json!({}), &Map::default());
        answer(&mut worker, STREAMS, 200, &streams(order));
        assert_eq!(open(&worker, polled), 1, "{order:?}");
        assert_eq!(open(&worker, STREAMS), 0, "{order:?}");
    }
}

#[test]
fn of_a_transmitter_that_keeps_no_descriptions_the_only_stream_is_ours_and_none_of_several() {
    let nameless = |id: &str| {
        let mut stream = stream(json!({"stream_id": id}));
        stream.as_object_mut().unwrap().remove("description");
        stream
    };
    let mut worker = worker(json!({}), &Map::default());
    answer(&mut worker, STREAMS, 200, &json!([nameless("s-1")]));
    assert_eq!(open(&worker, "/ssf/streams/s-1/poll"), 1);
    let mut worker = self::worker(json!({}), &Map::default());
    answer(&mut worker, STREAMS, 200, &json!([nameless("s-1"), nameless("s-2")]));
    assert_eq!(worker.called(), Vec::<&str>::new(), "neither taken nor one more made");
    let mut worker = self::worker(json!({}), &Map::default());
    answer(&mut worker, STREAMS, 200, &json!([stream(json!({"description": "of somebody else"}))]));
    assert_eq!(answer(&mut worker, STREAMS, 409, &json!({})).0, "POST");
    assert_eq!(open(&worker, "/ssf/streams/s-1/poll"), 0, "somebody else's is left alone");
}

#[test]
fn events_of_the_stream_count_and_those_for_others_do_not() {
    let mut worker = found(json!({}), &Map::default());
    let sets =
        json!({"sets": {"e1": event(json!({})), "e2": event(json!({"jti": "e2", "aud": "gateway/s-2"}))}});
    answer(&mut worker, "/ssf/streams/s-1/poll", 200, &sets);
    assert_eq!((worker.count(Counter::RevocationReceived), worker.count(Counter::RevocationRefused)), (1, 1));
    let (_, next) = answer(&mut worker, "/ssf/streams/s-1/poll", 200, &json!({}));
    assert_eq!((&next["ack"], &next["setErrs"]["e2"]["err"]), (&json!(["e1"]), &json!("invalid_audience")));
}

#[test]
fn subjects_are_added_one_by_one_and_one_that_is_unknown_stops_no_other() {
    let subjects = json!([{"format": "email", "email": "a@example.com"}, {"format": "email", "email": "b@example.com"},
        {"format": "iss_sub", "iss": ISSUER, "sub": "c"}]);
    let mut worker = found(json!({"subjects": subjects}), &Map::default());
    answer(&mut worker, METADATA, 200, &metadata(json!({"default_subjects": "NONE"})));
    for (place, status) in [(0, 200), (1, 404), (2, 200)] {
        let (_, body) = answer(&mut worker, "/ssf/subjects/add", status, &json!({}));
        assert_eq!(body, json!({"stream_id": "s-1", "subject": subjects[place]}));
    }
    assert_eq!((open(&worker, "/ssf/subjects/add"), open(&worker, "/ssf/verify")), (0, 1));
}

#[test]
fn a_stream_that_lacks_our_events_is_asked_for_them_and_serves_if_it_cannot_have_them() {
    for status in [200, 405] {
        let mut worker = worker(json!({}), &Map::default());
        let lacks = json!({"events_requested": [format!("{CAEP}/session-revoked")]});
        answer(&mut worker, STREAMS, 200, &json!([stream(lacks)]));
        let (method, body) = answer(&mut worker, STREAMS, status, &stream(json!({})));
        assert_eq!((&*method, &body["stream_id"]), ("PATCH", &json!("s-1")));
        assert_eq!(body["events_requested"].as_array().unwrap().len(), 2);
        assert_eq!((open(&worker, METADATA), open(&worker, "/ssf/streams/s-1/poll")), (1, 1));
    }
    let mut worker = worker(json!({}), &Map::default());
    let only = json!([format!("{CAEP}/session-revoked")]);
    let unsupported = json!({"events_requested": only, "events_supported": only});
    answer(&mut worker, STREAMS, 200, &json!([stream(unsupported)]));
    assert_eq!(open(&worker, STREAMS), 0, "it has no more");
}

#[test]
fn one_worker_finds_the_stream_and_another_goes_on_when_that_is_gone() {
    let shared = Map::default();
    let (mut one, mut two) = (worker(json!({}), &shared), worker(json!({}), &shared));
    assert_eq!((open(&one, STREAMS), open(&two, STREAMS)), (1, 0));
    for _ in 0..60 {
        tick_after(&mut two, SECOND);
    }
    assert_eq!(open(&two, STREAMS), 1);
    answer(&mut two, STREAMS, 200, &json!([stream(json!({}))]));
    assert_eq!(open(&two, "/ssf/streams/s-1/poll"), 1);
    // The first comes back to life, and no second stream is made of what it hears now.
    one.now = two.now;
    answer(&mut one, STREAMS, 200, &json!([]));
    one.give_tick();
    assert_eq!(one.called(), Vec::<&str>::new());
}

#[test]
fn a_stream_that_was_deleted_is_found_anew_or_made() {
    let mut worker = found(json!({}), &Map::default());
    answer(&mut worker, METADATA, 200, &metadata(json!({})));
    answer(&mut worker, "/ssf/verify", 204, &Value::Null);
    answer(&mut worker, "/ssf/streams/s-1/poll", 404, &json!({}));
    tick_after(&mut worker, SECOND * 10);
    answer(&mut worker, STREAMS, 200, &json!([]));
    let other = json!({"stream_id": "s-2", "aud": "gateway/s-2", "delivery": {"endpoint_url": "https://as.example/poll/s-2"}});
    answer(&mut worker, STREAMS, 201, &stream(other));
    tick_after(&mut worker, SECOND * 10);
    assert_eq!(open(&worker, "/poll/s-2"), 1);
}

#[test]
fn without_a_verification_event_it_is_asked_for_again_now_and_then() {
    let mut worker = found(json!({}), &Map::default());
    answer(&mut worker, METADATA, 200, &metadata(json!({})));
    let (mut asked, mut states) = (0, Vec::new());
    for _ in 0..1200 {
        tick_after(&mut worker, SECOND);
        if open(&worker, "/ssf/verify") == 1 {
            asked += 1;
            states.push(answer(&mut worker, "/ssf/verify", 204, &Value::Null).1["state"].clone());
        }
        if open(&worker, "/ssf/streams/s-1/poll") == 1 {
            answer(&mut worker, "/ssf/streams/s-1/poll", 200, &json!({}));
        }
    }
    assert!((3..=5).contains(&asked), "{asked} in 20 minutes");
    states.dedup();
    assert_eq!(states.len(), asked, "each time with another state");
}

#[test]
fn a_transmitter_that_was_asked_for_a_verification_a_moment_ago_is_asked_a_minute_later_and_polled_meanwhile()
{
    let mut worker = found(json!({}), &Map::default());
    answer(&mut worker, METADATA, 200, &metadata(json!({})));
    answer(&mut worker, "/ssf/verify", 429, &json!({"error": "too_many_requests"}));
    let mut polls = 0;
    for _ in 0..59 {
        tick_after(&mut worker, SECOND);
        assert_eq!(open(&worker, "/ssf/verify"), 0);
        if open(&worker, "/ssf/streams/s-1/poll") == 1 {
            polls += 1;
            answer(&mut worker, "/ssf/streams/s-1/poll", 200, &json!({}));
        }
    }
    tick_after(&mut worker, SECOND * 2);
    assert_eq!((open(&worker, "/ssf/verify"), polls > 10), (1, true));
}

#[test]
fn the_stream_is_asked_for_with_an_access_token_of_ours_and_so_are_its_events() {
    let authorization = json!({"client_credentials": {"cluster": "as", "path": "/token",
        "auth": {"none": {"client_id": "gateway"}}}});
    let mut settings = settings(json!({}));
    settings["revocation"]["security_events"]["stream"]["authorization"] = authorization;
    let mut worker = Worker::new(settings);
    worker.start();
    assert_eq!(open(&worker, STREAMS), 0);
    let granted = |token: &str| json!({"access_token": token, "token_type": "Bearer", "expires_in": 60});
    answer(&mut worker, "/token", 200, &granted("one"));
    answer(&mut worker, STREAMS, 401, &json!({}));
    answer(&mut worker, "/token", 200, &granted("two"));
    answer(&mut worker, STREAMS, 200, &json!([stream(json!({}))]));
    let polled = worker
        .calls
        .iter()
        .find(|(_, call)| call.headers.contains(&(":path".to_owned(), "/ssf/streams/s-1/poll".to_owned())));
    let shown = polled.unwrap().1.headers.iter().find(|(name, _)| name == "authorization").unwrap();
    assert_eq!(shown.1, "Bearer two");
    for _ in 0..40 {
        assert_eq!(open(&worker, "/token"), 0, "one token for both");
        tick_after(&mut worker, SECOND);
    }
}
