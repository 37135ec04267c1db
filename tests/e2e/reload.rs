//! The filter's configuration changes while requests come in. No verdict serves that another provider or another client
//! got or that is for another resource, and no JWT for another audience or by another key. What is none of these keeps
//! everything that is remembered.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use base64ct::{Base64, Encoding};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::rig::{
    answer::{Answer, Gate},
    authorization_server::Call,
    client::{Connection, Reply, Request},
    eventually,
    gateway::{Gateway, plugin, plugin_with, signing_key},
    host::Host,
    jose::{self, Key},
    wasm_filter::WasmFilter,
    within_limit,
};

/// The access token that is in use all the time.
const HOT: &str = "always-the-same";

/// For the machine: two cores shared with other tests, of which some make 3,000 requests at once.
const SLACK: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_obtained_under_another_configuration_serves() {
    let keys = [jose::generate("ES256").await, jose::generate("ES256").await];
    let setups = setups();
    let gateway = Gateway::with(setups[0].plugin(0, &keys), |envoy| envoy.workers(2).reloadable()).await;
    gateway.server.answer_calls(|call| Answer::active(json!({"sub": subject(call)})));

    let traffic = Traffic::start(&gateway).await;
    let mut jwks = gateway.jwks().await;
    traffic.goes_on_under(0).await;
    for (number, setup) in setups.iter().enumerate().skip(1) {
        gateway.envoy.reload(&setup.plugin(number, &keys)).await;
        traffic.goes_on_under(number).await;
        let published = gateway.jwks().await["keys"].as_array_mut().expect("keys").split_off(0);
        jwks["keys"].as_array_mut().expect("keys").extend(published);
    }
    let forwarded = traffic.stop().await;

    let jwts: Vec<String> = forwarded.iter().map(|forwarded| forwarded.jwt.clone()).collect();
    for (forwarded, jwt) in forwarded.iter().zip(jose::verify(&jwts, &jwks).await) {
        let number = forwarded.under;
        let setup = &setups[number];
        assert_eq!(forwarded.subject, setup.subject(), "under configuration {number}");
        assert_eq!(jwt.claims["sub"], setup.subject(), "under configuration {number}");
        assert_eq!(jwt.claims["aud"], setup.audience, "under configuration {number}");
        assert_eq!(jwt.header["kid"], setup.kid(), "under configuration {number}");
    }
    // The server was asked once wherever it could say something else, and not again when an old configuration is back.
    let calls = gateway.server.calls();
    let asked: Vec<_> =
        calls.iter().filter(|call| call.parameter("token") == Some(HOT)).map(subject).collect();
    assert_eq!(asked, [0, 2, 3, 4].map(|number| setups[number].subject()));
}

