//! Signals in real Envoy: from the moment one is answered with success, no worker forwards by an earlier verdict.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::rig::{
    answer::Answer,
    bootstrap::Bootstrap,
    client::{Reply, Request},
    eventually,
    gateway::{Gateway, plugin},
    glewlwyd::Glewlwyd,
    oidc_provider::{self, OidcProvider},
    signer::{Signer, now},
};

const LOGOUT: &str = "http://schemas.openid.net/event/backchannel-logout";

const REVOKED: &str = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";

/// A cache of minutes.
async fn patient_plugin(issuer: &str, jwks: &str) -> Value {
    let mut plugin = plugin().await;
    plugin["policies"] = json!({"default": {"cache_ttl": "10m"}});
    plugin["providers"]["main"]["issuer"] = json!(issuer);
    plugin["providers"]["main"]["jwks"] = json!({"cluster": "authorization_server", "path": jwks});
    plugin["revocation"] = json!({
        "endpoint": {"path": "/token/revocation"},
        "back_channel_logout": {"path": "/backchannel-logout", "audiences": ["web", "app"]},
        "security_events": {
            "audiences": ["https://gateway.example"],
            "push": {"path": "/ssf/events", "authorization": {"inline": "push-secret-push-secret"}},
        },
        "global_token_revocation": {
            "path": "/global-token-revocation", "audiences": ["https://gateway.example/global-token-revocation"],
        },
        "admin": {"path": "/revocations", "token": {"inline": "admin-secret-admin-secret"}},
    });
    plugin
}

/// Two workers, with all that signals need.
fn two_workers(envoy: Bootstrap) -> Bootstrap {
    let to_server =
        json!({"match": {"path": "/token/revocation"}, "route": {"cluster": "authorization_server"}});
    envoy.workers(2).allow_on_headers_stop_iteration().sees_answers().route(to_server)
}

