//! Replies of authorization servers that are not quite what the RFCs want, and what operators get to know of them.

use std::time::Duration;

use phantom_token_filter::metrics::Counter;
use serde_json::{Value, json};

use crate::support::{Fate, Request, START, Worker, active, config, inactive, log, merge};

/// A worker whose one provider has this name, so that its lines in the log can be told from others.
fn worker(provider: &str, patch: Value) -> Worker {
    log::keep();
    let mut full = config(json!({"policies": {"default": {"provider": provider}}}));
    merge(&mut full, patch);
    let main = full["providers"]["main"].take();
    full["providers"] = json!({ provider: main });
    Worker::new(full)
}

fn ask(worker: &mut Worker, token: &str, body: &Value) -> Fate {
    worker.call(&Request::bearer(token), body)
}

fn lines(provider: &str, part: &str) -> Vec<String> {
    log::about(provider).into_iter().filter(|line| line.contains(part)).collect()
}

#[test]
fn every_call_asks_for_a_body_without_coding() {
    let mut full = config(
        json!({"providers": {"main": {"issuer": "https://as.example", "jwks": {"cluster": "as", "path": "/jwks"}}},
        "policies": {"default": {"strategy": "auto"}}, "revocation": {"security_events": {"provider": "main", "audiences": ["a"],
        "issuer": "https://as.example", "poll": {"cluster": "as", "path": "/poll"}}}}),
    );
    full["providers"]["main"]["introspection"]["retries"] = json!(0);
    let mut worker = Worker::new(full);
    worker.start().receive(&Request::bearer("tok"));
    worker.give_turns();
    assert_eq!(worker.called().len(), 3, "{:?}", worker.called());
    for (_, call) in &worker.calls {
        let coding: Vec<_> = call.headers.iter().filter(|(name, _)| name == "accept-encoding").collect();
        assert_eq!(coding, [&("accept-encoding".to_owned(), "identity".to_owned())], "{:?}", call.headers);
    }
}

#[test]
fn a_coded_reply_is_refused_and_its_coding_named() {
    for (coding, named) in [("gzip", "gzip"), ("BR", "br"), ("zstd", "zstd"), ("x-snappy\n", "another")] {
        let provider = format!("coded-{named}");
        let mut worker = worker(&provider, json!({}));
        let stream = worker.receive(&Request::bearer("tok"));
        worker.answer_coded(coding, b"\x1f\x8b\x08\0");
        assert_eq!(worker.fate(stream).reason(), "introspection_coded");
        assert!(
            lines(&provider, &format!("in the content coding {named}")).len() == 1,
            "{:?}",
            log::about(&provider)
        );
    }
    let mut worker = worker("coded-not", json!({}));
    let stream = worker.receive(&Request::bearer("tok"));
    worker.answer_coded("Identity", active().to_string().as_bytes());
    assert!(matches!(worker.fate(stream), Fate::Forwarded(_)));
}

#[test]
fn a_byte_order_mark_a_charset_and_201_do_no_harm() {
    let good = active().to_string();
    let with_mark = format!("\u{feff}{good}");
    for (status, content_type, body, reason) in [
        (200, "application/json", &with_mark, None),
        (200, "application/json;charset=UTF-8", &good, None),
        (200, "application/json; charset=ISO-8859-1", &good, None),
        (201, "application/json", &good, None),
        (201, "text/html", &good, Some("introspection_content_type")),
        (202, "application/json", &good, Some("introspection_status")),
        (200, "application/json", &format!("\u{feff}\u{feff}{good}"), Some("introspection_not_json")),
    ] {
        let mut worker = worker("forms", json!({}));
        let stream = worker.receive(&Request::bearer("tok"));
        worker.answer_with(status, content_type, body.as_bytes());
        match reason {
            None => assert!(matches!(worker.fate(stream), Fate::Forwarded(_)), "{status} {content_type}"),
            Some(reason) => assert_eq!(worker.fate(stream).reason(), reason),
        }
    }
}

