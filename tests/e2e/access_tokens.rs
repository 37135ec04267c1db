//! Access tokens of our own, fetched by client credentials, in real Envoy: polls and introspections over several lifetimes, and
//! what becomes of them while none is to be had.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use base64ct::{Base64, Encoding};
use hyper::{Request as HttpRequest, body::Bytes};
use serde_json::{Value, json};

use crate::rig::{
    eventually,
    gateway::{Gateway, plugin},
    http_server::{self, HttpServer},
    signer::Signer,
};

const SECRET: &str = "client-secret-of-the-receiver";

/// A token endpoint whose tokens open `/poll` and `/introspect` beside it, each for as long as it lives.
struct Server {
    server: HttpServer,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Seconds.
    life: u64,
    /// What is answered to a request for a token in the place of one.
    instead: Option<(u16, String)>,
    /// Until when each token opens something.
    tokens: BTreeMap<String, Instant>,
    asked: u32,
    served: u32,
    refused: u32,
}

impl State {
    fn answer(&mut self, request: &HttpRequest<Bytes>) -> (u16, String) {
        let authorization = request.headers().get("authorization").map(|it| it.to_str().unwrap().to_owned());
        if request.uri() == "/token" {
            self.asked += 1;
            let basic = Base64::encode_string(format!("receiver:{SECRET}").as_bytes());
            if authorization != Some(format!("Basic {basic}")) {
                return (401, json!({"error": "invalid_client"}).to_string());
            }
            assert_eq!(request.body().as_ref(), b"grant_type=client_credentials&scope=ssf.read");
            if let Some(instead) = &self.instead {
                return instead.clone();
            }
            let token = format!("own-token-{}", self.asked);
            self.tokens.insert(token.clone(), Instant::now() + Duration::from_secs(self.life));
            let answer = json!({"access_token": token, "token_type": "bearer", "expires_in": self.life});
            return (200, answer.to_string());
        }
        let token = authorization.as_deref().and_then(|it| it.strip_prefix("Bearer ")).unwrap_or_default();
        if self.tokens.get(token).is_none_or(|until| Instant::now() >= *until) {
            self.refused += 1;
            return (401, json!({"error": "invalid_token"}).to_string());
        }
        self.served += 1;
        match request.uri().path() {
            "/poll" => (200, json!({"sets": {}, "moreAvailable": false}).to_string()),
            _ => (200, json!({"active": true, "sub": "alice"}).to_string()),
        }
    }
}

