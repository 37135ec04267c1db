use std::time::Duration;

use base64ct::{Base64, Encoding};
use phantom_token_filter::metrics::Counter;
use serde_json::json;

use super::{FORM, is_remembered, post, remember, two_workers};
use crate::support::{Fate, Request, Worker};

#[test]
fn a_revocation_that_passes_through_counts_once_the_server_has_said_so() {
    let (mut one, mut two) = two_workers(json!({}));
    let basic = format!("Basic {}", Base64::encode_string(b"app:secret"));
    let revoke = |worker: &mut Worker, body: &str, status: u16| {
        let request = post("/token/revocation", FORM).routed_to("as").with("authorization", &basic);
        let stream = worker.post(&request, body.as_bytes());
        assert_eq!(worker.fate(stream), Fate::unchanged(), "it is not changed");
        worker.answered(stream, status);
    };
    for token in ["tok", "other"] {
        remember(&mut one, token, json!({}));
    }
    remember(&mut one, "of-another-client", json!({"client_id": "web"}));
    for status in [400, 401, 503, 302] {
        revoke(&mut one, "token=tok", status);
    }
    assert!(is_remembered(&mut two, "tok"), "the server has revoked nothing");
    revoke(&mut one, "token=tok&token_type_hint=access_token", 200);
    assert!(!is_remembered(&mut two, "tok") && is_remembered(&mut two, "other"));
    revoke(&mut one, "token=a-refresh-token", 200);
    assert!(!is_remembered(&mut two, "other") && is_remembered(&mut two, "of-another-client"));
    assert_eq!(one.count(Counter::RevocationReceived), 2);
}

/// What a client without a secret posts to the server.
fn revoke_publicly(worker: &mut Worker, body: &str) {
    let request = post("/token/revocation", FORM).routed_to("as");
    let stream = worker.post(&request, body.as_bytes());
    assert_eq!(worker.fate(stream), Fate::unchanged());
    worker.answered(stream, 200);
}

#[test]
fn a_revocation_that_passes_through_says_nothing_of_who_the_client_is() {
    let (mut one, _) = two_workers(json!({"policies": {
        "default": {"forward": {"claim_headers": {"x-user": "sub"}}},
        "other": {"strategy": "introspection", "forward": {"claim_headers": {"X-Roles": "roles"}}},
    }}));
    let forged =
        post("/token/revocation", FORM).routed_to("as").with("x-user", "root").with("x-roles", "admin");
    let stream = one.post(&forged, b"token=tok");
    assert!(one.fate(stream).removes("x-user") && one.fate(stream).removes("x-roles"));
}

#[test]
fn a_revocation_that_cannot_be_read_takes_what_its_client_has() {
    let (mut one, _) = two_workers(json!({}));
    let basic = format!("Basic {}", Base64::encode_string(b"app:secret"));
    for is_read in [true, false] {
        remember(&mut one, "tok", json!({}));
        if is_read {
            remember(&mut one, "of-another-client", json!({"client_id": "web"}));
        }
        let stream =
            one.receive(&post("/token/revocation", FORM).routed_to("as").with("authorization", &basic));
        if is_read {
            one.no_body(stream);
        }
        // Or an answer before the whole request is there.
        one.answered(stream, 200);
        assert!(!is_remembered(&mut one, "tok") && is_remembered(&mut one, "of-another-client"));
        one.pass(Duration::from_secs(20));
    }
    // Nobody is named: nothing beyond what is named is withdrawn.
    remember(&mut one, "tok", json!({}));
    revoke_publicly(&mut one, "token=unknown");
    assert!(is_remembered(&mut one, "tok"));
}

#[test]
fn a_client_that_anybody_can_name_is_asked_about_anew_at_most_every_ten_seconds_and_none_is_lost() {
    let (mut one, mut two) = two_workers(json!({}));
    remember(&mut one, "tok", json!({}));
    revoke_publicly(&mut one, "token=refresh-1&client_id=app");
    assert!(!is_remembered(&mut two, "tok"), "the first counts at once");
    one.pass(Duration::from_secs(1));
    two.pass(Duration::from_secs(1));
    remember(&mut one, "tok-2", json!({}));
    for number in 0..1_000 {
        let worker = if number % 2 == 0 { &mut one } else { &mut two };
        revoke_publicly(worker, &format!("token=rubbish-{number}&client_id=app"));
    }
    assert!(is_remembered(&mut two, "tok-2"), "others cannot keep it from the cache");
    for worker in [&mut one, &mut two] {
        worker.pass(Duration::from_millis(9_100)).give_tick();
    }
    assert!(!is_remembered(&mut two, "tok-2"), "and none is lost");
    // With credentials it is a second.
    let (mut one, _) = two_workers(json!({}));
    let basic = format!("Basic {}", Base64::encode_string(b"app:secret"));
    for number in 0..3 {
        remember(&mut one, &format!("tok-{number}"), json!({}));
        let request = post("/token/revocation", FORM).routed_to("as").with("authorization", &basic);
        let stream = one.post(&request, b"token=refresh");
        one.answered(stream, 200);
        one.pass(Duration::from_millis(900)).give_tick();
        one.pass(Duration::from_millis(200)).give_tick();
        assert!(!is_remembered(&mut one, &format!("tok-{number}")));
    }
}

