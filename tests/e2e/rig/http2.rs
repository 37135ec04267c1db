//! An HTTP/2 client: one connection, and any number of requests on it at once.

use std::net::SocketAddr;

use http_body_util::{BodyExt, Full};
use hyper::{
    Request,
    body::Bytes,
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::within_limit;

/// Its copies send on the same connection.
#[derive(Clone)]
pub struct Http2(SendRequest<Full<Bytes>>);

impl Http2 {
    pub async fn open(to: SocketAddr) -> Self {
        let stream = within_limit("connecting", TcpStream::connect(to)).await.expect("a connection to Envoy");
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2 is spoken");
        tokio::spawn(connection);
        Self(sender)
    }

    /// `POST path` with an access token; the status.
    pub async fn post(&self, path: &str, access_token: &str, body: impl Into<Bytes>) -> u16 {
        let request = Request::post(format!("http://api.example{path}"))
            .header("authorization", format!("Bearer {access_token}"))
            .body(Full::new(body.into()))
            .expect("a request");
        let answered = async {
            let reply = self.0.clone().send_request(request).await.expect("an answer");
            let status = reply.status().as_u16();
            // An answer that comes before the end of the request may break off behind it.
            let _all = reply.into_body().collect().await;
            status
        };
        within_limit("waiting for an answer", answered).await
    }
}
