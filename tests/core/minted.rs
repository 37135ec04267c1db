//! What the JWT of ours may say, whatever the server said: claims that the service behind can rely on (RFC 9068 §2.2).

use phantom_token_filter::config::Config;
use serde_json::{Value, json};

use crate::support::{Request, START, Worker, active, config, merge};

/// The claims that are minted from an ordinary reply with `members`, under these `phantom_token.claims`.
fn minted_under(rules: Value, members: Value) -> Value {
    let mut reply = active();
    merge(&mut reply, members);
    let policies = json!({"default": {"require": {"sender_constrained": "ignore"}}});
    let mut worker = Worker::new(config(json!({"phantom_token": {"claims": rules}, "policies": policies})));
    worker.call(&Request::bearer("tok"), &reply).claims()
}

fn minted(members: Value) -> Value {
    minted_under(json!({}), members)
}

#[test]
fn what_binds_or_types_the_clients_token_is_never_said_of_ours() {
    let members = json!({"cnf": {"jkt": "x"}, "status": {"status_list": {"idx": 1, "uri": "https://as.example/1"}},
                         "token_type": "DPoP", "token_use": "access_token", "typ": "Bearer"});
    for rules in [
        json!({}),
        json!({"include": ["*"]}),
        json!({"include": ["cnf", "status", "token_type", "token_use", "typ", "active", "sub"]}),
    ] {
        let claims = minted_under(rules, members.clone());
        for name in ["cnf", "status", "token_type", "token_use", "typ", "active"] {
            assert_eq!(claims.get(name), None, "{name} in {claims}");
        }
        assert_eq!(claims["sub"], "alice");
    }
    // Under another name it says nothing of our JWT.
    assert_eq!(minted_under(json!({"rename": {"typ": "upstream_typ"}}), members)["upstream_typ"], "Bearer");
}

#[test]
fn no_configuration_puts_them_there() {
    for name in ["cnf", "status", "token_type", "token_use", "typ", "active"] {
        for claims in [json!({"add": {name: "x"}}), json!({"rename": {"tenant": name}})] {
            let config = config(json!({"phantom_token": {"claims": claims}}));
            let refused = Config::parse(config.to_string().as_bytes(), &|_| None).unwrap_err()[0].to_string();
            let path = if claims.get("add").is_some() {
                format!("claims.add.{name}")
            } else {
                "claims.rename.tenant".to_owned()
            };
            assert!(refused.starts_with(&format!("phantom_token.{path}: ")), "{refused}");
        }
    }
}

#[test]
fn times_are_whole_numbers_or_not_there() {
    let (now, past) = (START.as_secs(), START.as_secs() - 60);
    for (written, wanted) in [
        (json!(past), json!(past)),
        (json!(past as f64 + 0.5), json!(past)),
        (json!(past.to_string()), json!(past)),
        (json!(format!("{past}.9")), json!(past)),
        (json!(-1), json!(0)),
        (json!(0), json!(0)),
        // Let pass within our leeway, and not handed on as one that lies ahead.
        (json!(now + 30), json!(now)),
        (json!(now as f64 + 0.25), json!(now)),
        (json!(null), Value::Null),
    ] {
        let claims = minted(json!({"nbf": written, "iat": written, "auth_time": written}));
        assert_eq!(claims["nbf"], wanted, "nbf {written}");
        assert_eq!(claims["iat"], now, "iat {written}");
        assert!(claims["auth_time"].is_null() || claims["auth_time"].is_u64(), "auth_time {claims}");
    }
    for (written, wanted) in [
        // As Spring writes it.
        (json!("2026-11-27T17:42:09.956Z"), json!(1_795_801_329)),
        (json!("2026-11-27T18:42:09+01:00"), json!(1_795_801_329)),
        (json!("2026-11-27"), Value::Null),
        (json!("yesterday"), Value::Null),
        (json!({}), Value::Null),
        (json!(true), Value::Null),
        (json!(past.to_string()), json!(past)),
        (json!(1e300), json!(253_402_300_799_u64)),
    ] {
        assert_eq!(minted(json!({"auth_time": written}))["auth_time"], wanted, "auth_time {written}");
    }
    assert_eq!(
        minted_under(json!({"rename": {"tenant": "nbf"}}), json!({"tenant": "acme"}))["nbf"],
        Value::Null
    );
}

#[test]
fn scope_is_one_text_with_single_spaces() {
    for (written, wanted) in [
        (json!(" read   write\n"), json!("read write")),
        (json!(["read", "write"]), json!("read write")),
        (json!([" read", "", "write admin "]), json!("read write admin")),
        (json!("\tread"), json!("read")),
        (json!(""), Value::Null),
        (json!([]), Value::Null),
        (json!(null), Value::Null),
    ] {
        assert_eq!(minted(json!({"scope": written}))["scope"], wanted, "{written}");
    }
    let renamed =
        minted_under(json!({"rename": {"permissions": "scope"}}), json!({"permissions": ["a", "b "]}));
    assert_eq!(renamed["scope"], "a b");
    let not_a_scope =
        minted_under(json!({"rename": {"permissions": "scope"}}), json!({"permissions": {"a": 1}}));
    assert_eq!(not_a_scope.get("scope"), None);
}

#[test]
fn subject_and_client_are_texts() {
    for name in ["sub", "client_id"] {
        let rules = json!({"rename": {"uid": name}});
        assert_eq!(minted_under(rules.clone(), json!({"uid": 42}))[name], "42");
        assert_eq!(minted_under(rules.clone(), json!({"uid": "u-1"}))[name], "u-1");
        for odd in [json!([1]), json!({"a": 1}), json!(true), json!(1.5)] {
            assert_eq!(minted_under(rules.clone(), json!({"uid": odd})).get(name), None, "{odd}");
        }
    }
    let aud = |aud: Value| minted(json!({"aud": aud})).get("aud").cloned();
    assert_eq!(aud(json!(["a"])), Some(json!("a")));
    assert_eq!(aud(json!(["a", "b"])), Some(json!(["a", "b"])));
    assert_eq!((aud(json!([])), aud(json!(null))), (None, None));
}
