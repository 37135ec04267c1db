//! JWTs that nobody is asked about, in real Envoy: a signal refuses those that were issued before it, on every worker and at
//! every Envoy of a fleet.

use serde_json::{Value, json};

use crate::rig::{
    bootstrap::Bootstrap,
    client::Request,
    eventually,
    fleet::{Fleet, PREFIX},
    gateway::{Gateway, jwt_plugin, validating},
    oidc_provider::{self, OidcProvider},
    signer::{Signer, now},
};

const ISSUER: &str = "https://as.example";

fn two_workers(envoy: Bootstrap) -> Bootstrap {
    envoy.workers(2).allow_on_headers_stop_iteration().reloadable()
}

fn receiving(mut plugin: Value, jwts: &str) -> Value {
    plugin["revocation"] = json!({
        "jwts": jwts,
        "back_channel_logout": {"path": "/backchannel-logout", "audiences": ["web", "app"]},
        "admin": {"path": "/revocations", "token": {"inline": "admin-secret-admin-secret"}},
    });
    plugin
}

/// A gateway that validates the JWTs of a signer.
async fn gateway(signer: &Signer, jwts: &str) -> Gateway {
    let gateway = Gateway::with(receiving(jwt_plugin(ISSUER, "/jwks"), jwts), two_workers).await;
    gateway.server.publish(&[signer.jwk()]);
    gateway
}

