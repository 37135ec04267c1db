//! The kinds of requests that stay open.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use http_body_util::{BodyExt, Empty};
use hyper::{Request, Response, body::Incoming, ext::Protocol};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    task::JoinHandle,
};

use super::{
    endless::read_until,
    gateway::{Gateway, Http2},
};
use crate::rig::{eventually, within_limit};

/// How a request stays open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Connect,
    ConnectOverHttp2,
    Events,
    EventsOverHttp2,
    GrpcOverHttp2,
    /// One that has no answer yet.
    WaitingOverHttp2,
    WebSocket,
    WebSocketOverHttp2,
}

/// All of them.
pub(super) const KINDS: [Kind; 8] = [
    Kind::Connect,
    Kind::ConnectOverHttp2,
    Kind::Events,
    Kind::EventsOverHttp2,
    Kind::GrpcOverHttp2,
    Kind::WaitingOverHttp2,
    Kind::WebSocket,
    Kind::WebSocketOverHttp2,
];

impl Kind {
    pub(super) fn is_over_http2(self) -> bool {
        !matches!(self, Self::Connect | Self::Events | Self::WebSocket)
    }
}

/// A request that is open.
pub(super) struct Open {
    kind: Kind,
    heard: Arc<AtomicUsize>,
    /// How it ends.
    end: JoinHandle<String>,
    writer: Option<Box<dyn AsyncWrite + Send + Unpin>>,
}

impl Open {
    /// Opens one, and waits until the service has it.
    pub(super) async fn new(kind: Kind, gateway: &Gateway, http2: &Http2, token: &str) -> Self {
        let authorization = format!("Bearer {token}");
        match kind {
            Kind::Events => {
                let mut connection = gateway.open("GET /ticks HTTP/1.1", token).await;
                read_until(&mut connection, "data: x").await;
                Self::of(kind, connection)
            }
            Kind::WebSocket => {
                let mut connection = gateway.open(UPGRADE, token).await;
                read_until(&mut connection, "101 Switching").await;
                Self::of(kind, connection)
            }
            Kind::Connect => {
                let mut connection = gateway.open("CONNECT api.example:443 HTTP/1.1", token).await;
                let head = read_until(&mut connection, "\r\n\r\n").await;
                assert!(head.starts_with("HTTP/1.1 200"), "{head}");
                connection.write_all(SOCKET).await.expect("an open tunnel");
                read_until(&mut connection, "101 Switching").await;
                Self::of(kind, connection)
            }
            Kind::WebSocketOverHttp2 => {
                let mut request = Request::connect("http://api.example/socket");
                if let Some(extensions) = request.extensions_mut() {
                    extensions.insert(Protocol::from_static("websocket"));
                }
                let request = request.header("sec-websocket-version", "13");
                Self::tunnel(kind, http2, request.header("authorization", authorization)).await
            }
            Kind::ConnectOverHttp2 => {
                let request = Request::connect("api.example:443").header("authorization", authorization);
                let mut open = Self::tunnel(kind, http2, request).await;
                let writer = open.writer.as_mut().expect("a tunnel");
                writer.write_all(SOCKET).await.expect("an open tunnel");
                writer.flush().await.expect("an open tunnel");
                more_than(0, &open.heard).await;
                open
            }
            Kind::EventsOverHttp2 => Self::answered(kind, http2.send("/ticks", token, None).await).await,
            Kind::GrpcOverHttp2 => {
                Self::answered(kind, http2.send("/ticks", token, Some("application/grpc")).await).await
            }
            Kind::WaitingOverHttp2 => {
                let (http2, token) = (http2.clone(), token.to_owned());
                let before = gateway.upstream.requests();
                let end = tokio::spawn(async move {
                    match http2.ask("/silence", &token, None).await {
                        Ok(response) => response.status().as_str().to_owned(),
                        Err(_) => "broken off".to_owned(),
                    }
                });
                eventually("a request at the service", || async {
                    (gateway.upstream.requests() > before).then_some(())
                })
                .await;
                Self { kind, heard: Arc::default(), end, writer: None }
            }
        }
    }

