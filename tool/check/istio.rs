//! `WasmPlugin` and `TrafficExtension` of Istio: what they can carry, and what Istio makes of the rest.

use std::collections::BTreeMap;

use super::configuration::Configuration;
use super::input::Document;
use super::plugin::{Form, Plugin, is_ours};
use super::shape::unknown_keys;
use crate::finding::Finding;
use crate::yaml::Node;

/// The filter, if this resource configures it.
pub(super) fn plugin<'d>(document: &'d Document<'d>, form: Form) -> Option<Plugin<'d>> {
    let extension = extension(document, form)?;
    let configuration = extension.entry("pluginConfig");
    let named = [extension.text_at(&["url"]), extension.text_at(&["pluginName"]), Some(document.name())];
    if !is_ours(&named, configuration.map(|entry| &entry.value)) {
        return None;
    }
    let variables = extension.at(&["vmConfig", "env"]).into_iter().flat_map(Node::items);
    let variable = |it: &Node| {
        let is_host = it.text_at(&["valueFrom"]) == Some("HOST");
        let value = it.text_at(&["value"]).unwrap_or_default().to_owned();
        Some((it.text_at(&["name"])?.to_owned(), (!is_host).then_some(value)))
    };
    Some(Plugin {
        document,
        form,
        at: document.root.entry("spec")?.at,
        configuration,
        environment: variables.filter_map(variable).collect::<BTreeMap<_, _>>(),
        settings: None,
        manager: None,
        filter: None,
        listener: None,
    })
}

/// The part of the resource that is about the plugin.
fn extension<'d>(document: &'d Document<'d>, form: Form) -> Option<&'d Node> {
    let spec = document.root.get("spec")?;
    if form == Form::TrafficExtension { spec.get("wasm") } else { Some(spec) }
}

/// What is wrong with the resource, but for the filter's own configuration.
pub(super) fn check(plugin: &Plugin<'_>, configuration: Option<&Configuration>) -> Vec<Finding> {
    let document = plugin.document;
    let (Some(spec), Some(extension)) = (document.root.get("spec"), extension(document, plugin.form)) else {
        return Vec::new();
    };
    let is_extension = plugin.form == Form::TrafficExtension;
    let prefix = if is_extension { "spec.wasm" } else { "spec" };
    let mut findings = if is_extension {
        let place: Vec<&str> =
            PLACE.into_iter().filter(|key| *key != "targetRef").chain(["wasm", "lua"]).collect();
        [unknown_keys(spec, "spec", &place, CANNOT), unknown_keys(extension, prefix, &EXTENSION, CANNOT)]
            .concat()
    } else {
        unknown_keys(spec, prefix, &[&PLACE[..], &EXTENSION].concat(), CANNOT)
    };
    let found = |node: &Node, key: &str| node.get(key).map_or(plugin.at, |value| value.at);
    if spec.text_at(&["phase"]) != Some("AUTHN") {
        let got = spec.text_at(&["phase"]).unwrap_or("none");
        let problem = format!(
            "expected AUTHN, got {got}: Istio's own authentication comes first then, and neither RequestAuthentication nor \
             AuthorizationPolicy sees the minted JWT"
        );
        findings.push(Finding::warning(found(spec, "phase"), "spec.phase", problem));
    }
    match extension.text_at(&["failStrategy"]) {
        None | Some("FAIL_CLOSE" | "FAIL_RELOAD") => {}
        Some(got) => {
            let problem = format!(
                "expected FAIL_CLOSE, or FAIL_RELOAD where this Istio has it, got {got:?}{}",
                if got == "FAIL_OPEN" {
                    ": every request passes unjudged once a VM has failed, or if the module cannot be fetched"
                } else {
                    ""
                }
            );
            findings.push(Finding::error(
                found(extension, "failStrategy"),
                format!("{prefix}.failStrategy"),
                problem,
            ));
        }
    }
    if let Some(typ) = extension.get("type").filter(|typ| typ.text() == Some("NETWORK")) {
        findings.push(Finding::error(typ.at, format!("{prefix}.type"), "expected HTTP, got NETWORK"));
    }
    findings.extend(module(plugin, extension, prefix));
    findings.extend(written_secrets(extension, prefix, configuration));
    findings.extend(configuration.into_iter().flat_map(own));
    findings
}