async fn log_out(gateway: &Gateway, signer: &Signer, claims: Value) {
    let mut all = json!({"iss": ISSUER, "aud": "web", "iat": now(), "exp": now() + 60, "jti": now().to_string(),
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}}});
    all.as_object_mut().expect("claims").extend(claims.as_object().expect("claims").clone());
    let token = signer.sign(&json!({"alg": "ES256", "kid": "as", "typ": "logout+jwt"}), &all);
    let request = Request::post("/backchannel-logout", format!("logout_token={token}"))
        .header("content-type", "application/x-www-form-urlencoded");
    let reply = gateway.send(request).await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_logout_its_jwts_are_refused_on_both_workers_and_newer_ones_and_others_pass() {
    let signer = Signer::new("ES256", "as");
    let gateway = gateway(&signer, "refuse").await;
    eventually("the keys", || async { (gateway.server.jwks_count() > 0).then_some(()) }).await;
    let of_session = signer.access_token(&json!({"sid": "s1"}));
    let of_no_session = signer.access_token(&json!({}));
    let of_other_session = signer.access_token(&json!({"sid": "s2"}));
    let of_bob = signer.access_token(&json!({"sub": "bob"}));
    let newer = signer.access_token(&json!({"iat": now() + 5}));
    let mut connections = gateway.envoy.connect_to_every_worker(1).await;
    let all =
        [(&of_session, 401), (&of_no_session, 401), (&of_other_session, 200), (&of_bob, 200), (&newer, 200)];
    // By validation, by the cache, by the first level.
    for connection in connections.iter_mut().flatten() {
        for _ in 0..4 {
            for (token, _) in all {
                let reply = connection.send(&Request::get("/").bearer(token)).await.expect("an answer");
                assert_eq!(reply.status, 200, "{reply:?}");
            }
        }
    }
    log_out(&gateway, &signer, json!({"sub": "alice", "sid": "s1"})).await;
    for connection in connections.iter_mut().flatten() {
        for round in 0..4 {
            for (place, (token, status)) in all.iter().enumerate() {
                let reply = connection.send(&Request::get("/").bearer(token)).await.expect("an answer");
                assert_eq!(reply.status, *status, "{place} in round {round}");
                let challenge = reply.header("www-authenticate").unwrap_or_default();
                assert_eq!(challenge.contains("error=\"invalid_token\""), *status == 401, "{challenge}");
            }
        }
    }
    gateway.envoy.access_log_line("token_withdrawn").await;
    assert_eq!(gateway.envoy.counter("requests.denied.invalid_token").await, 16);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_withdrawn_jwts_are_ignored_they_pass_until_their_end() {
    let signer = Signer::new("ES256", "as");
    let gateway = gateway(&signer, "ignore").await;
    let token = signer.access_token(&json!({"sid": "s1"}));
    assert_eq!(gateway.get(&token).await.status, 200);
    log_out(&gateway, &signer, json!({"sub": "alice", "sid": "s1"})).await;
    for _ in 0..10 {
        assert_eq!(gateway.get(&token).await.status, 200);
    }
    // What was ignored is not made up for; what comes from now on is not.
    gateway.envoy.reload(&receiving(jwt_plugin(ISSUER, "/jwks"), "refuse")).await;
    assert_eq!(gateway.get(&token).await.status, 200);
    log_out(&gateway, &signer, json!({"sub": "alice", "sid": "s1", "jti": "another"})).await;
    assert_eq!(gateway.get(&token).await.status, 401);
    // And outlives the configuration that it came under.
    gateway.envoy.reload(&receiving(jwt_plugin(ISSUER, "/jwks"), "ignore")).await;
    assert_eq!(gateway.get(&token).await.status, 200);
    gateway.envoy.reload(&receiving(jwt_plugin(ISSUER, "/jwks"), "refuse")).await;
    assert_eq!(gateway.get(&token).await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_logs_out_at_oidc_provider_has_no_use_of_the_jwt_any_more() {
    let server = OidcProvider::with_algorithms(&["ES256"]).await;
    let plugin = receiving(jwt_plugin(&server.issuer(), oidc_provider::JWKS), "refuse");
    let gateway = Gateway::with_oidc_provider(server, plugin, two_workers).await;
    let uri = format!("http://{}/backchannel-logout", gateway.envoy.address());
    gateway.server.set_back_channel_logout_uri(&uri).await;
    let session = gateway.server.login_for_jwt("alice", "openid read", "ES256").await;
    let bob = gateway.server.login_for_jwt("bob", "openid read", "ES256").await.access_token;
    let token = session.access_token.clone();
    for token in [&token, &bob] {
        assert_eq!(gateway.judged("/before", token).await.0, 200);
    }
    gateway.server.logout(session).await;
    for number in 0..10 {
        let path = format!("/after/{number}");
        assert_eq!(gateway.judged(&path, &token).await, (401, "token_withdrawn".to_owned()));
        assert_eq!(gateway.get(&bob).await.status, 200);
    }
    // The logout and what follows may fall into one second, which counts for the logout as a whole.
    let then = now();
    eventually("the next second", || async { (now() > then).then_some(()) }).await;
    let again = gateway.server.login_for_jwt("alice", "openid read", "ES256").await.access_token;
    assert_eq!(gateway.judged("/again", &again).await.0, 200, "nobody is banned");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jwt_that_is_withdrawn_at_one_envoy_is_refused_at_all_and_at_one_that_starts_later() {
    let signer = Signer::new("ES256", "as");
    let mut fleet = Fleet::start(0, json!({})).await;
    fleet.plugin["providers"]["main"] = validating(ISSUER, "authorization_server", "/jwks");
    fleet.plugin["policies"] =
        json!({"default": {"strategy": "jwt", "require": {"audiences": ["https://api.example"]}}});
    fleet.server.publish(&[signer.jwk()]);
    for _ in 0..2 {
        fleet.add().await;
    }
    fleet.all_hear().await;
    let [alices, bobs] = ["alice", "bob"].map(|sub| signer.access_token(&json!({"sub": sub})));
    for token in [&alices, &bobs] {
        fleet.remember(token).await;
    }
    fleet.revoke(0, json!({"sub": "alice"})).await;
    assert_eq!(fleet.get(0, &alices).await, 401);
    fleet.all_refuse(&alices).await;
    fleet.add().await;
    fleet.all_hear().await;
    for envoy in 0..3 {
        assert_eq!(fleet.get(envoy, &alices).await, 401, "{envoy}");
        assert_eq!(fleet.get(envoy, &bobs).await, 200, "{envoy}");
        let newer = signer.access_token(&json!({"iat": now() + 5}));
        assert_eq!(fleet.get(envoy, &newer).await, 200, "{envoy}");
    }
    let keys = fleet.etcd.keys(PREFIX).await;
    assert!(keys.iter().all(|(key, _)| !key.contains("alice")), "{keys:?}");
}
