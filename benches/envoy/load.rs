//! The load generator: keep-alive connections over loopback, each with one request under way at a time.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};

use crate::{
    random::Random,
    rig::{LIMIT, envoy::Envoy},
    tokens::Tokens,
};

/// Longest answer that is read.
const MAX_RESPONSE: usize = 16 << 10;

/// Connections to one Envoy, the same number on each of its workers.
pub struct Load {
    connections: Vec<Connection>,
    seed: u64,
}

/// What a time of load came to.
pub struct Run {
    pub duration: Duration,
    /// Of each request, sorted.
    pub latencies: Vec<Duration>,
}

impl Load {
    /// The kernel spreads connections over workers as it likes; those that one worker has too many of are closed.
    pub async fn open(envoy: &Envoy, workers: u32, connections: usize) -> Self {
        let per_worker = connections / workers as usize;
        let mut held = vec![0; workers as usize];
        let mut connections = Vec::new();
        let deadline = Instant::now() + LIMIT;
        while held.iter().any(|held| *held < per_worker) {
            assert!(
                Instant::now() < deadline,
                "the kernel does not spread connections over Envoy's workers: {held:?}"
            );
            let before = envoy.connections_by_worker().await;
            let connection = Connection::open(envoy.address()).await.expect("a connection to Envoy");
            let worker = loop {
                let now = envoy.connections_by_worker().await;
                if let Some(worker) = (0..now.len()).find(|worker| now[*worker] > before[*worker]) {
                    break worker;
                }
                assert!(Instant::now() < deadline, "Envoy does not accept connections");
            };
            if held[worker] < per_worker {
                held[worker] += 1;
                connections.push(Connection { worker, ..connection });
            } else {
                drop(connection);
                while envoy.connections_by_worker().await != before {
                    assert!(Instant::now() < deadline, "Envoy does not close connections");
                }
            }
        }
        Self { connections, seed: 0 }
    }

    /// Sends requests with `tokens` at random, as fast as they are answered.
    pub async fn run(&mut self, tokens: &Tokens, duration: Duration) -> Run {
        let start = Instant::now();
        let deadline = start + duration;
        let mut running = JoinSet::new();
        for mut connection in self.connections.drain(..) {
            self.seed += 1;
            let (tokens, mut random) = (tokens.clone(), Random::seeded(self.seed));
            running.spawn(async move {
                let mut latencies = Vec::with_capacity(1 << 12);
                loop {
                    let sent = Instant::now();
                    if sent >= deadline {
                        return (connection, latencies);
                    }
                    connection.get(&tokens[random.below(tokens.len())]).await;
                    latencies.push(sent.elapsed());
                }
            });
        }
        let mut latencies = Vec::new();
        while let Some(ended) = running.join_next().await {
            let (connection, some) = ended.expect("every request was answered with 200");
            self.connections.push(connection);
            latencies.extend(some);
        }
        latencies.sort_unstable();
        Run { duration: start.elapsed(), latencies }
    }

    /// Sends one request on each connection, all at once, and waits for the last answer.
    pub async fn together(&mut self, token: &str) -> Instant {
        let mut running = JoinSet::new();
        for mut connection in self.connections.drain(..) {
            let token = token.to_owned();
            running.spawn(async move {
                connection.get(&token).await;
                (connection, Instant::now())
            });
        }
        let mut last = Instant::now();
        while let Some(ended) = running.join_next().await {
            let (connection, answered) = ended.expect("every request was answered with 200");
            self.connections.push(connection);
            last = last.max(answered);
        }
        last
    }

    /// Sends each token once to each worker.
    pub async fn each(&mut self, tokens: &Tokens) {
        let mut running = JoinSet::new();
        let workers = self.connections.iter().map(|connection| connection.worker + 1).max().unwrap_or(1);
        let share = self.connections.len() / workers;
        let mut of_worker = vec![0; workers];
        for mut connection in self.connections.drain(..) {
            let first = of_worker[connection.worker];
            of_worker[connection.worker] += 1;
            let tokens = tokens.clone();
            running.spawn(async move {
                for token in tokens.iter().skip(first).step_by(share) {
                    connection.get(token).await;
                }
                connection
            });
        }
        while let Some(ended) = running.join_next().await {
            self.connections.push(ended.expect("every request was answered with 200"));
        }
    }
}

struct Connection {
    stream: TcpStream,
    worker: usize,
    request: Vec<u8>,
    received: Vec<u8>,
}

impl Connection {
    async fn open(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, worker: 0, request: Vec::new(), received: Vec::with_capacity(MAX_RESPONSE) })
    }

    /// A request with `token`, which must be answered with 200: a refused request would cost less than a served one.
    async fn get(&mut self, token: &str) {
        self.request.clear();
        self.request.extend_from_slice(
            b"GET /accounts/1 HTTP/1.1\r\nhost: api.example\r\nuser-agent: bench\r\naccept: */*\r\n",
        );
        self.request.extend_from_slice(b"authorization: Bearer ");
        self.request.extend_from_slice(token.as_bytes());
        self.request.extend_from_slice(b"\r\n\r\n");
        let status = match timeout(LIMIT, self.exchange()).await {
            Ok(Ok(status)) => status,
            Ok(Err(error)) => panic!("no answer: {error}"),
            Err(_) => panic!("no answer within {LIMIT:?}"),
        };
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&self.received));
    }

    async fn exchange(&mut self) -> io::Result<u16> {
        self.stream.write_all(&self.request).await?;
        self.received.clear();
        loop {
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(status) = complete(&self.received)? {
                return Ok(status);
            }
            if self.received.len() > MAX_RESPONSE {
                return Err(io::Error::other("an answer longer than any that was expected"));
            }
        }
    }
}

/// The status of the one answer in `bytes`, once all of it is there. Its body has a `content-length`.
fn complete(bytes: &[u8]) -> io::Result<Option<u16>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = head.parse(bytes).map_err(io::Error::other)? else {
        return Ok(None);
    };
    let body = head.headers.iter().find(|header| header.name == "content-length").map(|header| header.value);
    let body: usize = body
        .and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok())
        .ok_or_else(|| io::Error::other("an answer without content-length"))?;
    Ok(head.code.filter(|_| bytes.len() >= length + body))
}
