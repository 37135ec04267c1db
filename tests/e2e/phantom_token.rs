//! The main job, with a real authorization server and two workers: an opaque token goes in, a JWT comes out that two
//! independent libraries accept.

use serde_json::{Value, json};

use crate::rig::{
    client::Request,
    gateway::{Gateway, plugin_with},
    jose::{self, Key},
    oidc_provider::OidcProvider,
};

const ISSUER: &str = "https://gateway.example";
const AUDIENCE: &str = "https://api.example";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jwt_authn_and_jose_accept_es256() {
    accepted_with_published_key("ES256").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jwt_authn_and_jose_accept_es384() {
    accepted_with_published_key("ES384").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jwt_authn_and_jose_accept_rs256() {
    accepted_with_published_key("RS256").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jwt_authn_and_jose_accept_eddsa() {
    accepted_with_published_key("EdDSA").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jwt_authn_and_jose_accept_hs256_whose_key_is_not_published() {
    let key = jose::generate("HS256").await;
    let jwks = json!({"keys": [jwk(&key)]});
    let local_jwks = json!({"local_jwks": {"inline_string": jwks.to_string()}});
    let gateway = start(&key, &key.jwk.to_string(), local_jwks).await;
    assert_eq!(gateway.jwks().await, json!({"keys": []}));
    accepted(&gateway, &key, &jwks).await;
}

/// With the key as PEM and as JWK; `jwt_authn` fetches the public one from the filter.
async fn accepted_with_published_key(alg: &str) {
    let key = jose::generate(alg).await;
    for private_key in [key.pem.clone(), key.jwk.to_string()] {
        let uri =
            json!({"uri": "http://this/.well-known/jwks.json", "cluster": "this_envoy", "timeout": "5s"});
        let gateway = start(&key, &private_key, json!({"remote_jwks": {"http_uri": uri}})).await;
        let jwks = gateway.jwks().await;
        let published = jwks["keys"].as_array().expect("keys");
        assert_eq!(published.len(), 1, "{jwks}");
        for (name, value) in jwk(&key).as_object().expect("a JWK") {
            assert_eq!(&published[0][name], value, "{name} of {jwks}");
        }
        for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert!(published[0].get(private).is_none(), "{private} of a private key is published: {jwks}");
        }
        accepted(&gateway, &key, &jwks).await;
    }
}

/// `jwt_authn` has let through what arrived at the upstream; `jose` verifies it too.
async fn accepted(gateway: &Gateway<OidcProvider>, key: &Key, jwks: &Value) {
    let (first, second) = (gateway.server.token("read").await, gateway.server.token("read write").await);
    let jwts = [gateway.get(&first).await.echoed_bearer(), gateway.get(&second).await.echoed_bearer()];
    assert!(!jwts.contains(&first) && !jwts.contains(&second));
    let verified = jose::verify(&jwts, jwks).await;
    for (jwt, scope) in verified.iter().zip(["read", "read write"]) {
        assert_eq!(jwt.header, json!({"alg": key.alg, "kid": "key-1", "typ": "at+jwt"}));
        assert_eq!(jwt.claims["iss"], ISSUER);
        assert_eq!(jwt.claims["aud"], AUDIENCE);
        assert_eq!(jwt.claims["scope"], scope);
        assert_eq!(jwt.claims["client_id"], "app");
        assert_eq!(jwt.claims["sub"], "app", "a client that acts for itself is its own subject");
        assert_eq!(jwt.claims["roles"], json!(["reader", "writer"]));
        let life = jwt.claims["exp"].as_u64().unwrap() - jwt.claims["iat"].as_u64().unwrap();
        assert!(life <= 300, "exp is at most ttl after iat, got {life} s");
    }
    assert_ne!(verified[0].claims["jti"], verified[1].claims["jti"]);

    let refused = gateway.get("not-a-token").await;
    assert_eq!(refused.status, 401, "{refused:?}");
    let without = gateway.send(Request::get("/")).await;
    assert_eq!(
        without.header("www-authenticate"),
        Some("Bearer realm=\"api\""),
        "refused by us, not by jwt_authn"
    );
}

async fn start(key: &Key, private_key: &str, key_source: Value) -> Gateway<OidcProvider> {
    let mut plugin = plugin_with(key);
    plugin["phantom_token"]["signing_keys"][0]["private_key"] = json!({"env": "SIGNING_KEY"});
    plugin["phantom_token"]["audiences"] = json!([AUDIENCE]);
    let mut jwt_authn = json!({"issuer": ISSUER, "audiences": [AUDIENCE], "forward": true});
    jwt_authn.as_object_mut().unwrap().extend(key_source.as_object().unwrap().clone());
    Gateway::with_oidc_provider(OidcProvider::start().await, plugin, |envoy| {
        envoy.workers(2).environment("SIGNING_KEY", private_key).jwt_authn(jwt_authn)
    })
    .await
}

/// The public JWK with all that the filter publishes of a key.
fn jwk(key: &Key) -> Value {
    let mut jwk = key.public_jwk.clone();
    jwk["kid"] = json!("key-1");
    jwk["alg"] = json!(key.alg);
    jwk["use"] = json!("sig");
    jwk
}
