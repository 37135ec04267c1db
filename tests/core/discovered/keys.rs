//! Keys that are to be found: before JWTs, beside introspection, and for signals.

use phantom_token_filter::jwt::Algorithm;
use serde_json::{Value, json};

use super::{ISSUER, OAUTH, config, document, is_forwarded, secs};
use crate::support::issuer::{jwk, sign};
use crate::support::{Fate, Request, START, Worker, active, inactive};

/// What an issuer has whose only key is for this algorithm.
pub(super) fn jwks(alg: Algorithm) -> Value {
    json!({"keys": [jwk(alg, json!({}))]})
}

/// A JWT access token by that key.
pub(super) fn jwt(alg: Algorithm) -> String {
    let claims = json!({
        "iss": ISSUER, "sub": "alice", "aud": "https://api.example", "exp": START.as_secs() + 3600,
    });
    sign(alg, json!({"typ": "at+jwt"}), &claims)
}

const OLD: Algorithm = Algorithm::ES256;
pub(super) const NEW: Algorithm = Algorithm::EdDSA;

/// Under these strategies JWTs are validated by keys that are to be found, too.
pub(super) fn validating(strategy: &str) -> Value {
    let mut config = config(json!({"discovery": {"refresh_interval": "20s"}}));
    config["policies"]["default"] = json!({
        "strategy": strategy, "cache_ttl": "100s", "require": {"audiences": ["https://api.example"]},
        "forward": {"authorization": "original"},
    });
    config["cache"]["refresh_ahead"] = json!(0);
    config
}

#[test]
fn keys_are_found_and_then_fetched() {
    let mut worker = Worker::new(validating("jwt"));
    let early = worker.receive(&Request::bearer(&jwt(OLD)));
    worker.give_turns();
    assert_eq!(worker.called(), [OAUTH]);
    worker.answer(&document(json!({"introspection_endpoint": null})));
    assert_eq!(worker.called(), ["/jwks"], "nobody wants an introspection endpoint");
    assert!(worker.is_waiting(early));
    worker.answer(&jwks(OLD));
    assert!(is_forwarded(&worker, early));
}

#[test]
fn keys_serve_on_until_those_at_the_new_place_are_here() {
    let (by_old, by_new) = (jwt(OLD), jwt(NEW));
    let mut worker = Worker::new(validating("jwt"));
    worker.start().answer(&document(json!({}))).answer(&jwks(OLD));
    assert!(matches!(worker.call(&Request::bearer(&by_old), &json!({})), Fate::Forwarded(_)));
    worker.pass(secs(20)).give_tick();
    worker.answer(&document(json!({"jwks_uri": "https://as.example/v2/jwks"})));
    assert_eq!(worker.called(), ["/v2/jwks"]);
    let meanwhile = worker.receive(&Request::bearer(&by_old));
    assert!(is_forwarded(&worker, meanwhile));
    worker.fail_call();
    let still = worker.receive(&Request::bearer(&by_old));
    assert!(is_forwarded(&worker, still));
    worker.pass(secs(3)).give_tick();
    assert_eq!(worker.called(), ["/v2/jwks"]);
    worker.answer(&jwks(NEW));
    let next = worker.receive(&Request::bearer(&by_new));
    assert!(is_forwarded(&worker, next));
    let refused = worker.receive(&Request::bearer(&by_old));
    worker.give_turns();
    assert!(!worker.fates.iter().any(|(of, fate)| *of == refused && matches!(fate, Fate::Forwarded(_))));
}

#[test]
fn a_fetch_of_keys_from_the_former_place_counts_no_more() {
    let mut worker = Worker::new(validating("jwt"));
    worker.start().answer(&document(json!({})));
    let early = worker.receive(&Request::bearer(&jwt(NEW)));
    worker.give_turns();
    let (from_the_former, _) = worker.calls.remove(0);
    worker.pass(secs(20)).give_tick();
    worker.answer(&document(json!({"jwks_uri": "https://as.example/v2/jwks"})));
    worker.reply(from_the_former, 200, "application/json", jwks(OLD).to_string().as_bytes());
    worker.give_turns();
    assert!(worker.is_waiting(early));
    assert_eq!(worker.called(), ["/v2/jwks"]);
    worker.answer(&jwks(NEW));
    assert!(is_forwarded(&worker, early));
}

#[test]
fn where_both_are_asked_a_verdict_of_another_endpoint_is_not_served_either() {
    let token = jwt(OLD);
    let mut worker = Worker::new(validating("jwt_and_introspection"));
    let early = worker.receive(&Request::bearer(&token));
    worker.answer(&document(json!({}))).answer(&jwks(OLD));
    assert_eq!(worker.called(), ["/introspect"]);
    worker.answer(&active());
    assert!(is_forwarded(&worker, early));
    let again = worker.receive(&Request::bearer(&token));
    assert!(is_forwarded(&worker, again) && worker.calls.is_empty());
    worker.pass(secs(20)).give_tick();
    worker.answer(&document(json!({"introspection_endpoint": "https://as.example/v2/introspect"})));
    let after = worker.receive(&Request::bearer(&token));
    worker.give_turns();
    assert_eq!(worker.called(), ["/v2/introspect"]);
    worker.answer(&inactive());
    assert_eq!(worker.fate(after).reason(), "token_inactive");
}

#[test]
fn a_signal_that_comes_before_the_metadata_waits_for_the_keys() {
    let mut config = config(json!({}));
    config["revocation"] = json!({"back_channel_logout": {"path": "/logout", "audiences": ["web"]}});
    let logout = sign(
        OLD,
        json!({"typ": "logout+jwt"}),
        &json!({
            "iss": ISSUER, "aud": "web", "iat": START.as_secs(), "jti": "one", "sub": "alice",
            "exp": START.as_secs() + 60, "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        }),
    );
    let body = format!("logout_token={logout}");
    let request = Request::default()
        .with(":path", "/logout")
        .with(":method", "POST")
        .with(":authority", "api.example")
        .with("content-type", "application/x-www-form-urlencoded");
    let mut worker = Worker::new(config.clone());
    let stream = worker.post(&request, body.as_bytes());
    assert!(worker.is_waiting(stream));
    worker.give_tick();
    worker.answer(&document(json!({})));
    assert_eq!(worker.called(), ["/jwks"]);
    worker.answer(&jwks(OLD));
    assert_eq!(worker.fate(stream).status(), 200);
    // Where nothing is found, its sender is told to come back.
    let mut worker = Worker::new(config);
    let stream = worker.post(&request, body.as_bytes());
    worker.give_tick().fail_call();
    assert_eq!(worker.fate(stream).status(), 503);
    let next = worker.post(&request, body.as_bytes());
    worker.give_turns();
    assert_eq!(worker.fate(next).status(), 503);
}
