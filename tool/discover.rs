//! `discover`: a provider section, by what an authorization server says of itself (RFC 8414, OpenID Connect Discovery 1.0).

use std::fmt::Write;
use std::fs;
use std::time::Duration;

use phantom_token_filter::discovery::WellKnown;
use phantom_token_filter::http::Scheme;
use phantom_token_filter::target::Url;
use serde_json::{Map, Value};

use crate::curl::Call;

/// What is asked for.
#[derive(clap::Args)]
pub(crate) struct Server {
    /// The issuer identifier, to the letter: an https URL; http on loopback only.
    issuer: String,
    /// A file with its metadata, for where it cannot be reached from here; `-` is the standard input.
    #[arg(long, value_name = "FILE")]
    metadata: Option<String>,
}

/// The section, as YAML.
///
/// # Errors
///
/// Why there is none.
pub(crate) fn discovered(server: &Server) -> Result<String, String> {
    let issuer = Url::parse(&server.issuer).filter(|url| is_safe(url) && !server.issuer.contains(['?', '#']));
    let issuer = issuer.ok_or_else(|| {
        format!(
            "expected an issuer such as https://as.example (http on loopback only), got {:?}",
            server.issuer
        )
    })?;
    let metadata = match &server.metadata {
        Some(name) => {
            let text = if name == "-" {
                std::io::read_to_string(std::io::stdin())
            } else {
                fs::read_to_string(name)
            };
            parsed(name, text.map_err(|error| format!("{name}: {error}"))?.as_bytes())?
        }
        None => fetched(&issuer)?,
    };
    // RFC 8414 §3.3: who says that it is another must not be believed.
    match metadata.get("issuer").and_then(Value::as_str) {
        Some(same) if same == server.issuer => section(&server.issuer, &issuer, &metadata),
        Some(other) => {
            Err(format!("expected metadata of the issuer {:?}, got those of {other:?}", server.issuer))
        }
        None => Err("expected metadata with an issuer, got none".to_owned()),
    }
}

/// The first of the well-known documents that is there.
fn fetched(issuer: &Url) -> Result<Map<String, Value>, String> {
    let origin = format!("{}://{}", issuer.scheme.as_str(), issuer.authority);
    let mut reasons = Vec::new();
    for document in [WellKnown::Oauth, WellKnown::Openid] {
        let url = origin.clone() + &document.path(issuer);
        let accept = vec![("accept".to_owned(), "application/json".to_owned())];
        let call =
            Call { method: "GET", url: url.clone(), headers: accept, timeout: TIMEOUT, ..Call::default() };
        match call.send() {
            Ok(answer) if answer.status == 200 => {
                let reply = answer.reply();
                return parsed(&url, reply.body.ok_or_else(|| format!("{url}: more than 1 MiB came"))?);
            }
            Ok(answer) => reasons.push(format!("{url}: status {}", answer.status)),
            Err(reason) => reasons.push(reason),
        }
    }
    Err(reasons.join("\n"))
}

fn parsed(name: &str, bytes: &[u8]) -> Result<Map<String, Value>, String> {
    serde_json::from_slice(bytes).map_err(|error| format!("{name}: expected a JSON object: {error}"))
}

fn section(name: &str, issuer: &Url, metadata: &Map<String, Value>) -> Result<String, String> {
    let endpoint = |key: &str| {
        let Some(text) = metadata.get(key).and_then(Value::as_str) else { return Ok(None) };
        let url = Url::parse(text).filter(is_safe);
        url.map(Some).ok_or_else(|| format!("{key}: expected an https URL, got {text:?}"))
    };
    let (introspection, jwks) = (endpoint("introspection_endpoint")?, endpoint("jwks_uri")?);
    if introspection.is_none() && jwks.is_none() {
        return Err("its metadata name neither an introspection_endpoint nor a jwks_uri".to_owned());
    }
    let mut yaml = format!("providers:\n  main:\n    issuer: {}\n", quoted(name));
    if let Some(url) = &introspection {
        yaml.push_str("    introspection:\n");
        place(&mut yaml, issuer, url);
        _ = writeln!(yaml, "      auth: {}", authentication(metadata));
        if texts(metadata, "introspection_signing_alg_values_supported").next().is_some() {
            yaml.push_str("      # response: jwt      # it can sign its replies (RFC 9701), to clients that are registered so\n");
        }
    }
    if let Some(url) = &jwks {
        yaml.push_str("    jwks:\n");
        place(&mut yaml, issuer, url);
    }
    if introspection.is_none() {
        yaml.push_str("# It names no introspection endpoint: only its JWTs can be judged.\n");
        yaml.push_str("policies: {default: {strategy: jwt}}      # require.audiences: the API that they have to be for\n");
    }
    Ok(yaml)
}

/// Cluster and path of an endpoint, and what is not the issuer's.
fn place(yaml: &mut String, issuer: &Url, url: &Url) {
    let tls = if url.scheme == Scheme::Https { ", by TLS" } else { "" };
    _ = writeln!(yaml, "      cluster: authorization_server      # to {}{tls}", url.authority);
    if url.scheme != issuer.scheme {
        _ = writeln!(yaml, "      scheme: {}", url.scheme.as_str());
    }
    if url.authority != issuer.authority {
        _ = writeln!(yaml, "      authority: {}", quoted(&url.authority));
    }
    _ = writeln!(yaml, "      path: {}", quoted(&url.path));
}

/// The first of the ways that the server and the filter have in common; by the specification, HTTP Basic if it names none.
fn authentication(metadata: &Map<String, Value>) -> &'static str {
    let methods: Vec<&str> = texts(metadata, "introspection_endpoint_auth_methods_supported").collect();
    let known = WAYS.iter().find(|(method, _)| methods.contains(method) || methods.is_empty());
    known.map_or(
        "{}      # none of those that it names is known here: see providers.NAME.introspection.auth",
        |(_, way)| way,
    )
}

fn texts<'m>(metadata: &'m Map<String, Value>, key: &str) -> impl Iterator<Item = &'m str> {
    metadata.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// A text of another's, as YAML and JSON both have it.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// Whether what is said there, and to there, is for nobody else.
fn is_safe(url: &Url) -> bool {
    let host = url.authority.rsplit_once(':').map_or(&*url.authority, |(host, _)| host);
    url.scheme == Scheme::Https || ["127.0.0.1", "localhost", "[::1]"].contains(&host)
}

const TIMEOUT: Duration = Duration::from_secs(10);

/// Names of the registry "OAuth Token Endpoint Authentication Methods", and what they are here.
const WAYS: [(&str, &str); 7] = [
    (
        "client_secret_basic",
        "{client_secret_basic: {client_id: gateway, client_secret: {env: GATEWAY_CLIENT_SECRET}}}",
    ),
    (
        "client_secret_post",
        "{client_secret_post: {client_id: gateway, client_secret: {env: GATEWAY_CLIENT_SECRET}}}",
    ),
    (
        "private_key_jwt",
        "{private_key_jwt: {client_id: gateway, private_key: {env: CLIENT_KEY}, alg: ES256}}",
    ),
    (
        "client_secret_jwt",
        "{private_key_jwt: {client_id: gateway, private_key: {env: CLIENT_SECRET_JWK}, alg: HS256}}",
    ),
    ("tls_client_auth", "{none: {client_id: gateway}}      # the cluster's TLS certificate shows who asks"),
    (
        "self_signed_tls_client_auth",
        "{none: {client_id: gateway}}      # the cluster's TLS certificate shows who asks",
    ),
    ("none", "{none: {client_id: gateway}}"),
];
