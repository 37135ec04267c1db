//! Metadata of authorization servers: where it is, and what is believed of it; byte for byte as real servers give it, and as
//! no good one would.

use std::fs;
use std::time::Duration;

use phantom_token_filter::discovery::{Discovery, Metadata, Refused, Transport, Wanted, WellKnown};
use phantom_token_filter::http::Reply;
use phantom_token_filter::target::{Host, Target, Url};
use serde_json::{Value, json};

const ISSUER: &str = "https://as.example/tenant";
const BOTH: Wanted = Wanted { introspection: true, jwks: true };

fn discovery(issuer: &str) -> Discovery {
    let url = Url::parse(issuer).unwrap();
    Discovery {
        provider: "main".to_owned(),
        issuer: issuer.to_owned(),
        documents: [WellKnown::Oauth, WellKnown::Openid]
            .map(|document| Target {
                cluster: "as".to_owned(),
                scheme: Some(url.scheme),
                authority: url.authority.clone(),
                path: document.path(&url),
            })
            .into(),
        timeout: Duration::from_secs(2),
        refresh_interval: Duration::from_secs(600),
        allowed_hosts: vec![url.host().unwrap()],
        transport: if issuer.starts_with("http:") { Transport::Any } else { Transport::Tls },
    }
}

fn document() -> Value {
    json!({
        "issuer": ISSUER, "introspection_endpoint": "https://as.example/tenant/introspect",
        "jwks_uri": "https://as.example/tenant/jwks",
    })
}

fn read_as(discovery: &Discovery, body: &[u8], wanted: Wanted) -> Result<Metadata, Refused> {
    discovery.read(&Reply { status: 200, body: Some(body), ..Reply::default() }, wanted)
}

fn read(document: &Value) -> Result<Metadata, Refused> {
    read_as(&discovery(ISSUER), document.to_string().as_bytes(), BOTH)
}

fn changed(name: &str, value: Value) -> Value {
    let mut document = document();
    document[name] = value;
    document
}

