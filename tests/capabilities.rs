//! Each line of the sample's `allowed_capabilities` left out once, in real Envoy: no request passes unjudged, none waits
//! in silence, and where something is missing the log names it. `allow_on_headers_stop_iteration` is on throughout, for
//! Envoy then lets pass whatever nobody holds back. `CAPABILITY=proxy_on_tick cargo test --test capabilities` runs one line.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "these tests live in real time")]
#![allow(unreachable_pub, reason = "the rig is part of another test program, too")]

#[path = "e2e/rig/mod.rs"]
mod rig;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{sync::Semaphore, task::JoinSet};

use rig::{
    answer::Answer,
    authorization_server::AuthorizationServer,
    bootstrap::Bootstrap,
    client::{Connection, Request},
    gateway::{Gateway, plugin, validating},
    signer::{Signer, with_broken_signature},
    upstream::Upstream,
    wasm_filter::capabilities,
};

/// What Envoy and the filter do without a capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Without {
    /// Envoy refuses the configuration.
    Refused,
    /// Every request is answered, those with a good token by 503.
    Closed,
    /// Requests are judged as usual, if later; the log has it.
    Slower,
    /// Requests are judged as usual; what is missing is not noticed by any of them.
    Judged,
    /// The same, but the VM dies of what would otherwise only be said.
    Silent,
}

use Without::{Closed, Judged, Refused, Silent, Slower};

