//! The stream of security events that the filter finds or makes itself, in real Envoy.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use hyper::{Request as HttpRequest, body::Bytes};
use serde_json::{Map, Value, json};

use crate::rig::{
    answer::Answer,
    eventually,
    gateway::{Gateway, plugin},
    http_server::{self, HttpServer},
    signer::{Signer, now},
};

const ISSUER: &str = "https://as.example";
const SESSION_REVOKED: &str = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";
const VERIFICATION: &str = "https://schemas.openid.net/secevent/ssf/event-type/verification";

/// A transmitter that makes streams, whose access tokens live for 2 s.
struct Transmitter {
    server: HttpServer,
    state: Arc<Mutex<State>>,
}

struct State {
    signer: Signer,
    /// By their names.
    streams: BTreeMap<String, Value>,
    /// What waits to be fetched.
    events: BTreeMap<String, Map<String, Value>>,
    subjects: Vec<Value>,
    calls: Vec<String>,
    verified: u32,
    tokens: u32,
    /// Changes what is said of streams.
    lie: Value,
}

impl State {
    fn answer(&mut self, request: &HttpRequest<Bytes>) -> (u16, Value) {
        let call = format!("{} {}", request.method(), request.uri());
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        if call == "POST /token" {
            self.tokens += 1;
            return (
                200,
                json!({"access_token": format!("t{}", self.tokens), "token_type": "Bearer", "expires_in": 2}),
            );
        }
        self.calls.push(call.clone());
        if call == "GET /.well-known/ssf-configuration" {
            return (
                200,
                json!({"issuer": ISSUER, "default_subjects": "NONE",
                "add_subject_endpoint": "https://as.example/subjects/add",
                "verification_endpoint": "https://as.example/verify"}),
            );
        }
        assert!(request.headers()["authorization"].to_str().unwrap().starts_with("Bearer t"), "{call}");
        match (&*call, request.uri().path().strip_prefix("/poll/")) {
            ("GET /streams", _) => (200, self.streams.values().map(|it| self.told(it)).collect()),
            ("POST /streams", _) => {
                let id = format!("s{}", self.streams.len() + 1);
                let stream = json!({"stream_id": id, "iss": ISSUER, "aud": [format!("gateway/{id}")],
                    "events_requested": body["events_requested"], "description": body["description"],
                    "delivery": {"method": "urn:ietf:rfc:8936", "endpoint_url": format!("https://as.example/poll/{id}")}});
                self.streams.insert(id, stream.clone());
                (201, self.told(&stream))
            }
            ("POST /subjects/add", _) => {
                self.subjects.push(body["subject"].clone());
                (200, json!({}))
            }
            ("POST /verify", _) => {
                let id = body["stream_id"].as_str().unwrap().to_owned();
                self.send(
                    &id,
                    "verification",
                    &json!({"sub_id": {"format": "opaque", "id": id.clone()},
                    "events": {VERIFICATION: {"state": body["state"]}}}),
                );
                (204, Value::Null)
            }
            (_, Some(id)) => {
                let waiting = self.events.entry(id.to_owned()).or_default();
                for jti in body["ack"].as_array().unwrap() {
                    let was = waiting.remove(jti.as_str().unwrap()).is_some();
                    self.verified += u32::from(was && jti == "verification");
                }
                (200, json!({"sets": self.events[id], "moreAvailable": false}))
            }
            _ => (404, json!({})),
        }
    }

    fn told(&self, stream: &Value) -> Value {
        let mut told = stream.clone();
        if let Some(lie) = self.lie.as_object() {
            told.as_object_mut().unwrap().extend(lie.clone());
        }
        told
    }

    fn send(&mut self, id: &str, jti: &str, claims: &Value) {
        let mut all = json!({"iss": ISSUER, "aud": format!("gateway/{id}"), "iat": now(), "jti": jti});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let token = self.signer.sign(&json!({"alg": "ES256", "kid": "as", "typ": "secevent+jwt"}), &all);
        self.events.entry(id.to_owned()).or_default().insert(jti.to_owned(), json!(token));
    }
}

