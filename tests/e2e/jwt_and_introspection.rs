//! JWTs that are validated here and, besides, still active at the server: with glewlwyd, which can revoke its JWTs,
//! and with a server that counts.

use serde_json::{Value, json};

use crate::rig::{
    answer::Answer,
    authorization_server::AuthorizationServer,
    gateway::{Gateway, plugin, validating},
    glewlwyd::{self, Glewlwyd},
    signer::{Signer, now, with_broken_signature},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jwt_that_was_revoked_at_glewlwyd_is_refused() {
    let server = Glewlwyd::start().await;
    let plugin = both(&server.issuer(), glewlwyd::JWKS, "0s").await;
    let gateway = Gateway::with_glewlwyd(server, plugin, |envoy| envoy.workers(2)).await;
    let session = gateway.server.login().await;
    let of_client = gateway.server.token("read").await;
    for jwt in [&session.access_token, &of_client] {
        for _ in 0..2 {
            assert_eq!(gateway.get(jwt).await.echoed_bearer(), *jwt, "as it is");
        }
    }
    gateway.server.revoke(&of_client).await;
    assert_eq!(gateway.judged("/revoked", &of_client).await, (401, "token_inactive".to_owned()));
    let of_alice = session.access_token.clone();
    assert_eq!(gateway.get(&of_alice).await.status, 200);
    gateway.server.logout(session).await;
    assert_eq!(gateway.judged("/logged-out", &of_alice).await, (401, "token_inactive".to_owned()));
    let forged = with_broken_signature(&gateway.server.token("read").await);
    assert_eq!(gateway.judged("/forged", &forged).await, (401, "jwt_signature".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verdict_on_both_is_remembered_for_cache_ttl() {
    let server = Glewlwyd::start().await;
    let plugin = both(&server.issuer(), glewlwyd::JWKS, "60s").await;
    let gateway = Gateway::with_glewlwyd(server, plugin, |envoy| envoy.workers(2)).await;
    let jwt = gateway.server.token("read").await;
    for _ in 0..5 {
        assert_eq!(gateway.get(&jwt).await.status, 200);
    }
    assert_eq!(gateway.envoy.counter("introspection.active").await, 1);
    gateway.server.revoke(&jwt).await;
    assert_eq!(gateway.get(&jwt).await.status, 200, "within cache_ttl");
    let other = gateway.server.token("read").await;
    gateway.server.revoke(&other).await;
    assert_eq!(gateway.get(&other).await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_asked_only_about_what_is_good_here() {
    let signer = Signer::new("ES256", "as");
    let server = AuthorizationServer::with_keys(&[signer.jwk()]).await;
    let plugin = both("https://as.example", "/jwks", "60s").await;
    let gateway = Gateway::with_server(server, plugin, |envoy| envoy).await;
    gateway.server.answer_all(Answer::active(json!({"sub": "alice"})));
    let good = signer.access_token(&json!({}));
    for (path, token, reason) in [
        ("/opaque", "opaque".to_owned(), "jwt_malformed"),
        ("/forged", with_broken_signature(&good), "jwt_signature"),
        ("/expired", signer.access_token(&json!({"exp": now() - 60})), "token_expired"),
        (
            "/other-issuer",
            signer.access_token(&json!({"iss": "https://other.example"})),
            "token_of_other_issuer",
        ),
    ] {
        assert_eq!(gateway.judged(path, &token).await, (401, reason.to_owned()), "{path}");
    }
    assert_eq!(gateway.server.call_count(), 0);
    assert_eq!(gateway.get(&good).await.echoed_bearer(), good);
    assert_eq!(gateway.server.calls()[0].parameter("token"), Some(good.as_str()));
    gateway.server.answer_all(Answer::inactive());
    let revoked = signer.access_token(&json!({}));
    assert_eq!(gateway.judged("/revoked", &revoked).await, (401, "token_inactive".to_owned()));
    gateway.server.refuse_connections().await;
    let unasked = signer.access_token(&json!({}));
    assert_eq!(gateway.get(&unasked).await.status, 503, "a good JWT alone does not do");
    assert_eq!(gateway.upstream.requests(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_required_must_hold_of_both_together() {
    let signer = Signer::new("ES256", "as");
    let mut plugin = both("https://as.example", "/jwks", "60s").await;
    plugin["policies"]["default"]["require"] =
        json!({"scopes": ["pay"], "audiences": ["https://api.example"]});
    let server = AuthorizationServer::with_keys(&[signer.jwk()]).await;
    let gateway = Gateway::with_server(server, plugin, |envoy| envoy).await;
    let (pay, read) =
        (signer.access_token(&json!({"scope": "pay"})), signer.access_token(&json!({"scope": "read"})));
    gateway.server.answer(&pay, Answer::active(json!({"scope": "pay"})));
    gateway.server.answer(&read, Answer::active(json!({"scope": "read"})));
    assert_eq!(gateway.get(&pay).await.status, 200);
    assert_eq!(gateway.get(&read).await.status, 403);
    let for_other = signer.access_token(&json!({"scope": "pay", "aud": "https://other.example"}));
    gateway.server.answer(&for_other, Answer::active(json!({"scope": "pay", "aud": null})));
    assert_eq!(gateway.judged("/other", &for_other).await, (401, "token_for_other_audience".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_has_taken_away_or_adds_counts_as_it_says_now_and_as_the_jwt_was_issued() {
    let signer = Signer::new("ES256", "as");
    let mut plugin = both("https://as.example", "/jwks", "0s").await;
    plugin["policies"]["default"]["require"] = json!({"claims": {"/realm_access/roles": ["admin"]}});
    plugin["policies"]["asked"] =
        json!({"strategy": "introspection", "cache_ttl": "0s", "require": {"audiences": ["gateway"]}});
    plugin["rules"] = json!([{"match": {"path_prefix": "/asked"}, "policy": "asked"}]);
    let server = AuthorizationServer::with_keys(&[signer.jwk()]).await;
    let gateway = Gateway::with_server(server, plugin, |envoy| envoy).await;
    let roles = |roles: &[&str]| json!({"realm_access": {"roles": roles}, "email": "alice@example.org"});
    let token = signer.access_token(&roles(&["user", "admin"]));
    let refused = (403, "token_lacks_claim".to_owned());
    gateway.server.answer(&token, Answer::active(roles(&["user", "admin"])));
    assert_eq!(gateway.get(&token).await.status, 200);
    gateway.server.answer(&token, Answer::active(roles(&["user"])));
    assert_eq!(gateway.judged("/one-role-less", &token).await, refused);
    gateway.server.answer(&token, Answer::active(json!({"email": "alice@example.org"})));
    assert_eq!(gateway.judged("/no-role", &token).await, refused);
    gateway.server.answer(&token, Answer::active(roles(&["admin"])));
    assert_eq!(gateway.get(&token).await.status, 200, "given back");

    // As Keycloak replies about a token that was exchanged for another audience.
    let exchanged = signer.access_token(&json!({"aud": "orders"}));
    gateway.server.answer(&exchanged, Answer::active(json!({"aud": ["orders", "gateway"]})));
    let other = (401, "token_for_other_audience".to_owned());
    assert_eq!(gateway.judged("/asked/exchanged", &exchanged).await, other);
    let ours = signer.access_token(&json!({"aud": ["orders", "gateway"]}));
    gateway.server.answer(&ours, Answer::active(json!({"aud": ["orders", "gateway"]})));
    assert_eq!(gateway.judged("/asked/ours", &ours).await.0, 200);
}

/// The usual configuration, with a policy that wants both.
async fn both(issuer: &str, path: &str, cache_ttl: &str) -> Value {
    let mut plugin = plugin().await;
    let main = plugin["providers"]["main"].as_object_mut().expect("a provider");
    main.extend(validating(issuer, "authorization_server", path).as_object().expect("a provider").clone());
    plugin["policies"] = json!({"default": {"strategy": "jwt_and_introspection", "cache_ttl": cache_ttl}});
    plugin
}
