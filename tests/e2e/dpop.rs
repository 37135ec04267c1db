//! DPoP (RFC 9449) in real Envoy: tokens that oidc-provider has bound to a client's key, and a client of another hand. What goes
//! through once goes through once, and what somebody else makes of it does not.

use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::rig::{
    answer::Answer,
    bootstrap::Bootstrap,
    client::Request,
    gateway::{Gateway, jwt_plugin, plugin},
    oauth4webapi::Session,
    oidc_provider::{AUDIENCE, JWKS, OidcProvider},
    signer::Signer,
};

/// The API as its clients know it; Envoy is somewhere else.
const API: &str = "https://api.example";

async fn taking_proofs(patch: Value) -> Value {
    let mut plugin = plugin().await;
    plugin["dpop"] = json!({"origins": [API]});
    for (key, value) in patch.as_object().expect("keys") {
        plugin["dpop"][key] = value.clone();
    }
    plugin
}

const CALLS: [(&str, &str); 4] = [
    ("GET", "https://api.example/orders"),
    ("GET", "https://api.example/orders?state=open&page=2"),
    ("POST", "https://api.example/orders"),
    ("GET", "https://api.example/a%20b/%C3%A9"),
];

fn assert_passed(session: &Session) {
    assert_eq!(session.token_type, "dpop");
    for answer in &session.answers {
        assert_eq!(answer["status"], 200, "{answer}");
        let echo: Value = serde_json::from_str(answer["body"].as_str().expect("a body")).expect("JSON");
        assert_eq!(echo["headers"].get("dpop"), None, "the proof is for the client's token");
        let jwt = echo["headers"]["authorization"][0].as_str().expect("authorization");
        let claims = jwt.split('.').nth(1).expect("a JWT");
        let claims = Base64UrlUnpadded::decode_vec(claims).expect("base64url");
        let claims: Value = serde_json::from_slice(&claims).expect("claims");
        assert_eq!((claims.get("cnf"), &claims["client_id"]), (None, &json!("app")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_passes_with_bound_tokens_and_nobody_with_what_it_has_sent() {
    let server = OidcProvider::start().await;
    let gateway = Gateway::with_oidc_provider(server, taking_proofs(json!({})).await, Bootstrap::tls).await;
    for algorithm in ["ES256", "Ed25519"] {
        let opaque = json!({"scope": "read"});
        let envoy = ("https", gateway.envoy.address());
        let session = Session::of(&gateway.server, opaque, algorithm, envoy, &CALLS).await;
        assert_eq!(session.answers.len(), CALLS.len());
        assert_passed(&session);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_client_has_sent_is_of_no_use_on_any_worker() {
    let server = OidcProvider::start().await;
    let plugin = taking_proofs(json!({})).await;
    let gateway = Gateway::with_oidc_provider(server, plugin, |envoy| envoy.workers(2)).await;
    let envoy = ("http", gateway.envoy.address());
    let session = Session::of(&gateway.server, json!({"scope": "read"}), "ES256", envoy, &CALLS).await;
    assert_passed(&session);
    let forwarded = gateway.upstream.requests();
    for mut connections in gateway.envoy.connect_to_every_worker(1).await {
        for sent in session.sent() {
            let reply = connections[0].send(sent).await.expect("an answer");
            assert_eq!(reply.status, 401, "{reply:?}");
            let challenge = reply.header("www-authenticate").expect("a challenge");
            assert!(
                challenge
                    .starts_with("DPoP realm=\"api\", algs=\"ES256 EdDSA\", error=\"invalid_dpop_proof\""),
                "{challenge}"
            );
        }
        let bearer = Request::get("/orders").bearer(&session.token);
        let reply = connections[0].send(&bearer).await.expect("an answer");
        assert_eq!(reply.status, 401);
    }
    gateway.envoy.access_log_line("dpop_replayed").await;
    assert_eq!(gateway.judged("/stolen", &session.token).await, (401, "bound_token_as_bearer".to_owned()));
    assert_eq!(gateway.upstream.requests(), forwarded);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jwts_that_are_bound_to_a_key_are_validated_with_their_proofs() {
    let server = OidcProvider::with_algorithms(&["ES256"]).await;
    let mut plugin = jwt_plugin(&server.issuer(), JWKS);
    plugin["dpop"] = json!({"origins": [API]});
    plugin["policies"]["default"]["require"]["sender_constrained"] = json!("require");
    let gateway = Gateway::with_oidc_provider(server, plugin, |envoy| envoy).await;
    let jwt = json!({"scope": "read", "resource": format!("{AUDIENCE}/ES256")});
    let envoy = ("http", gateway.envoy.address());
    let session = Session::of(&gateway.server, jwt, "ES256", envoy, &CALLS).await;
    assert_eq!(session.answers.iter().map(|it| &it["status"]).collect::<Vec<_>>(), [200; 4]);
    assert_eq!(gateway.judged("/stolen", &session.token).await, (401, "bound_token_as_bearer".to_owned()));
    let free = gateway.server.jwt("ES256", "read").await;
    assert_eq!(gateway.judged("/free", &free).await, (401, "token_not_bound".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_learns_the_nonce_and_goes_on_with_it() {
    let server = OidcProvider::start().await;
    let plugin = taking_proofs(json!({"nonce": "required"})).await;
    let gateway = Gateway::with_oidc_provider(server, plugin, |envoy| envoy.workers(2)).await;
    let envoy = ("http", gateway.envoy.address());
    let session = Session::of(&gateway.server, json!({"scope": "read"}), "ES256", envoy, &CALLS).await;
    assert_passed(&session);
    let retried: Vec<&Value> = session.answers.iter().map(|answer| &answer["retried"]).collect();
    assert_eq!(retried, [true, false, false, false], "only the first did not know it");
}

/// What an attacker sends who has a token, the proofs of its client, and a key of his own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_hostile_proof_is_forwarded() {
    let client = Signer::new("ES256", "client");
    let mut gateway_plugin = taking_proofs(json!({})).await;
    gateway_plugin["policies"] = json!({"default": {"cache_ttl": "60s"}});
    let gateway = Gateway::with(gateway_plugin, |envoy| envoy.workers(2)).await;
    let jkt = thumbprint(&client);
    gateway.server.answer("tok", Answer::active(json!({"token_type": "DPoP", "cnf": {"jkt": jkt}})));
    let mallory = Signer::new("ES256", "mallory");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a date").as_secs();
    let header = |signer: &Signer| {
        let mut jwk = signer.jwk();
        jwk.as_object_mut()
            .expect("a JWK")
            .retain(|name, _| ["kty", "crv", "x", "y"].contains(&name.as_str()));
        json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk})
    };
    let claims = |path: &str| {
        json!({
            "jti": path, "htm": "GET", "htu": format!("{API}{path}"), "iat": now,
            "ath": Base64UrlUnpadded::encode_string(&Sha256::digest("tok")),
        })
    };
    let changed = |mut of: Value, name: &str, value: Value| {
        of[name] = value;
        of
    };
    let with = |path: &str, proof: String| {
        Request::get(path).header("authorization", "DPoP tok").header("dpop", proof)
    };
    let good = |path: &str| client.sign(&header(&client), &claims(path));
    let other_claim = |path: &str, name: &str, value: Value| {
        with(path, client.sign(&header(&client), &changed(claims(path), name, value)))
    };
    let other_header = |path: &str, name: &str, value: Value| {
        with(path, client.sign(&changed(header(&client), name, value), &claims(path)))
    };
    let private = changed(header(&client)["jwk"].clone(), "d", json!("AAAA"));
    let cases = [
        ("/none", Request::get("/none").header("authorization", "DPoP tok"), "dpop_missing"),
        ("/two", with("/two", good("/two")).header("dpop", good("/two/b")), "several_dpop_proofs"),
        (
            "/bearer",
            Request::get("/bearer").bearer("tok").header("dpop", good("/bearer")),
            "bound_token_as_bearer",
        ),
        ("/method", other_claim("/method", "htm", json!("POST")), "dpop_for_other_method"),
        ("/uri", other_claim("/uri", "htu", json!("https://evil.example/uri")), "dpop_for_other_uri"),
        ("/inner", other_claim("/inner", "htu", json!("http://127.0.0.1/inner")), "dpop_for_other_uri"),
        ("/token", other_claim("/token", "ath", json!(jkt)), "dpop_for_other_token"),
        ("/future", other_claim("/future", "iat", json!(now + 3600)), "dpop_from_the_future"),
        ("/past", other_claim("/past", "iat", json!(now - 3600)), "dpop_too_old"),
        ("/id", other_claim("/id", "jti", json!(7)), "dpop_claim"),
        ("/type", other_header("/type", "typ", json!("JWT")), "dpop_type"),
        ("/hmac", other_header("/hmac", "alg", json!("HS256")), "dpop_algorithm"),
        ("/unsigned", other_header("/unsigned", "alg", json!("none")), "dpop_algorithm"),
        ("/private", other_header("/private", "jwk", private), "dpop_private_key"),
        ("/key", with("/key", mallory.sign(&header(&mallory), &claims("/key"))), "token_of_other_key"),
        (
            "/signature",
            with("/signature", mallory.sign(&header(&client), &claims("/signature"))),
            "dpop_signature",
        ),
        ("/garbage", with("/garbage", "a.\u{fffd}.b".to_owned()), "dpop_malformed"),
    ];
    for (path, request, reason) in cases {
        let reply = gateway.send(request).await;
        let line = gateway.envoy.access_log_line(&format!("{path} ")).await;
        assert_eq!((reply.status, line.rsplit(' ').next()), (401, Some(reason)), "{path}");
    }
    assert_eq!(gateway.upstream.requests(), 0);
    assert_eq!(gateway.send(with("/good", good("/good"))).await.status, 200, "and a good one passes");
    let metrics = gateway.envoy.stats("phantom_token.requests.denied.invalid_dpop_proof").await;
    assert!(metrics.values().sum::<u64>() >= 14, "{metrics:?}");
}

/// `jkt` of a P-256 key.
fn thumbprint(signer: &Signer) -> String {
    let jwk = signer.jwk();
    let (x, y) = (jwk["x"].as_str().expect("x"), jwk["y"].as_str().expect("y"));
    let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    Base64UrlUnpadded::encode_string(&Sha256::digest(members))
}
