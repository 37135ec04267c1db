//! Servers that say the same in other words, as the configuration tells the filter.

use serde_json::{Value, json};

use crate::support::{Fate, Request, Worker, config};

/// The status that a token of these members gets; 0 if it passes.
fn judged(patch: Value, reply: &Value) -> u16 {
    match Worker::new(config(patch)).call(&Request::bearer("tok"), reply) {
        Fate::Answered(answer) => answer.status,
        Fate::Forwarded(_) => 0,
    }
}

#[test]
fn scopes_and_clients_may_have_other_names() {
    let scopes = json!({"policies": {"default": {"require": {"scopes": ["read"]}}}});
    assert_eq!(judged(scopes.clone(), &json!({"active": true, "scp": ["read", "write"]})), 0);
    assert_eq!(judged(scopes.clone(), &json!({"active": true, "scp": "read write"})), 0);
    assert_eq!(judged(scopes, &json!({"active": true, "scp": "read", "scope": "write"})), 403);
    for name in ["azp", "cid", "appid"] {
        let named = json!({
            "providers": {"main": {"claim_names": {"client_id": [name]}}},
            "policies": {"default": {"require": {"client_ids": ["app"]}}},
        });
        let reply = |member: &str| json!({"active": true, member: "app", "sub": "alice"});
        assert_eq!(judged(named.clone(), &reply(name)), 0, "{name}");
        assert_ne!(judged(named, &reply("client_id")), 0, "{name}");
    }
}

#[test]
fn a_pointer_leads_to_a_nested_claim_and_an_array_matches_by_element() {
    let roles = json!({"policies": {"default": {"require": {"claims": {"/realm_access/roles": ["admin"]}}}}});
    assert_eq!(
        judged(roles.clone(), &json!({"active": true, "realm_access": {"roles": ["user", "admin"]}})),
        0
    );
    assert_ne!(judged(roles.clone(), &json!({"active": true, "realm_access": {"roles": ["user"]}})), 0);
    assert_ne!(judged(roles, &json!({"active": true, "/realm_access/roles": "admin"})), 0);
}

#[test]
fn numbers_are_compared_by_what_they_are_worth() {
    let level =
        |written: Value| json!({"policies": {"default": {"require": {"claims": {"level": written}}}}});
    for (written, said) in
        [(json!("1.5"), json!(1.5)), (json!("4294967296"), json!(4_294_967_296_u64)), (json!(2), json!(2.0))]
    {
        assert_eq!(judged(level(written), &json!({"active": true, "level": said})), 0, "{said}");
    }
}

#[test]
fn an_access_token_by_type_and_a_number_as_sub_are_let_pass() {
    assert_eq!(judged(json!({}), &json!({"active": true, "token_type": "access_token", "sub": 42})), 0);
    assert_eq!(judged(json!({}), &json!({"active": true, "token_type": "refresh_token"})), 401);
}

#[test]
fn a_status_may_say_that_a_token_is_not_active() {
    let patch = json!({"providers": {"main": {"introspection": {"inactive_statuses": [400, 401, 404]}}}});
    for said in [400, 401, 404] {
        for (patch, status) in [(patch.clone(), 401), (json!({}), 503)] {
            let mut worker = Worker::new(config(patch));
            let stream = worker.receive(&Request::bearer("tok"));
            worker.answer_with(said, "application/json", b"{}");
            assert_eq!(worker.fate(stream).status(), status, "{said}");
        }
    }
}
