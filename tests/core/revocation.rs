//! Signals reach the cache: what comes in at the filter's own paths, passes through to the server, or is polled.

mod endpoint;
mod jwts;
mod orders;
mod poll;
mod senders;
mod sessions;

use std::time::Duration;

use phantom_token_filter::filter::StreamId;
use phantom_token_filter::jwt::Algorithm;
use phantom_token_filter::metrics::Counter;
use serde_json::{Value, json};

use crate::support::issuer::{jwk, sign};
use crate::support::{Fate, Request, START, Worker, active, config, inactive, merge};

const ISSUER: &str = "https://as.example";

const FORM: &str = "application/x-www-form-urlencoded";

fn settings(patch: Value) -> Value {
    let mut config = config(json!({
        "providers": {"main": {"issuer": ISSUER, "jwks": {"cluster": "as", "path": "/jwks"}}},
        "policies": {"default": {"cache_ttl": "10m"}},
        "cache": {"refresh_ahead": 0},
        "revocation": {
            "settle": "0s",
            "endpoint": {"path": "/token/revocation"},
            "back_channel_logout": {"path": "/backchannel-logout", "audiences": ["web"]},
            "security_events": {
                "audiences": ["https://gateway.example"],
                "push": {"path": "/ssf/events", "authorization": {"inline": "push-secret-push-secret"}},
                "poll": {"cluster": "ssf", "path": "/ssf/poll", "authorization": {"inline": "poll-secret"}}
            },
            "admin": {"path": "/revocations", "token": {"inline": "admin-secret-admin-secret"}}
        }
    }));
    merge(&mut config, patch);
    config
}

fn jwks() -> Value {
    json!({"keys": [jwk(Algorithm::ES256, json!({}))]})
}

/// Two workers of one Envoy that have their keys; nothing was polled yet.
fn two_workers(patch: Value) -> (Worker, Worker) {
    let mut one = Worker::new(settings(patch.clone()));
    let mut two = Worker::sharing(settings(patch), one.shared.clone());
    for worker in [&mut one, &mut two] {
        worker.start();
        answer_call(worker, "/jwks", 200, &jwks());
    }
    (one, two)
}

/// Answers the open call to this path.
fn answer_call(worker: &mut Worker, path: &str, status: u16, body: &Value) {
    worker.give_turns();
    let place = worker.called().iter().position(|called| *called == path).expect(path);
    let (id, _) = worker.calls.remove(place);
    worker.reply(id, status, "application/json", body.to_string().as_bytes());
    worker.give_turns();
}

fn remember(worker: &mut Worker, token: &str, patch: Value) {
    let mut verdict = active();
    merge(&mut verdict, patch);
    let stream = worker.receive(&Request::bearer(token));
    worker.give_turns();
    answer_call(worker, "/introspect", 200, &verdict);
    assert!(matches!(worker.fate(stream), Fate::Forwarded(_)));
}

/// Whether a request with this token passes without a call.
fn is_remembered(worker: &mut Worker, token: &str) -> bool {
    let stream = worker.receive(&Request::bearer(token));
    worker.give_turns();
    let was_asked = worker.called().contains(&"/introspect");
    if was_asked {
        answer_call(worker, "/introspect", 200, &inactive());
    }
    assert_eq!(matches!(worker.fate(stream), Fate::Forwarded(_)), !was_asked);
    !was_asked
}

fn post(path: &str, content_type: &str) -> Request {
    Request::default()
        .with(":method", "POST")
        .with(":path", path)
        .with(":authority", "api.example")
        .with("content-type", content_type)
}

fn logout_token(header: Value, patch: Value) -> String {
    let mut claims = json!({"iss": ISSUER, "aud": "web", "iat": START.as_secs(), "exp": START.as_secs() + 120,
        "jti": "1", "sub": "alice", "sid": "s1",
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}}});
    merge(&mut claims, patch);
    let mut all = json!({"typ": "logout+jwt"});
    merge(&mut all, header);
    sign(Algorithm::ES256, all, &claims)
}

fn log_out(worker: &mut Worker, token: &str) -> StreamId {
    worker.post(&post("/backchannel-logout", FORM), format!("logout_token={token}").as_bytes())
}

fn event_token(patch: Value) -> String {
    let mut claims = json!({"iss": ISSUER, "aud": "https://gateway.example", "iat": START.as_secs(), "jti": "e1",
        "sub_id": {"format": "iss_sub", "iss": ISSUER, "sub": "alice"},
        "events": {"https://schemas.openid.net/secevent/caep/event-type/session-revoked": {}}});
    merge(&mut claims, patch);
    sign(Algorithm::ES256, json!({"typ": "secevent+jwt"}), &claims)
}

