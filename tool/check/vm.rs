//! Envoy's own settings of a plugin (`PluginConfig`): what becomes of a failure, who shares memory, what is allowed.

use super::configuration::Configuration;
use super::plugin::{Form, Plugin};
use super::{capabilities, envoy};
use crate::finding::Finding;
use crate::yaml::{Node, Position};

/// What is wrong with the settings of a plugin.
pub(super) fn check(plugin: &Plugin<'_>, configuration: Option<&Configuration>) -> Vec<Finding> {
    let Some(settings) = plugin.settings else { return Vec::new() };
    let mut findings = failure(settings, plugin.at);
    findings.extend(memory(&plugin.document.root, settings, plugin.at));
    findings.extend(code(settings, plugin));
    let list =
        settings.at(&["capability_restriction_config"]).and_then(|it| it.entry("allowed_capabilities"));
    findings.extend(list.into_iter().flat_map(|list| capabilities::check(list, configuration)));
    findings.extend(written_secrets(settings, configuration));
    findings
}

/// A VM that failed refuses, and is made anew.
fn failure(settings: &Node, at: Position) -> Vec<Finding> {
    let keys = ["fail_open", "failure_policy"];
    let named: Vec<Finding> = keys.iter().filter_map(|key| failure_value(key, settings.get(key)?)).collect();
    if keys.iter().all(|key| settings.get(key).is_none()) {
        return vec![Finding::warning(
            at,
            "failure_policy",
            format!("{RELOAD} none, with which it refuses for ever"),
        )];
    }
    named
}

/// What is wrong with a value of `fail_open` or `failure_policy`.
pub(super) fn failure_value(key: &str, value: &Node) -> Option<Finding> {
    let open = "with which every request passes unjudged once a VM has failed";
    match (key, value.text().unwrap_or_default()) {
        ("fail_open", _) if value.is_true() => {
            Some(Finding::error(value.at, key, format!("expected false, got true, {open}")))
        }
        ("fail_open", _) | (_, "FAIL_RELOAD") => None,
        (_, "FAIL_OPEN") => Some(Finding::error(value.at, key, format!("{RELOAD} FAIL_OPEN, {open}"))),
        (_, policy @ ("FAIL_CLOSED" | "UNSPECIFIED")) => {
            let problem = format!("{RELOAD} {policy}, with which it refuses for ever");
            Some(Finding::warning(value.at, key, problem))
        }
        (_, other) => {
            let problem = format!("expected FAIL_RELOAD, FAIL_CLOSED or FAIL_OPEN, got {other:?}");
            Some(Finding::error(value.at, key, problem))
        }
    }
}

const RELOAD: &str = "expected FAIL_RELOAD: a VM that failed refuses requests and is made anew; got";

/// Verdicts lie in memory that all plugins with the same `vm_id` share.
fn memory(root: &Node, settings: &Node, at: Position) -> Option<Finding> {
    let id = settings.at(&["vm_config", "vm_id"]);
    if let Some(text) = id.and_then(Node::text).filter(|id| !id.is_empty()) {
        let mut others = Vec::new();
        envoy::other_memories(root, &mut others);
        let (_, other) = others.into_iter().find(|(other, _)| *other == text)?;
        let problem = format!(
            "expected a name of its own, got that of another plugin, at {other}, which can read and forge verdicts"
        );
        return Some(Finding::error(id.map_or(at, |id| id.at), "vm_config.vm_id", problem));
    }
    let at = id.or_else(|| settings.get("vm_config")).map_or(at, |node| node.at);
    let problem = "expected a name of its own, got none: all plugins without one share a memory, and each of them can read \
                   and forge verdicts";
    Some(Finding::error(at, "vm_config.vm_id", problem))
}

fn code(settings: &Node, plugin: &Plugin<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Some(vm) = settings.get("vm_config") else { return findings };
    match vm.text_at(&["runtime"]) {
        None | Some("envoy.wasm.runtime.v8") => {}
        Some(other) => findings.push(Finding::error(
            vm.get("runtime").map_or(vm.at, |node| node.at),
            "vm_config.runtime",
            format!("expected envoy.wasm.runtime.v8, with which the filter is tested, got {other:?}"),
        )),
    }
    let Some(code) = vm.get("code") else {
        findings.push(Finding::error(vm.at, "vm_config.code", "expected local or remote, got none"));
        return findings;
    };
    let is_fetched_by_agent = plugin.form == Form::EnvoyFilter;
    if let Some(remote) =
        code.get("remote").filter(|remote| remote.get("sha256").is_none() && !is_fetched_by_agent)
    {
        let problem = "expected the module's SHA-256, without which Envoy loads no remote code, got none";
        findings.push(Finding::error(remote.at, "vm_config.code.remote.sha256", problem));
    }
    findings
}

/// Secrets that stand in the file, and in whatever shows Envoy's configuration.
fn written_secrets(settings: &Node, configuration: Option<&Configuration>) -> Vec<Finding> {
    let values = settings.at(&["vm_config", "environment_variables", "key_values"]);
    let is_named = |name: &str| configuration.is_some_and(|it| it.names_variable(name));
    let written = values.into_iter().flat_map(Node::entries).filter(|entry| is_named(&entry.key));
    written
        .map(|entry| {
            let path = format!("vm_config.environment_variables.key_values.{}", entry.key);
            let problem = "a secret that Envoy's admin interface shows; expected it in host_env_keys";
            Finding::warning(entry.at, path, problem)
        })
        .collect()
}
