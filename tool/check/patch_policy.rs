//! `EnvoyPatchPolicy` of Envoy Gateway: settings of the plugin that its own resource cannot carry.

use super::input::Document;
use super::plugin::SWITCH;
use super::{capabilities, vm};
use crate::finding::Finding;
use crate::yaml::Node;

/// A patch of a listener that sets one of Envoy's own settings of the filter.
struct Patch<'d> {
    /// `NAMESPACE/GATEWAY/LISTENER`.
    listener: &'d str,
    operation: &'d Node,
    key: &'d str,
}

/// The patches of the filter's settings in a resource.
fn patches<'d>(document: &'d Document<'_>) -> Vec<Patch<'d>> {
    let all = document.root.at(&["spec", "jsonPatches"]).into_iter().flat_map(Node::items);
    all.filter_map(|patch| {
        let operation = patch.get("operation")?;
        let key = operation.text_at(&["path"])?.rsplit('/').next()?;
        SETTINGS.contains(&key).then_some(Patch {
            listener: patch.text_at(&["name"]).unwrap_or_default(),
            operation,
            key,
        })
    })
    .collect()
}

/// Whether any of these resources lets Envoy call the filter for bodies.
pub(super) fn sets_switch(documents: &[Document<'_>]) -> bool {
    let policies = documents.iter().filter(|it| it.kind() == Some("EnvoyPatchPolicy"));
    policies.flat_map(patches).any(|patch| patch.key == SWITCH)
}

/// Whether the resource is about the filter at all.
pub(super) fn is_ours(document: &Document<'_>) -> bool {
    !patches(document).is_empty()
}

/// What is wrong with the resource.
pub(super) fn check(document: &Document<'_>, others: &[Document<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for Patch { operation, key, .. } in patches(document) {
        let Some(value) = operation.get("value") else {
            findings.push(Finding::error(operation.at, key, "expected a value, got none"));
            continue;
        };
        match key {
            SWITCH if !value.is_true() => {
                let got = value.text().unwrap_or("another value");
                findings.push(Finding::error(value.at, key, format!("expected true, got {got}")));
            }
            "failure_policy" | "fail_open" => findings.extend(vm::failure_value(key, value)),
            "capability_restriction_config" => {
                let list = value.entry("allowed_capabilities");
                findings.extend(list.into_iter().flat_map(|list| capabilities::check(list, None)));
            }
            _ => {}
        }
        let filter = operation.text_at(&["jsonPath"]).unwrap_or_default();
        if !filter.contains("wasm")
            && !operation.text_at(&["path"]).unwrap_or_default().contains("http_filters")
        {
            let wanted = "expected one that finds the filter, \"$..http_filters[?match(@.name, \
                          'envoy.filters.http.wasm/.*')].typed_config.config\"";
            let at = operation.get("jsonPath").map_or(operation.at, |node| node.at);
            let got = if filter.is_empty() { "none".to_owned() } else { format!("{filter:?}") };
            findings.push(Finding::error(at, "operation.jsonPath", format!("{wanted}, got {got}")));
        }
    }
    findings.extend(left_out(document, others));
    findings
}

/// Listeners of the Gateway that are not patched: of those that share a policy, Envoy goes by the first that it makes.
fn left_out(document: &Document<'_>, others: &[Document<'_>]) -> Option<Finding> {
    let patched: Vec<Patch<'_>> = patches(document).into_iter().filter(|patch| patch.key == SWITCH).collect();
    let first = patched.first()?;
    let gateway = document.root.text_at(&["spec", "targetRef", "name"])?;
    let is_it = |it: &&Document<'_>| it.kind() == Some("Gateway") && it.name() == gateway;
    let gateway = others.iter().find(is_it)?;
    let listeners = gateway.root.at(&["spec", "listeners"]).into_iter().flat_map(Node::items);
    let names = listeners.filter_map(|it| {
        Some(format!("{}/{}/{}", gateway.namespace(), gateway.name(), it.text_at(&["name"])?))
    });
    let missing: Vec<String> =
        names.filter(|name| patched.iter().all(|patch| patch.listener != name)).collect();
    (!missing.is_empty()).then(|| {
        let problem = format!(
            "expected a patch for every listener of the Gateway, got none for {}: then no listener takes signals",
            missing.join(", ")
        );
        Finding::error(first.operation.at, SWITCH, problem)
    })
}

const SETTINGS: [&str; 4] = [SWITCH, "failure_policy", "fail_open", "capability_restriction_config"];
