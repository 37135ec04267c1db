//! `EnvoyFilter` of Istio: the whole of Envoy's own form, put in its place by patches.

use super::input::Document;
use crate::finding::Finding;
use crate::yaml::Node;

/// The patches of a resource.
fn patches<'d>(document: &'d Document<'_>) -> impl Iterator<Item = &'d Node> {
    document.root.at(&["spec", "configPatches"]).into_iter().flat_map(Node::items)
}

/// What is wrong with the patches by which one of these resources asks for the filter.
pub(super) fn check(document: &Document<'_>, others: &[Document<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for filter in patches(document).filter_map(|patch| patch.at(&["patch", "value"])) {
        let Some(discovery) = filter.get("config_discovery") else { continue };
        let Some(name) = filter.text_at(&["name"]).filter(|name| is_ours(name, others)) else { continue };
        let is_there = others
            .iter()
            .filter(|other| other.kind() == Some("EnvoyFilter"))
            .flat_map(patches)
            .any(|patch| defines(patch, name));
        if !is_there {
            let problem = format!(
                "expected a patch with applyTo: EXTENSION_CONFIG whose value has this name, got none for {name:?}: the proxy \
                 waits for it and answers 500"
            );
            findings.push(Finding::error(filter.at, "name", problem));
        }
        let types = discovery.get("type_urls").into_iter().flat_map(Node::items);
        if !types.filter_map(Node::text).any(|it| it.ends_with("filters.http.wasm.v3.Wasm")) {
            let problem = "expected type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm among them, got none";
            findings.push(Finding::error(discovery.at, "config_discovery.type_urls", problem));
        }
    }
    findings
}

fn is_ours(name: &str, others: &[Document<'_>]) -> bool {
    name.replace('_', "-").contains("phantom-token")
        || others.iter().flat_map(patches).any(|patch| defines(patch, name))
}

fn defines(patch: &Node, name: &str) -> bool {
    patch.text_at(&["applyTo"]) == Some("EXTENSION_CONFIG")
        && patch.text_at(&["patch", "value", "name"]) == Some(name)
}
