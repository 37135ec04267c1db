//! What clients are told (RFC 9449 §7.1, §7.2), nonces among it (§9).

use std::time::Duration;

use phantom_token_filter::jwt::Algorithm;
use phantom_token_filter::metrics::Counter;
use serde_json::{Value, json};

use super::{alone, bound, header, reason, taking_proofs};
use crate::support::dpop::{Proof, request};
use crate::support::{Request, Worker};

#[test]
fn challenges_name_the_scheme_that_was_used_and_offer_the_other() {
    let mut worker =
        Worker::new(taking_proofs(json!({"policies": {"default": {"require": {"scopes": ["read"]}}}})));
    let none = worker.receive(&Request::get("/"));
    let plain =
        ["Bearer realm=\"api\", scope=\"read\"", "DPoP realm=\"api\", algs=\"ES256 EdDSA\", scope=\"read\""];
    assert_eq!(header(&worker.fate(none), "www-authenticate"), plain);
    let stolen = worker.call(&Request::bearer("tok"), &bound());
    let challenges = header(&stolen, "www-authenticate").join("\n");
    assert!(challenges.starts_with("Bearer realm=\"api\", error=\"invalid_token\""), "{challenges}");
    assert!(challenges.ends_with(plain[1]), "{challenges}");
    for (request, error) in [
        (Request::get("/").with("authorization", "DPoP tok"), "invalid_dpop_proof"),
        (request("tok", &Proof::of("other", "a", worker.now).sign()), "invalid_dpop_proof"),
        (Request::get("/").with("authorization", "DPoP t,k"), "invalid_request"),
        (Request::get("/").with("authorization", "DPoP \"tok\""), "invalid_token"),
    ] {
        let stream = worker.receive(&request);
        let fate = worker.fate(stream);
        let challenges = header(&fate, "www-authenticate");
        let wanted = format!("DPoP realm=\"api\", algs=\"ES256 EdDSA\", error=\"{error}\"");
        assert!(challenges[0].starts_with(&wanted), "{challenges:?}");
        assert_eq!(challenges[1..], plain[..1]);
        assert_eq!(header(&fate, "access-control-expose-headers"), ["WWW-Authenticate"]);
    }
    let key = Proof::by(Algorithm::EdDSA, "tok", "b", worker.now).sign();
    let fate = worker.call(&request("tok", &key), &bound());
    assert!(
        header(&fate, "www-authenticate")[0]
            .contains("error_description=\"the access token is bound to another DPoP key\"")
    );
    // Who looks at no proof offers none.
    let ignoring = json!({"policies": {"default": {"require": {"sender_constrained": "ignore"}}}});
    let mut worker = Worker::new(taking_proofs(ignoring));
    let none = worker.receive(&Request::get("/"));
    assert_eq!(header(&worker.fate(none), "www-authenticate"), ["Bearer realm=\"api\""]);
}

#[test]
fn a_nonce_is_asked_for_given_and_taken_on_every_worker_and_envoy() {
    let mut one = Worker::new(taking_proofs(json!({"dpop": {"nonce": "required"}})));
    let mut other = Worker::new(taking_proofs(json!({"dpop": {"nonce": "required"}})));
    let fate = one.call(&alone(Proof::of("tok", "a", one.now)), &bound());
    assert_eq!((fate.status(), fate.reason()), (401, "dpop_without_nonce"));
    let challenge = header(&fate, "www-authenticate")[0].to_owned();
    assert!(
        challenge.starts_with("DPoP realm=\"api\", algs=\"ES256 EdDSA\", error=\"use_dpop_nonce\""),
        "{challenge}"
    );
    assert_eq!(header(&fate, "access-control-expose-headers"), ["WWW-Authenticate, DPoP-Nonce"]);
    let [nonce] = header(&fate, "dpop-nonce")[..] else { panic!("{fate:?}") };
    assert_eq!(one.count(Counter::DeniedUseDpopNonce), 1);
    // The same proof with the nonce, as clients do, and again with a new id.
    for (of_one, jti) in [(true, "a"), (false, "a"), (false, "b")] {
        let worker = if of_one { &mut one } else { &mut other };
        let proof = Proof::of("tok", jti, worker.now).claims(json!({"nonce": nonce}));
        assert_eq!(reason(&worker.call(&alone(proof), &bound())), "forwarded");
    }
    let with = |worker: &Worker, jti: &str, nonce: Value| {
        alone(Proof::of("tok", jti, worker.now).claims(json!({"nonce": nonce})))
    };
    for (jti, nonce, wanted) in [
        ("c", json!("nonce"), "dpop_with_other_nonce"),
        ("d", json!(format!("{nonce}A")), "dpop_with_other_nonce"),
        ("e", json!(1), "dpop_claim"),
    ] {
        assert_eq!(reason(&one.call(&with(&one, jti, nonce), &bound())), wanted);
    }
    one.pass(Duration::from_secs(301));
    let late = one.call(&with(&one, "f", json!(nonce)), &bound());
    assert_eq!(reason(&late), "dpop_with_other_nonce");
    assert_ne!(header(&late, "dpop-nonce"), [nonce], "a new one");
}

#[test]
fn envoys_of_other_keys_do_not_know_each_others_nonces() {
    let with = |secret: &str| {
        taking_proofs(json!({"dpop": {"nonce": "required", "nonce_secret": {"inline": secret}}}))
    };
    let (mut one, mut other) = (Worker::new(with(&"a".repeat(32))), Worker::new(with(&"b".repeat(32))));
    let fate = one.call(&alone(Proof::of("tok", "a", one.now)), &bound());
    let proof = Proof::of("tok", "b", one.now).claims(json!({"nonce": header(&fate, "dpop-nonce")[0]}));
    assert_eq!(reason(&other.call(&alone(proof.clone()), &bound())), "dpop_with_other_nonce");
    assert_eq!(reason(&one.call(&alone(proof), &bound())), "forwarded");
}
