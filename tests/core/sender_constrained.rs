//! Tokens that are bound to their holder: what binds them, and that nobody else can use them.

use std::fs;

use base64ct::{Base64UrlUnpadded, Encoding};
use phantom_token_filter::config::Config;
use phantom_token_filter::metrics::Counter;
use serde_json::{Value, json};

use crate::support::{Fate, Request, Worker, active, config, merge};

const THUMBPRINT: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A configuration whose one policy has this rule.
fn with_rule(rule: &str) -> Value {
    config(json!({"policies": {"default": {"require": {"sender_constrained": rule}}}}))
}

/// What is said of an active token that is bound so.
fn bound(cnf: Value) -> Value {
    let mut reply = active();
    merge(&mut reply, json!({"cnf": cnf}));
    reply
}

/// `GET /` with this token under this scheme.
fn under(scheme: &str, token: &str) -> Request {
    Request::get("/").with("authorization", format!("{scheme} {token}"))
}

#[test]
fn a_bound_token_is_of_no_use_to_whoever_has_stolen_it() {
    for (cnf, scheme, reason) in [
        (json!({"jkt": THUMBPRINT}), "Bearer", "bound_token_as_bearer"),
        (json!({"jkt": THUMBPRINT}), "DPoP", "dpop_not_configured"),
        (json!({"jkt": THUMBPRINT, "kc-jkt-type": "DPoP"}), "Bearer", "bound_token_as_bearer"),
        (json!({"x5t#S256": THUMBPRINT}), "Bearer", "token_without_its_certificate"),
        (json!({"x5t#S256": THUMBPRINT}), "DPoP", "token_not_bound"),
        (json!({"jkt": THUMBPRINT, "x5t#S256": THUMBPRINT}), "Bearer", "bound_token_as_bearer"),
        (json!({"jwk": {"kty": "EC"}}), "Bearer", "token_of_unknown_binding"),
        (json!({}), "Bearer", "token_of_unknown_binding"),
        (json!("x"), "DPoP", "token_of_unknown_binding"),
    ] {
        for rule in ["verify", "require"] {
            let mut worker = Worker::new(with_rule(rule));
            // By a call, by the cache, and once the first level could have it.
            for _ in 0..4 {
                let fate = worker.call(&under(scheme, "tok"), &bound(cnf.clone()));
                assert_eq!((fate.status(), fate.reason()), (401, reason), "{cnf} under {scheme}");
            }
            assert_eq!(worker.count(Counter::DeniedInvalidToken), 4);
            assert_eq!((worker.served_again, worker.calls.len()), (0, 0));
        }
    }
}

#[test]
fn a_token_that_is_not_bound_passes_as_bearer_unless_all_must_be() {
    for (rule, scheme, reason) in [
        ("verify", "Bearer", None),
        ("verify", "DPoP", Some("token_not_bound")),
        ("require", "Bearer", Some("token_not_bound")),
        ("require", "DPoP", Some("token_not_bound")),
        ("ignore", "Bearer", None),
        ("ignore", "DPoP", None),
    ] {
        let mut worker = Worker::new(with_rule(rule));
        for _ in 0..4 {
            let fate = worker.call(&under(scheme, "tok"), &active());
            match reason {
                Some(reason) => assert_eq!((fate.status(), fate.reason()), (401, reason), "{rule}"),
                None => assert!(matches!(fate, Fate::Forwarded(_)), "{rule}, {scheme}"),
            }
        }
        assert_eq!(worker.served_again > 0, reason.is_none(), "{rule}, {scheme}");
    }
}

#[test]
fn a_token_of_type_dpop_that_names_no_key_is_refused() {
    for cnf in [Value::Null, json!({"x5t#S256": THUMBPRINT})] {
        let mut reply = bound(cnf);
        reply["token_type"] = json!("DPoP");
        let fate = Worker::new(with_rule("verify")).call(&Request::bearer("tok"), &reply);
        assert_eq!(fate.reason(), "token_of_unknown_binding");
    }
}

