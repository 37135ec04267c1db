//! `discover` and `check --ask`, before the demo's real authorization server.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use phantom_token_filter::config::Config;
use serde_json::{Value, json};

use crate::run::tool;

/// oidc-provider, on loopback, as `make run` starts it.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("node");
        command.arg("envoy/demo/authorization-server.mjs").current_dir(env!("CARGO_MANIFEST_DIR"));
        let secrets = ["APP_CLIENT_SECRET", "GATEWAY_CLIENT_SECRET"].map(|name| (name, SECRET));
        command.env("AUTHORIZATION_SERVER_PORT", port.to_string()).envs(secrets);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let server = Self { process, port };
        let is_up = (0..3000).any(|_| {
            let is_up = TcpStream::connect(("127.0.0.1", port)).is_ok();
            if !is_up {
                std::thread::sleep(Duration::from_millis(20));
            }
            is_up
        });
        assert!(is_up, "no authorization server");
        server
    }

    fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

const SECRET: &str = "a-secret-of-the-gateway";

#[test]
fn a_section_by_the_metadata_of_a_real_server_is_one_that_the_filter_takes() {
    let server = Server::start();
    let said = tool(&["discover", &server.issuer()], &[]);
    assert_eq!((said.code, said.errors.as_str()), (0, ""), "{said:?}");
    let mut section: Value = serde_yaml_ng::from_str(&said.text).unwrap();
    let main = &section["providers"]["main"];
    assert_eq!(main["issuer"], server.issuer());
    assert_eq!(main["introspection"]["path"], "/token/introspection");
    assert!(main["introspection"]["auth"]["client_secret_basic"].is_object(), "{main}");
    assert_eq!(main["jwks"], json!({"cluster": "authorization_server", "path": "/jwks"}));
    section["policies"] = json!({"default": {"strategy": "introspection"}});
    let config = Config::parse(section.to_string().as_bytes(), &|_| Some(SECRET.to_owned())).unwrap();
    assert_eq!(config.providers.len(), 1);
}

#[test]
fn metadata_of_another_or_of_nobody_and_unsafe_addresses_are_refused() {
    let metadata = |issuer: &str, endpoint: &str| {
        json!({"issuer": issuer, "introspection_endpoint": endpoint}).to_string()
    };
    let (good, endpoint) = ("https://as.example/tenant", "https://as.example/introspect");
    for (issuer, text, reason) in [
        (good, metadata("https://evil.example", endpoint), "got those of \"https://evil.example\""),
        (good, metadata("https://as.example/tenant/", endpoint), "got those of"),
        (good, "{}".to_owned(), "expected metadata with an issuer"),
        (good, "[]".to_owned(), "expected a JSON object"),
        (good, json!({"issuer": good}).to_string(), "neither an introspection_endpoint nor a jwks_uri"),
        (good, metadata(good, "http://as.example/introspect"), "expected an https URL"),
        (good, metadata(good, "https://as.example/\n    evil: 1"), "expected an https URL"),
        ("http://as.example", metadata("http://as.example", endpoint), "expected an issuer such as"),
        ("https://user@as.example", metadata("https://user@as.example", endpoint), "expected an issuer"),
        ("as.example", metadata("as.example", endpoint), "expected an issuer"),
    ] {
        let said = tool(&["discover", issuer, "--metadata", "metadata.json"], &[("metadata.json", &text)]);
        assert_eq!((said.code, said.text.as_str()), (2, ""), "{issuer} {text}");
        assert!(said.errors.contains(reason), "{reason}: {}", said.errors);
    }
    let said = tool(&["discover", "http://127.0.0.1:9"], &[]);
    assert_eq!(said.code, 2);
    for way in ["oauth-authorization-server", "openid-configuration"] {
        assert!(said.errors.contains(way), "{}", said.errors);
    }
}

