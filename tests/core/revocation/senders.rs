//! Several senders: each has its own path or poll and its own keys, and none can speak for another.

use std::time::Duration;

use phantom_token_filter::jwt::Algorithm;
use phantom_token_filter::metrics::{Counter, Gauge};
use serde_json::{Value, json};

use super::{FORM, answer_call, body, post};
use crate::support::issuer::{jwk, sign};
use crate::support::{Fate, Request, START, Worker, active, config, inactive, merge};

const MAIN: &str = "https://as.example";
const PARTNER: &str = "https://partner.example";
const RISC: &str = "https://risc.example";
const CAEP: &str = "https://caep.example";

/// Two providers; two transmitters about the first, with keys of their own, and one about the second, with its keys; a
/// receiver of logout tokens for each of two clients of the first, and one for the second.
fn settings(patch: Value) -> Value {
    let provider = |issuer: &str, path: &str| {
        json!({"issuer": issuer, "jwks": {"cluster": "as", "path": format!("{path}/jwks")}, "introspection": {
            "cluster": "as", "path": format!("{path}/introspect"), "retries": 0,
            "auth": {"none": {"client_id": "gateway"}}}})
    };
    let transmitter = |issuer: &str, name: &str| {
        json!({"provider": "main", "issuer": issuer, "audiences": ["https://gateway.example"],
            "jwks": {"cluster": name, "path": format!("/{name}/jwks")},
            "push": {"path": format!("/{name}/events"), "authorization": {"inline": format!("secret-of-{name}")}},
            "poll": {"cluster": name, "path": format!("/{name}/poll")}})
    };
    let logout = |provider: &str, path: &str, client: &str| json!({"provider": provider, "path": path, "audiences": [client]});
    let mut config = config(json!({
        "providers": {"main": provider(MAIN, "/main"), "partner": provider(PARTNER, "/partner")},
        "policies": {
            "default": {"provider": "main", "cache_ttl": "10m"},
            "partner": {"provider": "partner", "cache_ttl": "10m"}
        },
        "rules": [{"match": {"path_prefix": "/partner"}, "policy": "partner"}],
        "cache": {"refresh_ahead": 0},
        "revocation": {
            "settle": "0s",
            "back_channel_logout": [
                logout("main", "/logout/web", "web"), logout("main", "/logout/app", "app"),
                logout("partner", "/logout/partner", "web")
            ],
            "security_events": [transmitter(RISC, "risc"), transmitter(CAEP, "caep"), {
                "provider": "partner", "audiences": ["https://gateway.example"],
                "push": {"path": "/partner/events", "authorization": {"inline": "secret-of-partner"}}
            }]
        }
    }));
    config["providers"]["main"]["introspection"]["auth"] = json!({"none": {"client_id": "gateway"}});
    merge(&mut config, patch);
    config
}

fn keys(alg: Algorithm) -> Value {
    json!({"keys": [jwk(alg, json!({}))]})
}

/// What each signs with.
const OF: [(&str, Algorithm); 4] = [
    ("/main/jwks", Algorithm::ES256),
    ("/partner/jwks", Algorithm::ES384),
    ("/risc/jwks", Algorithm::RS256),
    ("/caep/jwks", Algorithm::EdDSA),
];

fn worker(patch: Value) -> Worker {
    // Keys by ES384 are none that are taken unless that is said.
    let mut all = json!({"providers": {"partner": {"jwt": {"algorithms": ["ES384"]}}}});
    merge(&mut all, patch);
    let mut worker = Worker::new(settings(all));
    worker.start();
    for (path, alg) in OF {
        answer_call(&mut worker, path, 200, &keys(alg));
    }
    worker
}

fn remember(worker: &mut Worker, path: &str, token: &str, patch: Value) {
    let mut verdict = active();
    merge(&mut verdict, patch);
    let stream = worker.receive(&Request::get(path).with("authorization", format!("Bearer {token}")));
    let endpoint = if path == "/" { "/main/introspect" } else { "/partner/introspect" };
    answer_call(worker, endpoint, 200, &verdict);
    assert!(matches!(worker.fate(stream), Fate::Forwarded(_)));
}

fn is_remembered(worker: &mut Worker, path: &str, token: &str) -> bool {
    let stream = worker.receive(&Request::get(path).with("authorization", format!("Bearer {token}")));
    worker.give_turns();
    let asked = worker.called().into_iter().find(|path| path.ends_with("/introspect")).map(str::to_owned);
    if let Some(asked) = &asked {
        answer_call(worker, asked, 200, &inactive());
    }
    assert_eq!(matches!(worker.fate(stream), Fate::Forwarded(_)), asked.is_none());
    asked.is_none()
}