impl Server {
    async fn start(life: u64) -> Self {
        let state = Arc::new(Mutex::new(State { life, ..State::default() }));
        let answering = state.clone();
        let server = HttpServer::start(move |request| {
            let (status, body) = answering.lock().unwrap().answer(&request);
            let answer = http_server::json(status, body);
            async move { Ok(answer) }
        })
        .await;
        Self { server, state }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// How many calls were served, and how many refused.
    fn calls(&self) -> (u32, u32) {
        let state = self.state();
        (state.served, state.refused)
    }

    /// Waits until so many more calls were served.
    async fn serves(&self, more: u32) {
        let wanted = self.state().served + more;
        eventually("calls with a token", || async { (self.state().served >= wanted).then_some(()) }).await;
    }

    /// Two workers that poll with a token of this server.
    async fn polled(&self, secret: &str) -> Gateway {
        let mut plugin = plugin().await;
        plugin["providers"]["main"]["issuer"] = json!("https://as.example");
        plugin["providers"]["main"]["jwks"] = json!({"cluster": "authorization_server", "path": "/jwks"});
        plugin["revocation"] = json!({"security_events": {
            "audiences": ["https://gateway.example"],
            "poll": {"cluster": "transmitter", "path": "/poll", "interval": "1s", "authorization": credentials(secret)},
        }});
        self.gateway(plugin).await
    }

    async fn gateway(&self, plugin: Value) -> Gateway {
        let address = self.server.address();
        let gateway = Gateway::with(plugin, |envoy| envoy.workers(2).cluster("transmitter", address)).await;
        gateway.server.publish(&[Signer::new("ES256", "as").jwk()]);
        gateway
    }
}

fn credentials(secret: &str) -> Value {
    json!({"client_credentials": {
        "cluster": "transmitter", "path": "/token", "scopes": ["ssf.read"],
        "auth": {"client_secret_basic": {"client_id": "receiver", "client_secret": {"inline": secret}}},
    }})
}

fn assert_no_secret_in(log: &str) {
    for secret in [SECRET, "own-token", "cmVjZWl2ZXI"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_polled_over_several_lifetimes_of_the_token_by_one_worker() {
    let server = Server::start(2).await;
    let gateway = server.polled(SECRET).await;
    let begin = Instant::now();
    // Three lifetimes and more.
    server.serves(7).await;
    let asked = server.state().asked;
    let (_, refused) = server.calls();
    assert_eq!(refused, 0, "no poll with a token that had ended");
    let lifetimes = u32::try_from(begin.elapsed().as_millis() / 1600).unwrap();
    assert!(
        asked >= 3 && asked <= lifetimes + 2,
        "{asked} tokens in {:?}: one worker fetches them",
        begin.elapsed()
    );
    assert_eq!(gateway.envoy.counter("access_token.fetched").await, u64::from(asked));
    assert_eq!(gateway.envoy.counter("access_token.error").await, 0);
    assert_no_secret_in(&gateway.envoy.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_token_endpoint_is_down_nothing_is_polled_and_when_it_is_back_it_is() {
    let server = Server::start(2).await;
    let gateway = server.polled(SECRET).await;
    server.serves(2).await;
    server.server.refuse_connections().await;
    eventually("the failures", || async {
        (gateway.envoy.counter("access_token.error").await >= 2).then_some(())
    })
    .await;
    let served = server.state().served;
    server.server.accept_connections().await;
    server.serves(2).await;
    assert!(served < server.state().served);
    let log = gateway.envoy.log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("no access token")).collect();
    assert_eq!(lines.len(), 1, "once: {lines:?}");
    assert!(
        lines[0]
            .contains("provider \"main\": revocation.security_events.poll.authorization: no access token"),
        "{lines:?}"
    );
    assert!(log.contains("an access token is fetched again"), "{log}");
    assert_no_secret_in(&log);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_secret_is_an_error_in_the_log_and_is_not_tried_all_the_time() {
    let server = Server::start(2).await;
    let gateway = server.polled("wrong-secret-of-the-receiver").await;
    eventually("three tries", || async { (server.state().asked >= 3).then_some(()) }).await;
    let stats = gateway.envoy.stats("access_token.error").await;
    assert!(!stats.is_empty() && stats.keys().all(|name| name.contains("token_refused")), "{stats:?}");
    assert_eq!(server.calls(), (0, 0), "no poll without a token");
    let log = gateway.envoy.log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("no access token")).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("[error]") && lines[0].contains("(it says \"invalid_client\")"), "{lines:?}");
    assert!(!log.contains("wrong-secret"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_token_endpoint_brings_no_poll() {
    let server = Server::start(60).await;
    let token = |token: &str| json!({"access_token": token, "token_type": "Bearer"}).to_string();
    let hostile = [
        (200, token("a\r\nx-admin: 1")),
        (200, token(&"a".repeat(50_000))),
        (200, json!({"access_token": "a", "token_type": "mac"}).to_string()),
        (200, json!({"access_token": "a", "token_type": "Bearer", "expires_in": -1}).to_string()),
        (200, "[".repeat(500_000)),
        (302, token("a")),
        (200, "{\"access_token\":\"a\",\"access_token\":\"b\",\"token_type\":\"Bearer\"}".to_owned()),
        (200, "a".repeat(2 << 20)),
    ];
    server.state().instead = Some(hostile[0].clone());
    let gateway = server.polled(SECRET).await;
    let mut seen = 0;
    // The tries come less and less often; the first are enough to see each of four, and two gateways see all.
    for (number, instead) in hostile.iter().take(4).enumerate() {
        server.state().instead = Some(instead.clone());
        eventually("a try", || async { (server.state().asked > seen).then_some(()) }).await;
        seen = server.state().asked;
        assert_eq!(server.calls(), (0, 0), "{number}");
    }
    let other = server.polled(SECRET).await;
    for (number, instead) in hostile.iter().skip(4).enumerate() {
        server.state().instead = Some(instead.clone());
        eventually("a try", || async { (server.state().asked > seen).then_some(()) }).await;
        seen = server.state().asked;
        assert_eq!(server.calls(), (0, 0), "{number}");
    }
    server.state().instead = None;
    server.serves(1).await;
    for gateway in [gateway, other] {
        assert_no_secret_in(&gateway.envoy.log());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_introspected_over_several_lifetimes_of_our_own() {
    let server = Server::start(2).await;
    let mut plugin = plugin().await;
    plugin["providers"]["main"]["introspection"] = json!({
        "cluster": "transmitter", "path": "/introspect", "probe": true, "retries": 0,
        "auth": {"bearer": {"token": credentials(SECRET)}},
    });
    plugin["policies"] = json!({"default": {"cache_ttl": "0s"}});
    let gateway = server.gateway(plugin).await;
    let begin = Instant::now();
    let mut requests = 0;
    while begin.elapsed() < Duration::from_secs(5) {
        let reply = gateway.get("token").await;
        assert_eq!(reply.status, 200, "{reply:?}");
        requests += 1;
    }
    let state = server.state();
    assert!(requests > 50 && state.refused == 0, "{requests} requests, {} refused", state.refused);
    assert!((3..=12).contains(&state.asked), "{} tokens of two workers", state.asked);
    drop(state);
    assert_no_secret_in(&gateway.envoy.log());
}
