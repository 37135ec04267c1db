//! The life of requests through one or several workers, event by event, with a clock that stands still.

use std::rc::Rc;
use std::time::Duration;

use phantom_token_filter::metrics::Counter;
use serde_json::json;

use crate::support::rustcrypto::NoSignatures;
use crate::support::{Fate, Map, Request, START, Worker, active, config, inactive, part};

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[test]
fn a_new_token_is_asked_about_and_the_request_goes_on_with_a_jwt() {
    let mut worker = Worker::new(config(json!({})));
    let stream = worker.receive(&Request::bearer("tok"));
    assert!(worker.is_waiting(stream));
    worker.give_turns();
    let (_, call) = &worker.calls[0];
    assert_eq!(call.cluster, "as");
    assert_eq!(String::from_utf8_lossy(&call.body), "token=tok&token_type_hint=access_token");
    worker.answer(&active());
    let claims = worker.fate(stream).claims();
    assert_eq!(claims["sub"], "alice");
    assert_eq!(claims["iss"], "https://gateway.example");
    assert_eq!(part(&worker.fate(stream).jwt(), 0), json!({"alg": "ES256", "kid": "k1", "typ": "at+jwt"}));
}

#[test]
fn the_second_request_is_answered_from_the_cache() {
    let mut worker = Worker::new(config(json!({})));
    let first = worker.call(&Request::bearer("tok"), &active());
    let second = worker.receive(&Request::bearer("tok"));
    assert_eq!(worker.fate(second), first);
    assert_eq!((worker.count(Counter::CacheMiss), worker.count(Counter::CacheHit)), (1, 1));
    assert_eq!(worker.count(Counter::JwtMinted), 1);
}

#[test]
fn another_worker_finds_the_verdict_too() {
    let mut one = Worker::new(config(json!({})));
    one.call(&Request::bearer("tok"), &active());
    let mut two = Worker::sharing(config(json!({})), one.shared.clone());
    let stream = two.receive(&Request::bearer("tok"));
    assert_eq!(two.fate(stream).claims()["sub"], "alice");
}

#[test]
fn requests_for_one_token_share_one_call() {
    for (body, status) in [(active(), None), (inactive(), Some(401))] {
        let mut worker = Worker::new(config(json!({})));
        let streams: Vec<_> = (0..3_000).map(|_| worker.receive(&Request::bearer("tok"))).collect();
        worker.give_turns();
        assert_eq!(worker.calls.len(), 1);
        worker.answer(&body);
        for stream in streams {
            match status {
                None => assert!(matches!(worker.fate(stream), Fate::Forwarded(_))),
                Some(status) => assert_eq!(worker.fate(stream).status(), status),
            }
        }
        assert_eq!((worker.count(Counter::CacheMiss), worker.count(Counter::CacheCoalesced)), (1, 2_999));
        assert!(worker.count(Counter::JwtMinted) <= 1);
    }
}

#[test]
fn a_client_that_leaves_takes_nobody_elses_answer_with_it() {
    let mut worker = Worker::new(config(json!({})));
    let first = worker.receive(&Request::bearer("tok"));
    worker.give_turns();
    let second = worker.receive(&Request::bearer("tok"));
    worker.hang_up(first);
    worker.answer(&active());
    assert!(matches!(worker.fate(second), Fate::Forwarded(_)));
    assert!(!worker.fates.iter().any(|(stream, _)| *stream == first));
}

#[test]
fn a_call_that_nobody_waits_for_any_more_is_not_sent() {
    let mut worker = Worker::new(config(json!({})));
    let stream = worker.receive(&Request::bearer("tok"));
    worker.hang_up(stream);
    worker.give_turns();
    assert!(worker.calls.is_empty());
    // And its place is free again.
    let stream = worker.receive(&Request::bearer("tok"));
    worker.answer(&active());
    assert!(matches!(worker.fate(stream), Fate::Forwarded(_)));
}

