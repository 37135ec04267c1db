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
    /// Never listens: it keeps the port ours while we refuse connections, with no moment in between.
    _holder: TcpSocket,
    handler: Handler,
    /// None while connections are refused.
    accepting: Mutex<Option<JoinHandle<()>>>,
}

/// A whole answer in JSON.
pub fn json(status: u16, body: String) -> Response<Body> {
    let response = Response::builder().status(status).header("content-type", "application/json");
    response.body(whole(body)).expect("an answer")
}

impl HttpServer {
    pub async fn start<F>(handler: impl Fn(Request<Bytes>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Response<Body>, BrokenOff>> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |request| Box::pin(handler(request)));
        let holder = socket(([127, 0, 0, 1], 0).into());
        let address = holder.local_addr().expect("a bound address");
        let accepting = Mutex::new(Some(tokio::spawn(accept(listen(address), handler.clone()))));
        Self { address, _holder: holder, handler, accepting }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes all connections and refuses new ones.
    pub async fn refuse_connections(&self) {
        if let Some(accepting) = self.accepting.lock().await.take() {
            accepting.abort();
            let _cancelled = accepting.await;
        }
    }

    pub async fn accept_connections(&self) {
        let mut accepting = self.accepting.lock().await;
        accepting.get_or_insert_with(|| tokio::spawn(accept(listen(self.address), self.handler.clone())));
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        if let Some(accepting) = self.accepting.get_mut() {
            accepting.abort();
        }
    }
}

/// A socket of a port that others of ours may have, too (SO_REUSEPORT); port 0: one that is free.
fn socket(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("SO_REUSEADDR");
    socket.set_reuseport(true).expect("SO_REUSEPORT");
    socket.bind(address).expect("a loopback port that is free, or ours");
    socket
}

fn listen(address: SocketAddr) -> TcpListener {
    socket(address).listen(1024).expect("a listener")
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
