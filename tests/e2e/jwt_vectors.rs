//! The examples of the RFCs, sent as tokens: with their own signature each is refused only for what comes after it,
//! with another one for the signature.

use std::{collections::BTreeMap, fs};

use serde_json::{Value, json};

use crate::rig::{
    ROOT,
    authorization_server::AuthorizationServer,
    gateway::{Gateway, jwt_plugin},
    signer::with_broken_signature,
};

/// What each example is refused for, with its own signature and with another. One that names no key could be by any,
/// so that newer keys are looked for before it is refused.
const REASONS: [(&str, &str, &str); 13] = [
    ("RFC7515-A.1-HS256", "jwt_algorithm", "jwt_algorithm"),
    ("RFC7515-A.2-RS256", "token_expired", "jwt_unknown_key"),
    ("RFC7515-A.3-ES256", "token_expired", "jwt_unknown_key"),
    ("RFC8037-A.4-EdDSA", "jwt_not_claims", "jwt_unknown_key"),
    ("RFC9449-Fig2-dpop-token-request", "token_of_other_issuer", "jwt_unknown_key"),
    ("RFC9449-dpop-refresh-request", "token_of_other_issuer", "jwt_unknown_key"),
    ("RFC9449-Fig12-dpop-protected-resource", "token_of_other_issuer", "jwt_unknown_key"),
    ("RFC9701-5-example", "jwt_unknown_key", "jwt_unknown_key"), // of which the RFC has no key
    ("curve25519-jws", "jwt_not_claims", "jwt_unknown_key"),
    ("jws-4_1.rsa_v15_signature", "jwt_not_claims", "jwt_signature"),
    ("jws-4_2.rsa-pss_signature", "jwt_not_claims", "jwt_signature"),
    ("jws-4_3.ecdsa_signature", "jwt_algorithm", "jwt_algorithm"), // ES512
    ("jws-4_4.hmac-sha2_integrity_protection", "jwt_algorithm", "jwt_algorithm"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_example_is_judged_by_its_signature_first() {
    let mut plugin = jwt_plugin("joe", "/jwks"); // who issued those of RFC 7515
    plugin["providers"]["main"]["jwt"] = json!({
        "algorithms": ["ES256", "ES384", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA"],
        "types": ["", "JWT", "dpop+jwt", "token-introspection+jwt"],
    });
    let (gateway, examples) = start(plugin).await;
    assert_eq!(examples.len(), REASONS.len(), "{:?}", examples.keys());
    let judged = REASONS.iter().flat_map(|(name, with_own, with_other)| {
        let jws = &examples[*name];
        let other = with_broken_signature(jws);
        let (gateway, expected) = (&gateway, [*with_own, *with_other]);
        [(jws.clone(), "own", expected[0]), (other, "other", expected[1])].map(
            |(token, which, reason)| async move {
                let judged = gateway.judged(&format!("/{name}/{which}"), &token).await;
                assert_eq!(judged, (401, reason.to_owned()), "{name} with its {which} signature");
            },
        )
    });
    // All at once: those that wait for newer keys wait together.
    futures(judged).await;
    assert_eq!(gateway.upstream.requests(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn none_of_the_examples_is_an_access_token() {
    let (gateway, examples) = start(jwt_plugin("joe", "/jwks")).await;
    for (name, jws) in examples {
        assert_eq!(gateway.judged(&format!("/{name}"), &jws).await, (401, "jwt_type".to_owned()), "{name}");
    }
}

/// A gateway that knows the keys of all examples, and the examples by name.
async fn start(plugin: Value) -> (Gateway, BTreeMap<String, String>) {
    let read = |path: String| -> Value {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        serde_json::from_str(&text).expect("JSON")
    };
    let vectors = format!("{ROOT}/tests/vectors");
    let (mut keys, mut examples) = (Vec::new(), BTreeMap::new());
    for vector in read(format!("{vectors}/rfc.json")).as_array().expect("a list") {
        let Some(jws) = vector["jws"].as_str() else { continue };
        examples.insert(vector["name"].as_str().expect("a name").to_owned(), jws.to_owned());
        keys.extend(vector.get("jwk").cloned());
    }
    for file in fs::read_dir(format!("{vectors}/rfc7520")).expect("the cookbook") {
        let path = file.expect("a file").path();
        let vector = read(path.to_string_lossy().into_owned());
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        examples.insert(name, vector["output"]["compact"].as_str().expect("a JWS").to_owned());
        keys.push(vector["input"]["key"].clone());
    }
    let server = AuthorizationServer::with_keys(&keys).await;
    (Gateway::with_server(server, plugin, |envoy| envoy).await, examples)
}

/// Awaits all of them at once.
async fn futures(all: impl Iterator<Item = impl Future<Output = ()>>) {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        all.retain_mut(|one| one.as_mut().poll(context).is_pending());
        if all.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}