#[test]
fn an_inactive_token_is_remembered_for_negative_ttl_only() {
    let mut worker = Worker::new(config(json!({"cache": {"negative_ttl": "10s"}})));
    assert_eq!(worker.call(&Request::bearer("tok"), &inactive()).reason(), "token_inactive");
    worker.pass(secs(9));
    let remembered = worker.receive(&Request::bearer("tok"));
    assert_eq!(worker.fate(remembered).status(), 401);
    worker.pass(secs(1));
    assert!(matches!(worker.call(&Request::bearer("tok"), &active()), Fate::Forwarded(_)));
}

#[test]
fn a_verdict_is_not_used_past_cache_ttl() {
    let mut worker = Worker::new(config(json!({"policies": {"default": {"cache_ttl": "60s"}}})));
    let stream = worker.receive(&Request::bearer("tok"));
    worker.give_turns();
    // It counts from when it was asked for, not from when the answer came.
    worker.pass(secs(2)).answer(&active());
    assert!(matches!(worker.fate(stream), Fate::Forwarded(_)));
    let at = |worker: &mut Worker, seconds: u64| {
        worker.now = START.plus(secs(seconds));
        let stream = worker.receive(&Request::bearer("tok"));
        worker.is_waiting(stream)
    };
    assert!(!at(&mut worker, 59));
    assert!(at(&mut worker, 60));
}

#[test]
fn a_verdict_is_never_used_past_exp() {
    let mut worker = Worker::new(config(json!({"policies": {"default": {"cache_ttl": "1h"}}})));
    worker.call(&Request::bearer("tok"), &active());
    worker.pass(secs(599));
    let alive = worker.receive(&Request::bearer("tok"));
    assert_eq!(worker.fate(alive).claims()["exp"], START.as_secs() + 600);
    worker.pass(secs(1));
    let ended = worker.receive(&Request::bearer("tok"));
    assert_eq!(worker.fate(ended).reason(), "token_expired");
}

#[test]
fn a_verdict_from_a_future_that_a_wrong_clock_saw_is_not_used() {
    let mut worker = Worker::new(config(json!({})));
    worker.pass(secs(3600)).call(&Request::bearer("tok"), &active());
    worker.now = START;
    let stream = worker.receive(&Request::bearer("tok"));
    assert!(worker.is_waiting(stream));
}

#[test]
fn without_cache_ttl_every_request_asks() {
    let mut worker = Worker::new(config(json!({"policies": {"default": {"cache_ttl": "0s"}}})));
    worker.receive(&Request::bearer("tok"));
    worker.receive(&Request::bearer("tok"));
    worker.give_turns();
    worker.receive(&Request::bearer("tok"));
    worker.give_turns();
    assert_eq!(worker.calls.len(), 3, "not even a call that was already on its way is joined");
    worker.answer(&active()).answer(&active()).answer(&active());
    assert!(worker.shared.verdicts() == 0, "nobody could use what would be remembered");
}

#[test]
fn a_late_verdict_does_not_undo_a_newer_one() {
    // The first worker is so slow that the second asks, too; the token is revoked in between, and the answers cross.
    let mut one = Worker::new(config(json!({})));
    let mut two = Worker::sharing(config(json!({})), one.shared.clone());
    one.receive(&Request::bearer("tok"));
    one.give_turns();
    two.pass(secs(3)).receive(&Request::bearer("tok"));
    two.answer(&inactive());
    one.pass(secs(4)).answer(&active());
    let stream = one.receive(&Request::bearer("tok"));
    assert_eq!(one.fate(stream).status(), 401, "the older answer must not revive the token");
    // And a newer inactive one takes an active one away.
    let mut three = Worker::new(config(json!({"policies": {"quick": {"cache_ttl": "1s"}},
        "rules": [{"match": {"path": "/quick"}, "policy": "quick"}]})));
    three.call(&Request::bearer("tok"), &active());
    three.pass(secs(2)).call(&Request::get("/quick").with("authorization", "Bearer tok"), &inactive());
    let stream = three.receive(&Request::bearer("tok"));
    assert_eq!(three.fate(stream).status(), 401);
}

