//! JWTs that are validated by the filter itself: where the keys come from, which way a token goes, and what is
//! remembered.

use std::time::Duration;

use phantom_token_filter::jwt::Algorithm;
use phantom_token_filter::metrics::Counter;
use serde_json::{Value, json};

use crate::support::issuer::{jwk, sign};
use crate::support::{Fate, Request, START, Worker, active, config, inactive, merge};

const ISSUER: &str = "https://as.example";

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// `main` issues JWTs and can be asked; the default policy validates them.
fn validating(patch: Value) -> Value {
    let mut config = config(json!({
        "providers": {"main": {"issuer": ISSUER, "jwks": {"cluster": "as", "path": "/jwks"}}},
        "policies": {"default": {"strategy": "jwt"}},
    }));
    merge(&mut config, patch);
    config
}

fn jwks(algorithms: &[Algorithm]) -> Value {
    json!({"keys": algorithms.iter().map(|&alg| jwk(alg, json!({}))).collect::<Vec<_>>()})
}

fn access_token(alg: Algorithm, more: Value) -> String {
    let mut claims = json!({"iss": ISSUER, "sub": "alice", "client_id": "app", "aud": "https://api.example",
        "scope": "read write", "iat": START.as_secs(), "exp": START.as_secs() + 600, "jti": "1"});
    merge(&mut claims, more);
    sign(alg, json!({"typ": "at+jwt"}), &claims)
}

fn es256(more: Value) -> String {
    access_token(Algorithm::ES256, more)
}

/// A worker that has fetched the key for ES256.
fn ready(patch: Value) -> Worker {
    let mut worker = Worker::new(validating(patch));
    worker.start().answer(&jwks(&[Algorithm::ES256]));
    worker
}

fn is_forwarded(fate: &Fate) -> bool {
    matches!(fate, Fate::Forwarded(_))
}

#[test]
fn keys_are_there_before_the_first_request_and_the_jwt_goes_on_as_it_is() {
    let mut worker = Worker::new(validating(json!({})));
    worker.start();
    assert_eq!(worker.called(), ["/jwks"]);
    worker.answer(&jwks(&[Algorithm::ES256]));
    let stream = worker.receive(&Request::bearer(&es256(json!({}))));
    assert_eq!(worker.fate(stream), Fate::unchanged());
    assert!(worker.calls.is_empty());
    assert_eq!(worker.count(Counter::JwksRefreshed), 1);
}

#[test]
fn the_second_request_with_a_jwt_costs_no_signature_check() {
    let mut worker = ready(json!({}));
    let token = es256(json!({}));
    for _ in 0..3 {
        let stream = worker.receive(&Request::bearer(&token));
        assert!(is_forwarded(&worker.fate(stream)));
    }
    assert_eq!((worker.count(Counter::CacheMiss), worker.count(Counter::CacheHit)), (1, 2));
}

#[test]
fn another_worker_with_the_same_keys_finds_the_verdict() {
    let mut one = ready(json!({}));
    let token = es256(json!({}));
    one.receive(&Request::bearer(&token));
    let mut two = Worker::sharing(validating(json!({})), one.shared.clone());
    two.start().answer(&jwks(&[Algorithm::ES256]));
    let stream = two.receive(&Request::bearer(&token));
    assert!(is_forwarded(&two.fate(stream)));
    assert_eq!((two.count(Counter::CacheMiss), two.count(Counter::CacheHit)), (0, 1));
}

#[test]
fn a_request_that_comes_before_the_keys_waits_for_them() {
    let mut worker = Worker::new(validating(json!({})));
    worker.start();
    let stream = worker.receive(&Request::bearer(&es256(json!({}))));
    assert!(worker.is_waiting(stream));
    worker.give_turns();
    assert_eq!(worker.called(), ["/jwks"], "one fetch is enough");
    worker.answer(&jwks(&[Algorithm::ES256]));
    assert!(is_forwarded(&worker.fate(stream)));
}

