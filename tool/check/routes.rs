//! The routes behind the filter: what they choose by must not change when the filter writes, and none may pass it by.

use super::configuration::Configuration;
use super::plugin::Plugin;
use crate::finding::Finding;
use crate::yaml::Node;

/// What is wrong with the routes of the connection manager around the filter.
pub(super) fn check(plugin: &Plugin<'_>, configuration: Option<&Configuration>) -> Vec<Finding> {
    let (Some(manager), Some(filter)) = (plugin.manager, plugin.filter) else { return Vec::new() };
    let mut findings = Vec::new();
    let written = written_headers(configuration);
    let Some(routes) = manager.get("route_config") else { return findings };
    gather(routes, filter, &written, &mut findings);
    findings
}

/// Headers that the filter writes or takes away, in lower case.
fn written_headers(configuration: Option<&Configuration>) -> Vec<String> {
    let policies = configuration.and_then(|it| it.get(&["policies"])).into_iter().flat_map(Node::children);
    let headers = policies.filter_map(|policy| policy.at(&["forward", "claim_headers"]));
    let names = headers.flat_map(Node::entries).map(|entry| entry.key.to_ascii_lowercase());
    names.chain(["authorization".to_owned()]).collect()
}

fn gather(node: &Node, filter: &str, written: &[String], findings: &mut Vec<Finding>) {
    for header in node.at(&["match", "headers"]).into_iter().flat_map(Node::items) {
        let name = header.text_at(&["name"]).unwrap_or_default().to_ascii_lowercase();
        if written.contains(&name) {
            let problem = format!(
                "expected no match by {name}, which the filter writes: Envoy chooses the route again after it, and then another \
                 one than was judged"
            );
            findings.push(Finding::error(header.at, "route_config.match.headers", problem));
        }
    }
    let own = node.get("typed_per_filter_config").and_then(|configs| configs.get(filter));
    if let Some(disabled) = own.and_then(|own| own.get("disabled")).filter(|it| it.is_true()) {
        let problem = "requests here pass the filter by, and their Authorization goes on as it came; a policy with strategy: allow \
                       says so in one place";
        findings.push(Finding::warning(
            disabled.at,
            format!("typed_per_filter_config.{filter}.disabled"),
            problem,
        ));
    }
    node.children().for_each(|child| gather(child, filter, written, findings));
}
