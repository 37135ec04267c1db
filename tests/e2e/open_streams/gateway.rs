//! Envoy before a service whose answers do not end, and clients that hold their requests open.

use http_body_util::Empty;
use hyper::{
    Response,
    body::{Bytes, Incoming},
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::endless::Endless;
use crate::rig::{
    answer::Answer, authorization_server::AuthorizationServer, bootstrap::Bootstrap, client::Request,
    envoy::Envoy, eventually, gateway, within_limit,
};

const ADMIN: &str = "admin-secret-admin-secret";

/// Envoy with one filter, and what stands around it. A token is its subject's name.
pub(super) struct Gateway {
    pub(super) envoy: Envoy,
    pub(super) server: AuthorizationServer,
    pub(super) upstream: Endless,
}

impl Gateway {
    pub(super) async fn start(workers: u32) -> Self {
        Self::start_with(json!({}), workers).await
    }

    pub(super) async fn start_with(open_streams: Value, workers: u32) -> Self {
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
                json!({"max_connections": 20_000, "max_requests": 20_000, "max_pending_requests": 20_000}),
            )
            .route(json!({
                "match": {"connect_matcher": {}},
                "route": {
                    "cluster": "upstream",
                    "upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {}}],
                },
            }))
            .adjust(|manager| {
                manager["upgrade_configs"] =
                    json!([{"upgrade_type": "websocket"}, {"upgrade_type": "CONNECT"}]);
                manager["http2_protocol_options"] = json!({"allow_connect": true});
                manager["delayed_close_timeout"] = json!("0.1s");
                // What is open stays open.
                manager["stream_idle_timeout"] = json!("0s");
                let routes = &mut manager["route_config"]["virtual_hosts"][0]["routes"];
                for route in routes.as_array_mut().expect("routes") {
                    route["route"]["timeout"] = json!("0s");
                }
            })
            .allow_on_headers_stop_iteration();
        Self { envoy: envoy.start().await, server, upstream }
    }

    /// Sends a request with this token over HTTP/1.
    pub(super) async fn open(&self, head: &str, token: &str) -> TcpStream {
        let mut connection = TcpStream::connect(self.envoy.address()).await.expect("a connection");
        let request = format!("{head}\r\nhost: api.example\r\nauthorization: Bearer {token}\r\n\r\n");
        connection.write_all(request.as_bytes()).await.expect("a request");
        connection
    }

    pub(super) async fn http2(&self) -> Http2 {
        let stream = TcpStream::connect(self.envoy.address()).await.expect("a connection");
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
        tokio::spawn(connection);
        Http2(sender)
    }

    pub(super) async fn withdraw(&self, sub: &str) {
        let order = Request::post("/revocations", json!({"sub": sub}).to_string())
            .header("content-type", "application/json")
            .bearer(ADMIN);
        let reply = order.send(self.envoy.address()).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    pub(super) async fn until_upstream_has(&self, requests: usize) {
        eventually("a request at the service", || async {
            (self.upstream.requests() == requests).then_some(())
        })
        .await;
    }

    /// How many streams the filter has ended.
    pub(super) async fn ended(&self) -> u64 {
        self.envoy.stats("phantom_token.streams.ended").await.into_values().sum()
    }
}

#[derive(Clone)]
pub(super) struct Http2(pub(super) SendRequest<Empty<Bytes>>);

impl Http2 {
    pub(super) async fn send(
        &self,
        path: &str,
        token: &str,
        content_type: Option<&str>,
    ) -> Response<Incoming> {
        within_limit("an answer", self.ask(path, token, content_type)).await.expect("an answer")
    }

    /// The same, as long as it may take.
    pub(super) async fn ask(
        &self,
        path: &str,
        token: &str,
        content_type: Option<&str>,
    ) -> hyper::Result<Response<Incoming>> {
        let mut request = hyper::Request::post(format!("http://api.example{path}"))
            .header("authorization", format!("Bearer {token}"));
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let request = request.body(Empty::new()).expect("a request");
        self.0.clone().send_request(request).await
    }
}
