//! What belongs to the dynamic module alone: its example, and what it refuses.

use std::fs;

use crate::rig::{
    ROOT, client::Request, envoy::validate, example::Example, oidc_provider::OidcProvider, upstream::Upstream,
};

/// The example as text, with the secret that it expects.
fn example() -> String {
    fs::read_to_string(format!("{ROOT}/envoy/examples/dynamic-module.yaml")).expect("the example")
}

const SECRET: [(&str, &str); 1] = [("GATEWAY_CLIENT_SECRET", "gw-secret")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_enforces_tokens_without_a_vm() {
    let (server, upstream) = (OidcProvider::start().await, Upstream::start().await);
    let example =
        Example::read("dynamic-module").server(9000, server.address()).server(9001, upstream.address());
    let envoy = example.start().await;
    let (reader, writer) = (server.token("read").await, server.token("write").await);
    let get = async |token: &str| Request::get("/").bearer(token).send(envoy.address()).await;
    for _ in 0..3 {
        assert_eq!(get(&reader).await.echoed_bearer(), reader);
        assert_eq!(get(&writer).await.status, 403);
        assert_eq!(get("made-up").await.status, 401);
    }
    assert_eq!(Request::get("/").send(envoy.address()).await.status, 401);
    assert_eq!(Request::get("/healthz").send(envoy.address()).await.status, 200);
    let series = envoy.prometheus().await;
    let value = |name: &str| series.get(name).copied();
    assert_eq!(value(r#"phantom_token_requests_forwarded{policy="default"}"#), Some(3.0), "{series:#?}");
    assert_eq!(
        value(r#"phantom_token_cache_miss{provider="main",policy="default"}"#),
        Some(3.0),
        "{series:#?}"
    );
    assert_eq!(value("phantom_token_panics{}"), Some(0.0), "{series:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_configuration_stops_the_start_and_the_log_says_why() {
    let bad = example().replace("strategy: introspection", "strategy: guess");
    let (is_accepted, log) = validate(&bad, &SECRET).await;
    assert!(
        !is_accepted && log.contains("phantom_token_filter: policies.default.strategy: expected"),
        "{log}"
    );
    let (is_accepted, log) = validate(&example(), &[]).await;
    let wanted = "expected the environment variable GATEWAY_CLIENT_SECRET, got none";
    assert!(!is_accepted && log.contains(wanted), "{log}");
    let (is_accepted, log) = validate(&example(), &SECRET).await;
    assert!(is_accepted, "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_for_a_route_is_refused() {
    let route = "{match: {prefix: /}, route: {cluster: upstream, timeout: 15s}}";
    let of_route = "{match: {prefix: /}, route: {cluster: upstream, timeout: 15s}, typed_per_filter_config: {phantom_token: \
        {\"@type\": type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilterPerRoute, \
        dynamic_module_config: {name: phantom_token_filter}, per_route_config_name: other}}}";
    let with_route = example().replace(route, of_route);
    assert_ne!(with_route, example());
    let (is_accepted, log) = validate(&with_route, &SECRET).await;
    assert!(!is_accepted && log.contains("expected no configuration for a route"), "{log}");
}