/// A client without a secret revokes twice within ten seconds: the second counts at their end, or when the filter that has
/// put it off is replaced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withdrawal_that_was_put_off_is_not_forgotten_with_the_configuration() {
    let mut plugin = plugin().await;
    plugin["policies"] = json!({"default": {"cache_ttl": "10m"}});
    plugin["revocation"] = json!({"endpoint": {"path": "/token/revocation"}});
    let to_server =
        json!({"match": {"path": "/token/revocation"}, "route": {"cluster": "authorization_server"}});
    let gateway =
        Gateway::with(plugin.clone(), |envoy| envoy.reloadable().sees_answers().route(to_server)).await;
    let is_active = Arc::new(AtomicBool::new(true));
    let of_token = is_active.clone();
    gateway.server.answer_calls(move |call| match call.path.as_str() {
        "/token/revocation" => Answer::body(""),
        _ if of_token.load(Ordering::SeqCst) => Answer::active(json!({"client_id": "app"})),
        _ => Answer::inactive(),
    });
    let revoke = async |token: &str| {
        let form = format!("token={token}&client_id=app");
        let request = Request::post("/token/revocation", form);
        let reply = gateway.send(request.header("content-type", "application/x-www-form-urlencoded")).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    };
    assert_eq!(gateway.get(HOT).await.status, 200);
    revoke("refresh-1").await;
    // What is asked for within the millisecond of a withdrawal is not remembered.
    for _ in 0..3 {
        assert_eq!(gateway.get(HOT).await.status, 200);
    }
    is_active.store(false, Ordering::SeqCst);
    revoke("refresh-2").await;
    assert_eq!(gateway.get(HOT).await.status, 200, "it is put off");
    plugin["challenge"] = json!({"realm": "other"});
    gateway.envoy.reload(&plugin).await;
    eventually("the withdrawal", || async { (gateway.get(HOT).await.status == 401).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verdicts_and_jwts_outlive_a_change_that_is_none_of_theirs() {
    let mut plugin = plugin().await;
    let gateway = Gateway::with(plugin.clone(), |envoy| envoy.workers(2).reloadable()).await;
    gateway.server.answer(HOT, Answer::active(json!({})));
    let mut workers = gateway.envoy.connect_to_every_worker(1).await;
    assert_eq!((gateway.get(HOT).await.status, gateway.get("inactive").await.status), (200, 401));

    plugin["challenge"] = json!({"realm": "first"});
    gateway.envoy.reload(&plugin).await;
    serve_what_is_remembered(&mut workers, "first").await;

    // Another environment gives every worker a new VM, with memory of its own.
    let before = vms(&gateway).await;
    plugin["challenge"] = json!({"realm": "second"});
    let wasm_filter = WasmFilter { host_env_keys: vec!["PATH".to_owned()], ..WasmFilter::default() };
    gateway.envoy.reload_with(&wasm_filter, &plugin).await;
    serve_what_is_remembered(&mut workers, "second").await;
    assert!(Host::tested() == Host::Native || vms(&gateway).await >= before + 2);

    assert_eq!(gateway.server.call_count(), 2, "one for each token");
    assert_eq!(gateway.envoy.counter("jwt.minted").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_wait_are_answered_though_the_configuration_changes() {
    let mut plugin = plugin().await;
    let gateway = Gateway::with(plugin.clone(), |envoy| envoy.workers(2).reloadable()).await;
    let gate = Gate::closed();
    gateway.server.answer_all(Answer::active(json!({})).behind(&gate));
    let mut probes = gateway.envoy.connect_to_every_worker(1).await;
    let mut waiting = gateway.envoy.connect_to_every_worker(5).await;
    let request = Request::get("/").bearer(HOT).head();
    for connection in waiting.iter_mut().flatten() {
        connection.write(&request).await.expect("a request sent");
    }
    gateway.envoy.active_requests(10).await;

    plugin["challenge"] = json!({"realm": "changed"});
    gateway.envoy.reload(&plugin).await;
    for connection in probes.iter_mut().flatten() {
        under_realm(connection, "changed").await;
        // Of the new configuration, but about the same token: they wait for the call of the old one.
        connection.write(&request).await.expect("a request sent");
    }
    gateway.envoy.active_requests(12).await;
    gate.open();
    for connection in waiting.iter_mut().chain(&mut probes).flatten() {
        assert_eq!(connection.reply().await.expect("an answer").status, 200);
    }
    assert_eq!(gateway.server.call_count(), 1);
}

/// A request holds its configuration, which ends with the last one, on that one's worker; the main thread may be at work for it
/// just then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_ends_with_the_last_of_its_requests_wherever_that_is() {
    let mut plugin = plugin().await;
    let gateway = Gateway::with(plugin.clone(), |envoy| envoy.workers(2).reloadable()).await;
    gateway.server.answer_calls(|_| Answer::active(json!({})));
    for round in 0..10 {
        let mut uploads: Vec<_> =
            gateway.envoy.connect_to_every_worker(3).await.into_iter().flatten().collect();
        for (number, upload) in uploads.iter_mut().enumerate() {
            let request = Request::post("/", "x").bearer(&format!("of-{round}-{}", number / 2));
            upload.write(&request.head()).await.expect("a request sent, but for its body");
        }
        gateway.envoy.active_requests(uploads.len()).await;
        let realm = format!("round {round}");
        plugin["challenge"] = json!({"realm": realm});
        gateway.envoy.reload(&plugin).await;
        for connection in gateway.envoy.connect_to_every_worker(1).await.iter_mut().flatten() {
            under_realm(connection, &realm).await;
        }
        for upload in &mut uploads {
            upload.write(b"x").await.expect("the body sent");
        }
        for upload in &mut uploads {
            assert_eq!(upload.reply().await.expect("an answer").status, 200, "in round {round}");
        }
    }
    assert_eq!(gateway.get(HOT).await.status, 200);
}

/// A change of configuration ends calls that nobody waits for. Nobody hears of their end, so their leases run out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_end_with_their_configuration_keep_nobody_waiting_for_long() {
    const LEASE: Duration = Duration::from_millis(1250); // the timeout, and a quarter of a second
    let mut plugin = plugin().await;
    plugin["providers"]["main"]["introspection"]["timeout"] = json!("1s");
    plugin["providers"]["main"]["introspection"]["retries"] = json!(0);
    let gateway = Gateway::with(plugin.clone(), |envoy| envoy.workers(2).reloadable()).await;
    gateway.server.answer(HOT, Answer::hang());
    let mut workers = gateway.envoy.connect_to_every_worker(1).await;
    let mut leaver = Connection::open(gateway.envoy.address()).await.expect("a connection to Envoy");
    leaver.write(&Request::get("/").bearer(HOT).head()).await.expect("a request sent");
    gateway.server.called(1).await;
    let asked = Instant::now();
    drop(leaver);
    gateway.envoy.active_requests(0).await;

    gateway.server.answer(HOT, Answer::active(json!({})));
    plugin["challenge"] = json!({"realm": "changed"});
    gateway.envoy.reload(&plugin).await;
    for connection in workers.iter_mut().flatten() {
        under_realm(connection, "changed").await;
        connection.write(&Request::get("/").bearer(HOT).head()).await.expect("a request sent");
    }
    println!("asked again {:?} after the call", asked.elapsed());
    for connection in workers.iter_mut().flatten() {
        let reply = connection.reply().await.expect("an answer");
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    println!("answered {:?} after the call", asked.elapsed());
    assert!(asked.elapsed() < LEASE + SLACK, "answered {:?} after the call", asked.elapsed());
    assert_eq!(gateway.server.call_count(), 2);
}

/// What may differ from one configuration to the next.
#[derive(Clone)]
struct Setup {
    path: &'static str,
    resource: &'static str,
    client_id: &'static str,
    audience: &'static str,
    key: usize,
}

/// Each but the last differs from the one before in one point.
fn setups() -> [Setup; 7] {
    let first = Setup {
        path: "/introspect",
        resource: "https://api.example",
        client_id: "gateway",
        audience: "https://service.example",
        key: 0,
    };
    let other_audience = Setup { audience: "https://other-service.example", ..first };
    let other_path = Setup { path: "/other-realm/introspect", ..other_audience };
    let other_resource = Setup { resource: "https://other-api.example", ..other_path };
    let other_client = Setup { client_id: "other-gateway", ..other_resource };
    let other_key = Setup { key: 1, ..other_client };
    [first.clone(), other_audience, other_path, other_resource, other_client, other_key, first]
}

impl Setup {
    /// The `number`th configuration, which says so to the service behind.
    fn plugin(&self, number: usize, keys: &[Key; 2]) -> Value {
        let mut plugin = plugin_with(&keys[self.key]);
        plugin["phantom_token"]["signing_keys"] = json!([signing_key(&self.kid(), &keys[self.key])]);
        plugin["phantom_token"]["audiences"] = json!([self.audience]);
        let introspection = &mut plugin["providers"]["main"]["introspection"];
        introspection["path"] = json!(self.path);
        introspection["parameters"] = json!({"resource": self.resource});
        introspection["auth"]["client_secret_basic"]["client_id"] = json!(self.client_id);
        introspection["auth"]["client_secret_basic"]["encoding"] = json!("raw");
        plugin["policies"] =
            json!({"default": {"forward": {"claim_headers": {(format!("{MARK}{number}")): "sub"}}}});
        plugin
    }

    fn kid(&self) -> String {
        format!("key-{}", self.key)
    }

    /// The `sub` that the server says when it is asked so.
    fn subject(&self) -> String {
        format!("{} {} {}", self.path, self.resource, self.client_id)
    }
}

fn subject(call: &Call) -> String {
    let credentials = call.header("authorization").and_then(|value| value.strip_prefix("Basic "));
    let credentials = Base64::decode_vec(credentials.expect("HTTP Basic")).expect("base64");
    let credentials = String::from_utf8(credentials).expect("text");
    let client_id = credentials.split(':').next().unwrap_or_default();
    format!("{} {} {client_id}", call.path, call.parameter("resource").expect("a resource"))
}

/// Begins the name of the header that tells which configuration a request was forwarded under.
const MARK: &str = "x-configuration-";

/// What the service behind got.
struct Forwarded {
    under: usize,
    subject: String,
    jwt: String,
}

impl Forwarded {
    fn parse(reply: &Reply) -> Self {
        let echo = reply.json();
        let headers = echo["headers"].as_object().expect("headers");
        let marks: Vec<_> = headers.iter().filter(|(name, _)| name.starts_with(MARK)).collect();
        let [(name, subject)] = marks[..] else { panic!("one configuration at a time, not {headers:?}") };
        Self {
            under: name[MARK.len()..].parse().expect("a number"),
            subject: subject[0].as_str().expect("text").to_owned(),
            jwt: reply.echoed_bearer(),
        }
    }
}

/// Clients on every worker that ask on and on: every second time with the hot token, else with a new one.
struct Traffic {
    clients: JoinSet<Vec<Forwarded>>,
    /// What each client's last request was forwarded under, and how many have been since that changed.
    progress: Arc<Vec<(AtomicUsize, AtomicUsize)>>,
    ends: Arc<AtomicBool>,
}

impl Traffic {
    async fn start(gateway: &Gateway) -> Self {
        let connections: Vec<_> =
            gateway.envoy.connect_to_every_worker(3).await.into_iter().flatten().collect();
        let progress: Arc<Vec<(AtomicUsize, AtomicUsize)>> =
            Arc::new(connections.iter().map(|_| Default::default()).collect());
        let ends = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for (client, mut connection) in connections.into_iter().enumerate() {
            let (progress, ends) = (progress.clone(), ends.clone());
            clients.spawn(async move {
                let mut all: Vec<Forwarded> = Vec::new();
                while !ends.load(Ordering::SeqCst) {
                    let new = format!("new-{client}-{}", all.len());
                    let access_token = if all.len().is_multiple_of(2) { HOT } else { &new };
                    let reply =
                        connection.send(&Request::get("/").bearer(access_token)).await.expect("an answer");
                    let forwarded = Forwarded::parse(&reply);
                    let (under, count) = &progress[client];
                    match forwarded.under.cmp(&under.load(Ordering::SeqCst)) {
                        std::cmp::Ordering::Less => panic!("configuration {} is back", forwarded.under),
                        std::cmp::Ordering::Equal => _ = count.fetch_add(1, Ordering::SeqCst),
                        std::cmp::Ordering::Greater => {
                            count.store(0, Ordering::SeqCst);
                            under.store(forwarded.under, Ordering::SeqCst);
                        }
                    }
                    all.push(forwarded);
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                all
            });
        }
        Self { clients, progress, ends }
    }

    /// Waits until every client has gone on for a while under this configuration.
    async fn goes_on_under(&self, number: usize) {
        eventually("traffic under the new configuration", || async {
            let goes_on = |(under, count): &(AtomicUsize, AtomicUsize)| {
                under.load(Ordering::SeqCst) == number && count.load(Ordering::SeqCst) >= 20
            };
            self.progress.iter().all(goes_on).then_some(())
        })
        .await;
    }

    async fn stop(self) -> Vec<Forwarded> {
        self.ends.store(true, Ordering::SeqCst);
        self.clients.join_all().await.into_iter().flatten().collect()
    }
}

/// On every worker, once it has the configuration of this realm.
async fn serve_what_is_remembered(workers: &mut [Vec<Connection>], realm: &str) {
    for connection in workers.iter_mut().flatten() {
        under_realm(connection, realm).await;
        for (access_token, status) in [(HOT, 200), ("inactive", 401)] {
            let reply = connection.send(&Request::get("/").bearer(access_token)).await.expect("an answer");
            assert_eq!(reply.status, status, "{reply:?}");
        }
    }
}

/// Waits until the worker of this connection has the configuration that makes it refuse requests with this realm.
async fn under_realm(connection: &mut Connection, realm: &str) {
    let realm = format!("realm={realm:?}");
    within_limit("a worker with the new configuration", async {
        loop {
            let reply = connection.send(&Request::get("/")).await.expect("an answer");
            assert_eq!(reply.status, 401, "{reply:?}");
            if reply.header("www-authenticate").is_some_and(|challenge| challenge.contains(&realm)) {
                return;
            }
        }
    })
    .await;
}

/// VMs made so far.
async fn vms(gateway: &Gateway) -> u64 {
    gateway.envoy.stats("^wasm.envoy.wasm.runtime.v8.created$").await.values().sum()
}
