//! `explain`: the filter's own judgement of a request, without an Envoy.

use crate::run::{Said, tool};

const BOOTSTRAP: &str = include_str!("bootstrap.yaml");

/// What is said of a request, with files of claims and replies beside the bootstrap.
fn explain(arguments: &[&str], files: &[(&str, &str)]) -> Said {
    explain_by(BOOTSTRAP, arguments, files)
}

fn explain_by(bootstrap: &str, arguments: &[&str], files: &[(&str, &str)]) -> Said {
    let arguments = [&["explain", "envoy.yaml"], arguments].concat();
    tool(&arguments, &[&[("envoy.yaml", bootstrap)], files].concat())
}

/// Every one of these stands in what is said.
fn says(said: &Said, parts: &[&str]) {
    assert_eq!(said.code, 0, "{said:?}");
    for part in parts {
        assert!(said.text.contains(part), "{part:?} is not in\n{}", said.text);
    }
}

#[test]
fn the_policy_is_said_with_the_line_of_its_rule() {
    let line = BOOTSTRAP.lines().position(|line| line.contains("path: /healthz")).unwrap() + 1;
    let rule = format!("policy    public (rules[0] at envoy.yaml:{line}:");
    says(&explain(&["GET", "/healthz"], &[]), &[&rule, "forwarded as it came"]);
    says(&explain(&["GET", "/other"], &[]), &["policy    default (the default: no rule holds)"]);
}

#[test]
fn an_answer_of_envoys_that_the_filter_never_asks_for_is_said_to_change_nothing() {
    let said = explain(&["GET", "/", "--route-policy", "public"], &[]);
    says(&said, &["--route-policy changes nothing: policy_from is not route_metadata", "policy    default"]);
    let said = explain(&["GET", "/", "--route", "status"], &[]);
    says(&said, &["--route changes nothing: the policy is known without the route's name"]);
}

#[test]
fn without_a_token_it_says_what_is_needed_and_what_the_client_gets() {
    let said = explain(&["GET", "https://api.example/accounts"], &[]);
    says(&said, &["all of the scopes read", "answered  401, missing_token", "www-authenticate: Bearer"]);
}

#[test]
fn with_a_token_of_which_nothing_is_known_it_says_who_is_asked() {
    let said = explain(&["GET", "/", "--header", "Authorization: Bearer opaque"], &[]);
    says(
        &said,
        &[
            "POST /token/introspection of as.example in the cluster authorization_server",
            "the answer decides",
        ],
    );
    assert!(!said.text.contains("forwarded"), "{}", said.text);
}

#[test]
fn a_token_by_its_claims_is_judged_and_the_edits_are_shown() {
    let claims = r#"{"sub": "alice", "client_id": "app", "scope": "read", "iss": "https://as.example"}"#;
    let said = explain(&["GET", "/", "--claims", "claims.json"], &[("claims.json", claims)]);
    says(
        &said,
        &[
            "asks      POST /token/introspection",
            "forwarded with",
            "authorization: Bearer JWT of {",
            "\"sub\":\"alice\"",
        ],
    );
    let poor = claims.replace("read", "write");
    let said = explain(&["GET", "/", "--claims", "claims.json"], &[("claims.json", &poor)]);
    says(&said, &["answered  403, insufficient_scope"]);
}

