//! A server of gRPC that answers what no etcd would.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{
    HeaderMap, Request, Response,
    body::{Bytes, Incoming},
    server::conn::http2,
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpListener, task::JoinHandle};

use super::eventually;

/// What it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// A message of no bytes.
    Empty,
    /// Ever more keys.
    EverMore,
    /// No protocol buffers.
    Garbage,
    /// A message of 16 MiB.
    Huge,
    /// When watched, less than when read.
    Older,
    /// The same page again and again.
    SamePage,
}

impl Said {
    pub const ALL: [Self; 6] =
        [Self::Empty, Self::EverMore, Self::Garbage, Self::Huge, Self::Older, Self::SamePage];

    /// What is answered to the call of this number.
    fn answer(self, call: usize, path: &str) -> Vec<u8> {
        let is_watch = path.ends_with("/Watch");
        let page = |revision: u8, key: &[u8]| {
            let pair = [field(1, key), vec![3 << 3, 1], field(5, b"junk")].concat();
            [field(1, &[3 << 3, revision]), field(2, &pair), vec![3 << 3, 1]].concat()
        };
        match self {
            Self::Empty => Vec::new(),
            Self::EverMore if is_watch => b"\xff".to_vec(),
            Self::EverMore => page(100, format!("/phantom-token/test/1/w/{call:08}").as_bytes()),
            Self::Garbage => vec![0xff; 1000],
            Self::Huge => vec![0; 16 << 20],
            Self::Older if is_watch => field(1, &[3 << 3, 5]),
            Self::Older => field(1, &[3 << 3, 100]),
            Self::SamePage => page(100, b"/phantom-token/test/1/w/same"),
        }
    }
}

pub struct HostileStore {
    address: SocketAddr,
    calls: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl HostileStore {
    pub async fn start(said: Said) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
        let address = listener.local_addr().expect("a bound address");
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = calls.clone();
        let accepting = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let counted = counted.clone();
                tokio::spawn(async move {
                    let service = service_fn(|request| answer(said, counted.clone(), request));
                    let builder = http2::Builder::new(TokioExecutor::new());
                    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, calls, accepting }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until it was called so often.
    pub async fn called(&self, count: usize) {
        eventually(&format!("{count} calls"), || async {
            (self.calls.load(Ordering::SeqCst) >= count).then_some(())
        })
        .await;
    }
}

impl Drop for HostileStore {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn answer(
    said: Said,
    calls: Arc<AtomicUsize>,
    request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    let call = calls.fetch_add(1, Ordering::SeqCst);
    let message = said.answer(call, request.uri().path());
    let length = u32::try_from(message.len()).expect("a message of less than 4 GiB").to_be_bytes();
    let body = Full::new(Bytes::from([&[0][..], &length, &message].concat()));
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().expect("a value"));
    let body = body.with_trailers(async { Some(Ok(trailers)) }).boxed();
    let response = Response::builder().header("content-type", "application/grpc").body(body);
    Ok(response.expect("an answer"))
}

/// A length-delimited field of protocol buffers.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).expect("less than 128 bytes");
    [&[number << 3 | 2, length], bytes].concat()
}
