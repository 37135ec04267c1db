//! The five ways in which the filter shows the authorization server who asks.

use base64ct::{Base64, Encoding};
use serde_json::{Value, json};

use crate::rig::{
    answer::Answer,
    authorization_server::Call,
    gateway::{Gateway, plugin},
    jose,
    oidc_provider::OidcProvider,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oidc_provider_accepts_client_secret_basic() {
    let credentials = json!({"client_id": "gw-basic", "client_secret": {"inline": "gw-secret"}});
    accepted_by_oidc_provider(json!({"client_secret_basic": credentials})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oidc_provider_accepts_basic_credentials_that_need_encoding() {
    let credentials = json!({"client_id": "gw weird:id", "client_secret": {"inline": "p%ss w+rd:x"}});
    accepted_by_oidc_provider(json!({"client_secret_basic": credentials})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oidc_provider_accepts_client_secret_post() {
    let credentials = json!({"client_id": "gw-post", "client_secret": {"inline": "gw-secret"}});
    accepted_by_oidc_provider(json!({"client_secret_post": credentials})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oidc_provider_accepts_private_key_jwt_again_and_again() {
    let key = jose::any_key().await;
    let server = OidcProvider::with_gateway_key(&key.public_jwk).await;
    let (issuer, private_key) = (server.issuer(), json!({"inline": key.pem}));
    let credentials =
        json!({"client_id": "gw-pkjwt", "private_key": private_key, "alg": "ES256", "audience": issuer});
    accepted_by(server, json!({"private_key_jwt": credentials})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raw_basic_credentials_are_not_encoded() {
    let secret = json!({"inline": "p%ss w+rd:x"});
    let call = call_with(json!({"client_secret_basic":
        {"client_id": "gw id", "client_secret": secret, "encoding": "raw"}}))
    .await;
    let expected = format!("Basic {}", Base64::encode_string(b"gw id:p%ss w+rd:x"));
    assert_eq!(call.header("authorization"), Some(expected.as_str()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bearer_sends_its_token() {
    let call = call_with(json!({"bearer": {"token": {"inline": "of-the-gateway"}}})).await;
    assert_eq!(call.header("authorization"), Some("Bearer of-the-gateway"));
    assert_eq!(call.parameter("client_id"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn none_sends_the_client_id_alone() {
    let call = call_with(json!({"none": {"client_id": "gw-mtls"}})).await;
    assert_eq!(call.header("authorization"), None);
    assert_eq!(call.parameter("client_id"), Some("gw-mtls"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_request_is_that_of_rfc_7662_with_what_is_configured() {
    let mut plugin = plugin().await;
    let introspection = &mut plugin["providers"]["main"]["introspection"];
    introspection["authority"] = json!("as.example");
    introspection["parameters"] = json!({"resource": "https://api.example/a b"});
    introspection["headers"] = json!({"x-realm": "customers"});
    let call = one_call(plugin).await;
    assert_eq!(call.path, "/token/introspection");
    assert_eq!(call.header("host"), Some("as.example"));
    assert_eq!(call.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(call.header("accept"), Some("application/json"));
    assert_eq!(call.header("x-realm"), Some("customers"));
    assert_eq!(call.parameter("token"), Some("an+opaque/token=="));
    assert_eq!(call.parameter("token_type_hint"), Some("access_token"));
    assert_eq!(call.parameter("resource"), Some("https://api.example/a b"));
}

async fn accepted_by_oidc_provider(auth: Value) {
    accepted_by(OidcProvider::start().await, auth).await;
}

/// Asks several times: an assertion, say, must not be used twice.
async fn accepted_by(server: OidcProvider, auth: Value) {
    let gateway = Gateway::with_oidc_provider(server, with_auth(auth).await, |envoy| envoy).await;
    for _ in 0..3 {
        let access_token = gateway.server.token("read").await;
        let reply = gateway.get(&access_token).await;
        assert_eq!(reply.status, 200, "{reply:?}\n{}", gateway.envoy.log());
    }
}

async fn call_with(auth: Value) -> Call {
    one_call(with_auth(auth).await).await
}

async fn one_call(plugin: Value) -> Call {
    let gateway = Gateway::with(plugin, |envoy| envoy).await;
    gateway.server.answer_all(Answer::active(json!({})));
    let reply = gateway.get("an+opaque/token==").await;
    let call = gateway.server.calls().remove(0);
    let request_ids: Vec<&str> = call.header("x-request-id").into_iter().collect();
    assert_eq!(reply.echoed("x-request-id"), request_ids, "logs of both servers can be connected");
    call
}

async fn with_auth(auth: Value) -> Value {
    let mut plugin = plugin().await;
    plugin["providers"]["main"]["introspection"]["auth"] = auth;
    plugin
}
