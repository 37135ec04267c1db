//! Client authentication of the introspection call by every method that the server has, and what a call costs it.

use std::time::Duration;

use serde_json::{Value, json};

use super::Checks;
use crate::{
    rig::client::{Connection, Request},
    server::Server,
};

/// So many calls in a row are measured, after as many that are not.
const CALLS: u32 = 100;

/// Adds a provider for each of `authentications`; their names are those of the methods.
pub(super) fn add(plugin: &mut Value, authentications: &[Value]) -> Vec<String> {
    let main = plugin["providers"]["main"].clone();
    let mut methods = Vec::new();
    for authentication in authentications {
        let method = authentication.as_object().and_then(|it| it.keys().next()).expect("one key").clone();
        let mut provider =
            json!({"introspection": main["introspection"], "token_format": main["token_format"]});
        if main["token_format"].is_null() {
            provider.as_object_mut().expect("an object").remove("token_format");
        }
        if main["issuer"].is_string() {
            provider["issuer"] = main["issuer"].clone();
        }
        provider["introspection"]["auth"] = authentication.clone();
        plugin["providers"][&method] = provider;
        methods.push(method);
    }
    methods
}

impl<S: Server> Checks<'_, S> {
    pub(super) async fn authentication(&mut self, methods: &[String]) {
        for method in ["client_secret_basic", "client_secret_post", "private_key_jwt", "bearer", "none"] {
            let check = format!("introspection by {method}");
            if !methods.iter().any(|known| known == method) {
                self.cannot(check, "not at this endpoint");
                continue;
            }
            let token = self.server.access_token().await;
            let path = format!("/{method}");
            let status = self.status(&path, &token).await;
            if status != 200 {
                println!("{}", self.envoy.log());
            }
            self.row(check, status, status == 200);
            if status == 200 {
                let cost = self.cost(&path, &token).await;
                let milliseconds = cost.as_secs_f64() * 1000.0;
                self.row(
                    format!("CPU of the server per call, {method}"),
                    format!("{milliseconds:.1} ms"),
                    true,
                );
            }
        }
    }

    /// CPU time of the server per request that asks.
    async fn cost(&self, path: &str, token: &str) -> Duration {
        let mut connection = Connection::open(self.envoy.address()).await.expect("a connection to Envoy");
        let cpu_time = || self.server.process().cpu_time_with_ended_threads();
        let mut before = cpu_time();
        for call in 0..2 * CALLS {
            if call == CALLS {
                before = cpu_time();
            }
            let reply = connection.send(&Request::get(path).bearer(token)).await.expect("an answer");
            assert_eq!(reply.status, 200, "{reply:?}");
        }
        (cpu_time() - before) / CALLS
    }
}
