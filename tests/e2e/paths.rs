//! However a path is written, no request reaches a service under a laxer policy than that of the service's route:
//! with the path settings of the sample, rules and routes see the same path.

use std::fs;

use serde_json::{Value, json};

use crate::rig::{
    ROOT,
    answer::Answer,
    client::{Connection, Request},
    gateway::{Gateway, plugin},
    upstream::Upstream,
};

/// Spellings of `/payments`, and of paths near it.
const TARGETS: [&str; 51] = [
    "/payments",
    "/payments/",
    "/payments/1?x=y",
    "/payments?x",
    "/payments#x",
    "/payments;a=b",
    "/payments;/..",
    "/payments/..;/x",
    "/payments/%2e%2e;/x",
    "/payments;a=b/..;/x",
    "/payments%252F1",
    "/payments%253bx",
    "/x/..;/payments",
    "/x/%2e%2e;/payments",
    "/x/%252e%252e/payments",
    "/x/..%252fpayments",
    "/%252fpayments",
    "/%2570ayments",
    "/payments/.",
    "/payments/../payments",
    "/payments/%2e%2e/payments",
    "/payments%2F1",
    "/payments%2f..%2fx",
    "/payments%5c..%5cx",
    "/payments%00",
    "/payments%20",
    "//payments",
    "///payments",
    "/./payments",
    "/.//payments",
    "/x/../payments",
    "/x/..//payments",
    "/x/%2e%2e/payments",
    "/x/.%2e/payments",
    "/x//../../payments",
    "/x/y/../../payments",
    "/../payments",
    "/%2e/payments",
    "/%2Fpayments",
    "%2Fpayments",
    "/%70ayments",
    "/pay%6Dents",
    "/\\payments",
    "/x\\..\\payments",
    "/PAYMENTS",
    "/Payments",
    "/?/../payments",
    "/x?/payments",
    "payments",
    "*",
    "",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_spelling_of_a_path_reaches_a_laxer_policy_than_its_routes() {
    let payments = Upstream::start().await;
    let gateway = start(&payments).await;
    let absolute = TARGETS.iter().flat_map(|target| {
        ["http://api.example", "http://other.example:80", "HTTP://api.example"]
            .map(|host| format!("{host}{target}"))
    });
    let targets: Vec<String> = TARGETS.iter().map(|target| (*target).to_owned()).chain(absolute).collect();
    let mut passed = 0;
    for target in &targets {
        for method in ["GET", "get", "POST", "OPTIONS", "TRACE"] {
            let Ok(reply) = Request::new(method, target).try_send(gateway.envoy.address()).await else {
                continue;
            };
            assert_eq!(payments.requests(), 0, "{method} {target} reached /payments without a token");
            if reply.status == 200 {
                let path = reply.json()["path"].as_str().expect("a path").to_owned();
                assert!(
                    !path.starts_with("/payments") && !path.contains("//"),
                    "{method} {target} reached {path}"
                );
                passed += 1;
            }
        }
    }
    assert!(passed > 20, "some of these are not below /payments, and pass: {passed}");

    // With a token for it, the plain spellings arrive.
    gateway.server.answer("for-payments", Answer::active(json!({"scope": "pay"})));
    gateway.server.answer("for-reading", Answer::active(json!({"scope": "read"})));
    for target in [
        "/payments",
        "//payments",
        "/x/../payments",
        "/payments;a=b",
        "/payments?x",
        "http://api.example/payments",
    ] {
        let send = |token: &str| gateway.send(Request::get(target).bearer(token));
        assert_eq!(send("for-reading").await.status, 403, "{target}");
        assert_eq!(send("for-payments").await.status, 200, "{target}");
    }
    assert_eq!(payments.requests(), 6);
}

/// What becomes of a request without token.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    /// The policy of `/payments` refuses it.
    OfPayments,
    /// It reaches the public service, which gets the path as it was sent.
    Public,
    /// Envoy refuses it, unread.
    Refused,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_path_settings_of_the_sample_make_the_difference() {
    use Fate::{OfPayments, Public, Refused};
    let payments = Upstream::start().await;
    let (with, without) = (start(&payments).await, start_without_settings(&payments).await);
    for (target, with_settings, without_settings) in [
        ("//payments", OfPayments, Public),
        ("/x/../payments", OfPayments, Public),
        ("/x/%2e%2e/payments", OfPayments, Public),
        ("/./payments", OfPayments, Public),
        ("/%70ayments", OfPayments, Public),
        ("/\\payments", OfPayments, Public),
        ("/x/..;/payments", OfPayments, Public),
        ("/%2Fpayments", Refused, Public),
        ("/x/..%2fpayments", Refused, Public),
        ("/a%5cpayments", Refused, Public),
        ("/payments;a=b", OfPayments, OfPayments),
        ("/payments?x", OfPayments, OfPayments),
        ("/payments%00", Refused, OfPayments),
        ("/healthz#/../payments", Refused, Refused),
        ("/PAYMENTS", Public, Public),
    ] {
        for (gateway, expected) in [(&with, with_settings), (&without, without_settings)] {
            let reply = gateway.send(Request::get(target)).await;
            let fate = match reply.status {
                400 => Refused,
                401 => OfPayments,
                _ => {
                    assert_eq!(reply.json()["path"], target);
                    Public
                }
            };
            assert_eq!(fate, expected, "{target}: {reply:?}");
        }
    }
    assert_eq!(payments.requests(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connect_has_no_path_and_reaches_no_route_by_prefix() {
    let payments = Upstream::start().await;
    let gateway = start(&payments).await;
    for target in [
        "/payments",
        "payments:80",
        "api.example:80",
        "http://api.example/payments",
        "payments.example:443/payments",
    ] {
        let mut connection = Connection::open(gateway.envoy.address()).await.expect("a connection");
        let head = format!("CONNECT {target} HTTP/1.1\r\nhost: api.example\r\n\r\n");
        connection.write(head.as_bytes()).await.expect("sent");
        let status = connection.reply().await.map_or(0, |reply| reply.status);
        assert_ne!(status, 200, "CONNECT {target}");
    }
    assert_eq!((payments.requests(), gateway.upstream.requests()), (0, 0));
}

/// Everything is public but `/payments`, which has a route and a service of its own; with the path settings of the
/// sample.
async fn start(payments: &Upstream) -> Gateway {
    start_with(payments, |manager| {
        for setting in ["normalize_path", "merge_slashes", "path_with_escaped_slashes_action"] {
            manager[setting] = sample()[setting].clone();
            assert!(!manager[setting].is_null(), "{setting} in envoy/envoy.yaml");
        }
    })
    .await
}

async fn start_without_settings(payments: &Upstream) -> Gateway {
    start_with(payments, |_| {}).await
}

async fn start_with(payments: &Upstream, settings: fn(&mut Value)) -> Gateway {
    let mut plugin = plugin().await;
    plugin["policies"] =
        json!({"default": {"strategy": "allow"}, "payments": {"require": {"scopes": ["pay"]}}});
    plugin["rules"] = json!([{"match": {"path_prefix": "/payments"}, "policy": "payments"}]);
    Gateway::with(plugin, |envoy| {
        envoy
            .cluster("payments", payments.address())
            .route(json!({"match": {"prefix": "/payments"}, "route": {"cluster": "payments"}}))
            .adjust(settings)
    })
    .await
}

/// The HTTP connection manager of the sample.
fn sample() -> Value {
    let yaml = fs::read_to_string(format!("{ROOT}/envoy/envoy.yaml")).expect("the sample");
    let sample: Value = serde_yaml_ng::from_str(&yaml).expect("YAML");
    sample["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"].clone()
}
