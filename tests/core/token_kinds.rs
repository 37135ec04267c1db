//! What authorization servers call active, or sign by the keys of access tokens, and is none.

use phantom_token_filter::jwt::Algorithm;
use serde_json::{Value, json};

use crate::support::{Fate, Request, START, Worker, config, issuer};

/// The body of a recorded reply, its end put off.
fn recorded(name: &str) -> Value {
    let file = format!("{}/tests/vectors/recordings/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let recording: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let mut reply: Value = serde_json::from_str(recording["response"]["body"].as_str().unwrap()).unwrap();
    for (name, seconds) in [("exp", 600), ("nbf", 0), ("iat", 0)] {
        if !reply[name].is_null() {
            reply[name] = json!(START.as_secs() + seconds);
        }
    }
    reply
}

fn judged(patch: Value, reply: &Value) -> Result<Value, String> {
    match Worker::new(config(patch)).call(&Request::bearer("tok"), reply) {
        fate @ Fate::Forwarded(_) => Ok(fate.claims()),
        fate => Err(fate.reason().to_owned()),
    }
}

#[test]
fn access_tokens_of_every_server_pass() {
    for name in [
        "hydra.introspect-active",
        "hydra.introspect-active-no-scope",
        "hydra.introspect-user",
        "spring.introspect-active",
        "spring.introspect-user",
        "spring.introspect-dpop-bound",
        "spring.introspect-mtls-bound",
        "zitadel-oidc.introspect-active",
        "keycloak.introspect-basic-active",
        "keycloak.introspect-service-account",
        "keycloak.introspect-lightweight",
        "glewlwyd.introspect-basic-active",
        "oidc-provider.introspect-basic-active",
        "oidc-provider.introspect-dpop",
    ] {
        // What they are bound to is another matter.
        let any = json!({"policies": {"default": {"require": {"sender_constrained": "ignore"}}}});
        let judged = judged(any, &recorded(name));
        assert!(judged.is_ok(), "{name}: {judged:?}");
    }
}

#[test]
fn active_refresh_tokens_and_id_tokens_are_refused() {
    for (name, reason) in [
        ("hydra.introspect-refresh-token", "token_of_other_type"),
        ("glewlwyd.introspect-bearer-refresh", "token_of_other_type"),
        ("keycloak.introspect-refresh-own-client", "token_of_other_type"),
        ("keycloak.introspect-id-token-own-client", "token_of_other_type"),
        ("spring.introspect-refresh-token", "not_an_access_token"),
        ("spring.introspect-id-token", "not_an_access_token"),
    ] {
        assert_eq!(judged(json!({}), &recorded(name)), Err(reason.to_owned()), "{name}");
    }
    // No client becomes the subject of what is not its own.
    let lax = json!({"providers": {"main": {"introspection": {"access_tokens_only": false}}}});
    assert_eq!(judged(lax, &recorded("spring.introspect-refresh-token")).unwrap()["client_id"], "web");
}

#[test]
fn token_use_counts_like_token_type() {
    for (said, reason) in [
        (json!({"token_use": "refresh_token"}), Some("token_of_other_type")),
        (json!({"token_use": "id"}), Some("token_of_other_type")),
        (json!({"token_use": "ID", "token_type": "Bearer"}), Some("token_of_other_type")),
        (json!({"token_use": "access"}), None),
        (json!({"token_use": "access_token", "token_type": "Bearer"}), None),
        (json!({"token_use": "access_token", "token_type": "refresh_token"}), Some("token_of_other_type")),
        (json!({"token_use": null}), None),
        (json!({"token_use": 1}), Some("introspection_bad_member")),
    ] {
        let mut reply = json!({"active": true, "sub": "alice", "scope": "read"});
        crate::support::merge(&mut reply, said.clone());
        assert_eq!(judged(json!({}), &reply).err().as_deref(), reason, "{said}");
    }
}

#[test]
fn a_refusal_is_remembered_with_its_reason() {
    let mut worker = Worker::new(config(json!({})));
    worker.call(&Request::bearer("tok"), &recorded("spring.introspect-refresh-token"));
    let again = worker.receive(&Request::bearer("tok"));
    assert_eq!(worker.fate(again).reason(), "not_an_access_token");
}

/// Why a JWT with these claims is refused under `types`, if it is.
fn validated(types: Value, typ: Value, claims: Value) -> Option<&'static str> {
    let mut worker = Worker::new(json!({
        "providers": {"main": {"issuer": "https://as.example", "jwks": {"cluster": "as", "path": "/jwks"}, "jwt": {"types": types}}},
        "policies": {"default": {"strategy": "jwt"}},
    }));
    let mut payload =
        json!({"iss": "https://as.example", "sub": "alice", "aud": "web", "exp": START.as_secs() + 600});
    crate::support::merge(&mut payload, claims);
    let token = issuer::sign(Algorithm::ES256, json!({ "typ": typ }), &payload);
    let stream = worker.receive(&Request::bearer(&token));
    let keys = json!({"keys": [issuer::jwk(Algorithm::ES256, json!({}))]});
    worker.answer(&keys);
    match worker.fate(stream) {
        Fate::Forwarded(_) => None,
        fate => Some(fate.reason()),
    }
}

#[test]
fn id_tokens_are_told_from_access_tokens_by_their_claims() {
    let no = Some("not_an_access_token");
    for (claims, reason) in [
        (json!({"nonce": "n"}), no),
        (json!({"at_hash": "h", "scope": "openid"}), no),
        (json!({"c_hash": "h"}), no),
        (json!({"s_hash": "h"}), no),
        (json!({"auth_time": 1}), no),
        (json!({"typ": "ID"}), no),
        (json!({"typ": "Refresh", "scope": "read"}), no),
        (json!({"auth_time": 1, "scope": "read"}), None),
        (json!({"auth_time": 1, "scp": ["read"]}), None),
        (json!({"auth_time": 1, "token_use": "access"}), None),
        (json!({"token_use": "id"}), Some("token_of_other_type")),
        (json!({"typ": "Bearer", "nonce": "n"}), None),
        (json!({}), None),
    ] {
        assert_eq!(validated(json!([""]), Value::Null, claims.clone()), reason, "{claims}");
        assert_eq!(validated(json!(["JWT"]), json!("JWT"), claims.clone()), reason, "{claims}");
    }
    // What says itself that it is an access token is one.
    assert_eq!(validated(json!(["at+jwt"]), json!("at+jwt"), json!({"nonce": "n"})), None);
}
