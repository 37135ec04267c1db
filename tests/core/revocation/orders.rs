//! Global Token Revocation: somebody else orders that all tokens of a user are revoked.

use std::time::Duration;

use phantom_token_filter::jwt::Algorithm;
use phantom_token_filter::metrics::Counter;
use serde_json::{Value, json};

use super::{ISSUER, answer_call, body, is_remembered, jwks, post, remember, settings};
use crate::support::issuer::{jwk, sign};
use crate::support::{Fate, START, Worker, merge};

const IDP: &str = "https://example.okta.com";
const URL: &str = "https://gateway.example/global-token-revocation";

fn worker(how: Value) -> Worker {
    let mut orders = json!({"path": "/global-token-revocation"});
    merge(&mut orders, how);
    let mut worker = Worker::new(settings(json!({"revocation": {"global_token_revocation": orders}})));
    worker.start();
    answer_call(&mut worker, "/jwks", 200, &jwks());
    worker
}

/// Where an identity provider of its own keys orders.
fn by_jwt() -> Worker {
    let keys = json!({"cluster": "idp", "path": "/idp/keys"});
    let mut worker = worker(json!({"issuer": IDP, "audiences": [URL], "jwks": keys}));
    answer_call(&mut worker, "/idp/keys", 200, &idp_keys());
    worker
}

fn idp_keys() -> Value {
    json!({"keys": [jwk(Algorithm::RS256, json!({}))]})
}

/// As Okta's.
fn jwt(alg: Algorithm, header: Value, patch: Value) -> String {
    let now = START.as_secs();
    let mut claims = json!({"jti": "1", "iss": IDP, "sub": "client", "aud": URL, "iat": now, "nbf": now - 300,
        "exp": now + 300});
    merge(&mut claims, patch);
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let mut members = json!({"typ": "global-token-revocation+jwt"});
    merge(&mut members, header);
    sign(alg, members, &claims)
}

fn order(worker: &mut Worker, authorization: &str, body: &str) -> Fate {
    let request = post("/global-token-revocation", "application/json").with("authorization", authorization);
    let stream = worker.post(&request, body.as_bytes());
    if worker.called().contains(&"/idp/keys") {
        answer_call(worker, "/idp/keys", 200, &idp_keys());
    }
    worker.fate(stream)
}

fn alice() -> String {
    json!({"sub_id": {"format": "iss_sub", "iss": ISSUER, "sub": "alice"}}).to_string()
}

#[test]
fn a_user_s_tokens_are_withdrawn_by_order_of_who_may() {
    let mut worker = by_jwt();
    let subjects = [
        json!({"format": "iss_sub", "iss": ISSUER, "sub": "alice"}),
        json!({"format": "email", "email": "Alice@example.com"}),
        json!({"format": "opaque", "id": "alice"}),
        // Those of whom nothing can be told: all of the provider's.
        json!({"format": "iss_sub", "iss": IDP, "sub": "00u1"}),
        json!({"format": "account", "uri": "acct:alice@example.com"}),
    ];
    for (number, subject) in subjects.into_iter().enumerate() {
        let (hers, bob_s) = (format!("alice-{number}"), format!("bob-{number}"));
        remember(&mut worker, &hers, json!({"email": "alice@example.com"}));
        remember(&mut worker, &bob_s, json!({"sub": "bob", "email": "bob@example.com"}));
        let jwt = jwt(Algorithm::RS256, json!({}), json!({"jti": format!("{number}")}));
        let fate = order(&mut worker, &format!("Bearer {jwt}"), &json!({"sub_id": subject}).to_string());
        assert_eq!(fate.status(), 204, "{subject}: {fate:?}");
        assert!(!is_remembered(&mut worker, &hers), "{subject}");
        assert_eq!(is_remembered(&mut worker, &bob_s), number < 3, "{subject}");
    }
    assert_eq!(worker.count(Counter::RevocationReceived), 5);
}

#[test]
fn a_secret_orders_where_it_is_agreed_on() {
    let mut worker = worker(json!({"authorization": {"inline": "order-secret-order-secret"}}));
    remember(&mut worker, "tok", json!({}));
    for wrong in ["Bearer wrong", "", &jwt(Algorithm::ES256, json!({}), json!({"iss": ISSUER}))] {
        assert_eq!(order(&mut worker, wrong, &alice()).status(), 401);
    }
    assert!(is_remembered(&mut worker, "tok"));
    let foreign = json!({"sub_id": {"format": "iss_sub", "iss": IDP, "sub": "alice"}}).to_string();
    assert_eq!(order(&mut worker, "Bearer order-secret-order-secret", &foreign).status(), 403);
    assert_eq!(order(&mut worker, "Bearer order-secret-order-secret", &alice()).status(), 204);
    assert!(!is_remembered(&mut worker, "tok"));
}