#[test]
fn a_recorded_reply_is_judged_as_it_came() {
    for (reply, outcome) in [
        (r#"{"active": false}"#, "401, token_inactive"),
        (r#"{"active": true, "scope": "read", "exp": 1000000000}"#, "401, token_expired"),
        (
            r#"{"active": true, "scope": "read", "iss": "https://other.example"}"#,
            "401, token_of_other_issuer",
        ),
        (r#"{"active": "true"}"#, "503, introspection_without_active"),
        ("<html>", "503, "),
    ] {
        let said = explain(&["GET", "/", "--reply", "reply.json"], &[("reply.json", reply)]);
        says(&said, &[&format!("answered  {outcome}")]);
    }
}

#[test]
fn a_jwt_is_made_of_claims_where_a_policy_validates_one() {
    let claims = r#"{"sub": "alice", "client_id": "app", "aud": "https://api.example"}"#;
    let ask =
        |claims: &str| explain(&["GET", "/jwt/1", "--claims", "claims.json"], &[("claims.json", claims)]);
    says(&ask(claims), &["asks      GET /jwks of as.example", "forwarded as it came"]);
    says(&ask(&claims.replace("api.", "another.")), &["answered  401, token_for_other_audience"]);
    says(&ask(r#"{"aud": "https://api.example", "exp": 1}"#), &["answered  401, "]);
}

#[test]
fn signals_and_published_keys_fall_under_no_policy() {
    says(
        &explain(&["GET", "/.well-known/jwks.json"], &[]),
        &["the filter's own paths", "answered  200, jwks"],
    );
    says(
        &explain(&["POST", "/revocations"], &[]),
        &["the filter's own paths", "answered  401, signal_not_authenticated"],
    );
}

#[test]
fn a_route_may_name_the_policy() {
    let by_route = BOOTSTRAP.replace(
        "                    rules:",
        "                    policy_from: route_metadata\n                    rules:",
    );
    let said = explain_by(&by_route, &["GET", "/", "--route-policy", "public"], &[]);
    says(&said, &["policy    public (named by the route)"]);
    assert!(!said.text.contains("changes nothing"), "{}", said.text);
    let by_name = BOOTSTRAP.replace("{path: /healthz}", "{route_names: [health]}");
    says(&explain_by(&by_name, &["GET", "/", "--route", "health"], &[]), &["policy    public (rules[0]"]);
}

#[test]
fn a_path_that_envoy_may_change_is_noted() {
    let note = "note      Envoy may bring this path to another form";
    for path in ["/a/../healthz", "/healthz/..", "/./healthz", "//healthz", "/%68ealthz"] {
        says(&explain(&["GET", path], &[]), &[note]);
    }
    let said = explain(&["GET", "/healthz?next=//a/../b%20c"], &[]);
    assert!(!said.text.contains("note"), "a query stays as it is: {}", said.text);
}

#[test]
fn a_url_in_a_query_is_not_where_the_request_goes() {
    let default = ["policy    default (the default: no rule holds)"];
    for url in [
        "/other?next=https://app.example/healthz",
        "https://api.example/other?next=/healthz",
        "https://api.example?next=/healthz",
        "http://api.example#/healthz",
    ] {
        says(&explain(&["GET", url], &[]), &default);
    }
    let health = ["policy    public (rules[0]"];
    for url in ["/healthz?from=/other", "https://api.example/healthz#top"] {
        says(&explain(&["GET", url], &[]), &health);
    }
}

#[test]
fn what_is_neither_a_url_nor_a_path_is_no_question() {
    // Of the first nobody can tell whether it is a host or a path.
    for url in [
        "healthz",
        "api.example/healthz",
        "ftp://api.example/",
        "https:///healthz",
        "https://me@api.example/",
        "",
    ] {
        let said = explain(&["GET", url], &[]);
        assert_eq!(said.code, 2, "{url}: {said:?}");
        assert!(said.errors.contains("expected https://HOST/PATH or /PATH"), "{said:?}");
    }
}

#[test]
fn a_configuration_that_is_wrong_is_said_to_be_and_a_question_that_is_none_too() {
    let wrong = BOOTSTRAP.replace("timeout: 2s", "timeout: 2");
    let said = explain_by(&wrong, &["GET", "/"], &[]);
    assert_eq!(said.code, 1);
    assert!(said.text.contains("providers.main.introspection.timeout"), "{}", said.text);
    assert_eq!(explain(&["GET", "/", "--claims", "nowhere.json"], &[]).code, 2);
    assert_eq!(explain(&["GET", "/", "--header", "no-colon"], &[]).code, 2);
}

#[test]
fn no_token_of_a_client_is_shown() {
    let claims = r#"{"sub": "alice", "scope": "read"}"#;
    let said = explain(
        &["GET", "/", "--claims", "claims.json", "--header", "authorization: Bearer a-clients-own-token"],
        &[("claims.json", claims)],
    );
    says(&said, &["forwarded with"]);
    assert!(!said.text.contains("a-clients-own-token"), "{}", said.text);
}

#[test]
fn where_endpoints_are_found_by_discovery_they_are_called_as_they_are_there() {
    let bootstrap = BOOTSTRAP.replace("                          path: /token/introspection\n", "").replace(
        "jwks: {cluster: authorization_server, path: /jwks}",
        "discovery: {cluster: authorization_server}",
    );
    assert_ne!(bootstrap, BOOTSTRAP);
    let said = explain_by(&bootstrap, &["GET", "/", "--header", "Authorization: Bearer opaque"], &[]);
    says(&said, &["GET /.well-known/oauth-authorization-server of as.example", "the answer decides"]);
    let claims = r#"{"sub": "alice", "client_id": "app", "scope": "read", "iss": "https://as.example"}"#;
    let said = explain_by(&bootstrap, &["GET", "/", "--claims", "claims.json"], &[("claims.json", claims)]);
    says(
        &said,
        &[
            "asks      GET /.well-known/oauth-authorization-server of as.example",
            "asks      POST /introspection_endpoint of as.example:443 in the cluster authorization_server",
            "forwarded with",
        ],
    );
}
