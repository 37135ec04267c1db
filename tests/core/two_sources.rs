//! What a policy requires where two say what a token is: the JWT itself, and the server that is asked about it.

use phantom_token_filter::jwt::Algorithm;
use phantom_token_filter::token::UnixMillis;
use serde_json::{Value, json};

use crate::support::issuer::{encode, jwk, sign};
use crate::support::{Fate, Request, START, Worker, config, merge};

const ISSUER: &str = "https://as.example";

/// A worker whose one policy wants this, under a strategy, with the key of the server.
fn worker(strategy: &str, cache_ttl: &str, require: Value) -> Worker {
    let policy = json!({"strategy": strategy, "cache_ttl": cache_ttl, "require": require});
    let mut worker = Worker::new(config(json!({
        "providers": {"main": {"issuer": ISSUER, "jwks": {"cluster": "as", "path": "/jwks"}}},
        "policies": {"default": policy},
    })));
    worker.start();
    if !worker.calls.is_empty() {
        worker.answer(&json!({"keys": [jwk(Algorithm::ES256, json!({}))]}));
    }
    worker
}

fn token(more: Value) -> String {
    let mut claims = json!({"iss": ISSUER, "sub": "alice", "client_id": "app", "aud": "https://api.example",
        "iat": START.as_secs(), "exp": START.as_secs() + 600, "jti": "1"});
    merge(&mut claims, more);
    sign(Algorithm::ES256, json!({"typ": "at+jwt"}), &claims)
}

/// As Keycloak replies: with claims that RFC 7662 has none of.
fn reply(more: Value) -> Value {
    let mut reply = json!({"active": true, "iss": ISSUER, "sub": "alice", "client_id": "app", "token_type": "Bearer",
        "email_verified": true, "exp": START.as_secs() + 600});
    merge(&mut reply, more);
    reply
}

/// Why a request is refused, if it is; twice, for what the cache knows is judged as well.
fn refused(worker: &mut Worker, token: &str, reply: &Value) -> Option<(u16, &'static str)> {
    let [first, second] = [(); 2].map(|()| match worker.call(&Request::bearer(token), reply) {
        Fate::Forwarded(_) => None,
        fate => Some((fate.status(), fate.reason())),
    });
    assert_eq!(first, second, "at the answer, and from then on");
    first
}

#[test]
fn a_role_that_the_server_has_taken_away_counts_no_more_though_the_jwt_has_it() {
    let admin = token(json!({"realm_access": {"roles": ["user", "admin"]}, "scope": "read pay", "level": 2}));
    let has = |roles: Value| json!({"realm_access": {"roles": roles}, "scope": "read pay", "level": 2});
    let no_claim = Some((403, "token_lacks_claim"));
    for cache_ttl in ["0s", "60s"] {
        for (require, says, outcome) in [
            (json!({"claims": {"/realm_access/roles": ["admin"]}}), has(json!(["user", "admin"])), None),
            (json!({"claims": {"/realm_access/roles": ["admin"]}}), has(json!(["user"])), no_claim),
            (json!({"claims": {"/realm_access/roles": ["admin"]}}), has(json!([])), no_claim),
            // The last role took its claim away.
            (json!({"claims": {"/realm_access/roles": ["admin"]}}), json!({"scope": "read pay"}), no_claim),
            (json!({"claims": {"level": 2}}), json!({"level": 1}), no_claim),
            (json!({"scopes": ["pay"]}), json!({"scope": "read"}), Some((403, "insufficient_scope"))),
            (json!({"scopes": ["pay"]}), json!({"scope": ""}), Some((403, "insufficient_scope"))),
            (
                json!({"client_ids": ["app"]}),
                json!({"client_id": "other"}),
                Some((403, "token_of_other_client")),
            ),
        ] {
            let mut worker = worker("jwt_and_introspection", cache_ttl, require.clone());
            assert_eq!(refused(&mut worker, &admin, &reply(says.clone())), outcome, "{require} {says}");
        }
    }
}