#[test]
fn an_inactive_verdict_takes_an_active_one_away_even_if_it_is_not_remembered() {
    let patch = json!({"policies": {"default": {"cache_ttl": "60s"}, "quick": {"cache_ttl": "1s"}},
        "rules": [{"match": {"path": "/quick"}, "policy": "quick"}], "cache": {"negative_ttl": "0s"}});
    let mut worker = Worker::new(config(patch));
    worker.call(&Request::bearer("tok"), &active());
    worker.pass(secs(2)).call(&Request::get("/quick").with("authorization", "Bearer tok"), &inactive());
    let stream = worker.receive(&Request::bearer("tok"));
    assert!(worker.is_waiting(stream));
}

#[test]
fn a_failure_is_told_to_all_and_not_remembered() {
    let mut worker = Worker::new(config(json!({})));
    let streams = [worker.receive(&Request::bearer("tok")), worker.receive(&Request::bearer("tok"))];
    worker.answer_with(500, "application/json", b"{}");
    for stream in streams {
        let Fate::Answered(answer) = worker.fate(stream) else { panic!() };
        assert_eq!((answer.status, answer.details), (503, "introspection_status"));
        assert!(answer.headers.contains(&("retry-after", "1".to_owned())));
    }
    assert!(matches!(worker.call(&Request::bearer("tok"), &active()), Fate::Forwarded(_)));
}

#[test]
fn only_what_may_pass_is_tried_again() {
    let with_retries =
        |retries: u32| config(json!({"providers": {"main": {"introspection": {"retries": retries}}}}));
    for (status, is_tried_again) in
        [(500, true), (503, true), (429, true), (400, false), (401, false), (302, false)]
    {
        let mut worker = Worker::new(with_retries(2));
        let stream = worker.receive(&Request::bearer("tok"));
        worker.answer_with(status, "application/json", b"{}");
        assert_eq!(!worker.calls.is_empty(), is_tried_again, "{status}");
        if is_tried_again {
            worker.fail_call().answer(&active());
            assert!(matches!(worker.fate(stream), Fate::Forwarded(_)));
        }
    }
    let mut worker = Worker::new(with_retries(2));
    let stream = worker.receive(&Request::bearer("tok"));
    worker.fail_call().fail_call().fail_call();
    assert_eq!((worker.fate(stream).status(), worker.calls.len()), (503, 0));
    assert_eq!(worker.count(Counter::IntrospectionError), 3);
}

#[test]
fn a_late_answer_to_an_earlier_try_is_not_taken_for_the_later_ones() {
    let mut worker = Worker::new(config(json!({"providers": {"main": {"introspection": {"retries": 1}}}})));
    let stream = worker.receive(&Request::bearer("tok"));
    worker.give_turns();
    let (first_try, _) = worker.calls[0].clone();
    worker.fail_call();
    worker.reply(first_try, 200, "application/json", inactive().to_string().as_bytes());
    assert!(worker.is_waiting(stream));
    worker.answer(&active());
    assert!(matches!(worker.fate(stream), Fate::Forwarded(_)));
}

#[test]
fn a_call_that_fails_after_its_timeout_has_timed_out() {
    let mut worker = Worker::new(config(json!({})));
    let stream = worker.receive(&Request::bearer("tok"));
    worker.give_turns();
    worker.pass(secs(2)).fail_call();
    assert_eq!(worker.fate(stream).reason(), "introspection_timeout");
    assert_eq!(worker.count(Counter::IntrospectionTimeout), 1);
}

