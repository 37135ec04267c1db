use std::time::Duration;

use base64ct::{Base64, Encoding};
use phantom_token_filter::metrics::Counter;
use serde_json::json;

use crate::support::{Fate, Request, Worker};
use crate::{FORM, is_remembered, post, remember, two_workers};

#[test]
fn a_revocation_that_passes_through_counts_once_the_server_has_said_so() {
    let (mut one, mut two) = two_workers(json!({}));
    let basic = format!("Basic {}", Base64::encode_string(b"app:secret"));
    let revoke = |worker: &mut Worker, body: &str, status: u16| {
        let request = post("/token/revocation", FORM).with("authorization", &basic);
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

#[test]
fn a_revocation_that_passes_through_says_nothing_of_who_the_client_is() {
    let (mut one, _) = two_workers(json!({"policies": {
        "default": {"forward": {"claim_headers": {"x-user": "sub"}}},
        "other": {"strategy": "introspection", "forward": {"claim_headers": {"X-Roles": "roles"}}},
    }}));
    let forged = post("/token/revocation", FORM).with("x-user", "root").with("x-roles", "admin");
    let stream = one.post(&forged, b"token=tok");
    assert!(one.fate(stream).removes("x-user") && one.fate(stream).removes("x-roles"));
}

#[test]
fn a_revocation_that_cannot_be_read_takes_all_of_the_provider() {
    let (mut one, _) = two_workers(json!({}));
    remember(&mut one, "tok", json!({}));
    let stream = one.receive(&post("/token/revocation", FORM));
    one.no_body(stream).answered(stream, 200);
    assert!(!is_remembered(&mut one, "tok"));
    // An answer before the whole request is there.
    one.pass(Duration::from_secs(20));
    remember(&mut one, "tik", json!({}));
    let stream = one.receive(&post("/token/revocation", FORM));
    one.answered(stream, 200);
    assert!(!is_remembered(&mut one, "tik"));
}

#[test]
fn what_is_no_revocation_is_a_request_like_any_other() {
    let (mut one, _) = two_workers(json!({}));
    let stream = one.receive(&Request::get("/token/revocation"));
    assert_eq!(one.fate(stream).status(), 401, "without a token nobody passes there");
}
