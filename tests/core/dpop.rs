//! DPoP (RFC 9449): a token that is bound to a key passes with a proof by that key for this request, once, and with nothing
//! else.

mod challenges;
mod uris;

use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};
use phantom_token_filter::cache::SharedData;
use phantom_token_filter::jwt::Algorithm;
use phantom_token_filter::metrics::Counter;
use phantom_token_filter::token::UnixMillis;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::dpop::{Proof, request, thumbprint};
use crate::support::{Fate, Map, Request, Worker, active, config, merge};

/// A configuration that takes proofs, with a patch.
fn taking_proofs(patch: Value) -> Value {
    let mut full = json!({"dpop": {"origins": ["https://api.example"]}});
    merge(&mut full, patch);
    config(full)
}

/// What is said of an active token that is bound to the key of `alg`.
fn bound_to(alg: Algorithm) -> Value {
    let mut reply = active();
    merge(&mut reply, json!({"token_type": "DPoP", "cnf": {"jkt": thumbprint(alg)}}));
    reply
}

fn bound() -> Value {
    bound_to(Algorithm::ES256)
}

fn reason(fate: &Fate) -> &str {
    match fate {
        Fate::Forwarded(_) => "forwarded",
        Fate::Answered(answer) => answer.details,
    }
}

fn header<'f>(fate: &'f Fate, name: &str) -> Vec<&'f str> {
    let Fate::Answered(answer) = fate else { panic!("forwarded: {fate:?}") };
    answer.headers.iter().filter(|header| header.0 == name).map(|header| header.1.as_str()).collect()
}

#[test]
fn a_token_passes_with_a_proof_and_each_proof_once() {
    let mut worker = Worker::new(taking_proofs(json!({})));
    for round in 0..5 {
        let proof = Proof::of("tok", &format!("jti-{round}"), worker.now).sign();
        let fate = worker.call(&request("tok", &proof), &bound());
        assert_eq!(fate.claims().get("cnf"), None);
        assert!(fate.removes("dpop"), "it is for another token than ours");
        let again = worker.receive(&request("tok", &proof));
        assert_eq!(worker.fate(again).reason(), "dpop_replayed");
    }
    assert_eq!((worker.served_again, worker.count(Counter::CacheMiss)), (0, 1));
    assert_eq!(worker.count(Counter::DeniedInvalidDpopProof), 5);
}