#[test]
fn thousands_of_requests_that_come_before_the_keys_are_taken_up_in_batches() {
    let mut worker = Worker::new(validating(json!({})));
    worker.start();
    let token = es256(json!({}));
    let streams: Vec<_> = (0..1000).map(|_| worker.receive(&Request::bearer(&token))).collect();
    worker.hang_up(streams[7]);
    worker.answer(&jwks(&[Algorithm::ES256]));
    for (number, stream) in streams.into_iter().enumerate() {
        assert!(number == 7 || is_forwarded(&worker.fate(stream)), "{number}");
    }
    assert_eq!(worker.count(Counter::CacheMiss), 1);
}

#[test]
fn without_keys_nobody_passes_and_nobody_is_told_that_a_token_is_bad() {
    let mut worker = Worker::new(validating(json!({})));
    worker.start();
    let early = worker.receive(&Request::bearer(&es256(json!({}))));
    worker.answer_with(500, "text/plain", b"oh no");
    assert_eq!((worker.fate(early).status(), worker.fate(early).reason()), (503, "jwks_unavailable"));
    // At once: the server has just failed.
    let next = worker.receive(&Request::bearer(&es256(json!({}))));
    assert_eq!(worker.fate(next).reason(), "jwks_unavailable");
    assert!(worker.give_turns().calls.is_empty());
    // Later it is tried again.
    worker.pass(secs(2));
    let late = worker.receive(&Request::bearer(&es256(json!({}))));
    worker.answer(&jwks(&[Algorithm::ES256]));
    assert!(is_forwarded(&worker.fate(late)));
    assert_eq!((worker.count(Counter::JwksError), worker.count(Counter::JwksRefreshed)), (1, 1));
}

#[test]
fn keys_are_fetched_again_before_a_removed_one_is_older_than_it_may_get() {
    let mut worker = ready(json!({"providers": {"main": {"jwks": {"refresh_interval": "60s"}}}}));
    let token = es256(json!({}));
    worker.receive(&Request::bearer(&token));
    worker.pass(secs(30)).give_tick();
    assert!(worker.calls.is_empty());
    worker.pass(secs(25)).give_tick();
    assert_eq!(worker.called(), ["/jwks"]);
    let meanwhile = worker.receive(&Request::bearer(&token));
    assert!(is_forwarded(&worker.fate(meanwhile)), "nobody waits for a refresh");
    // The key is gone: even the remembered verdict that rests on it is.
    worker.answer(&jwks(&[Algorithm::RS256]));
    let after = worker.receive(&Request::bearer(&token));
    worker.pass(secs(1)).give_tick().answer(&jwks(&[Algorithm::RS256]));
    assert_eq!(worker.fate(after).reason(), "jwt_unknown_key");
}

#[test]
fn old_keys_stay_while_no_new_ones_are_to_be_had() {
    let mut worker = ready(json!({"providers": {"main": {"jwks": {"refresh_interval": "60s"}}}}));
    for _ in 0..5 {
        worker.pass(secs(60)).give_tick().fail_call();
        let stream =
            worker.receive(&Request::bearer(&es256(json!({"jti": worker.now.as_secs().to_string()}))));
        assert!(is_forwarded(&worker.fate(stream)));
    }
    assert_eq!(worker.count(Counter::JwksError), 5);
    // A key that is not there cannot be said not to exist.
    let stream = worker.receive(&Request::bearer(&access_token(Algorithm::RS256, json!({}))));
    worker.pass(secs(1)).give_tick().fail_call();
    assert_eq!((worker.fate(stream).status(), worker.fate(stream).reason()), (503, "jwks_unavailable"));
}