#[test]
fn who_orders_by_another_s_word_or_a_jwt_of_another_kind_is_refused() {
    let mut worker = by_jwt();
    remember(&mut worker, "tok", json!({}));
    let now = START.as_secs();
    let of = |patch: Value| jwt(Algorithm::RS256, json!({}), patch);
    let typed = |typ: &str| jwt(Algorithm::RS256, json!({"typ": typ}), json!({}));
    let events = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
    for (sentence, jwt) in [
        ("the provider's key", jwt(Algorithm::ES256, json!({"kid": "RS256"}), json!({}))),
        ("another issuer", of(json!({"iss": ISSUER}))),
        ("for somebody else", of(json!({"aud": "https://other.example/global-token-revocation"}))),
        ("for nobody", of(json!({"aud": null}))),
        ("over", of(json!({"exp": now - 60}))),
        ("without end", of(json!({"exp": null}))),
        ("for ever", of(json!({"exp": now + 24 * 3600}))),
        ("not yet", of(json!({"nbf": now + 200}))),
        ("an access token", typed("at+jwt")),
        ("a logout token", typed("logout+jwt")),
        ("an event", typed("secevent+jwt")),
        (
            "a logout token of no specific type",
            jwt(Algorithm::RS256, json!({"typ": "JWT"}), json!({"events": events})),
        ),
        ("an ID token", jwt(Algorithm::RS256, json!({"typ": null}), json!({"nonce": "n"}))),
        ("an ID token without nonce", of(json!({"at_hash": "h", "auth_time": now}))),
        ("an ID token of a session", of(json!({"sid": "s"}))),
        ("an access token of typ JWT", of(json!({"azp": "app", "scope": "read"}))),
        ("a jti of another type", of(json!({"jti": 7}))),
        ("no JWT", "rubbish".to_owned()),
    ] {
        worker.pass(Duration::from_secs(2));
        let fate = order(&mut worker, &format!("Bearer {jwt}"), &alice());
        assert_eq!(fate.status(), 401, "{sentence}: {fate:?}");
        assert_eq!(body(&fate)["error"], json!("invalid_token"), "{sentence}");
    }
    for authorization in ["", "Bearer ", "Basic YTpi"] {
        assert_eq!(order(&mut worker, authorization, &alice()).status(), 401, "{authorization:?}");
    }
    assert!(is_remembered(&mut worker, "tok"));
}

#[test]
fn nothing_is_said_of_an_order_before_it_is_known_who_gives_it() {
    let mut worker = by_jwt();
    remember(&mut worker, "tok", json!({}));
    let foreign = json!({"sub_id": {"format": "iss_sub", "iss": "https://evil.example", "sub": "alice"}});
    let good = format!("Bearer {}", jwt(Algorithm::RS256, json!({}), json!({})));
    for (body, status) in [
        (foreign.to_string(), 403),
        ("{".to_owned(), 400),
        ("{}".to_owned(), 400),
        (json!({"sub_id": "alice"}).to_string(), 400),
        (json!({"sub_id": {}}).to_string(), 400),
        (json!({"sub_id": {"format": "email"}}).to_string(), 400),
        (json!({"sub_id": {"format": "opaque", "id": "alice"}, "except": "x"}).to_string(), 400),
        (format!("{{\"sub_id\": {{\"format\": \"opaque\", \"id\": \"{}\"}}}}", "x".repeat(17_000)), 400),
    ] {
        assert_eq!(order(&mut worker, "Bearer rubbish", &body).status(), 401, "{body:.80}");
        assert_eq!(order(&mut worker, &good, &body).status(), status, "{body:.80}");
    }
    assert!(is_remembered(&mut worker, "tok"));
    assert_eq!(order(&mut worker, &good, &alice()).status(), 204, "its JWT was not used up");
}

#[test]
fn a_jwt_orders_once() {
    let mut worker = by_jwt();
    let authorization = format!("Bearer {}", jwt(Algorithm::RS256, json!({}), json!({})));
    assert_eq!(order(&mut worker, &authorization, &alice()).status(), 204);
    assert_eq!(order(&mut worker, &authorization, &alice()).status(), 401);
    // Without an identifier, which RFC 7523 does not require, until it ends.
    let nameless = format!("Bearer {}", jwt(Algorithm::RS256, json!({"typ": "JWT"}), json!({"jti": null})));
    assert_eq!(order(&mut worker, &nameless, &alice()).status(), 204);
    assert_eq!(order(&mut worker, &nameless, &alice()).status(), 204);
}
