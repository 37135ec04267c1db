//! A token that is revoked at the (real) authorization server stops working: within `cache_ttl`, or at once.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::rig::{
    client::Request,
    eventually,
    gateway::{Gateway, plugin},
    oidc_provider::OidcProvider,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revoked_token_is_refused_once_cache_ttl_has_passed() {
    const CACHE_TTL: Duration = Duration::from_secs(3);
    let gateway = start("3s").await;
    let access_token = gateway.server.token("read").await;
    let introspected = Instant::now();
    assert_eq!(gateway.get(&access_token).await.status, 200);
    gateway.server.revoke(&access_token).await;
    assert_eq!(gateway.get(&access_token).await.status, 200, "the verdict is cached");
    eventually("the refusal", || async { (gateway.get(&access_token).await.status == 401).then_some(()) })
        .await;
    let passed = introspected.elapsed();
    // A second more than promised, because this machine is busy with other tests.
    assert!(passed < CACHE_TTL + Duration::from_secs(1), "refused after {passed:?}");
    assert_eq!(gateway.get(&access_token).await.status, 401, "and so it stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revoked_token_is_refused_at_once_with_a_cache_ttl_of_zero() {
    let gateway = start("0s").await;
    let access_token = gateway.server.token("read").await;
    for _ in 0..3 {
        assert_eq!(gateway.get(&access_token).await.status, 200);
    }
    gateway.server.revoke(&access_token).await;
    for _ in 0..3 {
        let reply = gateway.get(&access_token).await;
        assert_eq!(reply.status, 401);
        assert!(reply.header("www-authenticate").unwrap().contains("error=\"invalid_token\""), "{reply:?}");
    }
    assert_eq!(gateway.upstream.requests(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_policy_may_use_the_cache_while_another_always_asks() {
    let mut plugin = plugin().await;
    plugin["policies"] = json!({"default": {"cache_ttl": "60s"}, "payments": {"cache_ttl": "0s"}});
    plugin["rules"] = json!([{"match": {"path_prefix": "/payments"}, "policy": "payments"}]);
    let gateway =
        Gateway::with_oidc_provider(OidcProvider::start().await, plugin, |envoy| envoy.workers(2)).await;
    let access_token = gateway.server.token("read").await;
    let pay = || gateway.send(Request::get("/payments/1").bearer(&access_token));
    assert_eq!(gateway.get(&access_token).await.status, 200);
    assert_eq!(pay().await.status, 200);
    gateway.server.revoke(&access_token).await;
    assert_eq!(gateway.get(&access_token).await.status, 200, "within its cache_ttl");
    assert_eq!(pay().await.status, 401, "always asked");
}

async fn start(cache_ttl: &str) -> Gateway<OidcProvider> {
    let mut plugin = plugin().await;
    plugin["policies"] = json!({"default": {"cache_ttl": cache_ttl}});
    Gateway::with_oidc_provider(OidcProvider::start().await, plugin, |envoy| envoy.workers(2)).await
}