#[test]
fn more_calls_than_allowed_are_not_made() {
    let mut worker =
        Worker::new(config(json!({"providers": {"main": {"introspection": {"max_concurrent_calls": 3}}}})));
    // One of the three is for tokens in use.
    worker.receive(&Request::bearer("a"));
    worker.receive(&Request::bearer("b"));
    let (third, joined) = (worker.receive(&Request::bearer("c")), worker.receive(&Request::bearer("b")));
    assert_eq!(worker.give_turns().calls.len(), 2);
    assert!(worker.is_waiting(third) && worker.is_waiting(joined), "who can share a call needs none");
    worker.answer(&active());
    assert_eq!(worker.calls.len(), 2, "what waited goes on");
    // A queue, and no longer than a moment.
    let queued: Vec<_> =
        ["d", "e", "f", "g"].iter().map(|token| worker.receive(&Request::bearer(token))).collect();
    assert_eq!(worker.fate(queued[3]).reason(), "too_many_introspection_calls");
    worker.pass(Duration::from_millis(499)).give_tick();
    assert!(worker.is_waiting(queued[0]));
    worker.pass(Duration::from_millis(1)).give_tick();
    assert_eq!(worker.fate(queued[0]).reason(), "too_many_introspection_calls");
    assert_eq!(worker.answer(&active()).answer(&active()).calls.len(), 0);
    let fourth = worker.receive(&Request::bearer("h"));
    assert_eq!(worker.give_turns().calls.len(), 1);
    assert!(worker.is_waiting(fourth));
}

#[test]
fn what_cannot_be_a_token_is_refused_unasked() {
    let format = json!({"providers": {"main": {"token_format": {"prefix": "at_", "min_length": 6, "max_length": 20}}}});
    let mut worker = Worker::new(config(format));
    for (request, status, reason) in [
        (Request::get("/"), 401, "missing_token"),
        (Request::get("/").with("authorization", "Basic YTpi"), 401, "missing_token"),
        (Request::bearer(""), 401, "malformed_token"),
        (Request::get("/").with("authorization", "Bearer"), 401, "malformed_token"),
        (Request::get("/").with("authorization", "Bearer\tat_abcdef"), 401, "malformed_token"),
        (Request::get("/").with("authorization", "Basic YTpi,\tBearer\tat_abcdef"), 400, "several_tokens"),
        (Request::bearer("a b"), 401, "malformed_token"),
        (Request::get("/").with("authorization", b"Bearer \xff\xfe"), 401, "malformed_token"),
        (Request::bearer("at_abc").with("authorization", "Bearer at_def"), 400, "several_tokens"),
        (Request::bearer("xx_abcdef"), 401, "token_of_other_format"),
        (Request::bearer("at_a"), 401, "token_of_other_format"),
        (Request::bearer(&format!("at_{}", "a".repeat(60_000))), 401, "token_too_long"),
    ] {
        let stream = worker.receive(&request);
        assert_eq!((worker.fate(stream).status(), worker.fate(stream).reason()), (status, reason));
    }
    worker.give_turns();
    assert!(worker.calls.is_empty() && worker.shared.verdicts() == 0);
}

#[test]
fn a_phantom_token_is_renewed_before_it_ends_without_asking_again() {
    let long = json!({"phantom_token": {"ttl": "100s"}, "policies": {"default": {"cache_ttl": "500s"}}});
    let mut worker = Worker::new(config(long));
    let first = worker.call(&Request::bearer("tok"), &active()).jwt();
    worker.pass(secs(75));
    let same = worker.receive(&Request::bearer("tok"));
    assert_eq!(worker.fate(same).jwt(), first);
    worker.pass(secs(1));
    let renewed = worker.receive(&Request::bearer("tok"));
    assert_eq!(worker.fate(renewed).claims()["exp"], START.as_secs() + 176);
    assert_eq!((worker.count(Counter::JwtMinted), worker.count(Counter::CacheMiss)), (2, 1));
    // What was renewed was remembered.
    let again = worker.receive(&Request::bearer("tok"));
    assert_eq!(worker.fate(again), worker.fate(renewed));
}