/// What a server said of itself.
fn recorded(name: &str) -> (String, Vec<u8>) {
    let path = format!("{}/tests/vectors/discovery/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let recording: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let line = recording["request"]["line"].as_str().unwrap();
    let path = line.split(' ').nth(1).unwrap().to_owned();
    (path, recording["response"]["body"].as_str().unwrap().as_bytes().to_vec())
}

#[test]
fn the_well_known_part_stands_before_the_path_or_behind_it() {
    for (issuer, oauth, openid) in [
        (
            "https://as.example",
            "/.well-known/oauth-authorization-server",
            "/.well-known/openid-configuration",
        ),
        (
            "https://as.example/",
            "/.well-known/oauth-authorization-server",
            "/.well-known/openid-configuration",
        ),
        (
            "https://as.example/a/b",
            "/.well-known/oauth-authorization-server/a/b",
            "/a/b/.well-known/openid-configuration",
        ),
        (
            "https://as.example:8443/a/",
            "/.well-known/oauth-authorization-server/a",
            "/a/.well-known/openid-configuration",
        ),
    ] {
        let discovery = discovery(issuer);
        let paths: Vec<_> = discovery.documents.iter().map(|document| &*document.path).collect();
        assert_eq!(paths, [oauth, openid], "{issuer}");
    }
}

#[test]
fn real_servers_say_where_their_endpoints_are() {
    for (name, issuer, introspection, jwks, revocation, has_logout) in [
        (
            "oidc-provider.oauth",
            "http://127.0.0.1:23100",
            Some("/token/introspection"),
            "/jwks",
            "/token/revocation",
            true,
        ),
        (
            "oidc-provider.openid",
            "http://127.0.0.1:23100",
            Some("/token/introspection"),
            "/jwks",
            "/token/revocation",
            true,
        ),
        (
            "glewlwyd.openid",
            "http://127.0.0.1:23110/api/oidc",
            Some("//api/oidc/introspect"),
            "//api/oidc/jwks",
            "//api/oidc/revoke",
            false,
        ),
        (
            "canaille.oauth",
            "https://canaille.example",
            Some("/oauth/introspect"),
            "/oauth/jwks.json",
            "/oauth/revoke",
            false,
        ),
        (
            "canaille.openid",
            "https://canaille.example",
            Some("/oauth/introspect"),
            "/oauth/jwks.json",
            "/oauth/revoke",
            false,
        ),
        (
            "zitadel-oidc.openid",
            "https://zitadel.example/",
            Some("/oauth/introspect"),
            "/keys",
            "/revoke",
            false,
        ),
        (
            "keycloak.oauth",
            "https://keycloak.example/realms/api",
            Some("/realms/api/protocol/openid-connect/token/introspect"),
            "/realms/api/protocol/openid-connect/certs",
            "/realms/api/protocol/openid-connect/revoke",
            true,
        ),
        (
            "keycloak.openid",
            "https://keycloak.example/realms/api",
            Some("/realms/api/protocol/openid-connect/token/introspect"),
            "/realms/api/protocol/openid-connect/certs",
            "/realms/api/protocol/openid-connect/revoke",
            true,
        ),
        ("hydra.openid", "https://hydra.example", None, "/.well-known/jwks.json", "/oauth2/revoke", true),
    ] {
        let (discovery, (path, body)) = (discovery(issuer), recorded(name));
        assert!(discovery.documents.iter().any(|document| document.path == path), "{name}: {path}");
        let wanted = Wanted { introspection: introspection.is_some(), jwks: true };
        let metadata = read_as(&discovery, &body, wanted).unwrap();
        assert_eq!(metadata.introspection.map(|url| url.path).as_deref(), introspection, "{name}");
        assert_eq!(metadata.jwks.unwrap().path, jwks, "{name}");
        assert_eq!(metadata.revocation_path.as_deref(), Some(revocation), "{name}");
        assert_eq!(metadata.has_logout, has_logout, "{name}");
        if introspection.is_none() {
            let missing = Refused::Missing("introspection_endpoint");
            assert_eq!(read_as(&discovery, &body, BOTH), Err(missing), "{name}");
        }
    }
}

#[test]
fn the_issuer_is_the_configured_one_to_the_letter() {
    assert!(read(&document()).is_ok());
    for other in [
        json!("https://as.example/tenant/"),
        json!("https://as.example/Tenant"),
        json!("https://as.example/other"),
        json!("https://AS.example/tenant"),
        json!("https://as.example:443/tenant"),
        json!("http://as.example/tenant"),
        json!(""),
        json!([ISSUER]),
        Value::Null,
    ] {
        let refused = read(&changed("issuer", other.clone())).unwrap_err();
        assert!(matches!(refused, Refused::OtherIssuer { .. }), "{other}: {refused:?}");
        assert!(!refused.may_be_elsewhere(), "another document would be believed in its place");
    }
    let long = read(&changed("issuer", json!("x\n".repeat(1000)))).unwrap_err().to_string();
    assert!(long.len() < 1000 && !long.contains('\n'), "{long}");
}

#[test]
fn endpoints_are_on_hosts_that_may_be_called_and_by_tls() {
    for (url, reason) in [
        ("https://evil.example/introspect", "none of `discovery.allowed_hosts`"),
        ("https://as.example.evil.example/", "none of `discovery.allowed_hosts`"),
        ("https://as.example:8443/introspect", "none of `discovery.allowed_hosts`"),
        ("http://as.example/introspect", "expected https"),
        ("https://as.example@evil.example/", "expected a URL"),
        ("https://as.example/a\r\nx: y", "expected a URL"),
        ("ftp://as.example/", "expected a URL"),
        ("/introspect", "expected a URL"),
        ("", "expected a URL"),
    ] {
        for name in ["introspection_endpoint", "jwks_uri"] {
            let refused = read(&changed(name, json!(url))).unwrap_err();
            assert!(refused.to_string().contains(reason), "{url}: {refused}");
            assert!(!refused.may_be_elsewhere());
        }
    }
    let with_port = read(&changed("jwks_uri", json!("https://AS.example:443/jwks"))).unwrap();
    assert_eq!(with_port.jwks.unwrap().authority, "as.example:443");
    // Nobody calls what nobody wants.
    let elsewhere = changed("jwks_uri", json!("http://evil.example/"));
    let wanted = Wanted { introspection: true, jwks: false };
    let metadata = read_as(&discovery(ISSUER), elsewhere.to_string().as_bytes(), wanted).unwrap();
    assert_eq!(metadata.jwks, None);
}

#[test]
fn a_host_inside_may_serve_a_public_issuer_where_that_is_allowed() {
    let inside = changed("introspection_endpoint", json!("http://keycloak:8080/tenant/introspect"));
    let mut discovery = discovery(ISSUER);
    let body = inside.to_string().into_bytes();
    discovery.allowed_hosts.push(Host::parse("keycloak").unwrap());
    assert!(matches!(read_as(&discovery, &body, BOTH), Err(Refused::Plain("introspection_endpoint"))));
    discovery.transport = Transport::Any;
    let metadata = read_as(&discovery, &body, BOTH).unwrap();
    assert_eq!(metadata.introspection.unwrap().authority, "keycloak:8080");
    discovery.allowed_hosts = vec![Host::parse("keycloak:8081").unwrap(), Host::parse("as.example").unwrap()];
    assert!(matches!(read_as(&discovery, &body, BOTH), Err(Refused::OtherHost { .. })));
}

#[test]
fn what_is_no_metadata_is_of_no_use_and_says_why() {
    let discovery = discovery(ISSUER);
    let of = |reply: Reply<'_>| discovery.read(&reply, BOTH).unwrap_err();
    let body = document().to_string();
    for (status, may_be_elsewhere) in [
        (301, true),
        (302, true),
        (308, true),
        (400, true),
        (404, true),
        (429, false),
        (500, false),
        (503, false),
    ] {
        let refused = of(Reply { status, body: Some(body.as_bytes()), ..Reply::default() });
        assert_eq!((&refused, refused.may_be_elsewhere()), (&Refused::Status(status), may_be_elsewhere));
    }
    let html =
        of(Reply { status: 200, body: Some(b"<!doctype html><title>Log in</title>"), ..Reply::default() });
    assert!(html.may_be_elsewhere() && html.to_string().contains("no valid JSON"), "{html}");
    let long = of(Reply { status: 200, body: None, ..Reply::default() });
    assert!(!long.may_be_elsewhere() && long.to_string().contains("longer than 1048576 bytes"), "{long}");
    let coded = Reply { status: 200, content_encoding: b"gzip", body: Some(b"x"), ..Reply::default() };
    assert!(of(coded).to_string().contains("gzip"));
    let twice = body.replacen('{', "{\"issuer\":\"https://evil.example\",", 1);
    assert!(read_as(&discovery, twice.as_bytes(), BOTH).unwrap_err().to_string().contains("occurs twice"));
    for (name, value) in [
        ("introspection_endpoint", json!(["https://as.example/"])),
        ("jwks_uri", json!(7)),
        ("introspection_endpoint_auth_methods_supported", json!("client_secret_basic")),
    ] {
        let refused = read(&changed(name, value)).unwrap_err();
        assert_eq!(refused.to_string(), format!("the member {name} has an unexpected type"));
    }
    let none = read(&changed("introspection_endpoint", Value::Null)).unwrap_err();
    assert!(none.may_be_elsewhere() && none.to_string().contains("write `introspection.path`"), "{none}");
}