#[test]
fn who_ignores_bindings_is_warned_and_forwards_bound_tokens() {
    let ignoring = with_rule("ignore");
    let read = Config::parse(ignoring.to_string().as_bytes(), &|_| None).unwrap();
    let warning = "policies.default.require.sender_constrained: whoever has stolen a token that is bound to its holder \
        (RFC 9449, RFC 8705) can use it";
    assert_eq!(read.warnings, [warning]);
    let mut worker = Worker::new(ignoring);
    let fate = worker.call(&Request::bearer("tok"), &bound(json!({"jkt": THUMBPRINT})));
    assert!(fate.claims().get("cnf").is_none(), "what binds the client's token does not bind ours");
}

#[test]
fn policies_with_different_rules_share_a_verdict() {
    let policies = json!({
        "policies": {"default": {}, "lax": {"require": {"sender_constrained": "ignore"}}},
        "rules": [{"match": {"path": "/lax"}, "policy": "lax"}]
    });
    let mut worker = Worker::new(config(policies));
    let lax = |path: &str| Request::get(path).with("authorization", "Bearer tok");
    let reply = bound(json!({"jkt": THUMBPRINT}));
    for _ in 0..3 {
        assert!(matches!(worker.call(&lax("/lax"), &reply), Fate::Forwarded(_)));
        assert_eq!(worker.call(&lax("/"), &reply).reason(), "bound_token_as_bearer");
    }
    assert_eq!(worker.count(Counter::CacheMiss), 1);
}

#[test]
fn what_real_servers_bind_tokens_to_is_understood() {
    for (recording, reason) in [
        ("keycloak.introspect-dpop", "bound_token_as_bearer"),
        ("keycloak.introspect-mtls-bound", "token_without_its_certificate"),
        ("oidc-provider.introspect-dpop", "bound_token_as_bearer"),
        ("oidc-provider.introspect-mtls-bound", "token_without_its_certificate"),
        ("spring.introspect-dpop-bound", "bound_token_as_bearer"),
        ("spring.introspect-mtls-bound", "token_without_its_certificate"),
    ] {
        let text = fs::read_to_string(format!("tests/vectors/recordings/{recording}.json")).unwrap();
        let recording: Value = serde_json::from_str(&text).unwrap();
        let mut reply = recording["response"]["json"].clone();
        let now = json!(crate::support::START.as_secs());
        merge(&mut reply, json!({"exp": now.as_u64().unwrap() + 600, "nbf": now, "iat": now}));
        let fate = Worker::new(with_rule("verify")).call(&Request::bearer("tok"), &reply);
        assert_eq!(fate.reason(), reason, "{text}");
    }
}

/// A JWT by these parts, as it is written and as lenient servers read it, too.
fn spellings(header: &str, payload: &str) -> Vec<String> {
    let part = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
    let signed = [part(header), part(payload)].join(".");
    // Padded, with stray bits, with dots that Java's `split` drops, without a signature, and with what is no base64 at all.
    ["AA", "AA==", "AB", "AA.", "AA...", "", "A~A", "AA.AA"]
        .map(|signature| [&signed, ".", signature].concat())
        .to_vec()
}

#[test]
fn an_introspected_jwt_is_bound_to_what_it_says_itself_however_it_is_written() {
    let payload =
        r#"{"iss":"https://as.example","cnf":{"jkt":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}}"#;
    for header in [r#"{"alg":"ES256"}"#, r#"{"alg":"ES256","crit":["x"],"x":1}"#, "{}", "no JSON"] {
        for jwt in spellings(header, payload) {
            let fate = Worker::new(with_rule("verify")).call(&Request::bearer(&jwt), &active());
            assert_eq!(fate.reason(), "bound_token_as_bearer", "though the server leaves it out: {jwt}");
        }
    }
}

#[test]
fn an_introspected_jwt_is_for_its_own_audiences_however_it_is_written() {
    let policy = json!({"policies": {"default": {"require": {"audiences": ["payments"]}}}});
    let mut reply = active();
    merge(&mut reply, json!({"aud": ["orders", "payments"]}));
    for (aud, passes) in [("orders", false), ("payments", true)] {
        for jwt in spellings(r#"{"alg":"ES256"}"#, &json!({"aud": aud}).to_string()) {
            let fate = Worker::new(config(policy.clone())).call(&Request::bearer(&jwt), &reply);
            assert_eq!(matches!(fate, Fate::Forwarded(_)), passes, "though the server adds another: {jwt}");
        }
    }
}

