//! The HTTP connection manager around the filter: rules, routes and services must read a path in one way.

use std::net::IpAddr;

use super::configuration::Configuration;
use super::plugin::Plugin;
use crate::finding::Finding;
use crate::yaml::Node;

/// What is wrong with it.
pub(super) fn check(plugin: &Plugin<'_>, configuration: Option<&Configuration>) -> Vec<Finding> {
    let Some(manager) = plugin.manager else { return Vec::new() };
    let mut findings = Vec::new();
    let rules = configuration.and_then(|it| it.get(&["rules"]));
    let by_path = rules
        .into_iter()
        .flat_map(Node::items)
        .any(|rule| ["path", "path_prefix"].iter().any(|key| rule.at(&["match", key]).is_some()));
    let mut expect = |key: &str, wanted: &str, is_so: bool, otherwise: &str| {
        if is_so {
            return;
        }
        let got = manager.text_at(&[key]).unwrap_or("none");
        let at = manager.get(key).map_or(manager.at, |node| node.at);
        let problem = format!("expected {wanted}, got {got}: {otherwise}");
        findings.push(if by_path {
            Finding::error(at, key, problem)
        } else {
            Finding::warning(at, key, problem)
        });
    };
    let is_true = |key: &str| manager.get(key).is_some_and(Node::is_true);
    expect(
        "normalize_path",
        "true",
        is_true("normalize_path"),
        "a service may take /public/../accounts for /accounts, which no rule has judged",
    );
    expect(
        "merge_slashes",
        "true",
        is_true("merge_slashes"),
        "a service may take //accounts for /accounts, which no rule has judged",
    );
    let escaped = manager.text_at(&["path_with_escaped_slashes_action"]);
    expect(
        "path_with_escaped_slashes_action",
        "REJECT_REQUEST (or one that decodes)",
        matches!(escaped, Some("REJECT_REQUEST" | "UNESCAPE_AND_REDIRECT" | "UNESCAPE_AND_FORWARD")),
        "a service may take %2F for a slash, and the rules do not",
    );
    let underscores = ["common_http_protocol_options", "headers_with_underscores_action"];
    if !matches!(manager.text_at(&underscores), Some("REJECT_REQUEST" | "DROP_HEADER")) {
        let at = manager.at(&underscores).map_or(manager.at, |node| node.at);
        let problem = "expected REJECT_REQUEST, got none: x_user and X-User are one header to some services";
        findings.push(Finding::warning(at, underscores.join("."), problem));
    }
    if let Some(timeout) = manager.get("stream_idle_timeout").filter(|node| node.text() == Some("0s")) {
        let problem = "expected a time, got 0s, which is none: requests of a VM that failed would never end";
        findings.push(Finding::warning(timeout.at, "stream_idle_timeout", problem));
    }
    findings
}

/// What is wrong with the admin interface of the Envoy that the filter is in.
pub(super) fn admin(plugin: &Plugin<'_>) -> Option<Finding> {
    let address = plugin.document.root.at(&["admin", "address", "socket_address", "address"])?;
    let is_loopback =
        |text: &str| text.parse().is_ok_and(|ip: IpAddr| ip.is_loopback()) || text == "localhost";
    let text = address.text().filter(|text| !is_loopback(text))?;
    let problem = format!(
        "expected loopback, got {text}: whoever reaches it can stop Envoy and read its configuration"
    );
    Some(Finding::warning(address.at, "admin.address", problem))
}
