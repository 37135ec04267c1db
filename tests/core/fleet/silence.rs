//! A store that is not heard.

use std::time::Duration;

use phantom_token_filter::metrics::{Counter, Gauge};
use serde_json::json;

use super::etcd::{identity, page, watched};
use super::{SECOND, UNAVAILABLE, begin, calls, open, remember, watching};
use crate::support::withdrawing::is_remembered;
use crate::support::{Fate, Request};

#[test]
fn a_store_that_says_nothing_is_left_and_asked_anew() {
    let (mut worker, stream) = watching(json!({}));
    for _ in 0..3 {
        worker.pass(SECOND).give_tick();
    }
    assert!(worker.canceled.is_empty(), "two seconds for an answer");
    worker.pass(SECOND).give_tick();
    assert_eq!(worker.canceled, [stream]);
    worker.pass(SECOND).give_tick();
    for _ in 0..4 {
        worker.pass(SECOND).give_tick();
    }
    let ranges = worker.grpc.iter().filter(|(_, call)| call.method == "Range").count();
    assert!(ranges >= 2, "a call whose end Envoy does not tell is given up, too: {:?}", worker.grpc);
}

#[test]
fn while_the_store_is_silent_no_verdict_serves_for_longer_if_so_configured() {
    let (mut worker, stream) = watching(json!({"on_silence": "ask"}));
    remember(&mut worker, "tok");
    worker.grpc_closed(stream, UNAVAILABLE);
    worker.pass(4 * SECOND).give_tick();
    assert!(is_remembered(&mut worker, "tok"));
    worker.pass(2 * SECOND).give_tick();
    assert_eq!((worker.level(Gauge::FleetHeard), worker.count(Counter::FleetSilentSeconds)), (Some(0), 1));
    assert!(!is_remembered(&mut worker, "tok"));
    remember(&mut worker, "next");
    worker.pass(4 * SECOND).give_tick();
    assert!(is_remembered(&mut worker, "next"), "no older than the store may be silent");
    worker.pass(2 * SECOND).give_tick();
    assert!(!is_remembered(&mut worker, "next"));
    // Heard again, verdicts live as long as before.
    begin(&mut worker, &page(10, &[identity(5)], false));
    remember(&mut worker, "last");
    for _ in 0..60 {
        worker.pass(SECOND).give_tick();
        let stream = open(&worker, "Watch");
        worker.grpc_message(stream, &watched(10, &[], false));
    }
    assert!(is_remembered(&mut worker, "last"));
}

#[test]
fn while_the_store_is_silent_requests_are_refused_if_so_configured_and_not_otherwise() {
    for (on_silence, status) in [("refuse", 503), ("serve", 200)] {
        let (mut worker, stream) = watching(json!({"on_silence": on_silence}));
        remember(&mut worker, "tok");
        for _ in 0..3 {
            assert!(is_remembered(&mut worker, "tok"));
        }
        worker.grpc_closed(stream, UNAVAILABLE);
        worker.pass(6 * SECOND).give_tick();
        let stream = worker.receive(&Request::bearer("tok"));
        let fate = worker.fate(stream);
        if status == 503 {
            assert_eq!((fate.status(), fate.reason()), (503, "fleet_silent"));
            begin(&mut worker, &page(10, &[identity(5)], false));
            assert!(is_remembered(&mut worker, "tok"));
        } else {
            assert!(matches!(fate, Fate::Forwarded(_)));
        }
    }
}

#[test]
fn a_clock_that_was_set_back_makes_no_silence_and_no_long_wait() {
    let (mut worker, stream) = watching(json!({"on_silence": "refuse"}));
    worker.grpc_closed(stream, UNAVAILABLE);
    worker.now = worker.now.minus(Duration::from_secs(3600));
    worker.give_tick();
    assert!(calls(&worker, "Range"));
    begin(&mut worker, &page(10, &[identity(5)], false));
    remember(&mut worker, "tok");
}