const TABLE: [(&str, Without); 41] = [
    // The environment: the client's secret is in it here.
    ("environ_get", Refused),
    ("environ_sizes_get", Refused),
    // A panic's text, and the end after it.
    ("fd_write", Silent),
    ("proc_exit", Silent),
    ("random_get", Refused),
    ("proxy_call_foreign_function", Refused),
    ("proxy_continue_stream", Refused),
    ("proxy_define_metric", Refused),
    ("proxy_dequeue_shared_queue", Refused),
    ("proxy_enqueue_shared_queue", Refused),
    ("proxy_get_buffer_bytes", Refused),
    ("proxy_get_current_time_nanoseconds", Refused),
    ("proxy_get_header_map_pairs", Refused),
    ("proxy_get_header_map_value", Refused),
    // Errors and warnings only are logged.
    ("proxy_get_log_level", Silent),
    ("proxy_get_metric", Refused),
    ("proxy_get_property", Refused),
    ("proxy_get_shared_data", Refused),
    ("proxy_http_call", Refused),
    ("proxy_increment_metric", Refused),
    // Nothing is logged; Envoy itself says so.
    ("proxy_log", Judged),
    ("proxy_record_metric", Refused),
    ("proxy_register_shared_queue", Refused),
    ("proxy_remove_header_map_value", Refused),
    ("proxy_replace_header_map_value", Refused),
    ("proxy_send_local_response", Refused),
    ("proxy_set_effective_context", Refused),
    // Access logs hear nothing of us; Envoy itself says so.
    ("proxy_set_property", Judged),
    ("proxy_set_shared_data", Refused),
    ("proxy_set_tick_period_milliseconds", Refused),
    ("proxy_on_configure", Closed),
    ("proxy_on_context_create", Refused),
    // Requests are not forgotten.
    ("proxy_on_delete", Slower),
    ("proxy_on_http_call_response", Closed),
    // Envoy finds this one whether or not it is allowed.
    ("proxy_on_memory_allocate", Silent),
    ("proxy_on_queue_ready", Slower),
    // What waits is held back without it; for signals, see below.
    ("proxy_on_request_body", Silent),
    ("proxy_on_request_headers", Closed),
    ("proxy_on_request_trailers", Silent),
    // Keys, polls and late bodies go by other callbacks.
    ("proxy_on_tick", Slower),
    // Nothing is done in it.
    ("proxy_on_vm_start", Silent),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_capability_no_request_passes_unjudged_and_none_waits_in_silence() {
    let named: BTreeSet<_> = TABLE.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(named, capabilities().keys().cloned().collect(), "the table has every line of the sample");
    let plugin = plugin_with_secret().await;
    let (slots, mut envoys) = (Arc::new(Semaphore::new(2)), JoinSet::new());
    let only = std::env::var("CAPABILITY").ok();
    for (capability, without) in TABLE {
        if only.as_ref().is_some_and(|only| only != capability) {
            continue;
        }
        let (slots, plugin) = (slots.clone(), plugin.clone());
        envoys.spawn(async move {
            let _slot = slots.acquire().await.expect("a slot");
            leave_out(capability, without, plugin).await;
        });
    }
    let mut failures = 0;
    while let Some(ended) = envoys.join_next().await {
        failures += usize::from(ended.is_err());
    }
    assert_eq!(failures, 0);
}

async fn leave_out(capability: &'static str, without: Without, plugin: Value) {
    let (server, upstream) = (AuthorizationServer::start().await, Upstream::start().await);
    server.answer_with(|token| match token {
        "good" => Answer::active(json!({})),
        _ => Answer::inactive(),
    });
    let envoy = Bootstrap::new(plugin)
        .environment("CLIENT_SECRET", "gw-secret")
        .cluster("authorization_server", server.address())
        .cluster("upstream", upstream.address())
        .allow_on_headers_stop_iteration()
        .without(capability);
    if without == Refused {
        let log = envoy.refused().await;
        assert!(names(&log, capability), "{capability}: {log}");
        return;
    }
    let signer = Signer::new("ES256", "key-1");
    server.publish(&[signer.jwk()]);
    let jwt = signer.access_token(&json!({"iss": ISSUER}));
    let envoy = envoy.start().await;
    let post = |token: &str| Request::post("/", vec![b'x'; 10_000]).bearer(token);
    let validated = |token: &str| Request::get("/jwt").bearer(token);
    let requests = [
        ("nothing", Request::get("/")),
        ("bad", Request::get("/").bearer("bad")),
        ("bad", post("worse")),
        ("good", Request::get("/").bearer("good")),
        ("good", post("good")),
        ("nothing", Request::get("/jwt")),
        ("bad", validated(&with_broken_signature(&jwt))),
        ("bad", Request::post("/jwt", vec![b'x'; 10_000]).bearer("good")),
        ("good", validated(&jwt)),
        ("good", Request::post("/jwt", vec![b'x'; 10_000]).bearer(&jwt)),
    ];
    let mut good = 0;
    for (token, request) in requests {
        let mut client = Connection::open(envoy.address()).await.expect("a connection to Envoy");
        let reply = client.send(&request).await;
        let status = reply.unwrap_or_else(|error| panic!("{capability}, {token}: no answer: {error}")).status;
        match (token, without) {
            (_, Closed) => assert!([401, 503].contains(&status), "{capability}, {token}: {status}"),
            ("good", _) => assert_eq!(status, 200, "{capability}"),
            _ => assert_eq!(status, 401, "{capability}, {token}"),
        }
        good += usize::from(status == 200);
    }
    assert_eq!(upstream.requests(), good, "{capability}: nothing reaches the service but what is found good");
    if without == Slower {
        // Whatever shows it comes within seconds.
        let count = AtomicUsize::new(0);
        rig::eventually(capability, || async {
            let token = format!("bad-{}", count.fetch_add(1, Ordering::SeqCst));
            assert_eq!(Request::get("/").bearer(&token).send(envoy.address()).await.status, 401);
            tokio::time::sleep(Duration::from_millis(100)).await;
            names(&envoy.log(), capability).then_some(())
        })
        .await;
    }
    if without != Silent {
        assert!(names(&envoy.log(), capability), "{capability}: {}", envoy.log());
    }
}

/// Whether a line of the log says that it is missing: ours, or Envoy's when it was to be called.
fn names(log: &str, capability: &str) -> bool {
    log.lines()
        .any(|line| line.contains(capability) && (line.contains("[error]") || line.contains("[critical]")))
}

async fn plugin_with_secret() -> Value {
    let mut plugin = plugin().await;
    let secret =
        &mut plugin["providers"]["main"]["introspection"]["auth"]["client_secret_basic"]["client_secret"];
    *secret = json!({"env": "CLIENT_SECRET"});
    // Its keys want to be fetched again and again, by ticks.
    plugin["providers"]["issuer"] = validating(ISSUER, "authorization_server", "/jwks");
    plugin["policies"] = json!({
        "default": {"provider": "main"},
        "jwt": {"provider": "issuer", "strategy": "jwt", "require": {"audiences": ["https://api.example"]}},
    });
    plugin["rules"] = json!([{"match": {"path": "/jwt"}, "policy": "jwt"}]);
    plugin
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_request_bodies_signals_are_refused_and_no_secret_leaves() {
    let mut plugin = plugin().await;
    plugin["revocation"] = json!({"admin": {"path": "/revoke", "token": {"inline": SECRET}}});
    let gateway = Gateway::with(plugin, |envoy| {
        envoy.allow_on_headers_stop_iteration().without("proxy_on_request_body")
    })
    .await;
    let order =
        Request::post("/revoke", r#"{"sub": "alice"}"#).header("authorization", format!("Bearer {SECRET}"));
    // Neither the secret nor the order itself: where a service answered it, its 200 might be taken for ours.
    let first = gateway.send(order.clone()).await;
    assert!(first.status >= 400, "{first:?}");
    rig::eventually("the line in the log", || async {
        names(&gateway.envoy.log(), "proxy_on_request_body").then_some(())
    })
    .await;
    assert_eq!(gateway.send(order).await.status, 503);
    assert_eq!(gateway.upstream.requests(), 0, "no order reaches a service");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_another_filter_keeps_or_answers_is_not_taken_for_one_that_passes_us_by() {
    let gateway = Gateway::with(plugin().await, |envoy| {
        envoy.adjust(|manager| {
            let fault = json!({"name": "fault", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
                "abort": {"header_abort": {}, "percentage": {"numerator": 100}},
                "delay": {"header_delay": {}, "percentage": {"numerator": 100}},
            }});
            manager["http_filters"].as_array_mut().unwrap().insert(0, fault);
        })
    })
    .await;
    gateway.server.answer("good", Answer::active(json!({})));
    let delayed = Request::get("/").bearer("good").header("x-envoy-fault-delay-request", "500");
    let aborted = Request::get("/").bearer("good").header("x-envoy-fault-abort-request", "418");
    assert_eq!(gateway.send(aborted).await.status, 418);
    let (first, second) = tokio::join!(gateway.send(delayed.clone()), gateway.send(delayed));
    assert_eq!((first.status, second.status), (200, 200));
    assert_eq!(gateway.get("good").await.status, 200);
    assert!(!gateway.envoy.log().contains("allowed_capabilities"), "{}", gateway.envoy.log());
}

const ISSUER: &str = "https://issuer.example";

const SECRET: &str = "operators-secret-of-32-characters";