#[test]
fn what_only_the_jwt_has_does_not_hold_where_the_server_says_otherwise_and_its_own_new_claims_hold() {
    let plain = token(json!({"scope": "read"}));
    for (require, says, outcome) in [
        (json!({"claims": {"roles": ["admin"]}}), reply(json!({"roles": ["admin"]})), None),
        (json!({"scopes": ["pay"]}), reply(json!({"scope": "read pay"})), Some((403, "insufficient_scope"))),
        // A server that says nothing but what RFC 7662 has: the JWT's claims are all there is.
        (json!({"scopes": ["read"]}), json!({"active": true}), None),
        (json!({"audiences": ["https://api.example"]}), json!({"active": true, "scope": "read"}), None),
    ] {
        let mut worker = worker("jwt_and_introspection", "60s", require.clone());
        assert_eq!(refused(&mut worker, &plain, &says), outcome, "{require} {says}");
    }
}

/// Keycloak names an audience as long as its user has a role there, and none at all with the last role gone.
#[test]
fn an_audience_that_a_complete_reply_leaves_out_counts_no_more() {
    let require = json!({"audiences": ["https://api.example"]});
    let mut worker = worker("jwt_and_introspection", "60s", require);
    let outcome = refused(&mut worker, &token(json!({})), &reply(json!({"scope": "read"})));
    assert_eq!(outcome, Some((401, "token_for_other_audience")));
}

#[test]
fn an_audience_counts_if_the_token_was_issued_for_it_and_the_server_still_says_so() {
    let other = Some((401, "token_for_other_audience"));
    let audiences = json!({"audiences": ["https://api.example"]});
    for strategy in ["jwt_and_introspection", "introspection", "phantom_token"] {
        for (of_token, of_reply, outcome) in [
            (json!("https://api.example"), json!(["https://api.example", "account"]), None),
            (json!("https://other.example"), json!(["https://api.example", "https://other.example"]), other),
            (json!(["https://api.example", "a"]), json!("a"), other),
            (json!(["https://api.example", "a"]), json!("b"), other),
        ] {
            let mut worker = worker(strategy, "60s", audiences.clone());
            let (token, reply) = (token(json!({"aud": of_token})), reply(json!({"aud": of_reply})));
            assert_eq!(refused(&mut worker, &token, &reply), outcome, "{strategy} {of_token} {of_reply}");
        }
    }
}

#[test]
fn the_jwt_of_ours_is_for_no_more_audiences_than_the_clients_token() {
    let mut worker = worker("phantom_token", "60s", json!({}));
    let reply = reply(json!({"aud": ["https://api.example", "account"]}));
    let fate = worker.call(&Request::bearer(&token(json!({}))), &reply);
    assert_eq!(fate.claims()["aud"], "https://api.example");
}

#[test]
fn what_nobody_has_verified_grants_nothing() {
    let mut worker = worker("introspection", "60s", json!({"audiences": ["https://api.example"]}));
    let made_up = token(json!({"aud": "https://api.example"}));
    let header = made_up.split('.').next().unwrap();
    let made_up = format!("{header}.{}.c2ln", encode(br#"{"aud":["https://api.example"]}"#));
    // The server says active, and nothing of an audience.
    assert_eq!(refused(&mut worker, &made_up, &reply(json!({}))), Some((401, "token_for_other_audience")));
}

#[test]
fn a_token_that_keycloak_exchanged_for_one_audience_is_not_for_another_that_its_reply_adds() {
    let recording: Value = serde_json::from_str(include_str!(
        "../vectors/recordings/keycloak.introspect-exchanged-audience.json"
    ))
    .unwrap();
    let token = recording["request"]["data_args"][0].as_str().unwrap().strip_prefix("token=").unwrap();
    let reply: Value = serde_json::from_str(recording["response"]["body"].as_str().unwrap()).unwrap();
    assert_eq!(reply["aud"], json!(["gateway-post", "gateway"]));
    for (audience, outcome) in [("gateway-post", None), ("gateway", Some((401, "token_for_other_audience")))]
    {
        let mut worker = Worker::new(config(json!({
            "policies": {"default": {"strategy": "introspection", "require": {"audiences": [audience]}}},
        })));
        worker.now = UnixMillis::from_secs(1_795_802_192);
        assert_eq!(refused(&mut worker, token, &reply), outcome, "{audience}");
    }
}