#[test]
fn a_revocation_that_passes_through_takes_other_spellings_of_the_token_with_it() {
    // A lenient server takes both for one token: the last letter has four bits to spare.
    let (issued, other) = ("eyJhIjoxfQ.eyJhIjoxfQ.c2lnbmF0dXJlMQ", "eyJhIjoxfQ.eyJhIjoxfQ.c2lnbmF0dXJlMR");
    for (used, revocation) in [
        // Known here as it was issued: by itself.
        (&[issued, other][..], format!("token={issued}")),
        (&[issued, other], format!("token={other}")),
        // Known here in another spelling alone: with all that its client has, whom every request names (RFC 7009 §2.1).
        (&[other], format!("token={issued}&client_id=app")),
    ] {
        let (mut one, mut two) = two_workers(json!({}));
        used.iter().for_each(|token| remember(&mut one, token, json!({})));
        revoke_publicly(&mut one, &revocation);
        for token in used {
            assert!(!is_remembered(&mut two, token), "{token} lives on after {revocation}");
        }
    }
}

#[test]
fn what_was_put_off_is_done_when_another_configuration_is_put_in_the_filters_place() {
    let (mut one, mut two) = two_workers(json!({}));
    remember(&mut one, "tok", json!({}));
    revoke_publicly(&mut one, "token=refresh-1&client_id=app");
    one.pass(Duration::from_secs(1));
    two.pass(Duration::from_secs(1));
    remember(&mut one, "tok-2", json!({}));
    revoke_publicly(&mut one, "token=refresh-2&client_id=app");
    assert!(is_remembered(&mut two, "tok-2"), "it is put off");
    one.end();
    assert!(!is_remembered(&mut two, "tok-2"), "and not forgotten with the filter");
}

#[test]
fn made_up_clients_and_tokens_leave_nothing_behind() {
    let (mut one, mut two) = two_workers(json!({}));
    remember(&mut one, "tok", json!({}));
    let size = one.shared.size();
    for number in 0..10_000 {
        revoke_publicly(&mut one, &format!("token=rubbish-{number}&client_id=made-up-{number}"));
    }
    assert!(is_remembered(&mut two, "tok"));
    assert_eq!(one.shared.size(), size, "or room for others' watermarks would run out");
    assert_eq!(one.count(Counter::RevocationReceived), 0);
}

#[test]
fn only_what_is_routed_to_the_server_is_a_revocation() {
    let (mut one, _) = two_workers(json!({"revocation": {"endpoint": {"hosts": ["as.example"]}}}));
    remember(&mut one, "tok", json!({}));
    let at = |host: &str| {
        Request::default()
            .with(":method", "POST")
            .with(":path", "/token/revocation")
            .with(":authority", host)
            .with("content-type", FORM)
    };
    for request in [at("as.example"), at("as.example").routed_to("api"), at("api.example").routed_to("as")] {
        let stream = one.post(&request, b"token=tok");
        assert_eq!(one.fate(stream).status(), 401, "a request like any other");
    }
    assert!(is_remembered(&mut one, "tok"));
    let stream = one.post(&at("AS.example:443").routed_to("as"), b"token=tok");
    one.answered(stream, 200);
    assert!(!is_remembered(&mut one, "tok"));
}

#[test]
fn slow_revocations_push_out_those_of_their_own_peer() {
    let (mut one, _) = two_workers(json!({}));
    remember(&mut one, "tok", json!({}));
    let from = |peer: &str| post("/token/revocation", FORM).routed_to("as").of_peer(peer);
    let honest = one.receive(&from("10.0.0.1"));
    (0..3_000).for_each(|_| _ = one.receive(&from("10.0.0.2")));
    one.body(honest, b"token=tok").answered(honest, 200);
    assert!(!is_remembered(&mut one, "tok"));
    // One that is never answered is not waited for without end.
    one.pass(Duration::from_secs(60)).give_tick();
    one.give_tick();
    assert_eq!(one.tick, Duration::from_millis(250), "for what is open");
}

#[test]
fn what_is_no_revocation_is_a_request_like_any_other() {
    let (mut one, _) = two_workers(json!({}));
    let stream = one.receive(&Request::get("/token/revocation").routed_to("as"));
    assert_eq!(one.fate(stream).status(), 401, "without a token nobody passes there");
}
