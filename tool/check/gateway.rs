//! `EnvoyExtensionPolicy` of Envoy Gateway: what it can carry, and what Envoy Gateway makes of the rest.

use std::collections::BTreeMap;

use super::configuration::Configuration;
use super::input::Document;
use super::plugin::{Form, Plugin, is_ours};
use super::shape::unknown_keys;
use crate::finding::Finding;
use crate::yaml::Node;

/// The filter, wherever this resource configures it.
pub(super) fn plugins<'d>(document: &'d Document<'d>) -> Vec<Plugin<'d>> {
    let extensions = document.root.at(&["spec", "wasm"]).into_iter().flat_map(Node::items);
    extensions.filter_map(|extension| plugin(document, extension)).collect()
}

fn plugin<'d>(document: &'d Document<'d>, extension: &'d Node) -> Option<Plugin<'d>> {
    let configuration = extension.entry("config");
    let named = [
        extension.text_at(&["name"]),
        extension.text_at(&["code", "http", "url"]),
        extension.text_at(&["code", "image", "url"]),
    ];
    if !is_ours(&named, configuration.map(|entry| &entry.value)) {
        return None;
    }
    let keys = extension.at(&["env", "hostKeys"]).into_iter().flat_map(Node::items);
    let environment = keys.filter_map(|key| Some((key.text()?.to_owned(), None)));
    Some(Plugin {
        document,
        form: Form::EnvoyExtensionPolicy,
        at: extension.at,
        configuration,
        environment: environment.collect::<BTreeMap<_, _>>(),
        settings: None,
        manager: None,
        filter: None,
        listener: None,
    })
}

/// What is wrong with the resource, but for the filter's own configuration.
pub(super) fn check(
    plugin: &Plugin<'_>,
    configuration: Option<&Configuration>,
    is_patched: bool,
) -> Vec<Finding> {
    let Some(spec) = plugin.document.root.get("spec") else { return Vec::new() };
    let extensions = spec.get("wasm").into_iter().flat_map(Node::items);
    let Some(extension) = extensions.into_iter().find(|it| it.at == plugin.at) else { return Vec::new() };
    let mut findings = unknown_keys(extension, "spec.wasm", &EXTENSION, CANNOT);
    if let Some(env) = extension.get("env") {
        findings.extend(unknown_keys(env, "spec.wasm.env", &["hostKeys"], "values cannot be written here"));
    }
    if let Some(open) = extension.get("failOpen").filter(|it| it.is_true()) {
        let problem = "expected false, got true: every request passes unjudged once a VM has failed, or while the module \
                       cannot be fetched";
        findings.push(Finding::error(open.at, "spec.wasm.failOpen", problem));
    }
    for target in targets(spec).filter(|target| target.text_at(&["kind"]) == Some("HTTPRoute")) {
        if spec.get("mergeType").is_none() {
            let problem = "a policy on an HTTPRoute takes the place of the Gateway's for that route; expected mergeType: \
                           StrategicMerge, which keeps both, or the Gateway as the target";
            findings.push(Finding::warning(target.at, "spec.targetRefs", problem));
        }
    }
    let Some(configuration) = configuration else { return findings };
    if configuration.get(&["policy_from"]).and_then(Node::text) == Some("route_metadata") && !is_patched {
        let problem = "an HTTPRoute writes no metadata of routes; expected rules, or an EnvoyPatchPolicy for the \
                       RouteConfiguration";
        findings.push(Finding::warning(configuration.place("policy_from"), "policy_from", problem));
    }
    findings
}

fn targets(spec: &Node) -> impl Iterator<Item = &Node> {
    spec.get("targetRefs").into_iter().flat_map(Node::items).chain(spec.get("targetRef"))
}

/// What is wrong with a cluster's name: `httproute/NAMESPACE/NAME/rule/INDEX` where a route makes it.
pub(super) fn cluster_name(name: &str, documents: &[Document<'_>]) -> Option<String> {
    let parts: Vec<&str> = name.split('/').collect();
    let routes: Vec<&Document<'_>> = documents.iter().filter(|it| it.kind() == Some("HTTPRoute")).collect();
    match parts.as_slice() {
        ["httproute", namespace, route, "rule", index] => {
            let Ok(index) = index.parse::<usize>() else {
                return Some(format!("expected httproute/NAMESPACE/NAME/rule/INDEX, got {name:?}"));
            };
            let is_it = |it: &&&Document<'_>| it.namespace() == *namespace && it.name() == *route;
            let rules =
                |it: &Document<'_>| it.root.at(&["spec", "rules"]).map_or(0, |rules| rules.items().len());
            match routes.iter().find(is_it) {
                Some(found) if index < rules(found) => None,
                Some(found) => {
                    Some(format!("expected a rule of {route} below {}, got {index}", rules(found)))
                }
                None if routes.is_empty() => None,
                None => {
                    let names = routes.iter().flat_map(|it| {
                        (0..rules(it))
                            .map(|rule| format!("httproute/{}/{}/rule/{rule}", it.namespace(), it.name()))
                    });
                    Some(format!("expected one of {}, got {name:?}", names.collect::<Vec<_>>().join(", ")))
                }
            }
        }
        [_, _, _, _, ..] => None,
        _ => Some(format!(
            "expected a cluster as Envoy Gateway names them, httproute/NAMESPACE/NAME/rule/INDEX, or one that an \
             EnvoyPatchPolicy adds, got {name:?}"
        )),
    }
}

const CANNOT: &str = "this form has no vm_id, failure_policy, capability restriction or allow_on_headers_stop_iteration: an \
                      EnvoyPatchPolicy adds them";

const EXTENSION: [&str; 6] = ["name", "rootID", "code", "config", "failOpen", "env"];