#[test]
fn another_configuration_uses_no_verdict_and_no_jwt_that_is_not_its_own() {
    let mut worker = Worker::new(config(json!({})));
    let jwt = worker.call(&Request::bearer("tok"), &active()).jwt();
    let shared = worker.shared.clone();
    let finds = |patch| {
        let mut other = Worker::sharing(config(patch), shared.clone());
        let stream = other.receive(&Request::bearer("tok"));
        (!other.is_waiting(stream)).then(|| other.fate(stream).jwt())
    };
    assert_eq!(
        finds(json!({"challenge": {"realm": "other"}})),
        Some(jwt.clone()),
        "what does not matter keeps the cache"
    );
    for patch in [
        json!({"phantom_token": {"issuer": "https://other.example"}}),
        json!({"phantom_token": {"audiences": ["https://other.example"]}}),
        json!({"phantom_token": {"claims": {"exclude": ["scope"]}}}),
        json!({"phantom_token": {"signing_keys": [{"kid": "k2", "alg": "ES384",
            "private_key": {"inline": crate::support::rustcrypto::es384_pem()}}]}}),
    ] {
        let other = finds(patch.clone()).unwrap_or_else(|| panic!("{patch} asks again"));
        assert_ne!(other, jwt, "{patch}");
    }
    for patch in [
        json!({"providers": {"main": {"issuer": "https://as.example"}}}),
        json!({"providers": {"main": {"introspection": {"cluster": "other"}}}}),
        json!({"providers": {"main": {"introspection": {"path": "/other"}}}}),
        json!({"providers": {"main": {"introspection": {"parameters": {"resource": "x"}}}}}),
        json!({"providers": {"main": {"introspection": {"auth": {"client_secret_basic": {"client_id": "other"}}}}}}),
    ] {
        assert_eq!(finds(patch.clone()), None, "{patch}");
    }
}

#[test]
fn a_host_that_does_not_sign_forwards_nothing() {
    let mut worker = Worker::signing(config(json!({})), Map::default(), Rc::new(NoSignatures));
    assert_eq!(worker.call(&Request::bearer("tok"), &active()).reason(), "phantom_token_not_signed");
    let hit = worker.receive(&Request::bearer("tok"));
    assert_eq!(worker.fate(hit).status(), 503);
}

#[test]
fn the_key_set_is_answered_before_any_policy() {
    let mut worker = Worker::new(config(json!({})));
    let stream = worker.receive(&Request::get("/.well-known/jwks.json?x=y"));
    let Fate::Answered(answer) = worker.fate(stream) else { panic!() };
    assert_eq!(answer.status, 200);
    let keys: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((&keys["keys"][0]["kid"], &keys["keys"][0]["kty"]), (&json!("k1"), &json!("EC")));
    assert!(keys["keys"][0].get("d").is_none());
    let post = Request::default().with(":method", "POST").with(":path", "/.well-known/jwks.json");
    let stream = worker.receive(&post);
    assert_eq!(worker.fate(stream).status(), 405);
    assert!(worker.counters.is_empty(), "an own path is no judged request");
}

#[test]
fn forwarded_denied_and_unavailable_requests_are_all_requests() {
    let mut worker = Worker::new(config(json!({"access_log": {"hits": true}})));
    worker.call(&Request::bearer("a"), &active());
    worker.call(&Request::bearer("a"), &active());
    worker.call(&Request::bearer("b"), &inactive());
    worker.receive(&Request::get("/"));
    worker.receive(&Request::bearer(""));
    worker.receive(&Request::bearer("c"));
    worker.fail_call();
    let counted: u32 = [
        Counter::Forwarded,
        Counter::DeniedMissingToken,
        Counter::DeniedInvalidRequest,
        Counter::DeniedInvalidToken,
        Counter::DeniedInsufficientScope,
        Counter::Unavailable,
    ]
    .map(|counter| worker.count(counter))
    .into_iter()
    .sum();
    assert_eq!(counted, 6);
    assert_eq!((worker.count(Counter::Forwarded), worker.count(Counter::Unavailable)), (2, 1));
    assert_eq!(worker.descriptions[0].sub.as_deref(), Some(&b"alice"[..]));
    let told: Vec<_> = worker.descriptions.iter().map(|said| (said.outcome, said.cache)).collect();
    assert_eq!(
        told,
        [
            ("forwarded", Some("miss")),
            ("forwarded", Some("hit")),
            ("token_inactive", Some("miss")),
            ("missing_token", None),
            ("malformed_token", None),
            ("introspection_unreachable", Some("miss")),
        ]
    );
}