#[test]
fn a_token_that_is_bound_to_a_certificate_passes_with_it_alone() {
    let own = "00".repeat(32);
    let reply = bound(json!({"x5t#S256": THUMBPRINT}));
    for (digest, reason) in [
        (Some(own.as_str()), None),
        (Some(&*"00".repeat(31)), Some("token_without_its_certificate")),
        (Some(&*"01".repeat(32)), Some("token_of_other_certificate")),
        (None, Some("token_without_its_certificate")),
    ] {
        let mut worker = Worker::new(with_rule("require"));
        let request = match digest {
            Some(digest) => Request::bearer("tok").with_certificate(digest),
            None => Request::bearer("tok"),
        };
        for _ in 0..4 {
            let fate = worker.call(&request, &reply);
            match reason {
                Some(reason) => assert_eq!((fate.status(), fate.reason()), (401, reason)),
                None => assert!(matches!(fate, Fate::Forwarded(_)), "{fate:?}"),
            }
        }
        assert_eq!(worker.served_again, 0);
    }
    // Who has shown it does not open the way for who has not.
    let mut worker = Worker::new(with_rule("verify"));
    for _ in 0..4 {
        let fate = worker.call(&Request::bearer("tok").with_certificate(&own), &reply);
        assert!(matches!(fate, Fate::Forwarded(_)));
        assert_eq!(worker.call(&Request::bearer("tok"), &reply).reason(), "token_without_its_certificate");
    }
    // Of several that wait for one verdict, each is judged by what it has shown.
    let mut worker = Worker::new(with_rule("verify"));
    let streams = [
        worker.receive(&Request::bearer("tok")),
        worker.receive(&Request::bearer("tok").with_certificate(&own)),
    ];
    worker.answer(&reply);
    assert_eq!(streams.map(|stream| matches!(worker.fate(stream), Fate::Forwarded(_))), [false, true]);
}

#[test]
fn a_forwarded_certificate_counts_where_that_is_configured_and_only_there() {
    let hash = "00".repeat(32);
    let other = "01".repeat(32);
    let reply = bound(json!({"x5t#S256": THUMBPRINT}));
    let judged = |from: Value, request: Request| {
        let mut worker = Worker::new(config(json!({"client_certificate": from})));
        match worker.call(&request, &reply) {
            Fate::Forwarded(_) => "forwarded",
            fate => fate.reason(),
        }
    };
    let with = |value: &str| Request::bearer("tok").with("x-forwarded-client-cert", value);
    let (none, not_it) = ("token_without_its_certificate", "token_of_other_certificate");
    let xfcc = |element: u32| json!({"from": "xfcc", "xfcc_element": element});
    for (from, request, wanted) in [
        (json!({}), with(&format!("Hash={hash}")), none),
        (json!({"from": "connection"}), with(&format!("Hash={hash}")), none),
        (json!({"from": "xfcc"}), with(&format!("Hash={hash}")), "forwarded"),
        (xfcc(0), with(&format!("By=a;Hash={hash};Subject=\"CN=a,O=b\",Hash={other}")), "forwarded"),
        (xfcc(1), with(&format!("Hash={other},By=b;Hash={hash}")), "forwarded"),
        (
            xfcc(1),
            with(&format!("Hash={other}")).with("x-forwarded-client-cert", format!("Hash={hash}")),
            "forwarded",
        ),
        (xfcc(0), with(&format!("Hash={other},Hash={hash}")), not_it),
        (xfcc(1), with(&format!("Hash={hash}")), none),
        (xfcc(0), with(&format!("Hash={hash};Hash={hash}")), none),
        (xfcc(0), with(&format!("Hash={hash};Subject=\"CN=a")), none),
        (xfcc(0), Request::bearer("tok").with_certificate(&hash), none),
    ] {
        assert_eq!(judged(from.clone(), request), wanted, "{from}");
    }
}
