//! Calls that Envoy refuses while they are sent, because no host is healthy or a circuit breaker is full: thousands of
//! requests hear of it within one callback's worth of time, and no VM dies of it. That none died is checked when the
//! Envoy of a test ends.

use serde_json::{Value, json};

use crate::rig::{
    answer::Answer,
    authorization_server::AuthorizationServer,
    client::{Connection, Request},
    gateway::{Gateway, plugin},
    process::allow_open_files,
};

/// Providers whose server cannot be called, by the path of the requests that need it.
const PATHS: [&str; 3] = ["/no-host", "/no-request-more", "/no-pending-more"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_worker_answers_everybody_whose_call_cannot_be_sent() {
    everybody_is_answered(1, 1200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_workers_answer_everybody_whose_call_cannot_be_sent() {
    everybody_is_answered(4, 600).await;
}

async fn everybody_is_answered(workers: u32, clients_of_each: usize) {
    allow_open_files(10_000);
    let server = AuthorizationServer::start().await;
    let address = server.address();
    let gateway = Gateway::with_server(server, many_calls().await, |envoy| {
        let of_requests = json!({"max_connections": 64, "max_pending_requests": 64, "max_requests": 0});
        let of_pending = json!({"max_connections": 64, "max_pending_requests": 0, "max_requests": 64});
        envoy
            .workers(workers)
            .empty_cluster("no-host")
            .limited_cluster("no-request-more", address, of_requests)
            .limited_cluster("no-pending-more", address, of_pending)
    })
    .await;
    gateway.server.answer("good", Answer::active(json!({})));
    let mut clients = Vec::new();
    for _ in 0..workers as usize * clients_of_each {
        clients.push(Connection::open(gateway.envoy.address()).await.expect("a connection to Envoy"));
    }
    // Twice, for Envoy looks at more sockets at once after it has found so many with something in them.
    for (round, path) in PATHS.iter().chain(&PATHS).enumerate() {
        gateway.envoy.process().stop();
        for (number, client) in clients.iter_mut().enumerate() {
            // Many tokens that come once, and one in ten that comes ten times.
            let token = if number % 2 == 0 { number } else { number / 20 };
            let request = Request::get(path).bearer(&format!("token-{round}-{token}"));
            client.write(&request.head()).await.expect("a request sent");
        }
        gateway.envoy.process().go_on();
        for client in &mut clients {
            let reply = client.reply().await.expect("an answer");
            assert_eq!(reply.status, 503, "{path}: {reply:?}");
        }
    }
    assert_eq!(gateway.upstream.requests(), 0);
    for client in clients.iter_mut().step_by(clients_of_each / 2) {
        let reply = client.send(&Request::get("/").bearer("good")).await.expect("an answer");
        assert_eq!(reply.status, 200, "the VM is alive: {reply:?}");
    }
}

async fn many_calls() -> Value {
    let mut plugin = plugin().await;
    let of_main = plugin["providers"]["main"].clone();
    let mut rules = Vec::new();
    for path in PATHS {
        let name = &path[1..];
        let mut provider = of_main.clone();
        provider["introspection"]["cluster"] = json!(name);
        provider["introspection"]["max_concurrent_calls"] = json!(10_000);
        provider["introspection"]["breaker"] = json!({"failures": 1000, "max_hold": "100ms"});
        plugin["providers"][name] = provider;
        plugin["policies"][name] = json!({"provider": name});
        rules.push(json!({"match": {"path": path}, "policy": name}));
    }
    plugin["policies"]["default"] = json!({"provider": "main"});
    plugin["rules"] = json!(rules);
    plugin
}
