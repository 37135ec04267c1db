//! `check --ask`: what the endpoints of the providers answer, asked from here as the filter would ask them.

use std::time::{Duration, SystemTime};

use phantom_token_filter::client::{ClientCredentials, Granted};
use phantom_token_filter::config::Config;
use phantom_token_filter::discovery::{Discovery, Metadata, Wanted};
use phantom_token_filter::http::HttpCall;
use phantom_token_filter::introspection::{self, Endpoint, Introspection, Keys};
use phantom_token_filter::jwt::{JwksEndpoint, KeySet};
use phantom_token_filter::target::{Target, Url, Whereabouts};
use phantom_token_filter::token::{AccessToken, Secret, UnixMillis};

use super::clusters::Clusters;
use super::configuration::Configuration;
use crate::curl::{Answer, Call};
use crate::finding::{Finding, Level};
use crate::yaml::Node;
use phantom_token_filter::jwt::RustCrypto;

/// Asks every endpoint of every provider; what is wrong, and how many were asked.
pub(super) fn ask(
    configuration: &Configuration,
    config: &Config,
    clusters: &Clusters<'_>,
) -> (Vec<Finding>, usize) {
    let (mut findings, mut asked) = (Vec::new(), 0);
    for provider in &config.providers {
        let mut say = |level: Level, key: &str, problem: String| {
            let path = format!("providers.{}.{key}", provider.name);
            findings.push(Finding { at: configuration.place(&path), level, path, problem });
        };
        let introspector = provider.introspector.as_deref();
        let signed = introspector.and_then(|it| it.endpoint.response.signed()).map(|signed| &signed.jwks);
        let jwks = provider.validator.as_ref().map(|validator| &validator.jwks).or(signed);
        let metadata = match &provider.discovery {
            None => Metadata::default(),
            Some(discovery) => {
                asked += 1;
                let wanted = Wanted {
                    introspection: introspector.is_some_and(|it| it.endpoint.whereabouts.sought().is_some()),
                    jwks: jwks.is_some_and(|jwks| jwks.whereabouts.sought().is_some()),
                };
                match metadata(discovery, wanted, clusters) {
                    Ok(metadata) => metadata,
                    Err(problem) => {
                        say(Level::Error, "discovery", problem);
                        continue;
                    }
                }
            }
        };
        let keys = jwks.and_then(|jwks| {
            let target = target(&jwks.whereabouts, metadata.jwks.as_ref())?;
            asked += 1;
            keys(jwks, &target, clusters).map_err(|problem| say(Level::Error, "jwks", problem)).ok()
        });
        let Some(introspector) = introspector else { continue };
        let Some(found) = introspector.found(&metadata) else {
            say(
                Level::Error,
                "introspection.auth",
                "the server takes our credentials in no way that it says it takes".to_owned(),
            );
            continue;
        };
        let path = format!("providers.{}.introspection", provider.name);
        if let Some(variable) = configuration.variable_not_set_here(&path) {
            let problem = format!("not asked, for the environment variable {variable} is not set here");
            say(Level::Warning, "introspection", problem);
            continue;
        }
        asked += 1;
        if let Some(problem) = introspection(&found.endpoint, keys.as_ref(), clusters) {
            say(Level::Error, "introspection", problem);
        }
    }
    for credentials in config.revocation.client_credentials() {
        let path = credentials.used_by.as_str();
        let mut say = |level: Level, problem: String| {
            let (at, path) = (configuration.place(path), path.to_owned());
            findings.push(Finding { at, level, path, problem });
        };
        if let Some(variable) = configuration.variable_not_set_here(path) {
            say(
                Level::Warning,
                format!("no token asked for, for the environment variable {variable} is not set here"),
            );
            continue;
        }
        asked += 1;
        if let Err(problem) = access_token(credentials, clusters) {
            say(Level::Error, problem);
        }
    }
    (findings, asked)
}

/// An access token of our own, as the filter would get it.
fn access_token(credentials: &ClientCredentials, clusters: &Clusters<'_>) -> Result<Secret, String> {
    let call = credentials.request(&RustCrypto, now()).map_err(|reason| reason.to_string())?;
    let answer = send(&call, clusters)?;
    let reply = answer.reply();
    let granted = Granted::read(&reply);
    let circumstances = || [&*credentials.target.called("POST"), &*reply.seen()].join("; ");
    granted
        .map(|granted| granted.token)
        .map_err(|reason| format!("no access token: {reason}; {}", circumstances()))
}

/// Where an endpoint is, as it is written or as discovery has found it.
fn target(whereabouts: &Whereabouts, url: Option<&Url>) -> Option<Target> {
    whereabouts.written().cloned().or_else(|| Some(whereabouts.sought()?.at(url?)))
}

