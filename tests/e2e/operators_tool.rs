//! The operator's tool and real Envoy say the same.

use std::{fs, net::SocketAddr, process::Command};

use serde_json::{Value, json};

use crate::rig::{
    answer::Answer,
    bootstrap::Bootstrap,
    gateway::{Gateway, plugin},
    host::Host,
    jose,
};

/// What the tool prints.
fn tool(arguments: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_phantom-token-filter")).args(arguments).output().expect("the tool");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_the_tool_makes_sign_in_envoy() {
    for alg in ["ES256", "ES384", "RS256", "EdDSA"] {
        let printed = tool(&["keygen", alg]);
        let (pem, jwk) = printed.trim_end().rsplit_once('\n').expect("a PEM and a JWK");
        let jwk: Value = serde_json::from_str(jwk).expect("a JWK");
        let mut plugin = plugin().await;
        plugin["phantom_token"]["signing_keys"] =
            json!([{"kid": jwk["kid"], "alg": alg, "private_key": {"inline": pem}}]);
        let gateway = Gateway::with(plugin, |envoy| envoy).await;
        gateway.server.answer("good", Answer::active(json!({})));
        let jwt = gateway.get("good").await.echoed_bearer();
        let published = gateway.jwks().await;
        assert_eq!(published["keys"], json!([jwk]), "{alg}: what the filter publishes is what was printed");
        assert_eq!(jose::verify(&[jwt], &published).await.len(), 1, "{alg}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_says_of_a_configuration_what_the_filter_says_in_envoy() {
    let mut plugin = plugin().await;
    plugin["providers"]["main"]["introspection"]["timeout"] = json!(2);
    plugin["providers"]["main"]["introspection"]["patience"] = json!("2s");
    plugin["policies"] = json!({"default": {"provider": "other"}});
    plugin["rules"] = json!([{"match": {"path": "/"}, "policy": "nobody"}]);
    plugin["cache"] = json!({"jitter": 2});
    let bootstrap = || {
        let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
        Bootstrap::new(plugin.clone()).cluster("authorization_server", nobody).cluster("upstream", nobody)
    };
    let log = bootstrap().refused().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("envoy.json");
    fs::write(&file, bootstrap().into_json(folder.path()).to_string()).expect("a file");
    let said = tool(&["check", file.to_str().expect("a path")]);
    let paths = [
        "providers.main.introspection: expected one of the keys",
        "providers.main.introspection.timeout: expected a duration",
        "policies.default.provider: expected one of main, got \"other\"",
        "rules[0].policy: expected one of default, got \"nobody\"",
        "cache.jitter: expected a number from 0 to 1, got 2",
    ];
    for path in paths {
        assert!(
            log.lines().any(|line| line.contains(Host::tested().log_mark()) && line.contains(path)),
            "{path}: {log}"
        );
        assert!(said.lines().any(|line| line.contains(path)), "{path}: {said}");
    }
}
