//! The filter among the other HTTP filters: before whoever believes its JWT, and behind whoever answers preflights.

use super::plugin::Plugin;
use crate::finding::Finding;
use crate::yaml::Node;

/// What is wrong with its place.
pub(super) fn check(plugin: &Plugin<'_>) -> Vec<Finding> {
    let (Some(manager), Some(name)) = (plugin.manager, plugin.filter) else { return Vec::new() };
    let filters = manager.get("http_filters").map(Node::items).unwrap_or_default();
    let Some(own) = filters.iter().position(|filter| filter.text_at(&["name"]) == Some(name)) else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    for (index, filter) in filters.iter().enumerate() {
        let is = |typ: &str| filter.text_at(&["typed_config", "@type"]).is_some_and(|it| it.ends_with(typ));
        let problem = if index < own && is(".jwt_authn.v3.JwtAuthentication") {
            "expected behind the filter: here it sees the client's own token, and refuses opaque ones"
        } else if index < own && is(".rbac.v3.RBAC") {
            "expected behind the filter: here nobody has said yet who calls"
        } else if index > own && is(".cors.v3.Cors") {
            "expected before the filter: preflights have no token, and get 401 unless allow_preflight lets them pass"
        } else {
            continue;
        };
        findings.push(Finding::warning(filter.at, format!("http_filters[{index}]"), problem));
    }
    findings
}