async fn status_of(gateway: &Gateway<OidcProvider>, access_token: &str) -> u16 {
    gateway.get(access_token).await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_logs_out_at_oidc_provider_is_refused_with_the_next_request() {
    let server = OidcProvider::start().await;
    let plugin = patient_plugin(&server.issuer(), oidc_provider::JWKS).await;
    let gateway = Gateway::with_oidc_provider(server, plugin, two_workers).await;
    let uri = format!("http://{}/backchannel-logout", gateway.envoy.address());
    gateway.server.set_back_channel_logout_uri(&uri).await;
    let online = gateway.server.login("alice", "openid read").await;
    let other_session = gateway.server.login("alice", "openid read").await;
    let offline = gateway.server.login("bob", "openid offline_access read").await;
    let tokens = [&online, &other_session, &offline].map(|session| session.access_token.clone());
    for token in &tokens {
        assert_eq!(status_of(&gateway, token).await, 200);
    }
    gateway.server.logout(online).await;
    for _ in 0..10 {
        assert_eq!(status_of(&gateway, &tokens[0]).await, 401);
        assert_eq!(status_of(&gateway, &tokens[1]).await, 200, "another session");
    }
    gateway.server.logout(offline).await;
    assert_eq!(status_of(&gateway, &tokens[2]).await, 200, "that is what offline_access is for");
    let again = gateway.server.login("alice", "openid read").await;
    assert_eq!(status_of(&gateway, &again.access_token).await, 200, "nobody is banned");
    assert_eq!(gateway.envoy.counter("revocation.received").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_logs_out_at_glewlwyd_is_refused_with_the_next_request() {
    let server = Glewlwyd::start().await;
    let plugin = patient_plugin(&server.issuer(), "/api/oidc/jwks").await;
    let gateway = Gateway::with_glewlwyd(server, plugin, two_workers).await;
    let uri = format!("http://{}/backchannel-logout", gateway.envoy.address());
    gateway.server.set_back_channel_logout_uri(&uri).await;
    let session = gateway.server.login().await;
    let access_token = session.access_token.clone();
    assert_eq!(gateway.get(&access_token).await.status, 200);
    gateway.server.logout(session).await;
    // It tells of the logout after it has answered.
    eventually("the logout token", || async {
        (gateway.envoy.counter("revocation.received").await == 1).then_some(())
    })
    .await;
    for _ in 0..10 {
        assert_eq!(gateway.get(&access_token).await.status, 401);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_revoked_through_envoy_is_refused_with_the_next_request() {
    let server = OidcProvider::start().await;
    let plugin = patient_plugin(&server.issuer(), oidc_provider::JWKS).await;
    let gateway = Gateway::with_oidc_provider(server, plugin, two_workers).await;
    let access_token = gateway.server.token("read").await;
    let other = gateway.server.token("read").await;
    for token in [&access_token, &other] {
        assert_eq!(status_of(&gateway, token).await, 200);
    }
    let revoke = |credentials: &'static str, body: String| {
        let request = Request::post("/token/revocation", body)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("authorization", format!("Basic {}", base64(credentials)));
        gateway.send(request)
    };
    let calls = || gateway.envoy.counter("introspection.active");
    let before = calls().await;
    assert_eq!(revoke("app:wrong", format!("token={access_token}")).await.status, 401);
    assert_eq!(status_of(&gateway, &access_token).await, 200);
    assert_eq!(calls().await, before, "nothing was withdrawn");
    assert_eq!(revoke("app:app-secret", format!("token={access_token}")).await.status, 200);
    for _ in 0..10 {
        assert_eq!(status_of(&gateway, &access_token).await, 401);
        assert_eq!(status_of(&gateway, &other).await, 200);
    }
    assert_eq!(calls().await, before, "the other token was not asked about");
}

/// A gateway at the scriptable server, whose tokens are active until [`Revocable::revoke`], with its signer.
struct Revocable {
    gateway: Gateway,
    signer: Signer,
    /// Number of the first token that is still good.
    good_from: Arc<AtomicU64>,
}

impl Revocable {
    async fn start(of_envoy: fn(Bootstrap) -> Bootstrap) -> Self {
        let signer = Signer::new("ES256", "as");
        let plugin = patient_plugin("https://as.example", "/jwks").await;
        let gateway = Gateway::with(plugin, of_envoy).await;
        gateway.server.publish(&[signer.jwk()]);
        let good_from = Arc::new(AtomicU64::new(0));
        let good = good_from.clone();
        gateway.server.keep_no_calls();
        gateway.server.answer_with(move |token| {
            let number: u64 = token.strip_prefix("token-").unwrap().parse().unwrap();
            match number >= good.load(Ordering::SeqCst) {
                true => Answer::active(json!({"sub": format!("user-{number}"), "iss": "https://as.example"})),
                false => Answer::inactive(),
            }
        });
        Self { gateway, signer, good_from }
    }

    async fn logout(&self, number: u64) -> Reply {
        let claims = json!({"iss": "https://as.example", "aud": "web", "iat": now(), "exp": now() + 60,
            "jti": format!("logout-{number}"), "sub": format!("user-{number}"), "events": {LOGOUT: {}}});
        let token = self.signer.sign(&json!({"alg": "ES256", "kid": "as", "typ": "logout+jwt"}), &claims);
        self.gateway.send(logout_request(&token)).await
    }

    async fn push(&self, number: u64) -> Reply {
        let claims = json!({"iss": "https://as.example", "aud": "https://gateway.example", "iat": now(),
            "jti": format!("event-{number}"), "events": {REVOKED: {}},
            "sub_id": {"format": "iss_sub", "iss": "https://as.example", "sub": format!("user-{number}")}});
        let token = self.signer.sign(&json!({"alg": "ES256", "kid": "as", "typ": "secevent+jwt"}), &claims);
        let request = Request::post("/ssf/events", token)
            .header("content-type", "application/secevent+jwt")
            .header("authorization", "Bearer push-secret-push-secret");
        self.gateway.send(request).await
    }

    async fn order(&self, number: u64) -> Reply {
        let request = Request::post("/revocations", json!({"sub": format!("user-{number}")}).to_string())
            .header("content-type", "application/json")
            .header("authorization", "Bearer admin-secret-admin-secret");
        self.gateway.send(request).await
    }
}

fn logout_request(token: &str) -> Request {
    Request::post("/backchannel-logout", format!("logout_token={token}"))
        .header("content-type", "application/x-www-form-urlencoded")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_the_answer_to_a_signal_on_no_request_passes_by_an_earlier_verdict() {
    let revocable = Revocable::start(two_workers).await;
    let by_worker = revocable.gateway.envoy.connect_to_every_worker(2).await;
    let mut connections: Vec<_> = by_worker.into_iter().flatten().collect();
    for round in 0..100 {
        let token = format!("token-{round}");
        assert_eq!(revocable.gateway.get(&token).await.status, 200);
        // Hot on both workers: requests as fast as they go.
        let (revoked, hot) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let clients: Vec<_> = connections
            .drain(..)
            .map(|mut connection| {
                let request = Request::get("/").bearer(&token);
                let (revoked, hot) = (revoked.clone(), hot.clone());
                tokio::spawn(async move {
                    for sent in 1.. {
                        let was_revoked = revoked.load(Ordering::SeqCst);
                        let status = connection.send(&request).await.unwrap().status;
                        assert!(!was_revoked || status == 401, "{status} after the signal was answered");
                        if was_revoked {
                            break;
                        }
                        hot.fetch_add(usize::from(sent == 3), Ordering::SeqCst);
                    }
                    connection
                })
            })
            .collect();
        let clients_count = clients.len();
        eventually("a token that all clients have used", || async {
            (hot.load(Ordering::SeqCst) == clients_count).then_some(())
        })
        .await;
        revocable.good_from.store(round + 1, Ordering::SeqCst);
        let (reply, success) = match round % 3 {
            0 => (revocable.logout(round).await, 200),
            1 => (revocable.push(round).await, 202),
            _ => (revocable.order(round).await, 200),
        };
        assert_eq!(reply.status, success, "{reply:?}");
        revoked.store(true, Ordering::SeqCst);
        for client in clients {
            connections.push(client.await.unwrap());
        }
    }
    assert_eq!(revocable.gateway.envoy.counter("revocation.received").await, 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_signal_withdraws_nothing() {
    let revocable = Revocable::start(two_workers).await;
    assert_eq!(revocable.gateway.get("token-1").await.status, 200);
    revocable.good_from.store(100, Ordering::SeqCst);
    let forger = Revocable { signer: Signer::new("ES256", "as"), ..revocable };
    assert_eq!(forger.logout(1).await.status, 400);
    assert_eq!(forger.push(1).await.status, 400);
    assert_eq!(forger.gateway.get("token-1").await.status, 200, "by the verdict that is remembered");
    assert_eq!(forger.gateway.envoy.counter("revocation.refused").await, 2);
    assert_eq!(forger.gateway.upstream.requests(), 2, "no signal reaches the service");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_order_it_has_a_user_s_tokens_refused_with_the_next_request() {
    let revocable = Revocable::start(two_workers).await;
    let order = |signer: &Signer, user: &str| {
        let claims = json!({"iss": "https://as.example", "aud": "https://gateway.example/global-token-revocation",
            "jti": format!("order-of-{user}"), "nbf": now() - 300, "exp": now() + 300});
        let header = json!({"alg": "ES256", "kid": "as", "typ": "global-token-revocation+jwt"});
        let body = json!({"sub_id": {"format": "iss_sub", "iss": "https://as.example", "sub": user}});
        let request = Request::post("/global-token-revocation", body.to_string())
            .header("content-type", "application/json")
            .bearer(&signer.sign(&header, &claims));
        revocable.gateway.send(request)
    };
    for token in ["token-1", "token-2"] {
        assert_eq!(revocable.gateway.get(token).await.status, 200);
    }
    revocable.good_from.store(100, Ordering::SeqCst);
    assert_eq!(order(&Signer::new("ES256", "as"), "user-1").await.status, 401);
    assert_eq!(revocable.gateway.get("token-1").await.status, 200, "by the verdict that is remembered");
    let reply = order(&revocable.signer, "user-1").await;
    assert_eq!((reply.status, reply.body.len()), (204, 0));
    for _ in 0..10 {
        assert_eq!(revocable.gateway.get("token-1").await.status, 401);
    }
    assert_eq!(revocable.gateway.get("token-2").await.status, 200, "another user");
    assert_eq!(order(&revocable.signer, "user-1").await.status, 401, "once");
    assert_eq!(revocable.gateway.upstream.requests(), 4, "no order reaches the service");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_is_read_however_it_comes() {
    let revocable = Revocable::start(two_workers).await;
    // Of a size that comes in pieces, and one that is too long.
    let padded = |padding: usize| {
        let body = format!("padding={}&logout_token=a.b.c", "x".repeat(padding));
        revocable.gateway.send(
            Request::post("/backchannel-logout", body)
                .header("content-type", "application/x-www-form-urlencoded"),
        )
    };
    let reply = padded(50_000).await;
    assert_eq!(reply.status, 400);
    assert!(!text(&reply).contains("expected a form"), "it was read: {}", text(&reply));
    let reply = padded(200_000).await;
    assert!(reply.status == 400 && text(&reply).contains("expected a form"), "{reply:?}");
    assert_eq!(revocable.gateway.upstream.requests(), 0);
}

fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.body).into_owned()
}

fn base64(text: &str) -> String {
    use base64ct::{Base64, Encoding};
    Base64::encode_string(text.as_bytes())
}

/// Envoy begins anew to wait for the next tick whenever it is told how often they are wanted; which is sooner as long as a
/// request waits for another worker's question.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_does_not_come_is_given_up_however_often_others_begin_and_end_to_wait() {
    const SERVER_TAKES: Duration = Duration::from_millis(15);
    let gateway = Gateway::with(patient_plugin("https://as.example", "/jwks").await, two_workers).await;
    gateway.server.answer_all(Answer::inactive().after(SERVER_TAKES));
    let [mut one, mut two]: [Vec<_>; 2] =
        gateway.envoy.connect_to_every_worker(2).await.try_into().unwrap_or_else(|_| panic!("two workers"));
    let slow =
        Request::post("/revocations", "{}").header("authorization", "Bearer admin-secret-admin-secret");
    one[1].write(&slow.head()).await.expect("the headers sent");
    let start = Instant::now();
    let mut held = one.remove(1);
    let given_up = tokio::spawn(async move { (held.reply().await, start.elapsed()) });
    for number in 0.. {
        if given_up.is_finished() || start.elapsed() > Duration::from_secs(12) {
            break;
        }
        let request = Request::get("/").bearer(&format!("made-up-{number}"));
        let (asks, waits) =
            if number % 2 == 0 { (&mut one[0], &mut two[0]) } else { (&mut two[0], &mut one[0]) };
        let (first, second) = tokio::join!(asks.send(&request), async {
            tokio::time::sleep(SERVER_TAKES / 3).await;
            waits.send(&request).await
        });
        assert_eq!([first.expect("an answer").status, second.expect("an answer").status], [401, 401]);
    }
    let (reply, after) = given_up.await.expect("no panic");
    assert_eq!(reply.expect("an answer").status, 503);
    assert!(after <= Duration::from_secs(6), "given up after {after:?}");
    assert!(gateway.envoy.counter("cache.coalesced").await > 100, "they did wait for each other");
}
