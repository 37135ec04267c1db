//! Logout tokens that name only a session, which no verdict ever named.

use std::time::Duration;

use phantom_token_filter::jwt::Algorithm;
use serde_json::json;

use super::{ISSUER, is_remembered, log_out, remember, two_workers};
use crate::support::START;
use crate::support::issuer::sign;

fn sid_only(jti: u32) -> String {
    let claims = json!({"iss": ISSUER, "aud": "web", "iat": START.as_secs(), "exp": START.as_secs() + 120,
        "jti": jti.to_string(), "sid": "hydra",
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}}});
    sign(Algorithm::ES256, json!({"typ": "logout+jwt"}), &claims)
}

#[test]
fn a_session_that_no_verdict_names_is_refused_or_bounded() {
    let refusing = json!({"revocation": {"back_channel_logout": {"unknown_sessions": "refuse"}}});
    let (mut one, _) = two_workers(refusing);
    remember(&mut one, "tok", json!({}));
    let stream = log_out(&mut one, &sid_only(1));
    assert_eq!(one.fate(stream).status(), 400);
    assert!(is_remembered(&mut one, "tok"));
    // Once a verdict says sid, it may be related.
    remember(&mut one, "with-session", json!({"sid": "s1"}));
    let stream = log_out(&mut one, &sid_only(2));
    assert_eq!(one.fate(stream).status(), 200);
    assert!(!is_remembered(&mut one, "tok"));

    let (mut one, mut two) = two_workers(json!({}));
    remember(&mut one, "tok", json!({}));
    let stream = log_out(&mut one, &sid_only(1));
    assert_eq!(one.fate(stream).status(), 200);
    assert!(!is_remembered(&mut two, "tok"));
    one.pass(Duration::from_secs(1));
    remember(&mut one, "tok-2", json!({}));
    let streams: Vec<_> = (2..100).map(|jti| log_out(&mut one, &sid_only(jti))).collect();
    two.now = one.now;
    assert!(is_remembered(&mut two, "tok-2"), "the others wait");
    one.give_turns();
    assert!(streams.iter().all(|stream| one.is_waiting(*stream)), "and are not told that it is done");
    one.hang_up(streams[0]);
    one.pass(Duration::from_secs(1)).give_tick();
    two.now = one.now;
    assert!(!is_remembered(&mut two, "tok-2"), "they are not lost");
    for stream in &streams[1..] {
        assert_eq!(one.fate(*stream).status(), 200);
    }
}

#[test]
fn logouts_that_find_no_room_to_wait_are_done_at_once() {
    let (mut one, mut two) = two_workers(json!({}));
    remember(&mut one, "tok", json!({}));
    log_out(&mut one, &sid_only(0));
    one.pass(Duration::from_millis(500));
    let streams: Vec<_> = (1..=300).map(|jti| log_out(&mut one, &sid_only(jti))).collect();
    one.give_turns();
    assert_eq!(streams.iter().filter(|stream| one.is_waiting(**stream)).count(), 256);
    remember(&mut one, "tok-2", json!({}));
    let one_more = log_out(&mut one, &sid_only(301));
    assert_eq!(one.fate(one_more).status(), 200);
    two.now = one.now;
    assert!(!is_remembered(&mut two, "tok-2"));
}
