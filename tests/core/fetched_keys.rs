//! Keys of an authorization server as the filter has them: when they are fetched, what replaces them, and who waits.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use phantom_token_filter::jwt::{Algorithm, SignError, Signatures};
use phantom_token_filter::metrics::Counter;
use serde_json::{Value, json};

use crate::support::issuer::{jwk, sign};
use crate::support::rustcrypto::RustCrypto;
use crate::support::{Fate, Map, Request, START, Worker, config};

const ISSUER: &str = "https://as.example";

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// The default policy validates the JWTs of `main`.
fn validating() -> Value {
    config(json!({
        "providers": {"main": {"issuer": ISSUER, "jwks": {"cluster": "as", "path": "/jwks"}}},
        "policies": {"default": {"strategy": "jwt"}},
    }))
}

fn jwks() -> Value {
    json!({"keys": [jwk(Algorithm::ES256, json!({}))]})
}

/// A worker that has fetched the key for ES256.
fn ready() -> Worker {
    let mut worker = Worker::new(validating());
    worker.start().answer(&jwks());
    worker
}

/// A request with a JWT by ES256 whose header has these members, too.
fn request(header: Value) -> Request {
    let mut members = json!({"typ": "at+jwt"});
    crate::support::merge(&mut members, header);
    let claims = json!({"iss": ISSUER, "sub": "alice", "exp": START.as_secs() + 3600});
    Request::bearer(&sign(Algorithm::ES256, members, &claims))
}

fn is_forwarded(fate: &Fate) -> bool {
    matches!(fate, Fate::Forwarded(_))
}

/// Counts what is verified by the host. RSASSA-PSS is not: the filter does it itself.
#[derive(Default)]
struct Counting(Cell<u32>);

impl Signatures for Counting {
    fn sign(&self, hash: &str, pkcs8: &[u8], text: &[u8]) -> Result<Vec<u8>, SignError> {
        RustCrypto.sign(hash, pkcs8, text)
    }

    fn verify(&self, hash: &str, spki: &[u8], text: &[u8], signature: &[u8]) -> Result<bool, SignError> {
        self.0.set(self.0.get() + 1);
        RustCrypto.verify(hash, spki, text, signature)
    }
}

/// However many forged JWTs have waited for keys, a callback tries eight of them, and each with a few keys: two for
/// RSASSA-PSS (`pss_is_for_keys_that_name_it_and_for_few_of_them`), at milliseconds each, eight for others.
#[test]
fn a_callback_tries_few_forged_jwts_with_few_keys() {
    for (alg, most_checks) in [(Algorithm::PS256, 0), (Algorithm::ES256, 8 * 8)] {
        let counting = Rc::new(Counting::default());
        let mut settings = validating();
        settings["providers"]["main"]["jwt"] = json!({"algorithms": [alg.name()]});
        let mut worker =
            Worker::signing(settings, Map::default(), Rc::clone(&counting) as Rc<dyn Signatures>);
        // Without `kid`, and signed by no key of the set.
        let header = json!({"typ": "at+jwt", "kid": null});
        let claims = json!({"iss": ISSUER, "sub": "alice", "exp": START.as_secs() + 3600});
        let good = sign(alg, header, &claims);
        let (text, signature) = good.rsplit_once('.').unwrap();
        let forged =
            format!("{text}.{}{}", if signature.starts_with('A') { 'B' } else { 'A' }, &signature[1..]);
        let waiting: Vec<_> = (0..100).map(|_| worker.receive(&Request::bearer(&forged))).collect();
        worker.start();
        worker.give_turns();
        let keys: Vec<Value> = (0..20).map(|kid| jwk(alg, json!({"kid": kid.to_string()}))).collect();
        let (id, _) = worker.calls.remove(0);
        counting.0.set(0);
        let mut settled = 0;
        worker.reply(id, 200, "application/json", json!({"keys": keys}).to_string().as_bytes());
        loop {
            let tried = worker.fates.len() - settled;
            assert!(tried <= 8, "{tried} JWTs in one callback");
            assert!(counting.0.get() <= most_checks, "{} checks in one callback", counting.0.get());
            (settled, _) = (worker.fates.len(), counting.0.set(0));
            if worker.turns == 0 {
                break;
            }
            worker.give_turn();
        }
        assert!(waiting.iter().all(|stream| worker.fate(*stream).status() == 401));
    }
}