#[test]
fn an_active_token_whose_end_has_passed_is_expired_and_the_clock_is_named() {
    let mut worker = worker("late", json!({}));
    let late = json!({"active": true, "sub": "alice", "exp": START.as_secs() - 60});
    assert_eq!(ask(&mut worker, "a", &late).reason(), "token_expired");
    // Remembered, with its reason.
    let again = worker.receive(&Request::bearer("a"));
    assert_eq!(worker.fate(again).reason(), "token_expired");
    assert_eq!(ask(&mut worker, "b", &late).reason(), "token_expired");
    let counted = [Counter::IntrospectionExpired, Counter::IntrospectionInactive, Counter::CacheNegativeHit];
    assert_eq!(counted.map(|counter| worker.count(counter)), [2, 0, 1]);
    assert_eq!(lines("late", "one of the two clocks is wrong").len(), 1);
    assert_eq!(ask(&mut worker, "c", &inactive()).reason(), "token_inactive");
}

#[test]
fn a_lifetime_in_the_place_of_a_date_is_named() {
    let mut worker = worker("lifetime", json!({}));
    assert_eq!(
        ask(&mut worker, "a", &json!({"active": true, "sub": "alice", "exp": 7200})).reason(),
        "token_expired"
    );
    let said = lines("lifetime", "looks like a lifetime");
    assert_eq!(said.len(), 1);
    assert!(!said[0].contains("7200"), "no claim in a log: {said:?}");
}

/// A call of the worker for a new token is answered so.
fn answer(worker: &mut Worker, token: usize, status: u16, content_type: &str, body: &str) -> Option<Fate> {
    let stream = worker.receive(&Request::bearer(&format!("t{token}")));
    worker.give_turns();
    if worker.calls.is_empty() {
        assert!(!worker.is_waiting(stream));
        return None;
    }
    worker.answer_with(status, content_type, body.as_bytes());
    Some(worker.fate(stream))
}

#[test]
fn a_server_whose_answers_are_of_no_use_is_asked_less_and_the_log_stays_short() {
    for (provider, status, content_type, body, reason) in [
        (
            "refuses",
            401,
            "application/json",
            r#"{"error":"invalid_client"}"#,
            "introspection_credentials_refused",
        ),
        ("forbids", 403, "text/html", "<html>", "introspection_credentials_refused"),
        ("html", 200, "text/html", "<html>", "introspection_content_type"),
        ("bad-json", 200, "application/json", "{", "introspection_not_json"),
        ("no-active", 200, "application/json", "{}", "introspection_without_active"),
    ] {
        let mut worker = worker(provider, json!({"cache": {"stale_if_error": "1h"}}));
        let mut asked = 0;
        for token in 0..1000 {
            worker.pass(Duration::from_millis(10));
            asked += u32::from(answer(&mut worker, token, status, content_type, body).is_some());
            let last = &worker.fates.last().unwrap().1;
            assert_eq!((last.reason(), last.status()), (reason, 503), "also while calls are held back");
        }
        assert!((5..200).contains(&asked), "{provider}: asked {asked} times in 10 s");
        let said = log::about(provider);
        assert!(said.len() <= 3, "{said:#?}");
        worker.pass(Duration::from_secs(60));
        answer(&mut worker, 2000, status, content_type, body);
        let counted = lines(provider, "more of the same");
        assert_eq!(
            counted.iter().filter(|line| line.contains("introspection of")).count(),
            1,
            "{counted:#?}"
        );
        worker.pass(Duration::from_secs(60));
        let good = answer(&mut worker, 3000, 200, "application/json", &active().to_string());
        assert!(matches!(good, Some(Fate::Forwarded(_))));
        assert_eq!(lines(provider, "answers again, after").len(), 1);
        // And at once for whoever comes then.
        assert!(answer(&mut worker, 3001, 200, "application/json", &active().to_string()).is_some());
        assert_eq!(lines(provider, "answers again, after").len(), 1);
    }
}

