//! Requests that were passed on and are still open, in real Envoy: a withdrawal ends those that it is about, of every kind and
//! on every worker, and no others.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use http_body_util::{BodyExt, Empty};
use hyper::{
    Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

use crate::rig::{
    answer::Answer, authorization_server::AuthorizationServer, bootstrap::Bootstrap, client::Request,
    envoy::Envoy, eventually, gateway, process::allow_open_files, within_limit,
};

const ADMIN: &str = "admin-secret-admin-secret";

/// Longer than it takes to be seen by every worker.
const SEEN: Duration = Duration::from_millis(600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_stream_ends_when_its_token_is_withdrawn_and_others_go_on() {
    let gateway = Gateway::start(2).await;
    let mut alice = gateway.open("GET /events HTTP/1.1", "alice").await;
    let mut bob = gateway.open("GET /events HTTP/1.1", "bob").await;
    for connection in [&mut alice, &mut bob] {
        read_until(connection, "data: x").await;
    }

    gateway.withdraw("alice").await;

    let rest = read_to_end(&mut alice).await;
    assert!(!rest.ends_with("0\r\n\r\n"), "no last chunk: the client sees that it was broken off");
    gateway.envoy.access_log_line("/events 200 token_revoked").await;
    read_until(&mut bob, "data: x").await;
    tokio::time::sleep(SEEN).await;
    read_until(&mut bob, "data: x").await;
    assert_eq!(gateway.ended().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_ends() {
    let gateway = Gateway::start(1).await;
    let upgrade = "GET /socket HTTP/1.1\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                   sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==";
    let mut alice = gateway.open(upgrade, "alice").await;
    assert!(read_until(&mut alice, "\r\n\r\n").await.starts_with("HTTP/1.1 101"));
    alice.write_all(b"ping").await.expect("an open connection");
    assert_eq!(read_until(&mut alice, "ping").await, "ping");
    gateway.withdraw("alice").await;
    read_to_end(&mut alice).await;
    gateway.envoy.access_log_line("/socket 101 token_revoked").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_without_an_answer_gets_one() {
    let gateway = Gateway::start(1).await;
    let mut alice = gateway.open("GET /silence HTTP/1.1", "alice").await;
    gateway.until_upstream_has(1).await;
    gateway.withdraw("alice").await;
    let answer = read_until(&mut alice, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{answer}");
    assert!(answer.contains("www-authenticate: Bearer realm=\"api\", error=\"invalid_token\""), "{answer}");
    gateway.envoy.access_log_line("/silence 401 token_revoked").await;

    // gRPC: status 16, UNAUTHENTICATED.
    let client = gateway.http2().await;
    let call = client.send("/silence", "alice", Some("application/grpc"));
    let (reply, ()) = tokio::join!(call, async {
        gateway.until_upstream_has(2).await;
        gateway.withdraw("alice").await;
    });
    assert_eq!(
        (reply.status(), &reply.headers()["grpc-status"]),
        (StatusCode::OK, &"16".parse().expect("a value"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_under_way_ends_and_nothing_more_of_it_passes() {
    let gateway = Gateway::start(1).await;
    let mut alice = gateway.open("POST /silence HTTP/1.1\r\ncontent-length: 1000000", "alice").await;
    alice.write_all(&[b'x'; 1000]).await.expect("an open connection");
    gateway.until_upstream_has(1).await;
    gateway.withdraw("alice").await;
    let writing = async {
        // Whatever the client sends until it hears of it.
        while alice.write_all(&[b'x'; 1000]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
            let mut answer = [0; 12];
            if let Ok(12..) = alice.try_read(&mut answer) {
                return answer;
            }
        }
        panic!("the connection closes before its answer")
    };
    assert_eq!(&within_limit("an answer", writing).await, b"HTTP/1.1 401");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_end_with_their_token_where_the_policy_says_so() {
    let gateway = Gateway::start_with(json!({"on_revocation": false, "on_expiry": true}), 1).await;
    let exp = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a date").as_secs() + 4;
    gateway.server.answer_with(move |token| Answer::active(json!({"sub": token, "exp": exp})));
    let mut alice = gateway.open("GET /events HTTP/1.1", "alice").await;
    read_until(&mut alice, "data: x").await;
    gateway.withdraw("alice").await;
    tokio::time::sleep(SEEN).await;
    read_until(&mut alice, "data: x").await;
    read_to_end(&mut alice).await;
    gateway.envoy.access_log_line("/events 200 token_expired").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_streams_on_two_workers_those_of_one_subject_end_within_a_second() {
    allow_open_files(8_000);
    let gateway = Gateway::start(2).await;
    // One of each first, so that the server is asked only once about each.
    for name in ["alice", "bob"] {
        read_until(&mut gateway.open("GET /events HTTP/1.1", name).await, "data: x").await;
    }
    let (mut alices, mut bobs) = (JoinSet::new(), Vec::new());
    for number in 0..20 {
        let (client, name) = (gateway.http2().await, if number % 2 == 0 { "alice" } else { "bob" });
        for _ in 0..50 {
            let mut events = client.send("/events", name, None).await;
            assert_eq!(events.status(), 200);
            events.body_mut().frame().await.expect("a frame").expect("an event");
            match name {
                "alice" => _ = alices.spawn(async move { until_end(events).await }),
                _ => bobs.push(events),
            }
        }
    }
    let withdrawn = Instant::now();
    gateway.withdraw("alice").await;
    within_limit("the end of all of them", async {
        while let Some(ended) = alices.join_next().await {
            assert!(ended.expect("a stream").is_err(), "broken off, and so seen by the client");
        }
    })
    .await;
    println!("500 streams have ended after {:?}", withdrawn.elapsed());
    for bob in &mut bobs {
        bob.body_mut().frame().await.expect("a frame").expect("an event");
    }
    assert_eq!(gateway.ended().await, 500);
    // The VMs are alive.
    let reply = Request::get("/events-of-nobody").bearer("").send(gateway.envoy.address()).await;
    assert_eq!(reply.status, 401);
}

async fn until_end(mut events: Response<Incoming>) -> Result<(), hyper::Error> {
    while let Some(frame) = events.body_mut().frame().await {
        frame?;
    }
    Ok(())
}

/// Envoy before a service whose answers do not end. A token is its subject's name.
struct Gateway {
    envoy: Envoy,
    server: AuthorizationServer,
    upstream: Endless,
}

impl Gateway {
    async fn start(workers: u32) -> Self {
        Self::start_with(json!({}), workers).await
    }

    async fn start_with(open_streams: Value, workers: u32) -> Self {
        let mut plugin = gateway::plugin().await;
        plugin["revocation"] = json!({"admin": {"path": "/revocations", "token": {"inline": ADMIN}}});
        plugin["policies"] = json!({"default": {"open_streams": open_streams}});
        let (server, upstream) = (AuthorizationServer::start().await, Endless::start().await);
        server.answer_with(|token| Answer::active(json!({"sub": token})));
        let envoy = Bootstrap::new(plugin)
            .workers(workers)
            .cluster("authorization_server", server.address())
            .limited_cluster(
                "upstream",
                upstream.address,
                json!({"max_connections": 4_000, "max_requests": 4_000}),
            )
            .adjust(|manager| {
                manager["upgrade_configs"] = json!([{"upgrade_type": "websocket"}]);
                manager["delayed_close_timeout"] = json!("0.1s");
            })
            .allow_on_headers_stop_iteration();
        Self { envoy: envoy.start().await, server, upstream }
    }

    /// Sends a request with this token over HTTP/1.
    async fn open(&self, head: &str, token: &str) -> TcpStream {
        let mut connection = TcpStream::connect(self.envoy.address()).await.expect("a connection");
        let request = format!("{head}\r\nhost: api.example\r\nauthorization: Bearer {token}\r\n\r\n");
        connection.write_all(request.as_bytes()).await.expect("a request");
        connection
    }

    async fn http2(&self) -> Http2 {
        let stream = TcpStream::connect(self.envoy.address()).await.expect("a connection");
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
        tokio::spawn(connection);
        Http2(sender)
    }

    async fn withdraw(&self, sub: &str) {
        let order = Request::post("/revocations", json!({"sub": sub}).to_string())
            .header("content-type", "application/json")
            .bearer(ADMIN);
        let reply = order.send(self.envoy.address()).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    async fn until_upstream_has(&self, requests: usize) {
        eventually("a request at the service", || async {
            (self.upstream.requests() == requests).then_some(())
        })
        .await;
    }

    /// How many streams the filter has ended.
    async fn ended(&self) -> u64 {
        self.envoy.stats("phantom_token.streams.ended").await.into_values().sum()
    }
}

struct Http2(SendRequest<Empty<Bytes>>);

impl Http2 {
    async fn send(&self, path: &str, token: &str, content_type: Option<&str>) -> Response<Incoming> {
        let mut request = hyper::Request::post(format!("http://api.example{path}"))
            .header("authorization", format!("Bearer {token}"));
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let request = request.body(Empty::new()).expect("a request");
        within_limit("an answer", self.0.clone().send_request(request)).await.expect("an answer")
    }
}

/// A service that answers `/events` with an event every 50 ms, `/socket` by changing to a protocol that echoes, and
/// `/silence` never.
struct Endless {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl Endless {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
        let address = listener.local_addr().expect("a bound address");
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = requests.clone();
        let serving = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((connection, _)) = listener.accept().await {
                let counter = counter.clone();
                connections.spawn(async move {
                    // Whatever goes wrong, the connection closes.
                    _ = serve(connection, &counter).await;
                });
            }
        });
        Self { address, requests, serving }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(mut connection: TcpStream, requests: &AtomicUsize) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if connection.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    requests.fetch_add(1, Ordering::SeqCst);
    let path = String::from_utf8_lossy(&head).split(' ').nth(1).unwrap_or_default().to_owned();
    let mut buffer = [0; 4096];
    match path.as_str() {
        "/events" => {
            connection
                .write_all(
                    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
                )
                .await?;
            loop {
                connection.write_all(b"9\r\ndata: x\n\n\r\n").await?;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        "/socket" => {
            connection
                .write_all(
                    b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n",
                )
                .await?;
            loop {
                let read = connection.read(&mut buffer).await?;
                if read == 0 {
                    return Ok(());
                }
                connection.write_all(&buffer[..read]).await?;
            }
        }
        _ => while connection.read(&mut buffer).await? > 0 {},
    }
    Ok(())
}

/// What comes next, until this is in it.
async fn read_until(connection: &mut TcpStream, text: &str) -> String {
    let reading = async {
        let mut bytes = Vec::with_capacity(4096);
        while !String::from_utf8_lossy(&bytes).contains(text) {
            let read = connection.read_buf(&mut bytes).await.expect("an open connection");
            assert!(read > 0, "the connection is closed before {text:?}");
        }
        String::from_utf8_lossy(&bytes).into_owned()
    };
    within_limit(text, reading).await
}

/// All that still comes until the connection is closed.
async fn read_to_end(connection: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset is an end, too.
    _ = within_limit("the end of a stream", connection.read_to_end(&mut bytes)).await;
    String::from_utf8_lossy(&bytes).into_owned()
}
