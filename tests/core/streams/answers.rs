//! What a transmitter may answer, and what is believed of it.

use serde_json::{Value, json};

use super::{METADATA, SECOND, STREAMS, answer, found, metadata, open, stream, tick_after, worker};
use crate::support::Map;

#[test]
fn a_stream_that_is_not_what_it_should_be_is_not_polled() {
    let delivery = |delivery: Value| json!({"delivery": delivery});
    for (sentence, patch) in [
        ("of another issuer", json!({"iss": "https://evil.example"})),
        ("for nobody", json!({"aud": []})),
        ("for what is no text", json!({"aud": [7]})),
        ("for too many", json!({"aud": vec!["a"; 17]})),
        ("for one that is longer than any", json!({"aud": "a".repeat(1025)})),
        ("pushed", delivery(json!({"method": "urn:ietf:rfc:8935"}))),
        ("polled nowhere", delivery(json!({"endpoint_url": 7}))),
        ("polled elsewhere", delivery(json!({"endpoint_url": "https://evil.example/poll"}))),
        ("polled by another user", delivery(json!({"endpoint_url": "https://as.example@evil.example/poll"}))),
        ("a path that ends a line", delivery(json!({"endpoint_url": "https://as.example/poll\r\nx: y"}))),
        ("without a name", json!({"stream_id": ""})),
        ("with a name that is longer than any", json!({"stream_id": "s".repeat(1025)})),
    ] {
        let mut worker = worker(json!({}), &Map::default());
        answer(&mut worker, STREAMS, 200, &json!([stream(patch)]));
        assert_eq!(worker.called(), Vec::<&str>::new(), "{sentence}");
        tick_after(&mut worker, SECOND * 5);
        tick_after(&mut worker, SECOND * 6);
        assert_eq!(worker.called(), [STREAMS], "{sentence}: looked for again");
    }
}

#[test]
fn an_answer_that_is_no_list_of_streams_makes_no_stream() {
    for body in ["", "<html>", "7", "\"s-1\"", "[{\"stream_id\":\"a\",\"stream_id\":\"b\"}]", "[", "null"] {
        let mut worker = worker(json!({}), &Map::default());
        let (id, _) = worker.calls.remove(0);
        worker.reply(id, 200, "application/json", body.as_bytes());
        worker.give_turns();
        assert_eq!(worker.called(), Vec::<&str>::new(), "{body}");
    }
    for status in [204, 301, 400, 401, 403, 500, 503] {
        let mut worker = worker(json!({}), &Map::default());
        answer(&mut worker, STREAMS, status, &json!([]));
        assert_eq!(worker.called(), Vec::<&str>::new(), "{status}");
    }
    let many: Vec<Value> = (0..101).map(|number| stream(json!({"stream_id": number.to_string()}))).collect();
    let mut worker = worker(json!({}), &Map::default());
    answer(&mut worker, STREAMS, 200, &json!(many));
    assert_eq!(worker.called(), Vec::<&str>::new());
}

#[test]
fn endpoints_of_other_hosts_and_of_other_transmitters_are_not_called() {
    for patch in [
        json!({"issuer": "https://evil.example"}),
        json!({"verification_endpoint": "https://evil.example/ssf/verify"}),
        json!({"add_subject_endpoint": "https://as.example.evil.example/ssf/subjects/add"}),
    ] {
        let mut worker = found(json!({}), &Map::default());
        answer(&mut worker, METADATA, 200, &metadata(patch.clone()));
        assert_eq!(worker.called(), ["/ssf/streams/s-1/poll"], "{patch}");
    }
}

#[test]
fn where_the_metadata_is_behind_the_issuers_path_it_is_found_there() {
    let mut worker = found(json!({}), &Map::default());
    answer(&mut worker, METADATA, 404, &json!({}));
    answer(&mut worker, "/realms/api/.well-known/ssf-configuration", 200, &metadata(json!({})));
    assert_eq!(open(&worker, "/ssf/verify"), 1);
}

#[test]
fn a_transmitter_without_metadata_is_polled_all_the_same() {
    let mut worker = found(json!({}), &Map::default());
    answer(&mut worker, METADATA, 404, &json!({}));
    answer(&mut worker, "/realms/api/.well-known/ssf-configuration", 404, &json!({}));
    assert_eq!(worker.called(), ["/ssf/streams/s-1/poll"]);
    answer(&mut worker, "/ssf/streams/s-1/poll", 200, &json!({}));
    for _ in 0..100 {
        tick_after(&mut worker, SECOND);
    }
    assert_eq!(worker.called(), ["/ssf/streams/s-1/poll"]);
}

#[test]
fn a_transmitter_that_is_down_is_asked_less_and_less_often_and_as_it_wants() {
    let mut worker = worker(json!({}), &Map::default());
    let mut pauses = Vec::new();
    for _ in 0..5 {
        answer(&mut worker, STREAMS, 503, &json!({}));
        let failed = worker.now;
        while open(&worker, STREAMS) == 0 {
            tick_after(&mut worker, SECOND);
        }
        pauses.push(worker.now.since(failed).as_secs());
    }
    assert_eq!(pauses, [10, 20, 40, 60, 60]);
    worker.ask_for_a_pause(STREAMS, 429, "55");
    tick_after(&mut worker, SECOND * 54);
    assert_eq!(open(&worker, STREAMS), 0);
}

#[test]
fn what_one_worker_was_asked_to_leave_alone_the_others_leave_alone_too() {
    let shared = Map::default();
    let (mut one, mut two) = (worker(json!({}), &shared), worker(json!({}), &shared));
    one.ask_for_a_pause(STREAMS, 503, "50");
    for _ in 0..49 {
        tick_after(&mut one, SECOND);
        tick_after(&mut two, SECOND);
        assert_eq!((open(&one, STREAMS), open(&two, STREAMS)), (0, 0));
    }
}