#[test]
fn a_key_that_is_not_there_is_looked_for_once_however_many_ask() {
    let mut worker = ready(json!({}));
    let token = access_token(Algorithm::RS256, json!({}));
    worker.pass(secs(10));
    let streams: Vec<_> = (0..100).map(|_| worker.receive(&Request::bearer(&token))).collect();
    worker.give_turns();
    assert_eq!(worker.called(), ["/jwks"]);
    worker.answer(&jwks(&[Algorithm::ES256, Algorithm::RS256]));
    assert!(streams.into_iter().all(|stream| is_forwarded(&worker.fate(stream))));
    // Now it is not there indeed, and asking for it again has to wait its time.
    let unknown = access_token(Algorithm::EdDSA, json!({}));
    let first = worker.receive(&Request::bearer(&unknown));
    assert!(worker.give_turns().calls.is_empty(), "fetches are a second apart");
    assert_eq!(worker.tick, Duration::from_millis(50));
    worker.pass(secs(1)).give_tick().answer(&jwks(&[Algorithm::ES256]));
    assert_eq!(worker.fate(first).reason(), "jwt_unknown_key");
}

#[test]
fn who_asks_for_a_new_key_while_old_ones_are_on_their_way_is_not_refused_by_them() {
    let mut worker = ready(json!({}));
    worker.pass(secs(300)).give_tick();
    let stream = worker.receive(&Request::bearer(&access_token(Algorithm::RS256, json!({}))));
    worker.answer(&jwks(&[Algorithm::ES256]));
    assert!(worker.is_waiting(stream), "the key may have come after the answer was made");
    worker.pass(secs(1)).give_tick().answer(&jwks(&[Algorithm::ES256, Algorithm::RS256]));
    assert!(is_forwarded(&worker.fate(stream)));
}

#[test]
fn what_is_no_token_of_ours_is_refused_with_its_reason() {
    let mut worker = ready(json!({"providers": {"main": {"jwt": {"leeway": "10s"}}}}));
    let now = START.as_secs();
    let broken = {
        let token = es256(json!({}));
        let (text, signature) = token.rsplit_once('.').unwrap();
        let first = if signature.starts_with('A') { "B" } else { "A" };
        format!("{text}.{first}{}", &signature[1..])
    };
    for (token, reason) in [
        ("opaque".to_owned(), "jwt_malformed"),
        (broken, "jwt_signature"),
        (es256(json!({"iss": "https://other.example"})), "token_of_other_issuer"),
        (es256(json!({"exp": now - 10})), "token_expired"),
        (es256(json!({"exp": null})), "jwt_not_claims"),
        (es256(json!({"nbf": now + 11})), "token_not_yet_valid"),
        (sign(Algorithm::ES256, json!({"typ": "JWT"}), &json!({"iss": ISSUER, "exp": now + 60})), "jwt_type"),
    ] {
        let stream = worker.receive(&Request::bearer(&token));
        assert_eq!((worker.fate(stream).status(), worker.fate(stream).reason()), (401, reason), "{token}");
    }
    for claims in [json!({"exp": now - 9}), json!({"nbf": now + 10})] {
        let stream = worker.receive(&Request::bearer(&es256(claims.clone())));
        assert!(is_forwarded(&worker.fate(stream)), "{claims}");
    }
}

#[test]
fn a_verdict_serves_no_longer_than_the_token_and_its_leeway() {
    let mut worker = ready(json!({"policies": {"default": {"cache_ttl": "1h"}}}));
    let token = es256(json!({}));
    worker.receive(&Request::bearer(&token));
    worker.pass(secs(629));
    let stream = worker.receive(&Request::bearer(&token));
    assert!(is_forwarded(&worker.fate(stream)));
    worker.pass(secs(1));
    let stream = worker.receive(&Request::bearer(&token));
    assert_eq!(worker.fate(stream).reason(), "token_expired");
}

#[test]
fn one_verdict_serves_policies_with_different_needs() {
    let mut worker = ready(json!({
        "policies": {"write": {"strategy": "jwt", "require": {"scopes": ["admin"]}}},
        "rules": [{"match": {"path": "/admin"}, "policy": "write"}],
    }));
    let token = es256(json!({}));
    worker.receive(&Request::bearer(&token));
    let admin = Request::get("/admin").with("authorization", format!("Bearer {token}"));
    let stream = worker.receive(&admin);
    assert_eq!(worker.fate(stream).status(), 403);
    assert_eq!((worker.count(Counter::CacheMiss), worker.count(Counter::CacheHit)), (1, 1));
}