fn push(worker: &mut Worker, token: &str) -> Fate {
    let request = post("/ssf/events", "application/secevent+jwt")
        .with("authorization", "Bearer push-secret-push-secret");
    let stream = worker.post(&request, token.as_bytes());
    worker.fate(stream)
}

fn body(fate: &Fate) -> Value {
    let Fate::Answered(answer) = fate else { panic!("{fate:?}") };
    serde_json::from_str(&answer.body).unwrap()
}

#[test]
fn after_a_logout_is_answered_the_session_is_asked_about_anew_on_every_worker() {
    let (mut one, mut two) = two_workers(json!({}));
    remember(&mut one, "tok", json!({"sid": "s1"}));
    remember(&mut one, "other-session", json!({"sid": "s2"}));
    remember(&mut one, "no-session", json!({}));
    assert!(is_remembered(&mut two, "tok"));
    let stream = log_out(&mut one, &logout_token(json!({}), json!({})));
    let Fate::Answered(answer) = one.fate(stream) else { panic!() };
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    assert!(answer.headers.contains(&("cache-control", "no-store".to_owned())));
    assert!(is_remembered(&mut two, "other-session"));
    assert!(!is_remembered(&mut two, "tok") && !is_remembered(&mut two, "no-session"));
    assert_eq!(one.count(Counter::RevocationReceived), 1);
}

