//! The first level changes what a request costs, and nothing else: whatever happens, a worker that has one does what
//! a worker without one does. But for this: of two verdicts that both still serve, it may know the earlier only; and it
//! may know one that was pushed out of the cache.

use std::time::Duration;

use phantom_token_filter::metrics::Counter;
use phantom_token_filter::request::HeaderEdit;
use serde_json::{Value, json};

use crate::support::{Fate, Request, START, Worker, active, config, inactive, part};

/// The same sequence for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn configurations() -> Vec<Value> {
    let rules = json!([
        {"match": {"path_prefix": "/fresh"}, "policy": "fresh"},
        {"match": {"path_prefix": "/admin", "methods": ["GET"]}, "policy": "admin"},
        {"match": {"path": "/original"}, "policy": "original"},
        {"match": {"path": "/bare"}, "policy": "bare"},
    ]);
    let policies = json!({
        "default": {"cache_ttl": "10s", "forward": {"claim_headers": {"x-user": "sub"}}},
        "fresh": {"cache_ttl": "0s"},
        "admin": {"cache_ttl": "30s", "require": {"scopes": ["admin"]}},
        "original": {"strategy": "introspection", "cache_ttl": "5s"},
        "bare": {"forward": {"authorization": "remove"}},
    });
    let all = json!({"rules": rules, "policies": policies});
    let with = |patch: Value| {
        let mut whole = config(all.clone());
        crate::support::merge(&mut whole, patch);
        whole
    };
    vec![
        config(json!({})),
        with(json!({})),
        with(json!({"cache": {"refresh_ahead": 0, "stale_if_error": "20s"}})),
        with(json!({"cache": {"refresh_ahead": 0.5, "jitter": 0.5}, "access_log": {"hits": true}})),
        with(json!({"phantom_token": {"ttl": "8s"}, "cache": {"max_entries": 2}})),
    ]
}

/// What became of a request, but for when a JWT was minted and what is random in it.
fn outcome(worker: &Worker, fate: Option<Fate>) -> Value {
    let edit = |edit: HeaderEdit<'_>| match edit {
        HeaderEdit::Set(name @ "authorization", value) => {
            let mut claims = part(std::str::from_utf8(value).unwrap().strip_prefix("Bearer ").unwrap(), 1);
            for own in ["jti", "iat", "exp"] {
                claims.as_object_mut().unwrap().remove(own).expect("every JWT has one");
            }
            json!([name, claims])
        }
        HeaderEdit::Set(name, value) => json!([name, String::from_utf8(value.to_vec()).unwrap()]),
        HeaderEdit::Remove(name) => json!([name]),
    };
    let fate = match fate {
        None => json!("waits"),
        Some(Fate::Answered(answer)) => json!([answer.status, answer.details]),
        Some(Fate::Forwarded(edits)) => edits.iter().map(edit).collect(),
    };
    // The later verdict may have come without a JWT, which is then minted anew.
    let counters = worker.counters.iter().filter(|(counter, _)| **counter != Counter::JwtMinted);
    let counters: Vec<String> = counters.map(|count| format!("{count:?}")).collect();
    json!([fate, counters, format!("{:?}", worker.descriptions.last())])
}

#[test]
fn the_first_level_changes_nothing() {
    let mut served_again = [0; 5];
    for seed in 0..200 {
        let which = seed as usize % served_again.len();
        let config = configurations().swap_remove(which);
        let mut random = Random(seed);
        let (mut with, mut without) = (Worker::new(config.clone()), Worker::new(config));
        without.judges_all = true;
        let mut is_active = [true; 3];
        for step in 0..200 {
            let token = random.below(3) as usize;
            let path = ["/", "/", "/", "/fresh", "/admin/x", "/original", "/bare", "/.well-known/jwks.json"]
                [random.below(8) as usize];
            if random.below(12) == 0 {
                is_active[token] = !is_active[token];
            }
            let time = Duration::from_millis([0, 1, 400, 3_000, 9_000][random.below(5) as usize]);
            // Somebody sets the clock. With policies that ask at other times, one verdict may then lie ahead.
            let goes_back = which == 0 && random.below(40) == 0;
            let fails = random.below(6) == 0;
            let outcomes = [&mut with, &mut without].map(|worker| {
                worker.pass(time);
                if goes_back {
                    worker.now = worker.now.minus(Duration::from_secs(5));
                }
                let request = Request::get(path).with("authorization", format!("Bearer token-{token}"));
                let stream = worker.receive(&request);
                worker.give_turns();
                while !worker.calls.is_empty() {
                    let mut reply = if is_active[token] { active() } else { inactive() };
                    reply["scope"] = json!(["read", "admin", "admin read"][token]);
                    reply["exp"] = json!(START.as_secs() + 60 * (token as u64 + 1));
                    if fails {
                        worker.fail_call()
                    } else {
                        worker.answer(&reply)
                    };
                }
                let fate = (!worker.is_waiting(stream)).then(|| worker.fate(stream));
                outcome(worker, fate)
            });
            assert_eq!(outcomes[0], outcomes[1], "seed {seed}, step {step}: {path} with token {token}");
        }
        served_again[which] += with.served_again;
        assert_eq!(without.served_again, 0);
    }
    assert!(served_again.iter().all(|requests| *requests > 20), "{served_again:?}");
}