#[test]
fn a_validated_jwt_can_be_replaced_by_a_phantom_token() {
    let mut worker = ready(json!({"policies": {"default": {"forward": {"authorization": "jwt"}}}}));
    let token = es256(json!({}));
    let first = worker.receive(&Request::bearer(&token));
    assert_eq!(worker.fate(first).claims()["iss"], "https://gateway.example");
    let second = worker.receive(&Request::bearer(&token));
    assert_eq!(worker.fate(second), worker.fate(first));
    assert_eq!(worker.count(Counter::JwtMinted), 1);
}

#[test]
fn auto_validates_what_it_can_and_asks_about_the_rest() {
    let mut worker = ready(json!({"policies": {"default": {"strategy": "auto"}}}));
    let validated = worker.receive(&Request::bearer(&es256(json!({}))));
    assert_eq!(worker.fate(validated), Fate::unchanged());
    let others = es256(json!({"iss": "https://other.example"}));
    for token in ["opaque", "a.b.c", &others] {
        let stream = worker.receive(&Request::bearer(token));
        worker.give_turns();
        assert_eq!(worker.called(), ["/introspect"], "{token}");
        worker.answer(&active());
        assert_eq!(worker.fate(stream).claims()["iss"], "https://gateway.example", "{token}");
    }
    // Whoever claims to be ours is judged by our keys and gets no second opinion.
    let forged = sign(Algorithm::RS256, json!({"typ": "at+jwt", "kid": "ES256"}), &json!({"iss": ISSUER}));
    let stream = worker.receive(&Request::bearer(&forged));
    assert_eq!(worker.fate(stream).reason(), "jwt_algorithm");
    // Nor whoever writes a JWT as a lenient server alone reads it.
    for end in ["=", "==", ".", ".x"] {
        let stream = worker.receive(&Request::bearer(&[&es256(json!({})), end].concat()));
        worker.give_turns();
        assert!(worker.calls.is_empty(), "{end}");
        assert_eq!(worker.fate(stream).reason(), "jwt_malformed", "{end}");
    }
}

#[test]
fn the_prefix_is_that_of_opaque_tokens() {
    let mut worker = ready(json!({
        "providers": {"main": {"token_format": {"prefix": "at_", "max_length": 1000}}},
        "policies": {"default": {"strategy": "auto"}},
    }));
    let validated = worker.receive(&Request::bearer(&es256(json!({}))));
    assert!(is_forwarded(&worker.fate(validated)));
    let too_long = es256(json!({"more": "x".repeat(1000)}));
    let other = "token_of_other_format";
    for (token, reason) in [
        ("opaque", other),
        (&*too_long, "token_too_long"),
        (&*es256(json!({"iss": "https://other.example"})), other),
    ] {
        let stream = worker.receive(&Request::bearer(token));
        assert_eq!(worker.fate(stream).reason(), reason, "{token}");
    }
    let opaque = worker.receive(&Request::bearer("at_1"));
    assert!(worker.is_waiting(opaque));
}

#[test]
fn the_issuer_chooses_among_several_providers() {
    let mut worker = Worker::new(validating(json!({
        "providers": {"partner": {"issuer": "https://partner.example", "jwks": {"cluster": "partner", "path": "/keys"}}},
        "policies": {"default": {"providers": ["main", "partner"]}},
    })));
    worker.start();
    assert_eq!(worker.called(), ["/jwks", "/keys"]);
    worker.answer(&jwks(&[Algorithm::ES256])).answer(&jwks(&[Algorithm::RS256]));
    let partners = |alg| access_token(alg, json!({"iss": "https://partner.example"}));
    for token in [es256(json!({})), partners(Algorithm::RS256)] {
        let stream = worker.receive(&Request::bearer(&token));
        assert!(is_forwarded(&worker.fate(stream)));
    }
    // A key of one issuer says nothing for the other.
    let stream = worker.receive(&Request::bearer(&partners(Algorithm::ES256)));
    worker.pass(secs(1)).give_tick().answer(&jwks(&[Algorithm::RS256]));
    assert_eq!(worker.fate(stream).reason(), "jwt_unknown_key");
    for (token, reason) in [
        (es256(json!({"iss": "https://c.example"})), "token_of_other_issuer"),
        ("x".into(), "token_of_other_format"),
    ] {
        let stream = worker.receive(&Request::bearer(&token));
        assert_eq!(worker.fate(stream).reason(), reason);
    }
}