#[test]
fn a_logout_token_that_is_not_in_order_withdraws_nothing_and_is_counted() {
    let (mut one, _) = two_workers(json!({}));
    remember(&mut one, "tok", json!({"sid": "s1"}));
    let good = logout_token(json!({}), json!({}));
    let (text, signature) = good.rsplit_once('.').unwrap();
    let unsigned = format!(
        "{}.{}.",
        crate::support::issuer::encode(br#"{"alg":"none"}"#),
        text.split('.').nth(1).unwrap()
    );
    let forged = format!("{text}.{}", signature.chars().rev().collect::<String>());
    let mut refused = 0;
    for token in [
        forged,
        unsigned,
        format!("{text}."),
        "rubbish".to_owned(),
        String::new(),
        logout_token(json!({"typ": "at+jwt"}), json!({})),
        logout_token(json!({}), json!({"iss": "https://evil.example"})),
        logout_token(json!({}), json!({"aud": "other"})),
        logout_token(json!({}), json!({"exp": START.as_secs() - 61})),
        logout_token(json!({}), json!({"nonce": "n"})),
        logout_token(json!({}), json!({"events": null})),
    ] {
        let stream = log_out(&mut one, &token);
        let fate = one.fate(stream);
        assert_eq!((fate.status(), body(&fate)["error"].clone()), (400, json!("invalid_request")), "{token}");
        refused += 1;
        assert_eq!(one.count(Counter::RevocationRefused), refused);
    }
    assert!(is_remembered(&mut one, "tok"));
    assert_eq!(one.count(Counter::RevocationReceived), 0);
    let other = post("/backchannel-logout", "application/json");
    let stream = one.post(&other, format!("logout_token={good}").as_bytes());
    assert_eq!(one.fate(stream).status(), 400);
    let stream = one.receive(&Request::get("/backchannel-logout"));
    assert_eq!(one.fate(stream).status(), 405);
}

#[test]
fn a_logout_token_counts_once() {
    let (mut one, mut two) = two_workers(json!({}));
    let token = logout_token(json!({}), json!({}));
    let stream = log_out(&mut one, &token);
    assert_eq!(one.fate(stream).status(), 200);
    let stream = log_out(&mut two, &token);
    assert_eq!(two.fate(stream).status(), 400);
}

#[test]
fn a_logout_token_of_a_new_key_waits_for_the_keys() {
    let (mut one, _) = two_workers(json!({}));
    remember(&mut one, "tok", json!({"sid": "s1"}));
    one.pass(Duration::from_secs(2));
    let stream = log_out(&mut one, &logout_token(json!({"kid": "new"}), json!({})));
    assert!(one.is_waiting(stream));
    let keys = json!({"keys": [jwk(Algorithm::ES256, json!({"kid": "new"}))]});
    answer_call(&mut one, "/jwks", 200, &keys);
    assert_eq!(one.fate(stream).status(), 200);
    assert!(!is_remembered(&mut one, "tok"));
    // One that no key is known for even then is refused.
    one.pass(Duration::from_secs(2));
    let stream = log_out(&mut one, &logout_token(json!({"kid": "unknown"}), json!({"jti": "2"})));
    answer_call(&mut one, "/jwks", 200, &keys);
    assert_eq!(one.fate(stream).status(), 400);
    // And while there are no keys to be had, the sender shall try again.
    one.pass(Duration::from_secs(2));
    let stream = log_out(&mut one, &logout_token(json!({"kid": "unknown"}), json!({"jti": "3"})));
    answer_call(&mut one, "/jwks", 500, &json!({}));
    assert_eq!(one.fate(stream).status(), 503);
}

#[test]
fn a_body_that_is_too_long_is_not_read() {
    let (mut one, _) = two_workers(json!({}));
    let stream = one.receive(&post("/backchannel-logout", FORM));
    assert!(one.is_waiting(stream), "nothing of it passes");
    one.no_body(stream);
    assert_eq!(one.fate(stream).status(), 400);
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for_forever() {
    let (mut one, _) = two_workers(json!({}));
    let stream = one.receive(&post("/backchannel-logout", FORM));
    one.pass(Duration::from_secs(2)).give_tick();
    assert!(one.is_waiting(stream) && one.tick > Duration::ZERO);
    one.pass(Duration::from_secs(1)).give_tick();
    assert_eq!((one.fate(stream).status(), one.fate(stream).reason()), (503, "signal_without_body"));
}

#[test]
fn slow_requests_to_one_receiver_keep_nobody_from_another() {
    let (mut one, _) = two_workers(json!({}));
    let slow: Vec<_> = (0..1024).map(|_| one.receive(&post("/backchannel-logout", FORM))).collect();
    one.receive(&post("/backchannel-logout", FORM));
    one.give_turns();
    assert_eq!((one.fate(slow[0]).status(), one.fate(slow[0]).reason()), (503, "too_many_signals"));
    assert_eq!(push(&mut one, &event_token(json!({}))).status(), 202);
    slow.into_iter().for_each(|stream| one.hang_up(stream));
    let stream = log_out(&mut one, &logout_token(json!({}), json!({})));
    assert_eq!(one.fate(stream).status(), 200, "room again");
}

#[test]
fn a_pushed_event_withdraws_its_subject_and_is_accepted_again_without_effect() {
    let (mut one, mut two) = two_workers(json!({}));
    remember(&mut one, "tok", json!({"sid": "s1"}));
    remember(&mut one, "bob", json!({"sub": "bob"}));
    let token = event_token(json!({}));
    assert_eq!(push(&mut one, &token).status(), 202);
    assert!(!is_remembered(&mut two, "tok") && is_remembered(&mut two, "bob"));
    two.pass(Duration::from_secs(30));
    remember(&mut two, "again", json!({}));
    assert_eq!(push(&mut two, &token).status(), 202, "answered as the first time");
    assert!(is_remembered(&mut two, "again"), "but not applied again");
    assert_eq!((one.count(Counter::RevocationReceived), two.count(Counter::RevocationReceived)), (1, 0));
}

#[test]
fn a_pushed_event_that_is_not_in_order_is_refused_with_the_error_of_the_rfc() {
    let (mut one, _) = two_workers(json!({}));
    remember(&mut one, "tok", json!({"sid": "s1"}));
    let good = event_token(json!({}));
    for (token, error) in [
        (format!("{}A", good.trim_end_matches(char::is_alphanumeric)), "invalid_key"),
        (logout_token(json!({}), json!({})), "invalid_request"),
        (sign(Algorithm::ES256, json!({}), &json!({"iss": ISSUER})), "invalid_request"),
        ("rubbish".to_owned(), "invalid_request"),
        (String::new(), "invalid_request"),
        (event_token(json!({"iss": "https://evil.example"})), "invalid_issuer"),
        (event_token(json!({"aud": "other"})), "invalid_audience"),
        (event_token(json!({"events": null})), "invalid_request"),
        (event_token(json!({"exp": START.as_secs() - 61})), "invalid_request"),
    ] {
        let fate = push(&mut one, &token);
        assert_eq!((fate.status(), body(&fate)["err"].clone()), (400, json!(error)));
    }
    for authorization in [None, Some("Bearer wrong"), Some("Basic push-secret-push-secret"), Some("")] {
        let mut request = post("/ssf/events", "application/secevent+jwt");
        if let Some(authorization) = authorization {
            request = request.with("authorization", authorization);
        }
        let stream = one.post(&request, good.as_bytes());
        let fate = one.fate(stream);
        assert_eq!((fate.status(), body(&fate)["err"].clone()), (401, json!("authentication_failed")));
    }
    assert!(is_remembered(&mut one, "tok"));
}

#[test]
fn an_operator_withdraws_by_hand() {
    let (mut one, mut two) = two_workers(json!({}));
    remember(&mut one, "tok", json!({}));
    let order = |worker: &mut Worker, authorization: &str, order: Value| {
        let request = post("/revocations", "application/json").with("authorization", authorization);
        let stream = worker.post(&request, order.to_string().as_bytes());
        worker.fate(stream)
    };
    for wrong in ["Bearer wrong", "admin", "Bearer admin-secret-admin-secreT"] {
        assert_eq!(order(&mut one, wrong, json!({"all": true})).status(), 401);
    }
    let secret = "Bearer admin-secret-admin-secret";
    assert_eq!(order(&mut one, secret, json!({"nobody": true})).status(), 400);
    assert!(is_remembered(&mut two, "tok"));
    let fate = order(&mut one, secret, json!({"token": "tok"}));
    assert_eq!((fate.status(), body(&fate)["withdrawn_by"].clone()), (200, json!("token")));
    assert!(!is_remembered(&mut two, "tok"));
}

#[test]
fn no_signal_shows_in_shared_data() {
    let (mut one, _) = two_workers(json!({}));
    let stream =
        log_out(&mut one, &logout_token(json!({}), json!({"sub": "alice-the-user", "sid": "the-session"})));
    assert_eq!(one.fate(stream).status(), 200);
    assert!(!one.shared.contains(b"alice-the-user") && !one.shared.contains(b"the-session"));
}

#[test]
fn the_secret_of_a_transmitter_counts_with_and_without_bearer() {
    let (mut one, _) = two_workers(json!({}));
    let secret = "push-secret-push-secret";
    for (authorization, status) in [
        (secret.to_owned(), 202),
        (format!("Bearer {secret}"), 202),
        (format!("bearer {secret}"), 202),
        (format!("Basic {secret}"), 401),
        (format!("{secret}x"), 401),
    ] {
        let request = post("/ssf/events", "application/secevent+jwt").with("authorization", &authorization);
        let stream = one.post(&request, event_token(json!({"jti": authorization})).as_bytes());
        assert_eq!(one.fate(stream).status(), status, "{authorization}");
    }
}

#[test]
fn who_guesses_too_often_is_not_listened_to_and_orders_from_elsewhere_get_in() {
    let (mut one, _) = two_workers(json!({}));
    let order = |worker: &mut Worker, peer: &str, secret: &str| {
        let request = post("/revocations", "application/json").of_peer(peer);
        let stream =
            worker.post(&request.with("authorization", format!("Bearer {secret}")), br#"{"sub": "alice"}"#);
        worker.fate(stream).status()
    };
    let secret = "admin-secret-admin-secret";
    let statuses: Vec<u16> = (0..100).map(|_| order(&mut one, "10.0.0.2", "wrong")).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 5);
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 95);
    assert_eq!(order(&mut one, "10.0.0.2", secret), 429, "or the guess would be told");
    assert_eq!(order(&mut one, "10.0.0.1", secret), 200);
    one.pass(Duration::from_secs(1));
    assert_eq!(order(&mut one, "10.0.0.2", secret), 200);
}

#[test]
fn slow_bodies_push_out_those_of_their_own_peer_and_no_logout_token() {
    let (mut one, _) = two_workers(json!({}));
    remember(&mut one, "tok", json!({"sid": "s1"}));
    let from = |peer: &str| post("/backchannel-logout", FORM).of_peer(peer);
    let slow: Vec<StreamId> = (0..1_024).map(|_| one.receive(&from("10.0.0.2"))).collect();
    let honest = one.receive(&from("10.0.0.1"));
    let later: Vec<StreamId> = (0..1_024).map(|_| one.receive(&from("10.0.0.2"))).collect();
    one.give_turns();
    assert_eq!((one.fate(slow[0]).status(), one.fate(slow[0]).reason()), (503, "too_many_signals"));
    assert!(one.is_waiting(honest) && one.is_waiting(later[1_023]));
    let token = logout_token(json!({}), json!({}));
    one.body(honest, format!("logout_token={token}").as_bytes());
    assert_eq!(one.fate(honest).status(), 200);
    assert!(!is_remembered(&mut one, "tok"));
    // What does not come at all is given up before Keycloak gives up, after five seconds.
    one.pass(Duration::from_secs(3)).give_tick();
    assert_eq!(one.fate(later[1_023]).reason(), "signal_without_body");
}