/// What the first of the documents says that is there.
fn metadata(discovery: &Discovery, wanted: Wanted, clusters: &Clusters<'_>) -> Result<Metadata, String> {
    let mut problem = String::new();
    for document in &discovery.documents {
        let answer = send(&document.get("application/json", discovery.timeout), clusters)?;
        let reply = answer.reply();
        match discovery.read(&reply, wanted) {
            Ok(metadata) => return Ok(metadata),
            Err(reason) => problem = format!("{reason}; {}; {}", document.called("GET"), reply.seen()),
        }
    }
    Err(problem)
}

fn keys(endpoint: &JwksEndpoint, target: &Target, clusters: &Clusters<'_>) -> Result<KeySet, String> {
    let answer = send(&endpoint.request(target), clusters)?;
    let reply = answer.reply();
    let with_call = |problem: String| format!("{problem}; {}; {}", target.called("GET"), reply.seen());
    if answer.status != 200 {
        return Err(with_call(format!("expected status 200, got {}", answer.status)));
    }
    let text = reply.text();
    let text = text.map_err(|_| with_call("expected a key set of at most 1 MiB, got more".to_owned()))?;
    let (keys, _) = KeySet::parse(text).map_err(|error| with_call(error.to_string()))?;
    if keys.is_empty() {
        return Err(with_call("expected a key that the filter can use, got none".to_owned()));
    }
    Ok(keys)
}

/// What is wrong with the answer about a token that no server has issued.
fn introspection(endpoint: &Endpoint, keys: Option<&KeySet>, clusters: &Clusters<'_>) -> Option<String> {
    let (target, token, now) = (endpoint.whereabouts.written()?, AccessToken::parse(TOKEN)?, now());
    let fetched = match endpoint.client_credentials().map(|it| access_token(it, clusters)).transpose() {
        Ok(fetched) => fetched,
        Err(problem) => return Some(problem),
    };
    let call = match endpoint.request(target, &token, fetched.as_ref(), &[], &RustCrypto, now) {
        Ok(call) => call,
        Err(reason) => return Some(reason.to_string()),
    };
    let answer = match send(&call, clusters) {
        Ok(answer) => answer,
        Err(reason) => return Some(reason),
    };
    let reply = answer.reply();
    if endpoint.says_inactive(&reply) {
        return None;
    }
    let keys = Keys { set: keys, signatures: &RustCrypto };
    match introspection::parse(&reply, &endpoint.response, &endpoint.claim_names, keys, now) {
        Ok(Introspection::Inactive) => None,
        Ok(_) => {
            let problem = "expected a token that it has not issued to be inactive, got active";
            Some(format!("{problem}; {}", endpoint.called()))
        }
        Err(failure) => Some(failure.with_circumstances(&endpoint.called(), Some(&reply))),
    }
}

/// Sends a call of the filter's where its cluster leads, or, where no file has the cluster, to its host by TLS.
fn send(call: &HttpCall, clusters: &Clusters<'_>) -> Result<Answer, String> {
    let header = |wanted: &str| {
        call.headers.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value.as_str())
    };
    let cluster = clusters.get(&call.cluster).map(|(_, cluster)| cluster);
    let scheme = match (cluster, header(":scheme")) {
        (Some(cluster), _) if cluster.get("transport_socket").is_none() => "http",
        (None, "http") => "http",
        _ => "https",
    };
    let tls = cluster.and_then(|cluster| cluster.at(&["transport_socket", "typed_config"]));
    let sni = tls.and_then(|tls| tls.text_at(&["sni"]));
    let authority = header(":authority");
    let mut headers: Vec<(String, String)> =
        call.headers.iter().filter(|(name, _)| !name.starts_with(':')).cloned().collect();
    headers.push(("host".to_owned(), authority.to_owned()));
    Call {
        method: if header(":method") == "POST" { "POST" } else { "GET" },
        // TLS is for the name that Envoy would give.
        url: format!("{scheme}://{}{}", sni.unwrap_or(authority), header(":path")),
        headers,
        body: call.body.clone(),
        timeout: call.timeout.max(Duration::from_secs(1)),
        connect_to: cluster.and_then(address),
        authorities: tls.and_then(authorities),
    }
    .send()
}

/// Host and port of a cluster's first endpoint.
fn address(cluster: &Node) -> Option<String> {
    let first = |node: &Node, key: &str| node.get(key)?.items().first().cloned();
    let endpoint = first(&first(cluster.get("load_assignment")?, "endpoints")?, "lb_endpoints")?;
    let address = endpoint.at(&["endpoint", "address", "socket_address"])?;
    Some(format!("{}:{}", address.text_at(&["address"])?, address.text_at(&["port_value"])?))
}

fn authorities(tls: &Node) -> Option<String> {
    let path = ["common_tls_context", "validation_context", "trusted_ca", "filename"];
    tls.text_at(&path).map(str::to_owned)
}

fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixMillis::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A token that is none.
const TOKEN: &[u8] = b"phantom-token-filter-check";