#[test]
fn what_one_token_brings_about_holds_no_other_back() {
    let mut worker = worker("one-token", json!({}));
    for token in 0..50 {
        let fate = answer(&mut worker, token, 400, "application/json", r#"{"error":"invalid_request"}"#);
        assert_eq!(fate.expect("a call").reason(), "introspection_status");
    }
    assert!(matches!(
        answer(&mut worker, 99, 200, "application/json", &active().to_string()),
        Some(Fate::Forwarded(_))
    ));
}

#[test]
fn what_a_403_says_is_in_the_log() {
    let mut worker = worker("https-wanted", json!({}));
    let body = r#"{"error":"invalid_request","error_description":"HTTPS required"}"#;
    answer(&mut worker, 1, 403, "application/json", body);
    let said = lines("https-wanted", r#"(it says "invalid_request", "HTTPS required")"#);
    assert_eq!(said.len(), 1, "{:?}", log::about("https-wanted"));
    assert!(said[0].starts_with("ERROR "), "{said:?}");
}

#[test]
fn a_provider_that_calls_all_tokens_inactive_is_named_once() {
    let mut worker = worker("deaf", json!({}));
    for token in 0..30 {
        assert_eq!(ask(&mut worker, &format!("t{token}"), &inactive()).reason(), "token_inactive");
    }
    assert_eq!(lines("deaf", "the first 10 tokens were all called inactive").len(), 1);
    assert_eq!(log::about("deaf").len(), 1);
}

#[test]
fn a_provider_with_one_good_token_among_the_first_is_not_named() {
    let mut worker = worker("hears", json!({}));
    for token in 0..30 {
        ask(&mut worker, &format!("t{token}"), &if token == 8 { active() } else { inactive() });
    }
    assert_eq!(log::about("hears"), Vec::<String>::new());
}

#[test]
fn an_issuer_that_is_off_by_a_slash_is_named_with_both_values() {
    let patch = json!({"providers": {"main": {"issuer": "https://as.example"}}});
    let mut worker = worker("slash", patch);
    let mut reply = active();
    reply["iss"] = json!("https://as.example/");
    for token in 0..3 {
        assert_eq!(ask(&mut worker, &format!("t{token}"), &reply).reason(), "token_of_other_issuer");
    }
    let said = log::about("slash");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].contains("\"https://as.example/\"") && said[0].contains("\"https://as.example\""),
        "{said:?}"
    );
}

#[test]
fn an_issuer_that_is_off_is_named_though_an_old_token_came_before() {
    let provider = "issuer-after-an-old-token";
    let mut worker = worker(provider, json!({"providers": {"main": {"issuer": "https://as.example/"}}}));
    ask(&mut worker, "old", &inactive());
    let mut reply = active();
    merge(&mut reply, json!({"iss": "https://as.example"}));
    for token in ["one", "two"] {
        assert_eq!(ask(&mut worker, token, &reply).reason(), "token_of_other_issuer");
    }
    assert_eq!(lines(provider, "copy it").len(), 1);
}

#[test]
fn a_provider_whose_tokens_are_all_refused_for_one_reason_is_named_with_it() {
    for (provider, require, reason) in [
        ("other-audience", json!({"audiences": ["https://other.example"]}), "token_for_other_audience"),
        ("other-type", json!({"token_types": ["dpop"]}), "token_of_other_type"),
    ] {
        let mut worker = worker(provider, json!({"policies": {"default": {"require": require}}}));
        for token in 0..12 {
            assert_eq!(ask(&mut worker, &format!("t{token}"), &active()).reason(), reason);
        }
        assert_eq!(log::about(provider).len(), 1);
        assert_eq!(
            lines(provider, &format!("the first 10 tokens were all refused for one reason: {reason}")).len(),
            1
        );
    }
}