#[test]
fn tokens_that_name_keys_at_random_fill_no_more_than_their_room() {
    let mut worker = ready();
    worker.pass(secs(10));
    let unknown = |number: u32| request(json!({"kid": number.to_string()}));
    let waiting: Vec<_> = (0..1024).map(|number| worker.receive(&unknown(number))).collect();
    assert!(waiting.iter().all(|&stream| worker.is_waiting(stream)));
    let beyond = worker.receive(&unknown(1024));
    assert_eq!(
        (worker.fate(beyond).status(), worker.fate(beyond).reason()),
        (503, "too_many_waiting_requests")
    );
    let known = worker.receive(&request(json!({})));
    assert!(is_forwarded(&worker.fate(known)));
    worker.answer(&jwks());
    assert!(worker.calls.is_empty(), "one fetch is enough");
    assert!(waiting.iter().all(|&stream| worker.fate(stream).reason() == "jwt_unknown_key"));
}

#[test]
fn fetches_that_fail_are_ever_further_apart() {
    let mut worker = Worker::new(validating());
    worker.start().fail_call();
    for pause in [2, 4, 8, 16, 30, 30] {
        worker.pass(secs(pause - 1)).give_tick();
        assert!(worker.calls.is_empty(), "{pause}");
        worker.pass(secs(1)).give_tick();
        assert_eq!(worker.called(), ["/jwks"], "{pause}");
        worker.fail_call();
    }
    assert_eq!(worker.count(Counter::JwksError), 7);
}

#[test]
fn what_is_no_key_set_replaces_none() {
    let mut worker = ready();
    let long = json!({"keys": [], "padding": "x".repeat(1 << 20)}).to_string();
    for (status, body) in [
        (302, "{\"keys\":[]}"),
        (404, "{\"keys\":[]}"),
        (503, "{\"keys\":[]}"),
        (200, "<html>"),
        (200, ""),
        (200, "{}"),
        (200, "{\"keys\":{}}"),
        (200, "{\"keys\":[],\"keys\":[]}"),
        (200, &long),
    ] {
        worker.pass(secs(300)).give_tick().answer_with(status, "application/json", body.as_bytes());
        let stream = worker.receive(&request(json!({})));
        assert!(is_forwarded(&worker.fate(stream)), "{status} {body:.40}");
    }
    assert_eq!((worker.count(Counter::JwksError), worker.count(Counter::JwksRefreshed)), (9, 1));
}

#[test]
fn an_empty_set_is_a_set() {
    let mut worker = ready();
    let none = json!({"keys": []});
    worker.pass(secs(300)).give_tick().answer_with(200, "text/plain", none.to_string().as_bytes());
    let stream = worker.receive(&request(json!({})));
    worker.pass(secs(1)).give_tick().answer(&none);
    assert_eq!((worker.fate(stream).status(), worker.fate(stream).reason()), (401, "jwt_unknown_key"));
}

#[test]
fn a_jwt_that_was_refused_is_judged_anew() {
    let mut worker = ready();
    for _ in 0..2 {
        let stream = worker.receive(&request(json!({"typ": "JWT"})));
        assert_eq!(worker.fate(stream).reason(), "jwt_type");
    }
    assert_eq!((worker.count(Counter::CacheMiss), worker.count(Counter::CacheNegativeHit)), (2, 0));
}

#[test]
fn a_host_that_verifies_nothing_forwards_nothing() {
    struct Signs;
    impl Signatures for Signs {
        fn sign(&self, hash: &str, pkcs8: &[u8], text: &[u8]) -> Result<Vec<u8>, SignError> {
            RustCrypto.sign(hash, pkcs8, text)
        }
        fn verify(&self, _: &str, _: &[u8], _: &[u8], _: &[u8]) -> Result<bool, SignError> {
            Err(SignError::NotOffered)
        }
    }
    let mut worker = Worker::signing(validating(), Default::default(), Rc::new(Signs));
    worker.start().answer(&jwks());
    let stream = worker.receive(&request(json!({})));
    assert_eq!((worker.fate(stream).status(), worker.fate(stream).reason()), (503, "host_failure"));
}
