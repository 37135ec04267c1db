//! An HTTP/1.1 server on a free loopback port that can misbehave: a handler may fail (the connection closes), never
//! end, or break off in the middle of a body; the server can refuse connections and come back on the same port.

use std::{fmt, future::Future, net::SocketAddr, pin::Pin, sync::Arc};

use http_body_util::{BodyExt, Either, Full, channel::Channel};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::Mutex,
    task::{JoinHandle, JoinSet},
};

/// A body at once, or in pieces that may break off.
pub type Body = Either<Full<Bytes>, Channel<Bytes, BrokenOff>>;

type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, BrokenOff>> + Send>>;
type Handler = Arc<dyn Fn(Request<Bytes>) -> Answering + Send + Sync>;

pub struct HttpServer {
    address: SocketAddr,
    handler: Handler,
    state: Mutex<State>,
}

impl HttpServer {
    pub async fn start<F>(handler: impl Fn(Request<Bytes>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Response<Body>, BrokenOff>> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |request| Box::pin(handler(request)));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
        let address = listener.local_addr().expect("a bound address");
        let state = Mutex::new(State::Serving(tokio::spawn(accept(listener, handler.clone()))));
        Self { address, handler, state }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes all connections and refuses new ones. The port stays ours: a socket that does not listen holds it.
    pub async fn refuse_connections(&self) {
        let mut state = self.state.lock().await;
        if let State::Serving(accepting) = &mut *state {
            accepting.abort();
            let _cancelled = accepting.await;
            *state = State::Refusing(self.socket());
        }
    }

    pub async fn accept_connections(&self) {
        let mut state = self.state.lock().await;
        if let State::Refusing(_) = &*state {
            let State::Refusing(socket) = std::mem::replace(&mut *state, State::Stopped) else { return };
            let listener = socket.listen(1024).expect("listening again on our own port");
            *state = State::Serving(tokio::spawn(accept(listener, self.handler.clone())));
        }
    }

    fn socket(&self) -> TcpSocket {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("SO_REUSEADDR");
        socket.bind(self.address).expect("our own port again");
        socket
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        if let State::Serving(accepting) = self.state.get_mut() {
            accepting.abort();
        }
    }
}

enum State {
    Refusing(TcpSocket),
    Serving(JoinHandle<()>),
    Stopped,
}

/// Serves until it is aborted, and its connections with it.
async fn accept(listener: TcpListener, handler: Handler) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let handler = handler.clone();
        connections.spawn(async move {
            let service = service_fn(|request| answer(&handler, request));
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(handler: &Handler, request: Request<Incoming>) -> Result<Response<Body>, BrokenOff> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| BrokenOff)?.to_bytes();
    handler(Request::from_parts(head, body)).await
}

/// A body that is all there.
pub fn whole(body: impl Into<Bytes>) -> Body {
    Either::Left(Full::new(body.into()))
}

/// Why a connection closed before its answer was complete: it was told to.
#[derive(Debug)]
pub struct BrokenOff;

impl fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broken off on purpose")
    }
}

impl std::error::Error for BrokenOff {}