fn event(alg: Algorithm, issuer: &str, patch: Value) -> String {
    let mut claims = json!({"iss": issuer, "aud": "https://gateway.example", "iat": START.as_secs(), "jti": "1",
        "sub_id": {"format": "iss_sub", "iss": MAIN, "sub": "alice"},
        "events": {"https://schemas.openid.net/secevent/caep/event-type/session-revoked": {}}});
    merge(&mut claims, patch);
    sign(alg, json!({"typ": "secevent+jwt"}), &claims)
}

fn push(worker: &mut Worker, name: &str, token: &str) -> Fate {
    let request = post(&format!("/{name}/events"), "application/secevent+jwt")
        .with("authorization", format!("Bearer secret-of-{name}"));
    send(worker, &request, token)
}

fn logout(worker: &mut Worker, path: &str, token: &str) -> u16 {
    send(worker, &post(path, FORM), &format!("logout_token={token}")).status()
}

/// A signal comes in; keys that are fetched for its sake are those that were there before.
fn send(worker: &mut Worker, request: &Request, body: &str) -> Fate {
    worker.pass(Duration::from_secs(2));
    let stream = worker.post(request, body.as_bytes());
    for (jwks, alg) in OF {
        if worker.called().contains(&jwks) {
            answer_call(worker, jwks, 200, &keys(alg));
        }
    }
    worker.fate(stream)
}

fn logout_token(alg: Algorithm, issuer: &str, client: &str) -> String {
    let claims = json!({"iss": issuer, "aud": client, "iat": START.as_secs(), "exp": START.as_secs() + 120,
        "jti": "1", "sub": "alice", "events": {"http://schemas.openid.net/event/backchannel-logout": {}}});
    sign(alg, json!({"typ": "logout+jwt"}), &claims)
}

#[test]
fn each_transmitter_is_heard_with_keys_of_its_own_and_the_jti_of_one_is_no_other_s() {
    let mut worker = worker(json!({}));
    for (name, alg, issuer) in [("risc", Algorithm::RS256, RISC), ("caep", Algorithm::EdDSA, CAEP)] {
        remember(&mut worker, "/", name, json!({}));
        assert_eq!(push(&mut worker, name, &event(alg, issuer, json!({}))).status(), 202, "{name}");
        assert!(!is_remembered(&mut worker, "/", name), "{name}");
    }
    let subject = json!({"sub_id": {"format": "iss_sub", "iss": PARTNER, "sub": "alice"}});
    remember(&mut worker, "/partner", "theirs", json!({}));
    let fate = push(&mut worker, "partner", &event(Algorithm::ES384, PARTNER, subject));
    assert_eq!(fate.status(), 202);
    assert!(!is_remembered(&mut worker, "/partner", "theirs"));
    assert_eq!(worker.count(Counter::RevocationReceived), 3);
}

#[test]
fn a_transmitter_that_sends_very_many_events_has_no_jwt_of_another_provider_refused() {
    let validating = json!({"strategy": "jwt"});
    let mut worker = worker(json!({"policies": {"default": validating, "partner": validating}}));
    let jwt = |alg: Algorithm, issuer: &str, sub: &str| {
        let claims = json!({"iss": issuer, "sub": sub, "client_id": "app", "iat": START.as_secs() - 10,
            "exp": START.as_secs() + 600});
        sign(alg, json!({"typ": "at+jwt"}), &claims)
    };
    let before = worker.shared.size();
    for number in 0..800 {
        let named =
            |place: u32| json!({"format": "iss_sub", "iss": MAIN, "sub": format!("{number}-{place}")});
        let group = |group: u32| {
            let identifiers: Vec<Value> = (0..16).map(|place| named(16 * group + place)).collect();
            json!({"format": "aliases", "identifiers": identifiers})
        };
        let groups: Vec<Value> = (0..4).map(group).collect();
        let named =
            json!({"jti": number.to_string(), "sub_id": {"format": "aliases", "identifiers": groups}});
        let request =
            post("/caep/events", "application/secevent+jwt").with("authorization", "Bearer secret-of-caep");
        let stream = worker.post(&request, event(Algorithm::EdDSA, CAEP, named).as_bytes());
        assert_eq!(worker.fate(stream).status(), 202);
    }
    assert!(worker.shared.size() - before < 4 << 20, "{}", worker.shared.size() - before);
    let mut passes = |path: &str, token: &str| {
        let stream = worker.receive(&Request::get(path).with("authorization", format!("Bearer {token}")));
        match worker.fate(stream) {
            Fate::Forwarded(_) => true,
            Fate::Answered(answer) => {
                assert_eq!(answer.details, "token_withdrawn");
                false
            }
        }
    };
    for number in [0, 400, 799] {
        assert!(!passes("/", &jwt(Algorithm::ES256, MAIN, &format!("{number}-7"))), "{number}");
    }
    for number in 0..5 {
        assert!(passes("/partner", &jwt(Algorithm::ES384, PARTNER, &format!("user-{number}"))), "{number}");
    }
    // Of the flooded provider, some are refused that nothing was said of; newer ones never.
    let refused = |number: &u32| !passes("/", &jwt(Algorithm::ES256, MAIN, &format!("user-{number}")));
    assert!((0..5).filter(refused).count() > 0);
}

