//! What runs more than once on its way to a service: internal redirects of Envoy's go through the filter again, with the
//! headers that it has changed; retries of a route do not.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use hyper::Response;
use serde_json::json;

use crate::rig::{
    answer::Answer,
    client::Request,
    gateway::{Gateway, plugin},
    http_server::{HttpServer, whole},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jwt_of_ours_that_comes_back_is_known_and_asked_about_nowhere() {
    let served = Arc::new(AtomicUsize::new(0));
    let counter = served.clone();
    // Redirects what is for /old, and has a bad day at first.
    let service = HttpServer::start(move |request| {
        let path = request.uri().path().to_owned();
        let bearer = request.headers().get("authorization").map(|it| it.to_str().unwrap().to_owned());
        let count = counter.fetch_add(1, Ordering::SeqCst);
        async move {
            let reply = Response::builder();
            let reply = match path.as_str() {
                "/retried" if count == 0 => reply.status(503),
                "/retried" | "/new" => reply.status(200),
                _ => reply.status(302).header("location", "http://api.example/new"),
            };
            Ok(reply.body(whole(bearer.unwrap_or_default())).unwrap())
        }
    })
    .await;
    let mut plugin = plugin().await;
    plugin["policies"] =
        json!({"default": {}, "public": {"strategy": "allow"}, "original": {"strategy": "introspection"}});
    plugin["rules"] = json!([{"match": {"path": "/old/original"}, "policy": "original"},
        {"match": {"path": "/old/public"}, "policy": "public"}]);
    let gateway = Gateway::with(plugin, |envoy| {
        envoy.cluster("service", service.address()).route(json!({"match": {"prefix": "/"}, "route": {
            "cluster": "service",
            "internal_redirect_policy": {},
            "retry_policy": {"retry_on": "5xx", "num_retries": 2},
        }}))
    })
    .await;
    gateway.server.answer("good", Answer::active(json!({})));

    let retried = gateway.send(Request::get("/retried").bearer("good")).await;
    assert_eq!((retried.status, served.load(Ordering::SeqCst), gateway.server.call_count()), (200, 2, 1));
    let ours = String::from_utf8(retried.body).unwrap();

    assert_eq!(gateway.send(Request::get("/old").bearer("good")).await.status, 401);
    let line = gateway.envoy.access_log_line("/new 401 ").await;
    assert_eq!(line, "/new 401 own_jwt");
    // Where the client's own token goes on, it is judged again.
    let redirected = gateway.send(Request::get("/old/original").bearer("good")).await;
    assert_eq!(redirected.status, 200);
    assert_eq!(gateway.server.call_count(), 1, "and nobody was asked again");

    // From outside it is no access token either.
    let replayed = gateway.send(Request::get("/new").header("authorization", ours.as_bytes())).await;
    assert_eq!((replayed.status, gateway.server.call_count()), (401, 1));
    // One that only says that it is ours is like any other token.
    let forged = format!("{}AAAA", &ours[..ours.len() - 4]);
    let forged = gateway.send(Request::get("/forged").header("authorization", forged.as_bytes())).await;
    assert_eq!((forged.status, gateway.server.call_count()), (401, 2));
}
