//! A configuration may come in either form; with a bad one Envoy does not start, and the log says where, what was
//! wanted and what was there.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::rig::{
    answer::Answer,
    bootstrap::Bootstrap,
    gateway::{Gateway, plugin},
    host::Host,
};

/// Envoy hands a `Struct` over as serialized protobuf (all other tests), a string as it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn configuration_may_be_json_in_a_string() {
    let gateway = Gateway::with(plugin().await, |mut envoy| {
        envoy.wasm_filter.configured_by_string = true;
        envoy
    })
    .await;
    gateway.server.answer("good", Answer::active(json!({})));
    assert_eq!(gateway.get("good").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duration_without_unit_is_refused() {
    let wrong = |plugin: &mut Value| plugin["providers"]["main"]["introspection"]["timeout"] = json!("2");
    refused(wrong, r#"providers.main.introspection.timeout: expected a duration such as "2s", got "2""#)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_key_is_refused() {
    let wrong = |plugin: &mut Value| plugin["providers"]["main"]["introspection"]["timeoutt"] = json!("2s");
    let line = refused(wrong, "providers.main.introspection").await;
    assert!(line.contains("timeoutt"), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn environment_variable_that_is_not_there_is_refused() {
    let wrong = |plugin: &mut Value| {
        let auth = &mut plugin["providers"]["main"]["introspection"]["auth"];
        auth["client_secret_basic"]["client_secret"] = json!({"env": "NO_SUCH_VARIABLE"});
    };
    let line = refused(wrong, "providers.main.introspection.auth.client_secret_basic.client_secret").await;
    assert!(line.contains("NO_SUCH_VARIABLE"), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_ways_of_authentication_are_refused() {
    let wrong = |plugin: &mut Value| {
        plugin["providers"]["main"]["introspection"]["auth"]["none"] = json!({"client_id": "gateway"});
    };
    refused(wrong, "providers.main.introspection.auth").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key_that_is_not_one_is_refused_and_not_shown() {
    let wrong = |plugin: &mut Value| {
        plugin["phantom_token"]["signing_keys"][0]["private_key"] = json!({"inline": "my-very-private-key"});
    };
    let line = refused(wrong, "phantom_token.signing_keys[0].private_key").await;
    assert!(!line.contains("my-very-private-key"), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key_for_another_algorithm_is_refused() {
    let wrong = |plugin: &mut Value| plugin["phantom_token"]["signing_keys"][0]["alg"] = json!("RS256");
    let line = refused(wrong, "phantom_token.signing_keys[0]").await;
    assert!(line.contains("RS256"), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_for_an_unknown_policy_is_refused() {
    let wrong = |plugin: &mut Value| plugin["rules"] = json!([{"match": {"path": "/"}, "policy": "publik"}]);
    let line = refused(wrong, "rules[0].policy").await;
    assert!(line.contains("publik"), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_provider_is_refused() {
    let wrong = |plugin: &mut Value| plugin["policies"] = json!({"default": {"provider": "mein"}});
    let line = refused(wrong, "policies.default.provider").await;
    assert!(line.contains("mein"), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_configuration_at_all_is_refused() {
    refused(|plugin| *plugin = json!({}), "providers").await;
}

/// The line of the log by which the filter refuses `plugin`; it begins with `text`.
async fn refused(wrong: impl FnOnce(&mut Value), text: &str) -> String {
    let mut plugin = plugin().await;
    wrong(&mut plugin);
    let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
    let envoy = Bootstrap::new(plugin).cluster("authorization_server", nobody).cluster("upstream", nobody);
    let log = envoy.refused().await;
    let line = log.lines().find(|line| line.contains(Host::tested().log_mark()) && line.contains(text));
    line.unwrap_or_else(|| panic!("no line with {text:?}:\n{log}")).to_owned()
}