#[test]
fn no_transmitter_speaks_for_another() {
    let mut worker = worker(json!({}));
    remember(&mut worker, "/", "tok", json!({}));
    for (sentence, name, token, error) in [
        ("its own at another's path", "caep", event(Algorithm::RS256, RISC, json!({})), "invalid_key"),
        ("in another's name", "caep", event(Algorithm::RS256, CAEP, json!({})), "invalid_key"),
        (
            "in another's name at its own path",
            "risc",
            event(Algorithm::RS256, CAEP, json!({})),
            "invalid_issuer",
        ),
        ("the provider's key", "risc", event(Algorithm::ES256, RISC, json!({})), "invalid_key"),
        ("the provider's key and name", "risc", event(Algorithm::ES256, MAIN, json!({})), "invalid_key"),
        ("of another provider", "partner", event(Algorithm::ES256, PARTNER, json!({})), "invalid_key"),
    ] {
        let fate = push(&mut worker, name, &token);
        assert_eq!((fate.status(), body(&fate)["err"].clone()), (400, json!(error)), "{sentence}");
    }
    let request =
        post("/caep/events", "application/secevent+jwt").with("authorization", "Bearer secret-of-risc");
    let stream = worker.post(&request, event(Algorithm::EdDSA, CAEP, json!({})).as_bytes());
    assert_eq!(worker.fate(stream).status(), 401, "with another's secret");
    assert!(is_remembered(&mut worker, "/", "tok"));
}

#[test]
fn an_event_about_somebody_of_another_issuer_takes_verdicts_of_its_own_provider_alone() {
    let mut worker = worker(json!({}));
    remember(&mut worker, "/", "ours", json!({"sub": "bob"}));
    remember(&mut worker, "/partner", "theirs", json!({}));
    let subject = json!({"sub_id": {"format": "iss_sub", "iss": PARTNER, "sub": "alice"}});
    assert_eq!(push(&mut worker, "risc", &event(Algorithm::RS256, RISC, subject)).status(), 202);
    assert!(is_remembered(&mut worker, "/partner", "theirs"), "it is not about that provider");
    assert!(!is_remembered(&mut worker, "/", "ours"), "nobody can be told from the one that is meant");
}

#[test]
fn each_receiver_of_logout_tokens_has_its_own_client_and_provider() {
    let mut worker = worker(json!({}));
    let (main, partner) = (Algorithm::ES256, Algorithm::ES384);
    remember(&mut worker, "/", "ours", json!({}));
    remember(&mut worker, "/partner", "theirs", json!({}));
    for (path, token) in [
        ("/logout/web", logout_token(main, MAIN, "app")),
        ("/logout/app", logout_token(main, MAIN, "web")),
        ("/logout/web", logout_token(partner, PARTNER, "web")),
        ("/logout/partner", logout_token(main, MAIN, "web")),
        ("/logout/partner", logout_token(main, PARTNER, "web")),
    ] {
        assert_eq!(logout(&mut worker, path, &token), 400, "{path}");
    }
    assert!(is_remembered(&mut worker, "/", "ours") && is_remembered(&mut worker, "/partner", "theirs"));
    // The same jti at each.
    assert_eq!(logout(&mut worker, "/logout/web", &logout_token(main, MAIN, "web")), 200);
    assert_eq!(logout(&mut worker, "/logout/app", &logout_token(main, MAIN, "app")), 200);
    assert!(!is_remembered(&mut worker, "/", "ours") && is_remembered(&mut worker, "/partner", "theirs"));
    assert_eq!(logout(&mut worker, "/logout/partner", &logout_token(partner, PARTNER, "web")), 200);
    assert!(!is_remembered(&mut worker, "/partner", "theirs"));
    assert_eq!(logout(&mut worker, "/logout/web", &logout_token(main, MAIN, "web")), 400, "once");
}

