//! What the filter fetches to know of revocations, in real Envoy: polled security events, and status lists.

use std::{
    future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use hyper::Response;
use serde_json::{Value, json};

use crate::rig::{
    answer::Answer,
    client::Request,
    eventually,
    gateway::{Gateway, jwt_plugin, plugin},
    http_server::{HttpServer, whole},
    signer::{Signer, now},
};

const REVOKED: &str = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";

const SECRET: &str = "Bearer poll-secret-poll-secret";

/// A transmitter that has events until they are acknowledged (RFC 8936).
struct Transmitter {
    server: HttpServer,
    events: Arc<Mutex<serde_json::Map<String, Value>>>,
    polls: Arc<Mutex<Vec<Value>>>,
}

impl Transmitter {
    async fn start() -> Self {
        Self::publishing(json!({"keys": []})).await
    }

    /// With keys of its own, at `/jwks`.
    async fn publishing(jwks: Value) -> Self {
        let (events, polls) =
            (Arc::new(Mutex::new(serde_json::Map::new())), Arc::new(Mutex::new(Vec::new())));
        let (held, seen) = (events.clone(), polls.clone());
        let server = HttpServer::start(move |request| {
            if request.uri().path() == "/jwks" {
                return future::ready(Ok(Response::new(whole(jwks.to_string()))));
            }
            let poll: Value = serde_json::from_slice(request.body()).unwrap();
            assert_eq!(request.headers()["authorization"], SECRET);
            let mut held = held.lock().unwrap();
            for jti in poll["ack"].as_array().unwrap() {
                held.remove(jti.as_str().unwrap());
            }
            seen.lock().unwrap().push(poll);
            let answer = json!({"sets": *held, "moreAvailable": false}).to_string();
            future::ready(Ok(Response::new(whole(answer))))
        })
        .await;
        Self { server, events, polls }
    }

    /// Has an event until it is acknowledged.
    fn tell(&self, jti: &str, token: String) {
        self.events.lock().unwrap().insert(jti.to_owned(), json!(token));
    }
}

/// That alice's sessions are revoked, as `issuer` says.
fn revoked(signer: &Signer, issuer: &str, jti: &str) -> String {
    let claims = json!({"iss": issuer, "aud": "https://gateway.example", "iat": now(), "jti": jti,
        "sub_id": {"format": "iss_sub", "iss": "https://as.example", "sub": "alice"}, "events": {REVOKED: {}}});
    let header = json!({"alg": signer.alg, "kid": signer.kid, "typ": "secevent+jwt"});
    signer.sign(&header, &claims)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn polled_events_withdraw_and_are_acknowledged() {
    let signer = Signer::new("ES256", "as");
    let transmitter = Transmitter::start().await;
    let mut plugin = plugin().await;
    plugin["policies"] = json!({"default": {"cache_ttl": "10m"}});
    plugin["providers"]["main"]["issuer"] = json!("https://as.example");
    plugin["providers"]["main"]["jwks"] = json!({"cluster": "authorization_server", "path": "/jwks"});
    plugin["revocation"] = json!({"security_events": {
        "audiences": ["https://gateway.example"],
        "poll": {"cluster": "transmitter", "path": "/poll", "interval": "1s",
                 "authorization": {"inline": "poll-secret-poll-secret"}},
    }});
    let address = transmitter.server.address();
    let gateway = Gateway::with(plugin, |envoy| envoy.workers(2).cluster("transmitter", address)).await;
    gateway.server.publish(&[signer.jwk()]);
    gateway.server.answer_all(Answer::active(json!({"sub": "alice", "iss": "https://as.example"})));
    assert_eq!(gateway.get("token").await.status, 200);
    gateway.server.answer_all(Answer::inactive());
    assert_eq!(gateway.get("token").await.status, 200, "it is remembered");
    transmitter.tell("e1", revoked(&signer, "https://as.example", "e1"));
    eventually("the refusal", || async { (gateway.get("token").await.status == 401).then_some(()) }).await;
    eventually("the acknowledgement", || async {
        transmitter.events.lock().unwrap().is_empty().then_some(())
    })
    .await;
    assert_eq!(gateway.envoy.counter("revocation.received").await, 1, "one of the workers polls");
    let polls = transmitter.polls.lock().unwrap().clone();
    let acknowledged = polls.iter().filter(|poll| poll["ack"] == json!(["e1"])).count();
    assert_eq!(acknowledged, 1, "{polls:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_transmitters_are_heard_and_none_holds_up_or_speaks_for_another() {
    let signers = ["risk", "tenant", "pushing"].map(|name| Signer::new("ES256", name));
    let [risk, tenant, pushing] = &signers;
    let mut servers = Vec::new();
    for signer in &signers {
        servers.push(Transmitter::publishing(json!({"keys": [signer.jwk()]})).await);
    }
    // One that takes the poll and never answers, nor has any keys.
    let hung = HttpServer::start(|_| future::pending()).await;
    let transmitter = |name: &str| {
        json!({
            "issuer": format!("https://{name}.example"), "audiences": ["https://gateway.example"],
            "jwks": {"cluster": name, "path": "/jwks"},
            "poll": {"cluster": name, "path": "/poll", "interval": "1s", "timeout": "60s",
                     "authorization": {"inline": "poll-secret-poll-secret"}},
        })
    };
    let mut pushes = transmitter("pushing");
    pushes.as_object_mut().unwrap().remove("poll");
    pushes["push"] = json!({"path": "/pushed", "authorization": {"inline": "push-secret-push-secret"}});
    let mut plugin = plugin().await;
    plugin["policies"] = json!({"default": {"cache_ttl": "10m"}});
    plugin["providers"]["main"]["issuer"] = json!("https://as.example");
    let all = [transmitter("hung"), transmitter("risk"), transmitter("tenant"), pushes];
    plugin["revocation"] = json!({"settle": "0s", "security_events": all});
    let gateway = Gateway::with(plugin, |envoy| {
        let envoy = envoy.workers(2).allow_on_headers_stop_iteration().cluster("hung", hung.address());
        servers.iter().zip(&signers).fold(envoy, |envoy, (transmitter, signer)| {
            envoy.cluster(&signer.kid, transmitter.server.address())
        })
    })
    .await;
    let remember = |token: &'static str| async {
        gateway.server.answer_all(Answer::active(json!({"sub": "alice", "iss": "https://as.example"})));
        assert_eq!(gateway.get(token).await.status, 200);
        gateway.server.answer_all(Answer::inactive());
        assert_eq!(gateway.get(token).await.status, 200, "it is remembered");
    };
    let push = |signer: &Signer, issuer: &str| {
        let request = Request::post("/pushed", revoked(signer, issuer, "1"))
            .header("content-type", "application/secevent+jwt")
            .header("authorization", "Bearer push-secret-push-secret");
        gateway.send(request)
    };
    for (transmitter, signer) in servers.iter().zip(&signers).take(2) {
        let token = if signer.kid == "risk" { "first" } else { "second" };
        remember(token).await;
        // What it says in the name of another is refused.
        transmitter.tell("2", revoked(signer, "https://pushing.example", "2"));
        eventually("the report", || async {
            let polls = transmitter.polls.lock().unwrap();
            polls.iter().any(|poll| poll["setErrs"]["2"]["err"] == "invalid_issuer").then_some(())
        })
        .await;
        assert_eq!(gateway.get(token).await.status, 200);
        transmitter.events.lock().unwrap().clear();
        transmitter.tell("1", revoked(signer, &format!("https://{}.example", signer.kid), "1"));
        eventually("the refusal", || async { (gateway.get(token).await.status == 401).then_some(()) }).await;
    }
    remember("third").await;
    for (signer, issuer) in [
        (risk, "https://pushing.example"),
        (tenant, "https://tenant.example"),
        (pushing, "https://risk.example"),
    ] {
        assert_eq!(push(signer, issuer).await.status, 400, "{} as {issuer}", signer.kid);
    }
    assert_eq!(gateway.get("third").await.status, 200);
    assert_eq!(push(pushing, "https://pushing.example").await.status, 202, "the same jti");
    for _ in 0..10 {
        assert_eq!(gateway.get("third").await.status, 401);
    }
    assert_eq!(gateway.envoy.counter("revocation.received").await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jwt_is_refused_once_its_status_list_says_so() {
    let signer = Arc::new(Signer::new("ES256", "as"));
    let (signs, is_revoked) = (signer.clone(), Arc::new(AtomicBool::new(false)));
    let revoked = is_revoked.clone();
    let lists = HttpServer::start(move |request| {
        let uri = format!("https://as.example{}", request.uri());
        // Of 16 tokens with one bit each, numbers 0, 3, 4, 5, .. are revoked; or, with two bits, also number 1.
        let list = match revoked.load(Ordering::SeqCst) {
            false => json!({"bits": 1, "lst": "eNrbuRgAAhcBXQ"}),
            true => json!({"bits": 2, "lst": "eNo76fITAAPfAgc"}),
        };
        let claims = json!({"sub": uri, "iat": now(), "ttl": 5, "status_list": list});
        let list = signs.sign(&json!({"alg": "ES256", "kid": "as", "typ": "statuslist+jwt"}), &claims);
        let answer = Response::builder().header("content-type", "application/statuslist+jwt");
        async move { Ok(answer.body(whole(list)).unwrap()) }
    })
    .await;
    let mut plugin = jwt_plugin("https://as.example", "/jwks");
    plugin["policies"]["default"]["cache_ttl"] = json!("10m");
    plugin["providers"]["main"]["status_list"] =
        json!({"cluster": "lists", "uri_prefixes": ["https://as.example/statuslists/"]});
    let address = lists.address();
    let gateway = Gateway::with(plugin, |envoy| envoy.workers(2).cluster("lists", address)).await;
    gateway.server.publish(&[signer.jwk()]);
    let token = |idx: u64| {
        let status = json!({"status_list": {"idx": idx, "uri": "https://as.example/statuslists/1"}});
        signer.access_token(&json!({"iss": "https://as.example", "status": status}))
    };
    let (good, bad, nowhere) = (token(1), token(0), token(16));
    eventually("the keys", || async { (gateway.get(&good).await.status == 200).then_some(()) }).await;
    for _ in 0..4 {
        assert_eq!(gateway.get(&good).await.status, 200);
        assert_eq!(gateway.get(&bad).await.status, 401);
        assert_eq!(gateway.get(&nowhere).await.status, 401);
    }
    is_revoked.store(true, Ordering::SeqCst);
    eventually("the refusal", || async { (gateway.get(&good).await.status == 401).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_that_are_reset_bring_no_verdict_back() {
    let mut plugin = plugin().await;
    plugin["policies"] = json!({"default": {"cache_ttl": "10m"}});
    plugin["revocation"] =
        json!({"admin": {"path": "/revocations", "token": {"inline": "admin-secret-admin-secret"}}});
    let gateway = Gateway::with(plugin, |envoy| envoy.workers(2).allow_on_headers_stop_iteration()).await;
    gateway.server.answer_all(Answer::active(json!({"sub": "alice"})));
    assert_eq!(gateway.get("token").await.status, 200);
    gateway.server.answer_all(Answer::inactive());
    let before = gateway.envoy.epoch().await;
    assert!(
        before.is_none_or(|it| it > 0),
        "a number that is set back to nothing is never one that is in use"
    );
    gateway.envoy.reset_counters().await;
    assert_eq!(gateway.envoy.epoch().await, before);
    assert_eq!(gateway.get("token").await.status, 200, "it is remembered");
    let order = Request::post("/revocations", r#"{"sub":"alice"}"#)
        .header("content-type", "application/json")
        .header("authorization", "Bearer admin-secret-admin-secret");
    assert_eq!(gateway.send(order).await.json(), json!({"withdrawn_by": "sub", "providers": ["main"]}));
    gateway.envoy.reset_counters().await;
    assert!(before.is_none() || gateway.envoy.epoch().await != before);
    for _ in 0..10 {
        assert_eq!(gateway.get("token").await.status, 401);
    }
}