impl Transmitter {
    async fn start() -> Self {
        let state = Arc::new(Mutex::new(State {
            signer: Signer::new("ES256", "as"),
            streams: BTreeMap::new(),
            events: BTreeMap::new(),
            subjects: Vec::new(),
            calls: Vec::new(),
            verified: 0,
            tokens: 0,
            lie: Value::Null,
        }));
        let answering = state.clone();
        let server = HttpServer::start(move |request| {
            let (status, body) = answering.lock().unwrap().answer(&request);
            let body = if body.is_null() { String::new() } else { body.to_string() };
            let answer = http_server::json(status, body);
            async move { Ok(answer) }
        })
        .await;
        Self { server, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn count(&self, call: &str) -> usize {
        self.state().calls.iter().filter(|it| it.as_str() == call).count()
    }

    /// An Envoy of two workers whose filter is to find or make its stream here.
    async fn gateway(&self) -> Gateway {
        let mut plugin = plugin().await;
        plugin["policies"] = json!({"default": {"cache_ttl": "10m"}});
        plugin["providers"]["main"]["issuer"] = json!(ISSUER);
        plugin["providers"]["main"]["jwks"] = json!({"cluster": "authorization_server", "path": "/jwks"});
        plugin["revocation"] = json!({"security_events": {
            "stream": {
                "cluster": "transmitter", "path": "/streams", "events": [SESSION_REVOKED],
                "subjects": [{"format": "email", "email": "alice@example.com"}],
                "authorization": {"client_credentials": {
                    "cluster": "transmitter", "path": "/token", "auth": {"none": {"client_id": "gateway"}}}},
            },
            "poll": {"interval": "1s"},
        }});
        let address = self.server.address();
        let gateway = Gateway::with(plugin, |envoy| envoy.workers(2).cluster("transmitter", address)).await;
        let key = self.state().signer.jwk();
        gateway.server.publish(&[key]);
        gateway
    }
}

/// An event about alice withdraws the verdict on her token.
async fn ends_the_verdict(gateway: &Gateway, transmitter: &Transmitter, jti: &str) {
    gateway.server.answer_all(Answer::active(json!({"sub": "alice", "iss": ISSUER})));
    assert_eq!(gateway.get(jti).await.status, 200);
    gateway.server.answer_all(Answer::inactive());
    assert_eq!(gateway.get(jti).await.status, 200, "it is remembered");
    let subject = json!({"format": "iss_sub", "iss": ISSUER, "sub": "alice"});
    transmitter.state().send("s1", jti, &json!({"sub_id": subject, "events": {SESSION_REVOKED: {}}}));
    eventually("the refusal", || async { (gateway.get(jti).await.status == 401).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_made_verified_and_polled_and_found_again_after_a_restart() {
    let transmitter = Transmitter::start().await;
    let gateway = transmitter.gateway().await;
    eventually("the verification", || async { (transmitter.state().verified == 1).then_some(()) }).await;
    assert_eq!(transmitter.count("POST /streams"), 1, "one of the workers makes it");
    assert_eq!(transmitter.state().subjects, [json!({"format": "email", "email": "alice@example.com"})]);
    ends_the_verdict(&gateway, &transmitter, "e1").await;
    let log = gateway.envoy.log();
    assert!(log.contains("its stream of security events was made: \"s1\""), "{log}");
    eventually("the word of it", || async { gateway.envoy.log().contains("is verified").then_some(()) })
        .await;
    drop(gateway);
    let gateway = transmitter.gateway().await;
    eventually("the verification", || async { (transmitter.state().verified == 2).then_some(()) }).await;
    ends_the_verdict(&gateway, &transmitter, "e2").await;
    assert_eq!(transmitter.count("POST /streams"), 1, "the same is found");
    assert!(gateway.envoy.log().contains("its stream of security events was found: \"s1\""));
    assert!(transmitter.state().calls.iter().all(|call| !call.starts_with("DELETE")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_transmitter_gets_no_poll_and_no_second_stream() {
    let transmitter = Transmitter::start().await;
    for lie in [
        json!({"delivery": {"method": "urn:ietf:rfc:8936", "endpoint_url": "https://evil.example/poll/s1"}}),
        json!({"iss": "https://evil.example"}),
        json!({"aud": vec!["gateway"; 1000]}),
        json!({"stream_id": "s".repeat(100_000)}),
    ] {
        transmitter.state().lie = lie.clone();
        let before = transmitter.state().streams.len();
        let gateway = transmitter.gateway().await;
        eventually("the refusal", || async {
            gateway.envoy.log().contains("its stream of security events was not").then_some(())
        })
        .await;
        assert!(transmitter.state().calls.iter().all(|call| !call.contains("/poll/")), "{lie}");
        assert!(transmitter.state().streams.len() <= before.max(1), "{lie}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transmitter_that_is_down_at_the_start_is_asked_again() {
    let transmitter = Transmitter::start().await;
    transmitter.server.refuse_connections().await;
    let gateway = transmitter.gateway().await;
    eventually("the failure", || async {
        (gateway.envoy.counter("access_token.error").await >= 1).then_some(())
    })
    .await;
    transmitter.server.accept_connections().await;
    eventually("the verification", || async { (transmitter.state().verified == 1).then_some(()) }).await;
}
