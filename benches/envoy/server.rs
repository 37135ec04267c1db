//! A server that gives every request the same small answer, as cheaply as can be: upstream, authorization server
//! and authorization service of the benchmark. It runs on a thread of its own.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Handle,
};

/// Longest request that is read.
const MAX_REQUEST: usize = 16 << 10;

pub struct StaticServer {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    response: Vec<u8>,
    delay: Duration,
    requests: AtomicUsize,
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    request: Vec<u8>,
    answered: Option<Instant>,
}

impl StaticServer {
    /// Serves on a free loopback port, on the threads of `runtime`, and takes `delay` for each answer.
    pub fn start(runtime: &Handle, delay: Duration, content_type: &str, body: &str) -> Self {
        let length = body.len();
        let response = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        let state = Arc::new(State {
            response: response.into_bytes(),
            delay,
            requests: AtomicUsize::new(0),
            last: Mutex::default(),
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
        listener.set_nonblocking(true).expect("a socket that does not block");
        let address = listener.local_addr().expect("a bound address");
        let served = state.clone();
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, served.clone()));
            }
        });
        Self { address, state }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests were answered so far.
    pub fn requests(&self) -> usize {
        self.state.requests.load(Ordering::Relaxed)
    }

    /// The head of the last request.
    pub fn last_request(&self) -> String {
        String::from_utf8_lossy(&self.state.last().request).into_owned()
    }

    /// When the last answer was given.
    pub fn last_answered(&self) -> Option<Instant> {
        self.state.last().answered
    }
}

impl State {
    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().expect("no panic while it is held")
    }
}

/// Answers until the peer hangs up or sends what is no request.
async fn serve(mut stream: TcpStream, state: Arc<State>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut received = Vec::with_capacity(MAX_REQUEST);
    loop {
        while let Some((head, whole)) = request_length(&received)? {
            if received.len() < whole {
                break;
            }
            {
                let mut last = state.last();
                last.request.clear();
                last.request.extend_from_slice(&received[..head]);
            }
            state.requests.fetch_add(1, Ordering::Relaxed);
            received.drain(..whole);
            if !state.delay.is_zero() {
                tokio::time::sleep(state.delay).await;
            }
            state.last().answered = Some(Instant::now());
            stream.write_all(&state.response).await?;
        }
        if received.len() > MAX_REQUEST || stream.read_buf(&mut received).await? == 0 {
            return Ok(());
        }
    }
}

/// The length of the head of the first request in `bytes`, and that of the whole request, once the head is there.
fn request_length(bytes: &[u8]) -> io::Result<Option<(usize, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head) = request.parse(bytes).map_err(io::Error::other)? else {
        return Ok(None);
    };
    let length = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let body = match length {
        None => 0,
        Some(length) => {
            std::str::from_utf8(length.value).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
        }
    };
    Ok(Some((head, head + body)))
}