#[test]
fn what_another_worker_takes_away_is_gone_with_the_next_request() {
    let rules = json!([{"match": {"path": "/fresh"}, "policy": "fresh"}]);
    let config = config(json!({"policies": {"default": {}, "fresh": {"cache_ttl": "0s"}}, "rules": rules}));
    let mut one = Worker::new(config.clone());
    let mut two = Worker::sharing(config, one.shared.clone());
    for worker in [&mut one, &mut two] {
        for _ in 0..4 {
            assert!(matches!(worker.call(&Request::bearer("tok"), &active()), Fate::Forwarded(_)));
        }
        assert!(worker.served_again > 0);
    }
    let served_again = two.served_again;
    let fresh = Request::get("/fresh").with("authorization", "Bearer tok");
    one.pass(Duration::from_secs(1)).call(&fresh, &inactive());
    let fate = two.pass(Duration::from_secs(1)).call(&Request::bearer("tok"), &inactive());
    assert_eq!((fate.status(), two.served_again), (401, served_again));
}

#[test]
fn what_makes_room_for_others_is_served_from_copies_until_it_is_taken_away() {
    let rules = json!([{"match": {"path": "/fresh"}, "policy": "fresh"}]);
    let policies = json!({"default": {}, "fresh": {"cache_ttl": "0s"}});
    let config = config(json!({"policies": policies, "rules": rules, "cache": {"max_entries": 4}}));
    let mut one = Worker::new(config.clone());
    let mut two = Worker::sharing(config, one.shared.clone());
    for _ in 0..4 {
        one.call(&Request::bearer("tok"), &active());
    }
    one.pass(Duration::from_secs(1));
    for number in 0..100 {
        two.pass(Duration::from_millis(10)).call(&Request::bearer(&format!("other-{number}")), &active());
    }
    assert!(two.counters[&Counter::CacheEvicted] > 90);
    let served_again = one.served_again;
    one.call(&Request::bearer("tok"), &inactive());
    assert_eq!((one.served_again, one.counters[&Counter::CacheMiss]), (served_again + 1, 1));
    let fresh = Request::get("/fresh").with("authorization", "Bearer tok");
    two.pass(Duration::from_millis(10)).call(&fresh, &inactive());
    let fate = one.pass(Duration::from_secs(2)).call(&Request::bearer("tok"), &inactive());
    assert_eq!((fate.status(), one.served_again), (401, served_again + 1));
}

#[test]
fn tokens_in_other_places_are_judged_each_time() {
    let config = config(
        json!({"policies": {"default": {"token_sources": ["authorization_header", {"header": "x-token"}]}}}),
    );
    let mut worker = Worker::new(config);
    for _ in 0..4 {
        assert!(matches!(worker.call(&Request::bearer("tok"), &active()), Fate::Forwarded(_)));
    }
    assert_eq!(worker.served_again, 0);
    assert_eq!(worker.call(&Request::bearer("tok").with("x-token", "tok"), &active()).status(), 400);
}

#[test]
fn a_token_that_is_written_in_many_ways_has_no_place_for_each() {
    let mut worker = Worker::new(config(json!({})));
    assert!(matches!(worker.call(&Request::bearer("tok"), &active()), Fate::Forwarded(_)));
    for spaces in 2..200 {
        let value = format!("Bearer{}tok", " ".repeat(spaces));
        for value in [&value, &format!("{value} ")] {
            let request = Request::get("/").with("authorization", value);
            for _ in 0..4 {
                let stream = worker.receive(&request);
                assert!(matches!(worker.fate(stream), Fate::Forwarded(_)));
            }
        }
    }
    assert_eq!(worker.served_again, 0);
    for scheme in ["Bearer", "bearer"] {
        let request = Request::get("/").with("authorization", format!("{scheme} tok"));
        (0..4).for_each(|_| _ = worker.receive(&request));
    }
    assert!(worker.served_again >= 4);
}