#[test]
fn a_transmitter_that_fails_holds_up_no_other() {
    let mut worker = worker(json!({}));
    let polls = |worker: &Worker, path: &str| worker.called().iter().filter(|it| **it == path).count();
    worker.give_tick();
    assert_eq!((polls(&worker, "/risc/poll"), polls(&worker, "/caep/poll")), (1, 1));
    // One never answers, and the other goes on.
    for number in 0..10 {
        let verdict = format!("tok-{number}");
        remember(&mut worker, "/", &verdict, json!({}));
        let token = event(Algorithm::EdDSA, CAEP, json!({"jti": format!("e{number}")}));
        answer_call(&mut worker, "/caep/poll", 200, &json!({"sets": {format!("e{number}"): token}}));
        assert!(!is_remembered(&mut worker, "/", &verdict), "{verdict}");
        answer_call(&mut worker, "/caep/poll", 200, &json!({"sets": {}}));
        worker.pass(Duration::from_secs(5)).give_tick();
        assert_eq!((polls(&worker, "/risc/poll"), polls(&worker, "/caep/poll")), (1, 1));
    }
    // It fails: what it is asked again later is its own affair.
    answer_call(&mut worker, "/risc/poll", 500, &json!({}));
    worker.pass(Duration::from_secs(1)).give_tick();
    assert_eq!((polls(&worker, "/risc/poll"), polls(&worker, "/caep/poll")), (0, 1));
    worker.pass(Duration::from_secs(10)).give_tick();
    assert_eq!(polls(&worker, "/risc/poll"), 1);
}

#[test]
fn signals_of_one_whose_keys_do_not_come_leave_room_for_those_of_another() {
    let mut worker = Worker::new(settings(json!({})));
    worker.start();
    answer_call(&mut worker, "/caep/jwks", 200, &keys(Algorithm::EdDSA));
    let wait = |worker: &mut Worker, path: &str, body: &str, content_type: &str, secret: &str| {
        worker.post(&post(path, content_type).with("authorization", secret), body.as_bytes())
    };
    let flood = format!("logout_token={}", logout_token(Algorithm::ES256, MAIN, "web"));
    let waiting: Vec<_> = (0..300).map(|_| wait(&mut worker, "/logout/web", &flood, FORM, "")).collect();
    worker.give_turns();
    let still = waiting.iter().filter(|stream| worker.is_waiting(**stream)).count();
    assert_eq!(still, 256);
    let token = event(Algorithm::RS256, RISC, json!({}));
    let stream = wait(&mut worker, "/risc/events", &token, "application/secevent+jwt", "secret-of-risc");
    assert!(worker.is_waiting(stream));
    answer_call(&mut worker, "/risc/jwks", 200, &keys(Algorithm::RS256));
    assert_eq!(worker.fate(stream).status(), 202);
    // Who fills all the room that is left fills its own.
    worker.pass(Duration::from_secs(2));
    let unknown = sign(Algorithm::RS256, json!({"typ": "secevent+jwt", "kid": "x"}), &json!({}));
    let more: Vec<_> = (0..50)
        .map(|_| wait(&mut worker, "/risc/events", &unknown, "application/secevent+jwt", "secret-of-risc"))
        .collect();
    assert_eq!(more.iter().filter(|stream| worker.is_waiting(**stream)).count(), 16);
}