/// Secrets that stand in the resource, for everybody who may read it.
fn written_secrets(extension: &Node, prefix: &str, configuration: Option<&Configuration>) -> Vec<Finding> {
    let variables = extension.at(&["vmConfig", "env"]).into_iter().flat_map(Node::items);
    let written = variables.filter(|it| {
        let is_secret = |name| configuration.is_some_and(|configuration| configuration.names_variable(name));
        it.text_at(&["valueFrom"]) != Some("HOST") && it.text_at(&["name"]).is_some_and(is_secret)
    });
    let problem = "a secret that whoever may read the resource can read; expected valueFrom: HOST";
    written.map(|it| Finding::warning(it.at, format!("{prefix}.vmConfig.env"), problem)).collect()
}

/// Where the module comes from: what a proxy fetches must not change under it.
fn module(plugin: &Plugin<'_>, extension: &Node, prefix: &str) -> Option<Finding> {
    let path = format!("{prefix}.url");
    let Some(url) = extension.get("url") else {
        return Some(Finding::error(plugin.at, path, "expected the module's URL, got none"));
    };
    let text = url.text().unwrap_or_default();
    let image = text.strip_prefix("oci://").or_else(|| (!text.contains("://")).then_some(text));
    let name = image.and_then(|image| image.rsplit('/').next()).unwrap_or_default();
    let is_moving = image.is_some() && (!name.contains([':', '@']) || name.ends_with(":latest"));
    let is_pinned = extension.get("sha256").is_some() || text.starts_with("file://");
    (is_moving && !is_pinned).then(|| {
        let problem = format!(
            "expected a tag that stays, or sha256, got {text:?}: pods would run different modules, and none that is checked"
        );
        Finding::warning(url.at, path, problem)
    })
}

/// What of the filter's own configuration Istio has no place for.
pub(super) fn own(configuration: &Configuration) -> Vec<Finding> {
    let mut findings = Vec::new();
    if configuration.get(&["policy_from"]).and_then(Node::text) == Some("route_metadata") {
        let problem = "expected rules, with match.route_names for a VirtualService's http[].name, got route_metadata: Istio \
                       writes no metadata of routes";
        findings.push(Finding::error(configuration.place("policy_from"), "policy_from", problem));
    }
    for (index, rule) in configuration.get(&["rules"]).into_iter().flat_map(Node::items).enumerate() {
        let Some(key) = ["path", "path_prefix"].into_iter().find(|key| rule.at(&["match", key]).is_some())
        else {
            continue;
        };
        let path = format!("rules[{index}].match.{key}");
        let problem = "Istio leaves // and %2F in paths as they are, and a service may not: set \
                       meshConfig.pathNormalization.normalization to DECODE_AND_MERGE_SLASHES";
        findings.push(Finding::warning(configuration.place(&path), path, problem));
        break;
    }
    findings
}

/// What is wrong with a cluster's name: `outbound|PORT|SUBSET|HOST`, with a host and a port that the mesh has, as far as
/// these resources say.
pub(super) fn cluster_name(name: &str, documents: &[Document<'_>]) -> Option<String> {
    let parts: Vec<&str> = name.split('|').collect();
    let ["outbound" | "inbound", port, _, host] = parts.as_slice() else { return Some(not_a_name(name)) };
    let (Ok(port), false) = (port.parse::<u16>(), host.is_empty()) else { return Some(not_a_name(name)) };
    let entries = documents.iter().filter(|it| it.kind() == Some("ServiceEntry"));
    let ports: Vec<u16> = entries
        .filter(|it| {
            it.root.at(&["spec", "hosts"]).into_iter().flat_map(Node::items).any(|it| it.text() == Some(host))
        })
        .flat_map(|it| it.root.at(&["spec", "ports"]).into_iter().flat_map(Node::items))
        .filter_map(|it| it.text_at(&["number"])?.parse().ok())
        .collect();
    (!ports.is_empty() && !ports.contains(&port)).then(|| {
        let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
        format!("expected a port that the ServiceEntry of {host} has, {}, got {port}", ports.join(" or "))
    })
}

fn not_a_name(name: &str) -> String {
    format!(
        "expected a cluster as Istio names them, outbound|443||as.example, or one that an EnvoyFilter adds, got {name:?}"
    )
}

const CANNOT: &str = "this form has no vm_id, capability restriction or allow_on_headers_stop_iteration: only an EnvoyFilter has";

/// Where the plugin goes.
const PLACE: [&str; 6] = ["selector", "targetRef", "targetRefs", "phase", "priority", "match"];

/// What the plugin is.
const EXTENSION: [&str; 10] = [
    "url",
    "sha256",
    "imagePullPolicy",
    "imagePullSecret",
    "verificationKey",
    "pluginConfig",
    "pluginName",
    "failStrategy",
    "vmConfig",
    "type",
];
