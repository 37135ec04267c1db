//! Signed introspection replies: RFC 9701 and `application/jwt` from both real servers, JWTs in a member of the
//! reply, and what a server, or somebody in its place, might answer instead.

use serde_json::{Value, json};

use crate::rig::{
    answer::Answer,
    authorization_server::AuthorizationServer,
    client::Request,
    gateway::{Gateway, jwt_plugin, plugin},
    glewlwyd::{self, Glewlwyd},
    jose,
    oidc_provider::{self, OidcProvider},
    signer::{Signer, access_token_claims, now, unsigned, with_broken_signature},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rfc_9701_replies_of_oidc_provider_are_verified_and_unwrapped() {
    for alg in ["ES256", "RS256", "PS256", "EdDSA"] {
        let server = OidcProvider::with_algorithms(&[alg]).await;
        let plugin = with_response(&server.issuer(), oidc_provider::JWKS, json!({"response": "jwt"})).await;
        let gateway = Gateway::with_oidc_provider(server, plugin, |envoy| envoy.workers(2)).await;
        let token = gateway.server.token("read").await;
        let phantoms = [gateway.get(&token).await.echoed_bearer(), gateway.get(&token).await.echoed_bearer()];
        for verified in jose::verify(&phantoms, &gateway.jwks().await).await {
            assert_eq!(verified.claims["iss"], "https://gateway.example", "{alg}: signed by us");
            assert_eq!(verified.claims["client_id"], "app");
            assert!(verified.claims.get("token_introspection").is_none(), "{:?}", verified.claims);
        }
        gateway.server.revoke(&token).await;
        let unknown = gateway.judged("/unknown", "unknown").await;
        assert_eq!(unknown, (401, "token_inactive".to_owned()), "{alg}: the verdict of a signed reply");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rfc_9701_replies_of_glewlwyd_are_for_whom_the_token_is_for() {
    let server = Glewlwyd::start().await;
    let response = json!({"response": "jwt", "response_audiences": [glewlwyd::AUDIENCE]});
    let plugin = with_response(&server.issuer(), glewlwyd::JWKS, response).await;
    let gateway = Gateway::with_glewlwyd(server, plugin, |envoy| envoy).await;
    let token = gateway.server.token_for_resource().await;
    let phantom = gateway.get(&token).await.echoed_bearer();
    let verified = jose::verify(&[phantom], &gateway.jwks().await).await;
    assert_eq!(verified[0].claims["aud"], glewlwyd::AUDIENCE);
    // It says "inactive" by an empty 400, which RFC 9701 does not know: no verdict.
    let revoked = gateway.server.token_for_resource().await;
    gateway.server.revoke(&revoked).await;
    assert_eq!(gateway.judged("/revoked", &revoked).await, (503, "introspection_status".to_owned()));
    let for_nobody = gateway.server.token("read").await;
    let judged = gateway.judged("/for-nobody", &for_nobody).await;
    assert_eq!(judged, (503, "introspection_for_other_audience".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_jwt_that_oidc_provider_answers_with_is_forwarded() {
    let server = OidcProvider::with_algorithms(&["ES256"]).await;
    let plugin =
        with_response(&server.issuer(), oidc_provider::JWKS, json!({"response": "application_jwt"})).await;
    let gateway = Gateway::with_oidc_provider(server, plugin, |envoy| envoy.workers(2)).await;
    let token = gateway.server.token("read").await;
    let forwarded = [gateway.get(&token).await.echoed_bearer(), gateway.get(&token).await.echoed_bearer()];
    assert_eq!(forwarded[0], forwarded[1], "the second is a hit");
    let jwks = Request::get(oidc_provider::JWKS).send(gateway.server.address()).await.json();
    let verified = jose::verify(&forwarded[..1], &jwks).await;
    assert_eq!(verified[0].claims["iss"], gateway.server.issuer());
    assert_eq!(verified[0].claims["client_id"], "app");
    assert_eq!(
        gateway.judged("/unknown", "unknown").await,
        (401, "token_inactive".to_owned()),
        "204 means inactive"
    );
    assert_eq!(gateway.envoy.counter("jwt.minted").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_jwt_that_glewlwyd_answers_with_is_forwarded() {
    let server = Glewlwyd::start().await;
    let plugin =
        with_response(&server.issuer(), glewlwyd::JWKS, json!({"response": "application_jwt"})).await;
    let gateway = Gateway::with_glewlwyd(server, plugin, |envoy| envoy).await;
    let token = gateway.server.token_for_user("read").await;
    let forwarded = gateway.get(&token).await.echoed_bearer();
    assert_ne!(forwarded, token);
    let jwks = Request::get(glewlwyd::JWKS).send(gateway.server.address()).await.json();
    let verified = jose::verify_of_type("token-introspection+jwt", &[forwarded], &jwks).await;
    assert_eq!(verified[0].claims["username"], "alice");
    let revoked = gateway.server.token("read").await;
    gateway.server.revoke(&revoked).await;
    assert_eq!(
        gateway.judged("/revoked", &revoked).await,
        (401, "token_inactive".to_owned()),
        "an empty 400, there"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_of_the_reply_may_carry_the_jwt() {
    let mut plugin = plugin().await;
    plugin["providers"]["main"]["introspection"]["jwt_member"] = json!("jwt");
    let gateway = Gateway::with(plugin, |envoy| envoy.workers(2)).await;
    let jwt = Signer::new("ES256", "as").access_token(&json!({}));
    gateway.server.answer("good", Answer::active(json!({"jwt": jwt})));
    gateway.server.answer("without", Answer::active(json!({})));
    gateway.server.answer("no-jwt", Answer::active(json!({"jwt": "a.b"})));
    gateway.server.answer("inactive", Answer::body(json!({"active": false, "jwt": jwt}).to_string()));
    for _ in 0..2 {
        assert_eq!(gateway.get("good").await.echoed_bearer(), jwt);
    }
    for (token, status, reason) in [
        ("without", 503, "introspection_not_a_jwt"),
        ("no-jwt", 503, "introspection_not_a_jwt"),
        ("inactive", 401, "token_inactive"),
    ] {
        assert_eq!(gateway.judged(&format!("/{token}"), token).await, (status, reason.to_owned()));
    }
    assert_eq!(gateway.upstream.requests(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_introspection_response_for_us_is_no_verdict() {
    let (server, stranger) = (Signer::new("ES256", "as"), Signer::new("ES256", "as"));
    let gateway = scripted(json!({"breaker": {"failures": 1000}, "response": "jwt"}), &server).await;
    let claims = |changes: Value| changed(&introspection_response(), changes);
    let header = json!({"alg": "ES256", "kid": "as", "typ": "token-introspection+jwt"});
    let good = server.sign(&header, &introspection_response());
    let inactive = claims(json!({"token_introspection": {"active": false}}));
    for (name, body, status, reason) in [
        ("good", good.clone(), 200, "via_upstream"),
        (
            "of-several",
            server.sign(&header, &claims(json!({"aud": ["other", "gw-basic"]}))),
            200,
            "via_upstream",
        ),
        ("inactive", server.sign(&header, &inactive), 401, "token_inactive"),
        ("forged", stranger.sign(&header, &introspection_response()), 503, "introspection_not_verified"),
        ("broken", with_broken_signature(&good), 503, "introspection_not_verified"),
        (
            "unsigned",
            unsigned(&changed(&header, json!({"alg": "none"})), &introspection_response()),
            503,
            "introspection_not_verified",
        ),
        (
            "access-token",
            server.sign(&server.header(), &introspection_response()),
            503,
            "introspection_jwt_of_other_type",
        ),
        (
            "untyped",
            server.sign(&changed(&header, json!({"typ": null})), &introspection_response()),
            503,
            "introspection_jwt_of_other_type",
        ),
        (
            "other-issuer",
            server.sign(&header, &claims(json!({"iss": "https://other.example"}))),
            503,
            "introspection_of_other_issuer",
        ),
        (
            "other-audience",
            server.sign(&header, &claims(json!({"aud": "other"}))),
            503,
            "introspection_for_other_audience",
        ),
        (
            "no-audience",
            server.sign(&header, &claims(json!({"aud": null}))),
            503,
            "introspection_for_other_audience",
        ),
        ("old", server.sign(&header, &claims(json!({"iat": now() - 3600}))), 503, "introspection_not_fresh"),
        ("undated", server.sign(&header, &claims(json!({"iat": null}))), 503, "introspection_not_fresh"),
        (
            "not-wrapped",
            server.sign(&header, &claims(json!({"token_introspection": null, "active": true}))),
            503,
            "introspection_without_active",
        ),
        ("text", "active".to_owned(), 503, "introspection_not_a_jwt"),
    ] {
        gateway.server.answer(
            name,
            Answer::body(body).content_type("application/token-introspection+jwt; charset=utf-8"),
        );
        assert_eq!(gateway.judged(&format!("/{name}"), name).await, (status, reason.to_owned()), "{name}");
    }
    gateway.server.answer("plain", Answer::active(json!({})));
    assert_eq!(gateway.judged("/plain", "plain").await, (503, "introspection_content_type".to_owned()));
    assert_eq!(gateway.upstream.requests(), 2);
    let accepted = gateway.server.calls()[0].header("accept").map(str::to_owned);
    assert_eq!(accepted.as_deref(), Some("application/token-introspection+jwt"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_jwt_for_the_service_behind_is_not_forwarded() {
    let (server, stranger) = (Signer::new("ES256", "as"), Signer::new("ES256", "as"));
    let gateway =
        scripted(json!({"breaker": {"failures": 1000}, "response": "application_jwt"}), &server).await;
    let good = server.access_token(&json!({}));
    let for_us = json!({"alg": "ES256", "kid": "as", "typ": "token-introspection+jwt"});
    for (name, body, status, reason) in [
        ("good", good.clone(), 200, "via_upstream"),
        ("forged", stranger.access_token(&json!({})), 503, "introspection_not_verified"),
        ("broken", with_broken_signature(&good), 503, "introspection_not_verified"),
        ("for-us", server.sign(&for_us, &introspection_response()), 503, "introspection_jwt_of_other_type"),
        (
            "id-token",
            server.sign(&changed(&for_us, json!({"typ": "id+jwt"})), &access_token_claims(&json!({}))),
            503,
            "introspection_jwt_of_other_type",
        ),
        (
            "other-issuer",
            server.access_token(&json!({"iss": "https://other.example"})),
            503,
            "introspection_of_other_issuer",
        ),
        ("says-inactive", server.access_token(&json!({"active": false})), 401, "token_inactive"),
        ("expired", server.access_token(&json!({"exp": now() - 1})), 401, "token_expired"),
    ] {
        gateway.server.answer(name, Answer::body(body).content_type("application/jwt"));
        assert_eq!(gateway.judged(&format!("/{name}"), name).await, (status, reason.to_owned()), "{name}");
    }
    for (name, answer, status, reason) in [
        ("no-content", Answer::status(204).without_body(), 401, "token_inactive"),
        ("json", Answer::active(json!({})), 503, "introspection_content_type"),
        ("said-why", Answer::status(400), 503, "introspection_status"),
        ("refused", Answer::status(401), 503, "introspection_credentials_refused"),
        (
            "broken-off",
            Answer::body(good.clone()).content_type("application/jwt").broken_off(),
            503,
            "introspection_unreachable",
        ),
    ] {
        gateway.server.answer(name, answer);
        assert_eq!(gateway.judged(&format!("/{name}"), name).await, (status, reason.to_owned()), "{name}");
    }
    assert_eq!(gateway.upstream.requests(), 1);
    assert_eq!(gateway.get("good").await.echoed_bearer(), good);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_signed_by_a_new_key_waits_for_it() {
    let (old, new) = (Signer::new("ES256", "old"), Signer::new("ES256", "new"));
    let gateway = scripted(json!({"response": "application_jwt"}), &old).await;
    let of = |signer: &Signer| Answer::body(signer.access_token(&json!({}))).content_type("application/jwt");
    gateway.server.answer("one", of(&old));
    assert_eq!(gateway.get("one").await.status, 200);
    gateway.server.publish(&[old.jwk(), new.jwk()]);
    gateway.server.answer("two", of(&new));
    assert_eq!(gateway.get("two").await.status, 200);
    // Envoy's main thread, which sees no requests, has keys of its own.
    assert!(gateway.server.jwks_count() <= 3, "{} fetches", gateway.server.jwks_count());
    gateway.server.answer("three", of(&Signer::new("ES256", "never-published")));
    assert_eq!(gateway.judged("/three", "three").await, (503, "introspection_unknown_key".to_owned()));
}

/// The usual gateway, which wants replies of a scripted server whose key is `signer`.
async fn scripted(response: Value, signer: &Signer) -> Gateway {
    let mut plugin = with_response("https://as.example", "/jwks", response).await;
    plugin["providers"]["main"]["introspection"]["retries"] = json!(0);
    let server = AuthorizationServer::with_keys(&[signer.jwk()]).await;
    Gateway::with_server(server, plugin, |envoy| envoy).await
}

/// The usual configuration, with keys of the issuer at `path` and a form of reply.
async fn with_response(issuer: &str, path: &str, response: Value) -> Value {
    let mut plugin = plugin().await;
    let main = &mut plugin["providers"]["main"];
    let introspection = main["introspection"].as_object_mut().expect("introspection");
    introspection.extend(response.as_object().expect("keys of introspection").clone());
    *main = changed(
        &jwt_plugin(issuer, path)["providers"]["main"],
        json!({"introspection": main["introspection"]}),
    );
    plugin
}

/// The claims of an introspection response (RFC 9701 §5) for `gw-basic`.
fn introspection_response() -> Value {
    json!({
        "iss": "https://as.example", "aud": "gw-basic", "iat": now(),
        "token_introspection": {"active": true, "client_id": "app", "scope": "read", "exp": now() + 600},
    })
}

/// `object` with other members (null takes one away).
fn changed(object: &Value, changes: Value) -> Value {
    let mut object = object.as_object().expect("an object").clone();
    for (name, value) in changes.as_object().expect("changes").clone() {
        match value {
            Value::Null => object.remove(&name),
            value => object.insert(name, value),
        };
    }
    object.into()
}
