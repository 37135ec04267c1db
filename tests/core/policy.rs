//! What policies decide: on a verdict, on where a token stands, and on what goes on to the upstream.

use std::time::Duration;

use phantom_token_filter::metrics::Counter;
use phantom_token_filter::request::Unreadable;
use phantom_token_filter::token::UnixMillis;
use serde_json::{Value, json};

use crate::support::{Fate, Request, Worker, active, config, inactive, merge};

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[test]
fn policies_with_different_needs_share_a_verdict() {
    let policies = json!({
        "policies": {
            "default": {"cache_ttl": "60s"},
            "strict": {"cache_ttl": "5s", "require": {"scopes": ["admin"]}},
            "raw": {"strategy": "introspection"}
        },
        "rules": [
            {"match": {"path_prefix": "/strict"}, "policy": "strict"},
            {"match": {"path_prefix": "/raw"}, "policy": "raw"}
        ]
    });
    let mut worker = Worker::new(config(policies));
    let on = |path: &str| Request::get(path).with("authorization", "Bearer tok");
    worker.call(&on("/"), &active());
    let strict = worker.receive(&on("/strict"));
    assert_eq!((worker.fate(strict).status(), worker.fate(strict).reason()), (403, "insufficient_scope"));
    let raw = worker.receive(&on("/raw"));
    assert_eq!(worker.fate(raw), Fate::unchanged(), "the original token stays");
    worker.pass(secs(5));
    let (lax, strict) = (worker.receive(&on("/")), worker.receive(&on("/strict")));
    assert!(!worker.is_waiting(lax) && worker.is_waiting(strict));
    // The new verdict serves both, and does not disturb the first.
    worker.answer(&active());
    let lax = worker.receive(&on("/"));
    assert!(matches!(worker.fate(lax), Fate::Forwarded(_)));
}

#[test]
fn each_requirement_is_judged() {
    let reply = || {
        let mut reply = active();
        reply["roles"] = json!(["reader", "writer"]);
        reply["level"] = json!(3);
        reply
    };
    for (require, refusal) in [
        (json!({"scopes": ["read", "write"]}), None),
        (json!({"scopes": ["read", "admin"]}), Some((403, "insufficient_scope"))),
        (json!({"any_scope": ["admin", "write"]}), None),
        (json!({"any_scope": ["admin"]}), Some((403, "insufficient_scope"))),
        (json!({"audiences": ["https://other.example", "https://api.example"]}), None),
        (json!({"audiences": ["https://other.example"]}), Some((401, "token_for_other_audience"))),
        (json!({"client_ids": ["app"]}), None),
        (json!({"client_ids": ["ap"]}), Some((403, "token_of_other_client"))),
        (json!({"claims": {"roles": "writer", "level": [2, 3]}}), None),
        (json!({"claims": {"roles": "admin"}}), Some((403, "token_lacks_claim"))),
        (json!({"claims": {"absent": "x"}}), Some((403, "token_lacks_claim"))),
        (json!({"token_types": ["BEARER"]}), None),
        (json!({"token_types": ["dpop"]}), Some((401, "token_of_other_type"))),
    ] {
        let mut worker = Worker::new(config(json!({"policies": {"default": {"require": require.clone()}}})));
        for source in ["a call", "the cache"] {
            let fate = worker.call(&Request::bearer("tok"), &reply());
            match refusal {
                None => assert!(matches!(fate, Fate::Forwarded(_)), "{require} by {source}"),
                Some(refusal) => assert_eq!((fate.status(), fate.reason()), refusal, "{require} by {source}"),
            }
        }
    }
}

