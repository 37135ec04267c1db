//! The service behind the filter: it answers with what it was asked.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use hyper::{HeaderMap, Response};
use serde_json::json;

use super::http_server::{HttpServer, whole};

pub struct Upstream {
    server: HttpServer,
    requests: Arc<AtomicUsize>,
}

impl Upstream {
    pub async fn start() -> Self {
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = requests.clone();
        let server = HttpServer::start(move |request| {
            counter.fetch_add(1, Ordering::SeqCst);
            let echo = json!({
                "method": request.method().as_str(),
                "path": request.uri().path(),
                "headers": values_by_name(request.headers()),
                "body_length": request.body().len(),
            });
            async move { Ok(Response::new(whole(echo.to_string()))) }
        });
        Self { server: server.await, requests }
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// How many requests arrived so far.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn values_by_name(headers: &HeaderMap) -> BTreeMap<&str, Vec<String>> {
    let mut by_name = BTreeMap::<_, Vec<String>>::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        by_name.entry(name.as_str()).or_default().push(value);
    }
    by_name
}