#[test]
fn jwt_and_introspection_wants_both() {
    let mut worker = ready(json!({"policies": {"default": {"strategy": "jwt_and_introspection"}}}));
    let stream = worker.receive(&Request::bearer("opaque"));
    assert_eq!(worker.fate(stream).reason(), "jwt_malformed");
    assert!(worker.give_turns().calls.is_empty(), "nobody is asked about what is no JWT of ours");
    assert_eq!(worker.call(&Request::bearer(&es256(json!({}))), &active()), Fate::unchanged());
    let again = worker.receive(&Request::bearer(&es256(json!({}))));
    assert!(worker.is_waiting(again) || is_forwarded(&worker.fate(again)));
    let revoked = worker.call(&Request::bearer(&es256(json!({"jti": "2"}))), &inactive());
    assert_eq!(revoked.reason(), "token_inactive");
    assert_eq!(worker.count(Counter::IntrospectionInactive), 1);
}

#[test]
fn of_jwt_and_introspection_the_earlier_end_counts_and_claims_of_both_are_known() {
    let mut worker = ready(json!({"policies": {"default": {
        "strategy": "jwt_and_introspection", "cache_ttl": "1h", "forward": {"claim_headers": {"x-sid": "sid", "x-sub": "sub"}},
    }}}));
    let token = es256(json!({}));
    let introspected = json!({"active": true, "sid": "session", "sub": "bob", "exp": START.as_secs() + 60});
    let fate = worker.call(&Request::bearer(&token), &introspected);
    assert_eq!(
        (fate.header("x-sid").unwrap(), fate.header("x-sub").unwrap()),
        ("session".into(), "alice".into())
    );
    worker.pass(secs(60));
    let stream = worker.receive(&Request::bearer(&token));
    assert_eq!(worker.fate(stream).reason(), "token_expired");
}

#[test]
fn jwt_and_introspection_renews_ahead_with_the_jwt_validated_anew() {
    let mut worker = ready(json!({"policies": {"default": {"strategy": "jwt_and_introspection"}}}));
    let token = es256(json!({}));
    worker.call(&Request::bearer(&token), &active());
    worker.pass(secs(59));
    let stream = worker.receive(&Request::bearer(&token));
    assert!(is_forwarded(&worker.fate(stream)));
    worker.answer(&active()).pass(secs(30));
    let stream = worker.receive(&Request::bearer(&token));
    assert!(is_forwarded(&worker.fate(stream)));
    assert_eq!(worker.count(Counter::CacheRefreshed), 1);
}

#[test]
fn a_verdict_is_not_found_under_other_rules() {
    for patch in [
        json!({"providers": {"main": {"jwt": {"leeway": "1s"}}}}),
        json!({"providers": {"main": {"jwt": {"algorithms": ["ES256"]}}}}),
        json!({"providers": {"main": {"jwks": {"path": "/other"}}}}),
        json!({"policies": {"default": {"strategy": "jwt_and_introspection"}}}),
    ] {
        let mut one = ready(json!({}));
        let token = es256(json!({}));
        one.receive(&Request::bearer(&token));
        let mut two = Worker::sharing(validating(patch.clone()), one.shared.clone());
        two.start().answer(&jwks(&[Algorithm::ES256]));
        two.receive(&Request::bearer(&token));
        assert_eq!(two.count(Counter::CacheHit), 0, "{patch}");
    }
}

#[test]
fn keys_that_no_policy_needs_are_not_fetched() {
    let mut worker = Worker::new(validating(json!({"policies": {"default": {"strategy": "phantom_token"}}})));
    worker.start();
    assert!(worker.calls.is_empty());
    assert_eq!(worker.tick, Duration::from_secs(10), "only the clock is looked at");
}
