//! `providers.NAME.discovery`, and what may be left out beside it.

use serde_json::{Value, json};

use super::{errors_of, refused};
use crate::good::{changed, parse};

const DISCOVERY: &str = "providers.main.discovery";

/// The smallest configuration with discovery in the place of the path, and with changes.
fn with(changes: Value) -> Value {
    let mut all = json!({
        "providers.main.issuer": "https://as.example", "providers.main.discovery.cluster": "as",
        "-providers.main.introspection.cluster": 0, "-providers.main.introspection.path": 0,
    });
    all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    all
}

#[test]
fn discovery() {
    refused(&[
        (
            "no cluster",
            json!({"providers.main.issuer": "https://as.example", "providers.main.discovery": {}}),
            &format!("{DISCOVERY}.cluster: expected a value, got none"),
        ),
        (
            "a misspelt key",
            with(json!({"providers.main.discovery.url": "https://as.example"})),
            &format!(
                "{DISCOVERY}: expected one of the keys cluster, scheme, authority, document, timeout, refresh_interval, allowed_hosts, got \"url\""
            ),
        ),
        (
            "a document of another kind",
            with(json!({"providers.main.discovery.document": "oidc"})),
            &format!("{DISCOVERY}.document: expected one of oauth, openid, any, got \"oidc\""),
        ),
        (
            "a URL as host",
            with(json!({"providers.main.discovery.allowed_hosts": ["https://as.example"]})),
            &format!(
                "{DISCOVERY}.allowed_hosts[0]: expected a host such as \"as.example\", with a port or without, got \"https://as.example\""
            ),
        ),
        (
            "hosts that are none",
            with(json!({"providers.main.discovery.allowed_hosts": ["*.example"]})),
            &format!(
                "{DISCOVERY}.allowed_hosts[0]: expected a host such as \"as.example\", with a port or without, got \"*.example\""
            ),
        ),
        (
            "an hour without a day",
            with(json!({"providers.main.discovery.refresh_interval": "25h"})),
            &format!("{DISCOVERY}.refresh_interval: expected a duration from 1s to 24h, got \"25h\""),
        ),
        (
            "a plain issuer, and nobody says that the cluster is plain",
            with(json!({"providers.main.issuer": "http://as.example"})),
            &format!(
                "{DISCOVERY}.scheme: expected http beside an issuer of http: its cluster is plain, and has to be said to be, got none"
            ),
        ),
        (
            "a plain issuer, and a cluster that is not",
            with(
                json!({"providers.main.issuer": "http://as.example", "providers.main.discovery.scheme": "https"}),
            ),
            &format!(
                "{DISCOVERY}.scheme: expected http beside an issuer of http: its cluster is plain, and has to be said to be, got https"
            ),
        ),
    ]);
    for issuer in ["as.example", "https://as.example/?tenant=1", "https://as.example/#a", "ftp://as.example"]
    {
        refused(&[(
            issuer,
            with(
                json!({"providers.main.issuer": issuer, "providers.main.discovery.authority": "as.example"}),
            ),
            &format!(
                "providers.main.issuer: expected a URL without query and fragment beside discovery (RFC 8414 §2), got {issuer:?}"
            ),
        )]);
    }
    refused(&[(
        "no issuer",
        json!({"providers.main.discovery": {"cluster": "as.example"}}),
        "providers.main.issuer: expected a value, for discovery is by the issuer (RFC 8414 §3), got none",
    )]);
}

#[test]
fn what_is_left_out_without_discovery() {
    let both = errors_of(
        json!({"-providers.main.introspection.cluster": 0, "-providers.main.introspection.path": 0}),
    );
    assert_eq!(both[0], "providers.main.introspection.cluster: expected a value, got none");
    refused(&[(
        "a secret, and nobody says how it is sent",
        json!({"providers.main.introspection.auth": {"client_secret": {
            "client_id": "gateway", "client_secret": {"env": "CLIENT_SECRET"},
        }}}),
        "providers.main.introspection.auth.client_secret: expected discovery beside it, which says how a secret is sent, got none",
    )]);
}

#[test]
fn what_is_written_is_not_looked_for() {
    let sought = |changes: Value| {
        let config = parse(&changed(changes)).unwrap();
        let provider = &config.providers[0];
        let search = config.sought(provider);
        let is_any = search.is_some();
        let search = search.map(|it| (it.introspector.is_some(), it.jwks.is_some()));
        assert_eq!(config.warnings.iter().any(|it| it.contains(".discovery: never fetched")), !is_any);
        search
    };
    assert_eq!(sought(with(json!({}))), Some((true, false)), "nobody needs the keys");
    let auto = json!({"policies.default.strategy": "auto"});
    assert_eq!(sought(with(auto)), Some((true, true)));
    let written = json!({
        "providers.main.introspection.path": "/a", "providers.main.jwks.path": "/jwks",
        "policies.default.strategy": "auto",
    });
    assert_eq!(sought(with(written)), None);
    let keys = json!({"providers.main.introspection.path": "/a", "policies.default.strategy": "auto"});
    assert_eq!(sought(with(keys)), Some((false, true)));
    let signed =
        json!({"providers.main.introspection.path": "/a", "providers.main.introspection.response": "jwt"});
    assert_eq!(
        sought(with(signed)),
        Some((true, true)),
        "its replies are verified by keys that are to be found"
    );
    let method = json!({
        "providers.main.introspection.path": "/a",
        "providers.main.introspection.auth": {"client_secret": {
            "client_id": "gateway", "client_secret": {"env": "CLIENT_SECRET"},
        }},
    });
    assert_eq!(sought(with(method)), Some((true, false)), "how a secret is sent");
}
