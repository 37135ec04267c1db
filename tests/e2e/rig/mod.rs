//! The rig: real Envoy with the filter, two real and a scriptable authorization server, an upstream that echoes,
//! and a client that can also send what HTTP libraries refuse to. Each part ends with its value, and every wait
//! ends after [`LIMIT`]. A benchmark can include it with `#[path]`.

#![allow(dead_code, reason = "each user of the rig takes a part of it")]

use std::{future::Future, time::Duration};

pub mod announced;
pub mod answer;
pub mod authorization_server;
pub mod bootstrap;
pub mod browser;
pub mod canaille;
pub mod client;
pub mod envoy;
pub mod etcd;
pub mod example;
pub mod fleet;
pub mod gateway;
pub mod glewlwyd;
pub mod host;
pub mod hostile_store;
pub mod http2;
pub mod http2_frames;
pub mod http_server;
pub mod https;
pub mod installed;
pub mod jose;
pub mod mcp;
pub mod node;
pub mod oauth4webapi;
pub mod oauth_client;
pub mod oidc_provider;
pub mod process;
pub mod pyjwt;
pub mod signer;
pub mod started;
pub mod strict_server;
pub mod traffic;
pub mod upstream;
pub mod wasm_filter;

/// No single wait of a test takes longer. Generous, because tests share two cores with each other.
pub const LIMIT: Duration = Duration::from_secs(20);

/// The repository.
pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Awaits `future`, but not longer than [`LIMIT`].
pub async fn within_limit<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {LIMIT:?}"),
    }
}

/// Asks again and again until the answer is `Some`, but not longer than [`LIMIT`].
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, ask: impl Fn() -> F) -> T {
    within_limit(what, async {
        loop {
            if let Some(value) = ask().await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}