#[test]
fn endpoints_elsewhere_are_named_and_a_server_without_introspection_gives_jwts() {
    let metadata = json!({
        "issuer": "https://as.example",
        "introspection_endpoint": "https://api.as.example/oauth2/introspect?tenant=1",
        "introspection_endpoint_auth_methods_supported": ["private_key_jwt", "tls_client_auth"],
        "jwks_uri": "https://as.example/keys",
    });
    let run = |metadata: &Value| {
        let said = tool(
            &["discover", "https://as.example", "--metadata", "metadata.json"],
            &[("metadata.json", &metadata.to_string())],
        );
        assert_eq!(said.code, 0, "{said:?}");
        serde_yaml_ng::from_str::<Value>(&said.text).unwrap()
    };
    let introspection = &run(&metadata)["providers"]["main"]["introspection"];
    assert_eq!(introspection["authority"], "api.as.example");
    assert_eq!(introspection["path"], "/oauth2/introspect?tenant=1");
    assert!(introspection["auth"]["private_key_jwt"].is_object(), "{introspection}");
    let jwts = run(&json!({"issuer": "https://as.example", "jwks_uri": "https://as.example/keys"}));
    assert_eq!(jwts["policies"]["default"]["strategy"], "jwt");
    Config::parse(jwts.to_string().as_bytes(), &|_| None).unwrap();
}

/// A bootstrap whose filter asks a server on this port, with this secret.
fn bootstrap(port: u16, secret: &str) -> String {
    let text = include_str!("bootstrap.yaml").replace("{env: GATEWAY_CLIENT_SECRET}", secret);
    let text = text
        .replace("address: as.example, port_value: 443", &format!("address: 127.0.0.1, port_value: {port}"));
    let (before, rest) = text.split_once("    transport_socket:\n").unwrap();
    let (_, after) = rest.split_once("  - name: upstream\n").unwrap();
    format!("{before}  - name: upstream\n{after}")
}

#[test]
fn check_asks_a_real_server_and_tells_credentials_that_it_refuses() {
    let server = Server::start();
    let port = server.port;
    let ask =
        |secret: &str| tool(&["check", "--ask", "envoy.yaml"], &[("envoy.yaml", &bootstrap(port, secret))]);
    let good = format!("{{inline: {SECRET}}}");
    let said = ask(&good);
    assert!(said.text.ends_with("; 2 endpoints asked\n") && said.code == 0, "{said:?}");

    let said = ask("{inline: the-secret-of-another}");
    let refused = said.text.lines().find(|line| line.contains(": error: providers.main.introspection: "));
    assert!(refused.is_some_and(|line| line.contains("status 401")) && said.code == 1, "{said:?}");
    assert!(!said.text.contains("the-secret-of-another"), "{said:?}");

    let said = ask("{env: GATEWAY_CLIENT_SECRET}");
    let wanted =
        "providers.main.introspection: not asked, for the environment variable GATEWAY_CLIENT_SECRET";
    assert!(said.text.contains(wanted) && said.text.ends_with("; 1 endpoint asked\n"), "{said:?}");

    let discovers = |issuer: &str| {
        let text = bootstrap(port, &good).replace("https://as.example", issuer);
        let text = text.replace(
            "cluster: authorization_server\n                          path: /token/introspection\n",
            "scheme: http\n",
        );
        let text = text.replace(
            "jwks: {cluster: authorization_server, path: /jwks}",
            "discovery: {cluster: authorization_server, scheme: http}",
        );
        assert!(text.contains("discovery:") && !text.contains("path: /token"), "{text}");
        tool(&["check", "--ask", "envoy.yaml"], &[("envoy.yaml", &text)])
    };
    let said = discovers(&server.issuer());
    assert!(said.text.ends_with("; 3 endpoints asked\n") && said.code == 0, "{said:?}");
    let said = discovers("https://as.example");
    assert!(said.text.contains("error: providers.main.discovery: ") && said.code == 1, "{said:?}");

    drop(server);
    let said = ask(&good);
    for endpoint in ["introspection", "jwks"] {
        assert!(
            said.text.contains(&format!("error: providers.main.{endpoint}: http://as.example/")),
            "{said:?}"
        );
    }
    assert_eq!(said.code, 1);
}
