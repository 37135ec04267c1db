//! Whatever a server says of a token, what is minted from it is a JWT that three independent verifiers accept: Envoy's
//! `jwt_authn`, `jose`, and PyJWT.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::{Value, json};

use crate::rig::{
    ROOT,
    answer::Answer,
    gateway::{Gateway, plugin},
    jose, pyjwt,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_verifiers_accept_what_is_minted_from_every_reply() {
    let mut plugin = plugin().await;
    // Refresh tokens and ID tokens, too: this is about the form of what is minted.
    plugin["providers"]["main"]["introspection"]["access_tokens_only"] = json!(false);
    plugin["policies"] = json!({"default": {"require": {"token_types": [], "sender_constrained": "ignore"}}});
    let uri = json!({"uri": "http://this/.well-known/jwks.json", "cluster": "this_envoy", "timeout": "5s"});
    let jwt_authn =
        json!({"issuer": "https://gateway.example", "remote_jwks": {"http_uri": uri}, "forward": true});
    let gateway = Gateway::with(plugin, |envoy| envoy.jwt_authn(jwt_authn)).await;

    let mut jwts = Vec::new();
    for (name, reply) in recorded().into_iter().chain(lenient()) {
        gateway.server.answer(&name, Answer::body(reply));
        let answer = gateway.get(&name).await;
        assert_eq!(answer.status, 200, "{name}: not accepted by jwt_authn, or by us: {answer:?}");
        jwts.push(answer.echoed_bearer());
    }
    assert!(jwts.len() > 60, "only {} replies", jwts.len());
    let jwks = gateway.jwks().await;
    let verified = jose::verify(&jwts, &jwks).await;
    assert_eq!(pyjwt::verify(&jwts, &jwks).await.len(), verified.len());
    for jwt in &verified {
        for name in ["cnf", "status", "token_type", "token_use", "typ", "active"] {
            assert_eq!(jwt.claims.get(name), None, "{name} in {jwt:?}");
        }
        for (name, is_in_form) in [
            ("scope", Value::is_string as fn(&Value) -> bool),
            ("client_id", Value::is_string),
            ("sub", Value::is_string),
            ("nbf", Value::is_u64),
            ("auth_time", Value::is_u64),
        ] {
            assert!(jwt.claims.get(name).is_none_or(is_in_form), "{name} in {jwt:?}");
        }
    }
}

/// The bodies of all recorded replies that say "active", their end put off.
fn recorded() -> BTreeMap<String, String> {
    let mut replies = BTreeMap::new();
    for file in fs::read_dir(Path::new(ROOT).join("tests/vectors/recordings")).expect("recordings") {
        let path = file.expect("a file").path();
        let recording: Value = serde_json::from_slice(&fs::read(&path).expect("a file")).expect("JSON");
        let body = recording["response"]["body"].as_str().unwrap_or_default();
        let Ok(mut reply) = serde_json::from_str::<Value>(body) else { continue };
        if reply["active"] == true {
            reply["exp"] = json!(LATER);
            let name = path.file_stem().expect("a name").to_str().expect("UTF-8").to_owned();
            replies.insert(name, reply.to_string());
        }
    }
    assert!(replies.len() > 35, "only {} recordings", replies.len());
    replies
}

/// Every lenient form that the reader takes, of one member each.
fn lenient() -> Vec<(String, String)> {
    let deep = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    let (soon, later) = (now() + 20, LATER);
    let forms = [
        (
            "exp",
            vec![
                format!("{later}.5"),
                format!("\"{later}\""),
                format!("\"{later}.25\""),
                "1e300".to_owned(),
                "null".to_owned(),
            ],
        ),
        (
            "nbf",
            vec![
                "0".to_owned(),
                "-1".to_owned(),
                "1.5".to_owned(),
                "\"1700000000\"".to_owned(),
                "\"1700000000.5\"".to_owned(),
                "null".to_owned(),
                soon.to_string(),
                format!("\"{soon}\""),
            ],
        ),
        (
            "iat",
            vec![
                "\"1700000000\"".to_owned(),
                "1.5".to_owned(),
                "\"2026-11-27T17:42:09.956Z\"".to_owned(),
                "{}".to_owned(),
                later.to_string(),
            ],
        ),
        (
            "auth_time",
            vec![
                "\"1700000000\"".to_owned(),
                "1700000000.5".to_owned(),
                "\"2026-11-27T17:42:09.956Z\"".to_owned(),
                "[1]".to_owned(),
                "-5".to_owned(),
            ],
        ),
        (
            "scope",
            vec![
                "[\"a\",\"b\"]".to_owned(),
                "\" a   b\\n\"".to_owned(),
                "\"\"".to_owned(),
                "[]".to_owned(),
                "null".to_owned(),
                "[\" a\",\"\"]".to_owned(),
            ],
        ),
        (
            "aud",
            vec![
                "[]".to_owned(),
                "\"one\"".to_owned(),
                "[\"one\"]".to_owned(),
                "[\"one\",\"two\"]".to_owned(),
                "null".to_owned(),
                "\"\"".to_owned(),
            ],
        ),
        ("sub", vec!["\"\"".to_owned(), "null".to_owned(), "\"\\u0000\\ud83d\\ude00\"".to_owned()]),
        ("client_id", vec!["\"\"".to_owned(), "null".to_owned()]),
        ("jti", vec!["42".to_owned(), "null".to_owned()]),
        ("iss", vec!["\"https://as.example/\"".to_owned()]),
        ("token_type", vec!["\"bearer\"".to_owned(), "\"N_A\"".to_owned(), "null".to_owned()]),
        ("cnf", vec!["{\"jkt\":\"x\"}".to_owned(), "\"x\"".to_owned()]),
        (
            "status",
            vec![
                "{\"status_list\":{\"idx\":0,\"uri\":\"https://as.example/1\"}}".to_owned(),
                "\"ok\"".to_owned(),
            ],
        ),
        ("typ", vec!["\"Bearer\"".to_owned(), "1".to_owned()]),
        (
            "big",
            vec![
                "18446744073709551615".to_owned(),
                "1e308".to_owned(),
                "-0.0".to_owned(),
                deep(60),
                deep(110),
            ],
        ),
        ("", vec!["1".to_owned()]),
    ];
    let mut replies = Vec::new();
    for (member, values) in forms {
        for (index, value) in values.iter().enumerate() {
            let mut reply = format!("{{\"active\":true,{}:{value}", json!(member));
            for (name, ordinary) in [
                ("sub", json!("alice")),
                ("client_id", json!("app")),
                ("scope", json!("read")),
                ("exp", json!(later)),
            ] {
                if name != member {
                    reply.push_str(&format!(",\"{name}\":{ordinary}"));
                }
            }
            replies.push((format!("lenient-{member}-{index}"), reply + "}"));
        }
    }
    replies
}

fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.expect("a clock after 1970").as_secs()
}

/// The year 2100.
const LATER: u64 = 4_102_444_800;