#[test]
fn claims_become_headers_as_text_as_lists_or_as_json_but_never_ambiguously() {
    let headers = json!({"policies": {"default": {"forward": {"claim_headers": {
        "x-sub": "sub", "x-roles": "roles", "x-level": "level", "x-odd": "odd", "x-bad": "bad"}}}}});
    let mut worker = Worker::new(config(headers));
    let mut reply = active();
    reply["roles"] = json!(["reader", "writer"]);
    reply["level"] = json!(3);
    reply["odd"] = json!(["a,b", "c"]);
    reply["bad"] = json!("a\r\nx-admin: 1");
    let fate = worker.call(&Request::bearer("tok"), &reply);
    assert_eq!(fate.header("x-sub").unwrap(), "alice");
    assert_eq!(fate.header("x-roles").unwrap(), "reader,writer");
    assert_eq!(fate.header("x-level").unwrap(), "3");
    assert_eq!(fate.header("x-odd").unwrap(), r#"["a,b","c"]"#);
    assert!(fate.removes("x-bad"));
}

#[test]
fn a_refresh_token_does_not_pass_for_an_access_token() {
    let mut worker = Worker::new(config(json!({})));
    let mut reply = active();
    reply["token_type"] = json!("refresh_token");
    assert_eq!(worker.call(&Request::bearer("tok"), &reply).reason(), "token_of_other_type");
}

#[test]
fn a_token_of_another_issuer_is_not_valid_for_us() {
    let mut worker = Worker::new(config(json!({"providers": {"main": {"issuer": "https://as.example"}}})));
    let mut reply = active();
    reply["iss"] = json!("https://as.example/");
    assert_eq!(worker.call(&Request::bearer("a"), &reply).reason(), "token_of_other_issuer");
    reply["iss"] = json!("https://as.example");
    assert!(matches!(worker.call(&Request::bearer("b"), &reply), Fate::Forwarded(_)));
    assert!(
        matches!(worker.call(&Request::bearer("c"), &active()), Fate::Forwarded(_)),
        "a reply may have no iss"
    );
}

#[test]
fn a_request_without_a_token_passes_where_that_is_allowed_but_a_bad_token_does_not() {
    let mut worker = Worker::new(config(json!({"policies": {"default": {"allow_missing": true}}})));
    let stream = worker.receive(&Request::get("/").with("authorization", "Basic YTpi"));
    assert!(worker.fate(stream).removes("authorization"));
    assert_eq!(worker.call(&Request::bearer("tok"), &inactive()).status(), 401);
}

#[test]
fn a_clients_own_copy_of_an_identity_header_never_passes() {
    let policies = json!({
        "policies": {
            "default": {"forward": {"claim_headers": {"X-User": "sub", "x-tenant": "tenant"}}},
            "public": {"strategy": "allow"}
        },
        "rules": [{"match": {"path": "/public"}, "policy": "public"}]
    });
    let mut worker = Worker::new(config(policies));
    let fate =
        worker.call(&Request::bearer("tok").with("x-user", "mallory").with("x-tenant", "evil"), &active());
    assert_eq!(fate.header("x-user").unwrap(), "alice");
    assert!(fate.removes("x-tenant"), "the token has no such claim");
    let public = worker.receive(&Request::get("/public").with("x-user", "mallory"));
    assert!(worker.fate(public).removes("x-user"));
}

#[test]
fn the_clients_token_does_not_reach_the_upstream_from_wherever_it_was() {
    let sources =
        json!({"policies": {"default": {"token_sources": [{"header": "X-Token"}, {"cookie": "at"}]}}});
    let mut worker = Worker::new(config(sources));
    let by_header = worker.call(&Request::get("/").with("x-token", "tok"), &active());
    assert!(by_header.removes("x-token") && by_header.header("authorization").is_some());
    let by_cookie = worker.call(&Request::get("/").with("cookie", "a=b; at=tok"), &active());
    assert_eq!(by_cookie.header("cookie").unwrap(), "a=b");
    let both = worker.receive(&Request::get("/").with("x-token", "tok").with("cookie", "at=tok"));
    assert_eq!(worker.fate(both).reason(), "several_tokens");
}

#[test]
fn the_routes_metadata_names_the_policy_where_that_is_configured() {
    let policies = json!({"policies": {"public": {"strategy": "allow"}}, "policy_from": "route_metadata"});
    let mut worker = Worker::new(config(policies));
    let public = worker.receive(&Request::get("/").on_route(Ok("public")));
    assert!(matches!(worker.fate(public), Fate::Forwarded(_)));
    let silent = worker.receive(&Request::get("/"));
    assert_eq!(worker.fate(silent).reason(), "missing_token");
    for route in [Ok("nonsense"), Err(Unreadable)] {
        let stream = worker.receive(&Request::bearer("tok").on_route(route));
        assert_eq!((worker.fate(stream).status(), worker.fate(stream).reason()), (503, "unknown_policy"));
    }
}

#[test]
fn how_and_when_a_user_was_authenticated_is_judged_at_each_request() {
    let require = json!({"acr_values": ["mfa", "hwk"], "max_age": "5m", "scopes": ["pay"]});
    let mut worker = Worker::new(config(json!({"policies": {"default": {"require": require}}})));
    let said = |acr: Value, auth_time: Value| {
        let mut reply = active();
        merge(&mut reply, json!({"scope": "pay", "acr": acr, "auth_time": auth_time}));
        reply
    };
    let now = worker.now.as_secs();
    let lacks = [
        ("a", said(json!("pwd"), json!(now)), "authentication_of_other_class"),
        ("b", said(Value::Null, json!(now)), "authentication_of_other_class"),
        ("c", said(json!(["mfa"]), json!(now)), "authentication_of_other_class"),
        ("d", said(json!("mfa"), json!(now - 300)), "authentication_too_old"),
        ("e", said(json!("mfa"), Value::Null), "authentication_too_old"),
    ];
    for (token, reply, reason) in lacks {
        let fate = worker.call(&Request::bearer(token), &reply);
        let wanted = "Bearer realm=\"api\", error=\"insufficient_user_authentication\", \
            error_description=\"the user must be authenticated otherwise, or anew\", scope=\"pay\", \
            acr_values=\"mfa hwk\", max_age=\"300\"";
        assert_eq!((fate.reason(), challenge(&fate)), (reason, (401, wanted.to_owned())), "{token}");
    }
    assert_eq!(worker.count(Counter::DeniedInsufficientUserAuthentication), 5);
    // Remembered, and by the first level, too: it passes until the moment at which it is too old.
    let good = said(json!("hwk"), json!(now - 290));
    for _ in 0..5 {
        assert!(matches!(worker.call(&Request::bearer("good"), &good), Fate::Forwarded(_)));
    }
    assert!(worker.served_again > 0, "the first level had it");
    worker.pass(secs(9));
    assert!(matches!(worker.call(&Request::bearer("good"), &good), Fate::Forwarded(_)));
    worker.pass(secs(1));
    let late = worker.receive(&Request::bearer("good"));
    assert_eq!(worker.fate(late).reason(), "authentication_too_old");
    assert!(worker.calls.is_empty(), "nobody is asked what is known");
}

#[test]
fn a_date_that_nobody_can_have_been_authenticated_at_says_nothing() {
    let require = json!({"max_age": "5m"});
    let mut worker = Worker::new(config(json!({"policies": {"default": {"require": require}}})));
    let now = worker.now.as_secs();
    for (number, (auth_time, passes)) in [
        (json!(now), true),
        // Clocks differ.
        (json!(now + 60), true),
        (json!(now + 301), false),
        (json!(now * 1000), false),
        (json!(1e300), false),
        // As Spring writes it.
        (json!("2026-11-27T17:42:09.956Z"), false),
        (json!("9999-12-31T23:59:59Z"), false),
        (json!("just now"), false),
    ]
    .into_iter()
    .enumerate()
    {
        let mut reply = active();
        merge(&mut reply, json!({"auth_time": auth_time}));
        let fate = worker.call(&Request::bearer(&format!("tok-{number}")), &reply);
        assert_eq!(matches!(fate, Fate::Forwarded(_)), passes, "{auth_time}");
    }
    let mut reply = active();
    merge(&mut reply, json!({"auth_time": "2026-11-27T17:42:09.956Z", "exp": null}));
    worker.now = UnixMillis::from_secs(1_795_801_329 + 299);
    assert!(matches!(worker.call(&Request::bearer("of-spring"), &reply), Fate::Forwarded(_)));
    worker.pass(secs(2));
    let late = worker.receive(&Request::bearer("of-spring"));
    assert_eq!(worker.fate(late).reason(), "authentication_too_old");
}

#[test]
fn envoys_own_name_of_the_route_chooses_the_policy() {
    let policies = json!({
        "policies": {"public": {"strategy": "allow"}},
        "rules": [{"match": {"route_names": ["health", "default.open.0"], "methods": ["GET"]}, "policy": "public"}]
    });
    let mut worker = Worker::new(config(policies));
    for (request, reason) in [
        (Request::get("/").on_route_named(Ok("health")), None),
        (Request::get("/").on_route_named(Ok("default.open.0")), None),
        (Request::get("/").on_route_named(Ok("Health")), Some("missing_token")),
        (Request::get("/").on_route_named(Ok("")), Some("missing_token")),
        (Request::get("/"), Some("missing_token")),
        // Which of the policies holds is not known.
        (Request::get("/").on_route_named(Err(Unreadable)), Some("unknown_policy")),
        (Request::bearer("tok").on_route_named(Err(Unreadable)), Some("unknown_policy")),
    ] {
        let stream = worker.receive(&request);
        match (worker.fate(stream), reason) {
            (Fate::Forwarded(_), None) => {}
            (fate, reason) => assert_eq!(Some(fate.reason()), reason),
        }
    }
}

#[test]
fn a_header_that_is_ours_to_write_chooses_no_policy_by_the_route_that_it_takes() {
    let with = |more: Value| {
        let mut all = json!({"policies": {
            "default": {"forward": {"claim_headers": {"x-tenant": "tenant"}}},
            "public": {"strategy": "allow"},
        }});
        merge(&mut all, more);
        Worker::new(config(all))
    };
    let reason = |worker: &mut Worker, request: Request| {
        let stream = worker.receive(&request.on_route_named(Ok("open")).on_route(Ok("public")));
        match worker.fate(stream) {
            Fate::Forwarded(_) => None,
            fate => Some((fate.status(), fate.reason())),
        }
    };
    let refused = Some((400, "claim_header_of_client"));
    let of_route = json!({"match": {"route_names": ["open"], "path_prefix": "/open"}, "policy": "public"});
    let mut by_name = with(json!({"rules": [of_route]}));
    let mut by_metadata = with(json!({"policy_from": "route_metadata"}));
    for worker in [&mut by_name, &mut by_metadata] {
        assert_eq!(reason(worker, Request::get("/open")), None);
        assert_eq!(reason(worker, Request::get("/open").with("x-tenant", "a")), refused);
        assert_eq!(reason(worker, Request::get("/open").with("x-tenant", "")), refused);
    }
    // No route has a say in the policy here.
    let elsewhere = Request::get("/").with("x-tenant", "a");
    assert_eq!(reason(&mut by_name, elsewhere), Some((401, "missing_token")));
    let mut by_path = with(json!({"rules": [{"match": {"path": "/open"}, "policy": "public"}]}));
    assert_eq!(reason(&mut by_path, Request::get("/open").with("x-tenant", "a")), None);
}

#[test]
fn where_the_name_of_the_route_chooses_no_port_does() {
    let policies = json!({
        "policies": {"public": {"strategy": "allow"}, "other": {}},
        "rules": [
            {"match": {"route_names": ["open"]}, "policy": "public"},
            {"match": {"hosts": ["other.example"]}, "policy": "other"},
        ]
    });
    let mut worker = Worker::new(config(policies));
    let at = |authority: &str, route: &str| {
        let request =
            Request::default().with(":method", "GET").with(":path", "/").with(":authority", authority);
        request.with("authorization", "Bearer tok").on_route_named(Ok(route))
    };
    // Without its port, the host might take a route that is not open.
    let fate = worker.call(&at("other.example:1", "closed"), &active());
    assert_eq!((fate.status(), fate.reason()), (400, "port_in_host"));
    assert!(matches!(worker.call(&at("other.example:1", "open"), &active()), Fate::Forwarded(_)));
    assert!(matches!(worker.call(&at("other.example", "closed"), &active()), Fate::Forwarded(_)));
}

#[test]
fn a_port_is_taken_out_where_it_decides_and_left_where_it_does_not() {
    let policies = json!({
        "policies": {"default": {"forward": {"authorization": "original"}}, "public": {"strategy": "allow"}},
        "rules": [
            {"match": {"hosts": ["public.example", "[::1]", "ports.example:8443"]}, "policy": "public"},
            {"match": {"hosts": ["same.example"]}, "policy": "default"},
        ]
    });
    let mut worker = Worker::new(config(policies));
    let mut fate = |authority: &str, token: &str| {
        let request =
            Request::default().with(":method", "GET").with(":path", "/").with(":authority", authority);
        worker.call(&request.with("authorization", format!("Bearer {token}")), &active())
    };
    for (authority, host) in
        [("public.example:1", "public.example"), ("PUBLIC.example:", "PUBLIC.example"), ("[::1]:80", "[::1]")]
    {
        assert_eq!(fate(authority, "").header(":authority").as_deref(), Some(host), "{authority}");
    }
    for authority in ["public.example", "ports.example:8443"] {
        assert_eq!(fate(authority, ""), Fate::unchanged(), "{authority}");
    }
    for authority in ["other.example:1", "same.example:1", "same.example", "ports.example:1"] {
        assert_eq!(fate(authority, "tok"), Fate::unchanged(), "{authority}");
    }
    assert_eq!(fate("public.example::1", "").reason(), "malformed_token", "two colons are no port");
}

#[test]
fn a_request_whose_port_decides_is_served_by_no_memory_of_others() {
    let policies = json!({
        "policies": {"default": {}, "other": {}},
        "rules": [{"match": {"hosts": ["api.example"]}, "policy": "other"}]
    });
    let mut worker = Worker::new(config(policies));
    let at = |authority: &str| {
        let request =
            Request::default().with(":method", "GET").with(":path", "/").with(":authority", authority);
        request.with("authorization", "Bearer tok")
    };
    for authority in ["api.example", "api.example:1"].repeat(5) {
        let fate = worker.call(&at(authority), &active());
        let host = authority.ends_with(":1").then_some("api.example");
        assert_eq!(fate.header(":authority").as_deref(), host, "{authority}");
    }
    assert!((1..5).contains(&worker.served_again), "{}: only those without a port", worker.served_again);
}

#[test]
fn where_the_route_may_name_the_policy_no_port_decides() {
    let policies = json!({
        "policies": {"public": {"strategy": "allow"}},
        "rules": [{"match": {"hosts": ["public.example"]}, "policy": "public"}],
        "policy_from": "route_metadata"
    });
    let mut worker = Worker::new(config(policies));
    let at =
        Request::default().with(":method", "GET").with(":path", "/").with(":authority", "public.example:1");
    let stream = worker.receive(&at);
    assert_eq!((worker.fate(stream).status(), worker.fate(stream).reason()), (400, "port_in_host"));
    let named = worker.receive(&at.on_route(Ok("public")));
    assert_eq!(worker.fate(named), Fate::unchanged(), "the route says so itself");
}

/// The challenge of a refusal, which says of the rest what the reason word does.
fn challenge(fate: &Fate) -> (u16, String) {
    let Fate::Answered(answer) = fate else { panic!("forwarded: {fate:?}") };
    let challenge = answer.headers.iter().find(|(name, _)| *name == "www-authenticate");
    (answer.status, challenge.expect("a challenge").1.clone())
}

#[test]
fn a_challenge_names_all_scopes_that_the_policy_needs() {
    let require =
        json!({"scopes": ["read", "admin"], "any_scope": ["eu", "us", "read"], "client_ids": ["app"]});
    let short =
        json!({"challenge": {"error_description": false}, "policies": {"default": {"require": require}}});
    let mut worker = Worker::new(config(short));
    let scopes = "scope=\"read admin eu us\"";
    let missing = worker.call(&Request::get("/"), &active());
    assert_eq!(challenge(&missing), (401, format!("Bearer realm=\"api\", {scopes}")));
    let inactive = worker.call(&Request::bearer("a"), &inactive());
    assert_eq!(
        challenge(&inactive),
        (401, format!("Bearer realm=\"api\", error=\"invalid_token\", {scopes}"))
    );
    let malformed = worker.call(&Request::bearer("a b"), &active());
    assert_eq!(
        challenge(&malformed),
        (401, format!("Bearer realm=\"api\", error=\"invalid_token\", {scopes}"))
    );
    let higher = format!("Bearer realm=\"api\", error=\"insufficient_scope\", {scopes}");
    assert_eq!(challenge(&worker.call(&Request::bearer("b"), &active())), (403, higher.clone()));
    let mut of_other_client = active();
    of_other_client["client_id"] = json!("web");
    let other = worker.call(&Request::bearer("c"), &of_other_client);
    assert_eq!((challenge(&other), other.reason()), ((403, higher), "token_of_other_client"));
    let Fate::Answered(answer) = other else { panic!() };
    assert_eq!((answer.grpc_status, answer.grpc_message), (7, "insufficient_scope"));
    assert_eq!(worker.count(Counter::DeniedInsufficientScope), 2);
    assert_eq!(worker.count(Counter::DeniedInvalidToken), 2);
}

#[test]
fn a_challenge_is_bounded() {
    let scopes: Vec<String> = (0..1000).map(|number| format!("https://api.example/scope/{number}")).collect();
    let mut worker = Worker::new(config(json!({"policies": {"default": {"require": {"scopes": scopes}}}})));
    let stream = worker.receive(&Request::get("/"));
    assert_eq!(challenge(&worker.fate(stream)), (401, "Bearer realm=\"api\"".to_owned()));
}

#[test]
fn what_is_empty_is_as_good_as_absent() {
    let sources = json!(["authorization_header", {"header": "x-access-token"}, {"cookie": "at"}]);
    let policies = json!({"policies": {"default": {"token_sources": sources}}});
    let mut worker = Worker::new(config(policies));
    for empty in [
        Request::get("/").with("cookie", "at="),
        Request::get("/").with("cookie", "at=\"\"; a=b").with("cookie", "at="),
        Request::get("/").with("x-access-token", ""),
        Request::get("/").with("x-access-token", " \t").with("x-access-token", ""),
        Request::get("/").with("authorization", ""),
    ] {
        let stream = worker.receive(&empty);
        assert_eq!((worker.fate(stream).status(), worker.fate(stream).reason()), (401, "missing_token"));
        let fate = worker.call(&empty.with("x-access-token", "tok"), &active());
        assert!(fate.removes("x-access-token") && fate.header("authorization").is_some());
        assert!(!fate.header("cookie").unwrap_or_default().contains("at="));
    }
}

#[test]
fn a_preflight_passes_unjudged_where_that_is_allowed_and_without_any_trace_of_a_token() {
    let policy = json!({
        "allow_preflight": true,
        "token_sources": ["authorization_header", {"header": "x-access-token"}],
        "forward": {"claim_headers": {"x-user": "sub"}}
    });
    let mut worker = Worker::new(config(json!({"policies": {"default": policy, "strict": {}},
        "rules": [{"match": {"path": "/strict"}, "policy": "strict"}]})));
    let options = |path: &str| {
        Request::default().with(":method", "OPTIONS").with(":path", path).with(":authority", "api.example")
    };
    let preflight = |path: &str| {
        options(path).with("origin", "https://app.example").with("access-control-request-method", "PUT")
    };
    for request in
        [preflight("/"), preflight("/").with("authorization", "Bearer bad b").with("x-user", "root")]
    {
        let fate = worker.receive(&request);
        let fate = worker.fate(fate);
        for header in ["authorization", "x-access-token", "x-user"] {
            assert!(fate.removes(header), "{header}: {fate:?}");
        }
    }
    for other in [
        preflight("/strict"),
        options("/"),
        options("/").with("origin", "https://app.example"),
        options("/").with("access-control-request-method", "PUT"),
        options("/").with("origin", "").with("access-control-request-method", "PUT"),
        preflight("/").with("x-http-method-override", "DELETE"),
        preflight("/").with("content-length", "5"),
        Request::get("/").with("origin", "https://app.example").with("access-control-request-method", "PUT"),
    ] {
        let stream = worker.receive(&other);
        assert_eq!(worker.fate(stream).reason(), "missing_token");
    }
    worker.give_turns();
    assert!(worker.calls.is_empty());
}

#[test]
fn a_bad_token_passes_as_none_where_that_is_allowed() {
    for authorization in ["jwt", "original", "remove"] {
        let policy = json!({
            "allow_missing": "missing_or_invalid",
            "token_sources": ["authorization_header", {"header": "x-access-token"}],
            "require": {"scopes": ["read"], "audiences": ["https://api.example"]},
            "forward": {"authorization": authorization, "claim_headers": {"x-user": "sub"}}
        });
        let mut worker = Worker::new(config(json!({"policies": {"default": policy}})));
        let anonymous = |fate: &Fate| {
            ["authorization", "x-access-token", "x-user"].iter().all(|header| fate.removes(header))
        };
        assert!(anonymous(&worker.call(&Request::get("/"), &active())));
        assert!(anonymous(&worker.call(&Request::bearer("a b"), &active())));
        assert!(anonymous(&worker.call(&Request::bearer("bad"), &inactive())));
        assert!(anonymous(&worker.call(&Request::bearer("bad"), &inactive())), "remembered");
        assert!(anonymous(&worker.call(&Request::get("/").with("x-access-token", "worse"), &inactive())));
        let mut other = active();
        other["aud"] = json!("https://other.example");
        assert!(anonymous(&worker.call(&Request::bearer("for-others"), &other)));

        assert_eq!(worker.call(&Request::bearer("good"), &active()).header("x-user").unwrap(), "alice");
        let mut less = active();
        less["scope"] = json!("write");
        assert_eq!(worker.call(&Request::bearer("less"), &less).status(), 403, "it is a good one");
        let two = Request::bearer("a").with("x-access-token", "b");
        assert_eq!(worker.call(&two, &active()).status(), 400, "which of them is not known");
        let down = worker.receive(&Request::bearer("unknown"));
        worker.fail_call();
        assert_eq!(worker.fate(down).status(), 503, "nobody knows whether it is bad");
    }
}

#[test]
fn a_phantom_token_is_no_access_token_and_nobody_is_asked_about_it() {
    for (alg, key) in [
        ("ES256", include_str!("../keys/ec256.pem").to_owned()),
        ("ES384", include_str!("../keys/ec384.pem").to_owned()),
        ("RS256", include_str!("../keys/rsa2048.pem").to_owned()),
        ("EdDSA", include_str!("../keys/ed25519.pem").to_owned()),
        ("HS256", r#"{"kty":"oct","k":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}"#.to_owned()),
    ] {
        let keys = json!([{"kid": "k", "alg": alg, "private_key": {"inline": key}}]);
        let mut worker = Worker::new(config(json!({"phantom_token": {"signing_keys": keys}})));
        let ours = worker.call(&Request::bearer("tok"), &active()).jwt();
        let stream = worker.receive(&Request::bearer(&ours));
        assert_eq!((worker.fate(stream).status(), worker.fate(stream).reason()), (401, "own_jwt"), "{alg}");
        worker.give_turns();
        assert!(worker.calls.is_empty(), "{alg}");
        let (signed, signature) = ours.rsplit_once('.').unwrap();
        let other = if signature.starts_with('A') { "B" } else { "A" };
        let forged = worker.receive(&Request::bearer(&format!("{signed}.{other}{}", &signature[1..])));
        assert!(worker.is_waiting(forged), "{alg}: one that only says so is judged as any other");
    }
}