#[test]
fn a_proof_by_every_algorithm_that_is_allowed_is_accepted() {
    let all = ["ES256", "ES384", "EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
    for alg in crate::support::issuer::ALGORITHMS {
        for (algorithms, passes) in
            [(&all[..], true), (&["ES256", "EdDSA"][..], ["ES256", "EdDSA"].contains(&alg.name()))]
        {
            let mut worker = Worker::new(taking_proofs(json!({"dpop": {"algorithms": algorithms}})));
            let proof = Proof::by(alg, "tok", "jti", worker.now).sign();
            let fate = worker.call(&request("tok", &proof), &bound_to(alg));
            let wanted = if passes { "forwarded" } else { "dpop_algorithm" };
            assert_eq!(reason(&fate), wanted, "{}", alg.name());
        }
    }
}

#[test]
fn the_example_of_the_rfc_is_a_proof() {
    let vectors: Value = serde_json::from_str(include_str!("../vectors/rfc.json")).unwrap();
    let figure_12 = |vector: &&Value| vector["name"] == "RFC9449-Fig12-dpop-protected-resource";
    let proof = vectors.as_array().unwrap().iter().find(figure_12).unwrap()["jws"].as_str().unwrap();
    let origin = json!({"dpop": {"origins": ["https://resource.example.org"]}});
    let mut worker = Worker::new(taking_proofs(origin));
    worker.now = UnixMillis::from_secs(1_562_262_618);
    let token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
    let request = Request::default()
        .with(":method", "GET")
        .with(":path", "/protectedresource")
        .with(":authority", "resource.example.org")
        .with("authorization", format!("DPoP {token}"))
        .with("dpop", proof);
    let mut reply = active();
    // RFC 9449 §6.1, figure 9.
    merge(&mut reply, json!({"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}));
    assert_eq!(reason(&worker.call(&request, &reply)), "forwarded");
}

/// What is wrong with a request, made of a good proof.
type Spoiled = fn(Proof) -> Request;

fn alone(proof: Proof) -> Request {
    request("tok", &proof.sign())
}

#[test]
fn a_hostile_proof_is_refused_with_its_own_reason() {
    let cases: &[(&str, Spoiled, &str)] = &[
        ("no proof", |_| Request::get("/").with("authorization", "DPoP tok"), "dpop_missing"),
        ("an empty one", |_| request("tok", ""), "dpop_malformed"),
        (
            "two",
            |p| alone(p.clone()).with("dpop", p.claims(json!({"jti": "b"})).sign()),
            "several_dpop_proofs",
        ),
        ("twice the same", |p| alone(p.clone()).with("dpop", p.sign()), "several_dpop_proofs"),
        ("two in one", |p| request("tok", &format!("{},{}", p.sign(), p.sign())), "dpop_malformed"),
        ("no JWT", |_| request("tok", "proof"), "dpop_malformed"),
        ("a part too many", |p| request("tok", &format!("{}.AAAA", p.sign())), "dpop_malformed"),
        ("white space", |p| request("tok", &format!("{} ", p.sign())), "dpop_malformed"),
        ("far too long", |p| alone(p.claims(json!({"x": "x".repeat(9000)}))), "dpop_malformed"),
        ("an extension", |p| alone(p.header(json!({"crit": ["x"], "x": 1}))), "dpop_malformed"),
        ("no type", |p| alone(p.header(json!({"typ": null}))), "dpop_type"),
        ("an access token's type", |p| alone(p.header(json!({"typ": "at+jwt"}))), "dpop_type"),
        ("unsigned", |p| alone(p.header(json!({"alg": "none"}))), "dpop_algorithm"),
        ("by a shared secret", |p| alone(p.header(json!({"alg": "HS256"}))), "dpop_algorithm"),
        ("an algorithm of other keys", |p| alone(p.header(json!({"alg": "EdDSA"}))), "dpop_algorithm"),
        ("an algorithm that is not allowed", |p| alone(p.header(json!({"alg": "ES384"}))), "dpop_algorithm"),
        ("no key", |p| alone(p.header(json!({"jwk": null}))), "dpop_key"),
        ("a key by reference", |p| alone(p.header(json!({"jwk": "https://evil.example"}))), "dpop_key"),
        ("a point of another curve", |p| alone(p.header(json!({"jwk": {"crv": "P-384"}}))), "dpop_key"),
        ("a key for encryption", |p| alone(p.header(json!({"jwk": {"use": "enc"}}))), "dpop_key"),
        ("a secret in the key", |p| alone(p.header(json!({"jwk": {"d": "AAAA"}}))), "dpop_private_key"),
        (
            "a symmetric key",
            |p| alone(p.header(json!({"jwk": {"kty": "oct", "k": "AAAA"}}))),
            "dpop_private_key",
        ),
        (
            "a key of one's own",
            |p| {
                let ed = Proof::by(Algorithm::EdDSA, "tok", "jti", UnixMillis::from_secs(0));
                alone(Proof { alg: ed.alg, header: ed.header, ..p })
            },
            "token_of_other_key",
        ),
        (
            "another's signature",
            |p| {
                let (signed, other) = (p.sign(), p.claims(json!({"jti": "other"})).sign());
                let (text, _) = signed.rsplit_once('.').unwrap();
                request("tok", &format!("{text}.{}", other.rsplit_once('.').unwrap().1))
            },
            "dpop_signature",
        ),
        (
            "changed claims",
            |p| {
                let (signed, other) = (p.sign(), p.claims(json!({"htm": "POST"})).sign());
                let parts: Vec<&str> = signed.split('.').collect();
                request("tok", &format!("{}.{}.{}", parts[0], other.split('.').nth(1).unwrap(), parts[2]))
            },
            "dpop_signature",
        ),
        (
            "no signature",
            |p| request("tok", &format!("{}.", p.sign().rsplit_once('.').unwrap().0)),
            "dpop_signature",
        ),
        ("no id", |p| alone(p.claims(json!({"jti": null}))), "dpop_claim"),
        ("an empty id", |p| alone(p.claims(json!({"jti": ""}))), "dpop_claim"),
        ("a number as id", |p| alone(p.claims(json!({"jti": 1}))), "dpop_claim"),
        ("no method", |p| alone(p.claims(json!({"htm": null}))), "dpop_claim"),
        ("another method", |p| alone(p.claims(json!({"htm": "POST"}))), "dpop_for_other_method"),
        ("the method in small letters", |p| alone(p.claims(json!({"htm": "get"}))), "dpop_for_other_method"),
        ("no URI", |p| alone(p.claims(json!({"htu": null}))), "dpop_claim"),
        ("a list of URIs", |p| alone(p.claims(json!({"htu": ["https://api.example/"]}))), "dpop_claim"),
        (
            "another URI",
            |p| alone(p.claims(json!({"htu": "https://api.example/other"}))),
            "dpop_for_other_uri",
        ),
        ("another host", |p| alone(p.claims(json!({"htu": "https://evil.example/"}))), "dpop_for_other_uri"),
        ("another scheme", |p| alone(p.claims(json!({"htu": "http://api.example/"}))), "dpop_for_other_uri"),
        ("no date", |p| alone(p.claims(json!({"iat": null}))), "dpop_claim"),
        ("a date as text", |p| alone(p.claims(json!({"iat": "1795377648"}))), "dpop_claim"),
        ("made tomorrow", |p| alone(shifted(p, 86_400)), "dpop_from_the_future"),
        ("made 6 s from now", |p| alone(shifted(p, 6)), "dpop_from_the_future"),
        ("in milliseconds", |p| alone(shifted(p, 1_795_377_648_000)), "dpop_from_the_future"),
        ("made yesterday", |p| alone(shifted(p, -86_400)), "dpop_too_old"),
        ("made 66 s ago", |p| alone(shifted(p, -66)), "dpop_too_old"),
        ("ended", |p| alone(p.claims(json!({"exp": 1_795_377_600}))), "dpop_too_old"),
        ("not begun", |p| alone(p.claims(json!({"nbf": 1_795_377_700}))), "dpop_from_the_future"),
        ("of no token", |p| alone(p.claims(json!({"ath": null}))), "dpop_claim"),
        (
            "of another token",
            |p| {
                let other = Proof::of("other", "jti", UnixMillis::from_secs(0));
                alone(p.claims(json!({"ath": other.claims["ath"]})))
            },
            "dpop_for_other_token",
        ),
        ("of the token itself", |p| alone(p.claims(json!({"ath": "tok"}))), "dpop_for_other_token"),
        (
            "a bound token as one of bearers",
            |p| Request::bearer("tok").with("dpop", p.sign()),
            "bound_token_as_bearer",
        ),
    ];
    assert!(cases.len() >= 40);
    let mut worker = Worker::new(taking_proofs(json!({})));
    for (number, (what, spoil, wanted)) in cases.iter().enumerate() {
        let proof = Proof::of("tok", &format!("jti-{number}"), worker.now);
        let fate = worker.call(&spoil(proof.clone()), &bound());
        assert_eq!((fate.status(), fate.reason()), (401, *wanted), "{what}");
        // What was refused was not used up, and the good one passes.
        let fate = worker.call(&request("tok", &proof.sign()), &bound());
        assert_eq!(reason(&fate), "forwarded", "{what}, mended");
    }
    assert_eq!(worker.served_again, 0);
}

fn shifted(proof: Proof, seconds: i64) -> Proof {
    let iat = proof.claims["iat"].as_i64().unwrap() + seconds;
    proof.claims(json!({"iat": iat}))
}

#[test]
fn the_window_of_a_proof_is_as_configured() {
    let patch = json!({"dpop": {"max_age": "10s", "leeway": "2s"}});
    for (seconds, wanted) in
        [(2, "forwarded"), (3, "dpop_from_the_future"), (-12, "forwarded"), (-13, "dpop_too_old")]
    {
        let mut worker = Worker::new(taking_proofs(patch.clone()));
        let proof = shifted(Proof::of("tok", "jti", worker.now), seconds);
        assert_eq!(reason(&worker.call(&alone(proof), &bound())), wanted, "{seconds}");
    }
}

#[test]
fn a_proof_is_as_old_as_its_request_and_not_as_the_answer_of_the_server() {
    let mut worker = Worker::new(taking_proofs(json!({})));
    let proof = shifted(Proof::of("tok", "jti", worker.now), -64);
    let stream = worker.receive(&alone(proof));
    worker.pass(Duration::from_secs(3)).answer(&bound());
    assert_eq!(reason(&worker.fate(stream)), "forwarded");
}

/// The slot in which a proof by the usual key is remembered.
fn slot(jti: &str) -> u64 {
    let key = Base64UrlUnpadded::decode_vec(&thumbprint(Algorithm::ES256)).unwrap();
    let digest = Sha256::new().chain_update(key).chain_update(jti).finalize();
    u64::from_le_bytes(digest[..8].try_into().unwrap()) % 4096
}

#[test]
fn a_proof_is_not_forgotten_while_somebody_waits_with_it() {
    let mut worker = Worker::new(taking_proofs(json!({})));
    let proof = Proof::of("tok", "jti", worker.now);
    assert_eq!(reason(&worker.call(&alone(proof.clone()), &bound())), "forwarded");
    // It comes again while it is just young enough, and has to wait for a new verdict.
    worker.pass(Duration::from_secs(65));
    let replayed = worker.receive(&alone(proof));
    worker.pass(Duration::from_secs(4));
    // Meanwhile another falls into its slot, on another worker, which throws away what is too old.
    let other = (0..).map(|number| number.to_string()).find(|jti| slot(jti) == slot("jti")).unwrap();
    let mut beside = Worker::sharing(taking_proofs(json!({})), worker.shared.clone());
    beside.now = worker.now;
    let beside_it = request("beside", &Proof::of("beside", &other, beside.now).sign());
    assert_eq!(reason(&beside.call(&beside_it, &bound())), "forwarded");
    worker.answer(&bound());
    assert_eq!(reason(&worker.fate(replayed)), "dpop_replayed");
    // Nobody waits so long that it would have to be remembered for ever.
    let slow = worker.receive(&request("slow", &Proof::of("slow", "slow", worker.now).sign()));
    worker.pass(Duration::from_secs(81)).answer(&bound());
    assert_eq!(reason(&worker.fate(slow)), "dpop_too_old");
}

#[test]
fn a_proof_is_seen_by_all_workers() {
    let shared = Map::default();
    let mut workers = [0; 3].map(|_| Worker::sharing(taking_proofs(json!({})), shared.clone()));
    let proof = Proof::of("tok", "jti", workers[0].now).sign();
    let fates = workers.each_mut().map(|worker| worker.call(&request("tok", &proof), &bound()));
    assert_eq!(fates.each_ref().map(reason), ["forwarded", "dpop_replayed", "dpop_replayed"]);
    // The same id by another key is another proof, and the same proof in other words is not.
    let other = Proof::by(Algorithm::EdDSA, "of-ed", "jti", workers[0].now).sign();
    let fate = workers[1].call(&request("of-ed", &other), &bound_to(Algorithm::EdDSA));
    assert_eq!(reason(&fate), "forwarded");
    let elsewhere =
        Proof::of("tok", "jti", workers[0].now).claims(json!({"htu": "https://api.example/other"}));
    let moved = Request::get("/other").with("authorization", "DPoP tok").with("dpop", elsewhere.sign());
    assert_eq!(reason(&workers[2].call(&moved, &bound())), "dpop_replayed");
}

#[test]
fn of_several_requests_with_one_proof_that_wait_together_one_passes() {
    let mut worker = Worker::new(taking_proofs(json!({})));
    let proof = Proof::of("tok", "jti", worker.now).sign();
    let streams = [0; 5].map(|_| worker.receive(&request("tok", &proof)));
    let thief = worker.receive(&Request::bearer("tok"));
    worker.answer(&bound());
    let passed = streams.iter().filter(|stream| matches!(worker.fate(**stream), Fate::Forwarded(_))).count();
    assert_eq!((passed, reason(&worker.fate(thief))), (1, "bound_token_as_bearer"));
    assert_eq!(worker.count(Counter::JwtMinted), 1);
}

#[test]
fn a_token_in_another_place_needs_its_proof_too_and_the_header_goes_with_it() {
    let sources = json!({"policies": {"default": {"token_sources": [{"header": "x-token"}]}}});
    let mut worker = Worker::new(taking_proofs(sources));
    let bare = || Request::get("/").with("x-token", "tok");
    assert_eq!(reason(&worker.call(&bare(), &bound())), "dpop_missing");
    let fate = worker.call(&bare().with("dpop", Proof::of("tok", "a", worker.now).sign()), &bound());
    assert!(fate.removes("dpop") && fate.removes("x-token"));
}

#[test]
fn the_original_token_goes_on_with_its_proof() {
    let mut worker =
        Worker::new(taking_proofs(json!({"policies": {"default": {"strategy": "introspection"}}})));
    let fate = worker.call(&alone(Proof::of("tok", "a", worker.now)), &bound());
    assert_eq!(fate, Fate::unchanged());
}

#[test]
fn a_bad_proof_is_not_taken_for_no_token() {
    let lax = json!({"policies": {"default": {"allow_missing": "missing_or_invalid"}}});
    let mut worker = Worker::new(taking_proofs(lax));
    let fate = worker.call(&Request::get("/").with("authorization", "DPoP tok"), &bound());
    assert_eq!(reason(&fate), "dpop_missing");
    let stolen = worker.receive(&Request::bearer("tok"));
    assert!(worker.fate(stolen).removes("authorization"), "passes as nobody's");
}

#[test]
fn both_the_key_and_the_certificate_must_be_shown_where_a_token_is_bound_to_both() {
    let mut reply = bound();
    merge(
        &mut reply,
        json!({"token_type": "Bearer", "cnf": {"x5t#S256": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}}),
    );
    let mut worker = Worker::new(taking_proofs(json!({})));
    let own = "00".repeat(32);
    let proof = |worker: &Worker, jti| alone(Proof::of("tok", jti, worker.now));
    let (without, with) = (proof(&worker, "a"), proof(&worker, "a").with_certificate(&own));
    assert_eq!(reason(&worker.call(&without, &reply)), "token_without_its_certificate");
    assert_eq!(reason(&worker.call(&with, &reply)), "forwarded");
    let unproven = Request::get("/").with("authorization", "DPoP tok").with_certificate(&own);
    assert_eq!(reason(&worker.call(&unproven, &reply)), "dpop_missing");
}

#[test]
fn a_proof_that_cannot_be_remembered_is_refused_until_others_are_too_old() {
    let shared = Map::default();
    let mut worker = Worker::sharing(taking_proofs(json!({"dpop": {"max_proofs": 100_000}})), shared.clone());
    // As many other proofs as there is room for, good for another minute.
    let until = u32::try_from(worker.now.as_secs() + 60).unwrap().to_le_bytes();
    let others: Vec<u8> = (0..36_u8).flat_map(|id| [&[id; 16][..], &until].concat()).collect();
    (0..4096).for_each(|slot| shared.set(&format!("d{slot}"), &[&[1][..], &others].concat()));
    let proof = |worker: &Worker, jti| alone(Proof::of("tok", jti, worker.now));
    let fate = worker.call(&proof(&worker, "a"), &bound());
    assert_eq!((fate.status(), fate.reason()), (503, "too_many_dpop_proofs"));
    assert_eq!(worker.count(Counter::Unavailable), 1);
    worker.pass(Duration::from_secs(61));
    let again = proof(&worker, "a");
    assert_eq!(reason(&worker.call(&again, &bound())), "forwarded");
    assert_eq!(reason(&worker.call(&again, &bound())), "dpop_replayed");
}
