//! What is around every Envoy of the benchmark: an upstream, an authorization server, an authorization service.

use std::time::Duration;

use serde_json::json;
use tokio::runtime::Handle;

use crate::{
    cores::Cores,
    rig::jose::{self, Key},
    server::StaticServer,
    tokens::{self, KEY_ID, Mint},
};

pub struct Surroundings {
    pub key: Key,
    pub mint: Mint,
    pub upstream: StaticServer,
    /// Every token is active.
    pub authorization_server: StaticServer,
    /// The same, and its replies bring the JWT to forward.
    pub server_with_jwt: StaticServer,
    /// Every request may pass.
    pub authorization_service: StaticServer,
    /// The keys that verify the JWTs.
    pub key_server: StaticServer,
    /// The modules of the contenders of this name.
    pub other_builds: Vec<String>,
    pub cores: Cores,
}

impl Surroundings {
    /// The servers run on the threads of `runtime`. All but the upstream take `delay` for an answer.
    pub async fn start(runtime: &Handle, delay: Duration, other_builds: Vec<String>) -> Self {
        const JSON: &str = "application/json";
        const TEXT: &str = "text/plain";
        let key = jose::generate("ES256").await;
        let mint = Mint::new(&key);
        let mut reply = tokens::claims();
        reply["active"] = json!(true);
        reply["token_type"] = json!("Bearer");
        let mut with_jwt = reply.clone();
        with_jwt["jwt"] = json!(mint.jwts(1)[0]);
        let key_server = StaticServer::start(runtime, delay, JSON, &jwks(&key));
        Self {
            key,
            mint,
            upstream: StaticServer::start(runtime, Duration::ZERO, TEXT, "ok"),
            authorization_server: StaticServer::start(runtime, delay, JSON, &reply.to_string()),
            server_with_jwt: StaticServer::start(runtime, delay, JSON, &with_jwt.to_string()),
            authorization_service: StaticServer::start(runtime, delay, TEXT, ""),
            key_server,
            other_builds,
            cores: Cores::available(),
        }
    }

    /// The key set by which the JWTs verify.
    pub fn jwks(&self) -> String {
        jwks(&self.key)
    }
}

fn jwks(key: &Key) -> String {
    let mut jwk = key.public_jwk.clone();
    jwk["kid"] = json!(KEY_ID);
    jwk["alg"] = json!("ES256");
    json!({"keys": [jwk]}).to_string()
}