    async fn tunnel(kind: Kind, http2: &Http2, request: hyper::http::request::Builder) -> Self {
        let request = request.body(Empty::new()).expect("a request");
        let response = within_limit("an answer", http2.0.clone().send_request(request)).await;
        let response = response.expect("an answer");
        assert_eq!(response.status(), 200);
        let upgraded = within_limit("a tunnel", hyper::upgrade::on(response)).await.expect("a tunnel");
        Self::of(kind, TokioIo::new(upgraded))
    }

    async fn answered(kind: Kind, mut response: Response<Incoming>) -> Self {
        assert_eq!(response.status(), 200);
        within_limit("an event", response.body_mut().frame()).await.expect("a frame").expect("an event");
        let heard = Arc::new(AtomicUsize::new(0));
        let counter = heard.clone();
        let end = tokio::spawn(async move {
            loop {
                match response.body_mut().frame().await {
                    Some(Ok(_)) => _ = counter.fetch_add(1, Ordering::Relaxed),
                    Some(Err(_)) => return "broken off".to_owned(),
                    None => return "complete".to_owned(),
                }
            }
        });
        Self { kind, heard, end, writer: None }
    }

    fn of(kind: Kind, connection: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        let (mut reader, writer) = tokio::io::split(connection);
        let heard = Arc::new(AtomicUsize::new(0));
        let counter = heard.clone();
        let end = tokio::spawn(async move {
            let mut buffer = [0; 1024];
            while let Ok(read @ 1..) = reader.read(&mut buffer).await {
                counter.fetch_add(read, Ordering::Relaxed);
                // The connection may stay open for another request.
                if buffer[..read].ends_with(b"0\r\n\r\n") {
                    return "complete".to_owned();
                }
            }
            "broken off".to_owned()
        });
        Self { kind, heard, end, writer: Some(Box::new(writer)) }
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.end.is_finished()
    }

    /// Waits until it has ended, as one does whose token was withdrawn.
    pub(super) async fn ends(&mut self) {
        let what = format!("the end of {:?}", self.kind);
        let end = within_limit(&what, &mut self.end).await.expect("a reader that lives");
        let expected = if self.kind == Kind::WaitingOverHttp2 { "401" } else { "broken off" };
        assert_eq!(end, expected, "{:?}", self.kind);
    }

    /// Waits until it is over, one way or another.
    pub(super) async fn ends_somehow(&mut self) {
        _ = within_limit("the end of a stream", &mut self.end).await;
    }

    /// Sees that it goes on.
    pub(super) async fn goes_on(&mut self) {
        if self.kind == Kind::WaitingOverHttp2 {
            return assert!(!self.has_ended());
        }
        let before = self.heard.load(Ordering::Relaxed);
        if !matches!(self.kind, Kind::Events | Kind::EventsOverHttp2 | Kind::GrpcOverHttp2) {
            let writer = self.writer.as_mut().expect("a tunnel");
            writer.write_all(b"x").await.expect("an open tunnel");
            writer.flush().await.expect("an open tunnel");
        }
        more_than(before, &self.heard).await;
    }
}

impl Drop for Open {
    /// Its connection, or its stream, goes with it.
    fn drop(&mut self) {
        self.end.abort();
    }
}

async fn more_than(before: usize, heard: &AtomicUsize) {
    eventually("word of the service", || async { (heard.load(Ordering::Relaxed) > before).then_some(()) })
        .await;
}

const UPGRADE: &str = "GET /socket HTTP/1.1\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                       sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==";

/// What a service hears through a tunnel.
const SOCKET: &[u8] = b"GET /socket HTTP/1.1\r\nhost: api.example\r\n\r\n";
