//! Keys of authorization servers: they change over under load, cannot be had, come late, or are of no use.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::rig::{
    answer::{Answer, Gate},
    authorization_server::AuthorizationServer,
    client::Request,
    eventually,
    gateway::{Gateway, jwt_plugin},
    oidc_provider::{self, OidcProvider},
    signer::Signer,
    traffic::Traffic,
    within_limit,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_valid_jwt_is_refused_while_keys_change_over_and_no_removed_key_is_accepted_for_long() {
    const REFRESH_INTERVAL: Duration = Duration::from_secs(3);
    let server = OidcProvider::with(json!({"keys": [{"kid": "old", "alg": "ES256"}]})).await;
    let mut plugin = jwt_plugin(&server.issuer(), oidc_provider::JWKS);
    plugin["providers"]["main"]["jwks"]["refresh_interval"] = json!("3s");
    plugin["policies"]["default"]["cache_ttl"] = json!("0s"); // every request is verified
    let gateway = Gateway::with_oidc_provider(server, plugin, |envoy| envoy.workers(2)).await;
    let server = &gateway.server;

    let of_old = jwts(server).await;
    let in_use = Arc::new(Mutex::new(of_old.clone()));
    let used = in_use.clone();
    let mut by_worker = gateway.envoy.connect_to_every_worker(5).await;
    let aside: Vec<_> = by_worker.iter_mut().filter_map(Vec::pop).collect();
    let connections = by_worker.into_iter().flatten().collect();
    let traffic = Traffic::start(gateway.envoy.address(), connections, 200, move |number| {
        let jwts = used.lock().expect("no panic while held");
        Request::get("/").bearer(&jwts[number % jwts.len()])
    });
    let goes_on = async || {
        let wanted = traffic.answered() + 100;
        eventually("a hundred more answers", || async { (traffic.answered() >= wanted).then_some(()) }).await;
    };
    goes_on().await;

    // A new key is published and signs at once: its tokens come before the filter knows of it.
    server.set_keys(&[("new", "ES256"), ("old", "ES256")]).await;
    let of_new = jwts(server).await;
    in_use.lock().expect("no panic while held").extend(of_new.clone());
    goes_on().await;
    goes_on().await;

    // Clients have new tokens, and the old key is withdrawn.
    *in_use.lock().expect("no panic while held") = of_new.clone();
    goes_on().await;
    server.set_keys(&[("new", "ES256")]).await;
    let removed = Instant::now();
    // One connection to each worker.
    for mut connection in aside {
        within_limit("the refusal of the old key", async {
            while connection.send(&Request::get("/").bearer(&of_old[0])).await.expect("an answer").status
                != 401
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }
    // A second more than promised, because this machine is busy with other tests.
    let passed = removed.elapsed();
    assert!(passed < REFRESH_INTERVAL + Duration::from_secs(1), "refused after {passed:?}");
    goes_on().await;

    let answered = traffic.stop().await;
    let refused: Vec<_> = answered.iter().filter(|answered| answered.status != 200).collect();
    assert!(refused.is_empty(), "of {}: {refused:?}", answered.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_known_keys_go_on_while_the_key_server_is_down() {
    let (known, late) = (Signer::new("ES256", "known"), Signer::new("ES256", "late"));
    let gateway = gateway(&[known.jwk()], |jwks| jwks["refresh_interval"] = json!("1s")).await;
    assert_eq!(gateway.get(&known.access_token(&json!({}))).await.status, 200);
    gateway.server.refuse_connections().await;
    gateway.server.publish(&[known.jwk(), late.jwk()]);
    eventually("two failed fetches", || async {
        (gateway.envoy.counter("jwks.error").await >= 2).then_some(())
    })
    .await;
    let new_token = known.access_token(&json!({}));
    assert_eq!(gateway.get(&new_token).await.echoed_bearer(), new_token, "a new token of a known key");
    let unknown = gateway.send(Request::get("/").bearer(&late.access_token(&json!({})))).await;
    assert_eq!(unknown.status, 503, "nobody can tell whether there is such a key: {unknown:?}");
    assert!(
        unknown.header("retry-after").is_some() && unknown.header("www-authenticate").is_none(),
        "{unknown:?}"
    );
    gateway.server.accept_connections().await;
    let token = late.access_token(&json!({}));
    eventually("the new key", || async { (gateway.get(&token).await.status == 200).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_come_before_the_first_keys_wait_for_them() {
    let signer = Signer::new("ES256", "as");
    let gate = Gate::closed();
    let server = AuthorizationServer::start().await;
    server.answer_jwks(Answer::keys(&[signer.jwk()]).behind(&gate));
    let plugin = jwt_plugin("https://as.example", "/jwks");
    let gateway = Gateway::with_server(server, plugin, |envoy| envoy).await;
    let waiting: Vec<_> = (0..50)
        .map(|_| {
            let (to, token) = (gateway.envoy.address(), signer.access_token(&json!({})));
            tokio::spawn(async move { Request::get("/").bearer(&token).send(to).await })
        })
        .collect();
    gateway.envoy.active_requests(50).await;
    assert_eq!(gateway.upstream.requests(), 0);
    gate.open();
    for reply in waiting {
        assert_eq!(reply.await.expect("an answer").status, 200);
    }
    // Envoy's main thread, which sees no requests, has keys of its own.
    assert!(gateway.server.jwks_count() <= 2, "one fetch for all, not {}", gateway.server.jwks_count());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_keys_longer_than_the_timeout() {
    let signer = Signer::new("ES256", "as");
    let server = AuthorizationServer::start().await;
    server.answer_jwks(Answer::hang());
    let mut plugin = jwt_plugin("https://as.example", "/jwks");
    plugin["providers"]["main"]["jwks"]["timeout"] = json!("300ms");
    let gateway = Gateway::with_server(server, plugin, |envoy| envoy).await;
    for path in ["/first", "/second"] {
        let sent = Instant::now();
        let judged = gateway.judged(path, &signer.access_token(&json!({}))).await;
        assert_eq!(judged, (503, "jwks_unavailable".to_owned()));
        // It may come while a fetch is on its way, and wait for that and a pause of a second.
        assert!(sent.elapsed() < Duration::from_secs(3), "{:?}", sent.elapsed());
    }
    assert_eq!(gateway.upstream.requests(), 0);
    gateway.server.publish(&[signer.jwk()]);
    let token = signer.access_token(&json!({}));
    eventually("the first keys", || async { (gateway.get(&token).await.status == 200).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_name_unknown_keys_cost_few_fetches_and_delay_nobody_else() {
    let signer = Signer::new("ES256", "as");
    let gateway = gateway(&[signer.jwk()], |_| {}).await;
    assert_eq!(gateway.get(&signer.access_token(&json!({}))).await.status, 200);
    let start = Instant::now();
    let stranger = Signer::new("ES256", "nobody's");
    let flood: Vec<_> = (0..300)
        .map(|number| {
            let header = json!({"alg": "ES256", "kid": format!("random-{number}"), "typ": "at+jwt"});
            let token = stranger.sign(&header, &crate::rig::signer::access_token_claims(&json!({})));
            let to = gateway.envoy.address();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(10 * number)).await;
                Request::get("/").bearer(&token).send(to).await.status
            })
        })
        .collect();
    for _ in 0..20 {
        let sent = Instant::now();
        assert_eq!(gateway.get(&signer.access_token(&json!({}))).await.status, 200);
        assert!(sent.elapsed() < Duration::from_millis(900), "{:?}: it waited for a fetch", sent.elapsed());
    }
    for refused in flood {
        assert_eq!(refused.await.expect("an answer"), 401);
    }
    let (fetches, seconds) = (gateway.server.jwks_count(), start.elapsed().as_secs() as usize);
    assert!(fetches <= seconds + 4, "{fetches} fetches in {seconds} s");
    assert_eq!(gateway.upstream.requests(), 21);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_are_of_no_use_leave_the_others_be() {
    let of = |kid: &str| Signer::new("ES256", kid);
    let (good, weak) = (of("good"), Signer::rsa("RS256", "weak", "rsa1024.pem"));
    let (for_encryption, only_signs, other_alg) = (of("for-encryption"), of("only-signs"), of("other-alg"));
    let but = |jwk: Value, name: &str, value: Value| {
        let mut jwk = jwk;
        jwk[name] = value;
        jwk
    };
    let keys = [
        json!("no key"),
        json!({"kty": "oct", "kid": "good", "alg": "HS256", "k": "c2VjcmV0"}),
        weak.jwk(),
        json!({"kty": "EC", "kid": "other-curve", "crv": "secp256k1", "x": "AQ", "y": "AQ"}),
        but(for_encryption.jwk(), "use", json!("enc")),
        but(only_signs.jwk(), "key_ops", json!(["sign"])),
        but(other_alg.jwk(), "alg", json!("ES384")),
        but(good.jwk(), "d", json!("AQ")), // published by mistake, which is not the tokens' fault
    ];
    let gateway = gateway(&keys, |_| {}).await;
    assert_eq!(gateway.get(&good.access_token(&json!({}))).await.status, 200);
    for signer in [&weak, &for_encryption, &only_signs, &other_alg] {
        let judged = gateway.judged(&format!("/{}", signer.kid), &signer.access_token(&json!({}))).await;
        assert_eq!(judged, (401, "jwt_unknown_key".to_owned()), "{}", signer.kid);
    }
    for (index, key) in keys.iter().enumerate() {
        let warning = format!("keys[{index}]");
        // Servers publish keys for encryption beside those for signatures, and mean it.
        let is_warned_of = key["use"] != "enc";
        assert_eq!(
            gateway.envoy.log().contains(&warning),
            is_warned_of,
            "{warning} in {}",
            gateway.envoy.log()
        );
    }
    assert!(!gateway.envoy.log().contains("c2VjcmV0"), "no key in a log");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_key_set_replaces_none() {
    let signer = Signer::new("ES256", "as");
    let gateway = gateway(&[signer.jwk()], |jwks| {
        jwks["refresh_interval"] = json!("1s");
        jwks["timeout"] = json!("200ms");
    })
    .await;
    assert_eq!(gateway.get(&signer.access_token(&json!({}))).await.status, 200);
    for answer in [
        Answer::status(500),
        Answer::status(302),
        Answer::body("<html>"),
        Answer::body("[]"),
        Answer::body(r#"{"keys": {}}"#),
        Answer::keys(&[]).broken_off(),
        Answer::keys(&[]).stalled(),
        Answer::body(format!(r#"{{"keys": [], "padding": "{}"}}"#, "x".repeat(2 << 20))),
    ] {
        let failures = gateway.envoy.counter("jwks.error").await;
        gateway.server.answer_jwks(answer);
        eventually("a failed fetch", || async {
            (gateway.envoy.counter("jwks.error").await > failures).then_some(())
        })
        .await;
        assert_eq!(gateway.get(&signer.access_token(&json!({}))).await.status, 200);
        // The next fetch comes a second after a good one.
        let good = gateway.envoy.counter("jwks.refreshed").await;
        gateway.server.publish(&[signer.jwk()]);
        eventually("a good fetch", || async {
            (gateway.envoy.counter("jwks.refreshed").await > good).then_some(())
        })
        .await;
    }
    gateway.server.publish(&[]);
    let token = || signer.access_token(&json!({}));
    eventually("no keys at all", || async { (gateway.get(&token()).await.status == 401).then_some(()) })
        .await;
}

/// A gateway that validates JWTs by these keys.
async fn gateway(keys: &[Value], of_jwks: impl FnOnce(&mut Value)) -> Gateway {
    let mut plugin = jwt_plugin("https://as.example", "/jwks");
    of_jwks(&mut plugin["providers"]["main"]["jwks"]);
    Gateway::with_server(AuthorizationServer::with_keys(keys).await, plugin, |envoy| envoy).await
}

async fn jwts(server: &OidcProvider) -> Vec<String> {
    let mut jwts = Vec::new();
    for _ in 0..5 {
        jwts.push(server.jwt("ES256", "read").await);
    }
    jwts
}