#[test]
fn a_transmitter_of_a_provider_that_only_answers_questions_has_keys_and_algorithms_of_its_own() {
    let mut config = config(json!({
        "providers": {"main": {"issuer": MAIN}},
        "policies": {"default": {"cache_ttl": "10m"}},
        "revocation": {"settle": "0s", "security_events": {
            "issuer": RISC, "audiences": ["https://gateway.example"], "algorithms": ["RS256"],
            "jwks": {"cluster": "risc", "path": "/risc/jwks"},
            "push": {"path": "/risc/events", "authorization": {"inline": "secret-of-risc"}},
        }}
    }));
    config["providers"]["main"]["introspection"]["path"] = json!("/main/introspect");
    let mut worker = Worker::new(config);
    worker.start();
    let called = worker.calls[0].1.headers.iter().find(|(name, _)| name == ":authority").cloned();
    assert_eq!(called.unwrap().1, "risc.example", "the host of the transmitter");
    let both = json!({"keys": [jwk(Algorithm::RS256, json!({})), jwk(Algorithm::ES256, json!({}))]});
    answer_call(&mut worker, "/risc/jwks", 200, &both);
    remember(&mut worker, "/", "tok", json!({}));
    let fate = push(&mut worker, "risc", &event(Algorithm::ES256, RISC, json!({})));
    assert_eq!(body(&fate)["err"], json!("invalid_key"));
    assert!(is_remembered(&mut worker, "/", "tok"));
    assert_eq!(push(&mut worker, "risc", &event(Algorithm::RS256, RISC, json!({}))).status(), 202);
    assert!(!is_remembered(&mut worker, "/", "tok"));
}

#[test]
fn keys_of_a_transmitter_verify_no_tokens_of_its_provider() {
    let mut worker = worker(json!({"policies": {"default": {"strategy": "jwt"}}}));
    let jwt = |alg: Algorithm| {
        let claims = json!({"iss": MAIN, "sub": "alice", "exp": START.as_secs() + 600});
        Request::bearer(&sign(alg, json!({"typ": "at+jwt"}), &claims))
    };
    let stream = worker.receive(&jwt(Algorithm::ES256));
    assert!(matches!(worker.fate(stream), Fate::Forwarded(_)));
    for alg in [Algorithm::RS256, Algorithm::EdDSA] {
        worker.pass(Duration::from_secs(2));
        let stream = worker.receive(&jwt(alg));
        answer_call(&mut worker, "/main/jwks", 200, &keys(Algorithm::ES256));
        assert_eq!(worker.fate(stream).status(), 401, "{}", alg.name());
    }
}

#[test]
fn a_verification_is_counted_and_withdraws_nothing_and_its_transmitter_was_heard() {
    let mut worker = worker(json!({}));
    remember(&mut worker, "/", "tok", json!({}));
    assert_eq!(worker.level(Gauge::SecurityEventsHeard), None);
    let verification = |jti: &str| {
        let mut claims = json!({"iss": RISC, "aud": "https://gateway.example", "iat": START.as_secs(), "jti": jti,
            "sub_id": {"format": "opaque", "id": "the-stream"}});
        claims["events"] =
            json!({"https://schemas.openid.net/secevent/ssf/event-type/verification": {"state": "s"}});
        sign(Algorithm::RS256, json!({"typ": "secevent+jwt"}), &claims)
    };
    assert_eq!(push(&mut worker, "risc", &verification("v1")).status(), 202);
    let heard = worker.now.as_secs();
    let level = |worker: &Worker| worker.level(Gauge::SecurityEventsHeard).map(i64::cast_unsigned);
    assert_eq!((worker.count(Counter::SecurityEventsVerified), level(&worker)), (1, Some(heard)));
    assert!(is_remembered(&mut worker, "/", "tok"));
    // Whoever has seen it cannot make the transmitter look alive.
    worker.pass(Duration::from_secs(60));
    assert_eq!(push(&mut worker, "risc", &verification("v1")).status(), 202);
    assert_eq!(push(&mut worker, "risc", &event(Algorithm::EdDSA, RISC, json!({}))).status(), 400);
    assert_eq!((worker.count(Counter::SecurityEventsVerified), level(&worker)), (1, Some(heard)));
}

#[test]
fn whether_polls_are_answered_shows_and_when_last() {
    let mut worker = Worker::new(settings(json!({})));
    worker.start();
    assert_eq!(worker.level(Gauge::SecurityEventsAnswers), None);
    answer_call(&mut worker, "/risc/poll", 200, &json!({"sets": {}}));
    let levels = |worker: &Worker| {
        (worker.level(Gauge::SecurityEventsAnswers), worker.level(Gauge::SecurityEventsHeard))
    };
    let start = START.as_secs().cast_signed();
    assert_eq!(levels(&worker), (Some(1), Some(start)));
    worker.pass(Duration::from_secs(5)).give_tick();
    answer_call(&mut worker, "/risc/poll", 500, &json!({}));
    assert_eq!(levels(&worker), (Some(0), Some(start)));
}