#[test]
fn a_jwt_without_audience_is_warned_of_once() {
    let mut silent = worker("audience", json!({"phantom_token": {"audiences": ["https://api.example"]}}));
    let mut worker = worker("no-audience", json!({}));
    for token in 0..3 {
        let reply = json!({"active": true, "sub": "alice", "aud": []});
        for worker in [&mut worker, &mut silent] {
            assert!(matches!(ask(worker, &format!("t{token}"), &reply), Fate::Forwarded(_)));
        }
    }
    assert_eq!(lines("no-audience", "`phantom_token.audiences`").len(), 1);
    assert_eq!(log::about("audience"), Vec::<String>::new());
}

#[test]
fn a_verdict_that_is_too_long_to_be_kept_is_counted_and_said_once() {
    let mut worker = worker("long", json!({}));
    let mut reply = active();
    reply["roles"] = json!(vec!["a role with a long name"; 1000]);
    for _ in 0..2 {
        assert!(matches!(ask(&mut worker, "tok", &reply), Fate::Forwarded(_)));
    }
    assert_eq!((worker.count(Counter::CacheOversized), worker.count(Counter::CacheMiss)), (2, 2));
    assert_eq!(lines("long", "is not remembered").len(), 1);
}

#[test]
fn a_token_that_is_too_long_has_its_own_reason_is_counted_and_said_once() {
    let mut worker = worker("max-length", json!({}));
    for _ in 0..3 {
        let stream = worker.receive(&Request::bearer(&"x".repeat(8193)));
        let fate = worker.fate(stream);
        assert_eq!((fate.status(), fate.reason()), (401, "token_too_long"));
        let Fate::Answered(answer) = fate else { panic!("forwarded") };
        assert!(answer.body.contains("longer than is accepted here"), "{answer:?}");
    }
    assert_eq!(worker.count(Counter::DeniedInvalidToken), 3);
    assert_eq!(lines("max-length", "`token_format.max_length` (8192 bytes)").len(), 1);
}

#[test]
fn a_required_scope_or_claim_that_no_token_of_a_server_has_is_named_once() {
    let scopes = json!({"scopes": ["read"]});
    let roles = json!({"claims": {"roles": ["admin"], "sub": ["alice"]}});
    let without = |name: &str| {
        let mut reply = active();
        reply.as_object_mut().unwrap().remove(name);
        reply
    };
    for (provider, require, reply, reason, said) in [
        ("no-scopes", &scopes, without("scope"), "insufficient_scope", "names any scope"),
        (
            "any-scope",
            &json!({"any_scope": ["a", "b"]}),
            without("scope"),
            "insufficient_scope",
            "names any scope",
        ),
        ("no-roles", &roles, active(), "token_lacks_claim", "has the claim \"roles\""),
    ] {
        let mut worker = worker(provider, json!({"policies": {"default": {"require": require}}}));
        for token in 0..25 {
            assert_eq!(lines(provider, said).len(), usize::from(token >= 10), "{provider} {token}");
            assert_eq!(ask(&mut worker, &format!("t{token}"), &reply).reason(), reason, "{provider}");
        }
        assert!(lines(provider, "policy \"default\"").len() == 1, "{:?}", log::about(provider));
        assert_eq!(log::about(provider).len(), 1);
    }
}

#[test]
fn a_required_scope_or_claim_that_only_some_tokens_lack_is_nothing_to_warn_of() {
    for (provider, require, lacking) in [
        ("some-scopes", json!({"scopes": ["pay"]}), json!({"scope": null})),
        ("some-roles", json!({"claims": {"roles": ["admin"]}}), json!({"roles": null})),
    ] {
        let mut worker = worker(provider, json!({"policies": {"default": {"require": require}}}));
        for token in 0..30 {
            // The fifth has one, though not this one.
            let mut reply = active();
            merge(&mut reply, json!({"roles": ["user"], "scope": "read"}));
            if token != 5 {
                merge(&mut reply, lacking.clone());
            }
            assert!(ask(&mut worker, &format!("t{token}"), &reply).status() == 403);
        }
        assert_eq!(log::about(provider), Vec::<String>::new());
    }
}
