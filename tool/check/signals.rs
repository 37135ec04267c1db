//! Signals that are received need a switch of Envoy's, on every listener alike.

use super::configuration::Configuration;
use super::plugin::{Form, Plugin, SWITCH};
use crate::finding::Finding;

/// The paths of the receivers that a configuration names: each wants a body before anything of the request may pass.
pub(super) fn receivers(configuration: &Configuration) -> Vec<String> {
    RECEIVERS.into_iter().flat_map(|(source, key)| receivers_of(configuration, source, key)).collect()
}

/// Those of one source, which may be several.
fn receivers_of(configuration: &Configuration, source: &str, key: Option<&str>) -> Vec<String> {
    let path = ["revocation.", source].concat();
    let Some(node) = configuration.get(&["revocation", source]) else { return Vec::new() };
    let several = node.items().iter().enumerate().map(|(place, item)| (format!("{path}[{place}]"), item));
    let one = Some((path.clone(), node)).filter(|(_, node)| node.items().is_empty());
    let named =
        one.into_iter().chain(several).filter(|(_, node)| key.is_none_or(|key| node.get(key).is_some()));
    named.map(|(path, _)| key.map_or_else(|| path.clone(), |key| format!("{path}.{key}"))).collect()
}

/// What is wrong with the switch of a plugin whose form has it, and with a form that has not.
pub(super) fn check(plugin: &Plugin<'_>, configuration: &Configuration, is_patched: bool) -> Vec<Finding> {
    let receivers = receivers(configuration);
    let Some(first) = receivers.first() else { return Vec::new() };
    let at = configuration.place(first);
    match plugin.switch() {
        Some(true) => Vec::new(),
        Some(false) => {
            let wanted = format!(
                "expected true, for {} is received, got {}: Envoy keeps the body back, and every signal gets 503",
                receivers.join(", "),
                plugin.settings.and_then(|it| it.text_at(&[SWITCH])).unwrap_or("none"),
            );
            let at = plugin.settings.and_then(|it| it.get(SWITCH)).map_or(plugin.at, |node| node.at);
            vec![Finding::error(at, SWITCH, wanted)]
        }
        // A module needs no switch: it says itself what is kept back.
        None if is_patched || plugin.form == Form::DynamicModule => Vec::new(),
        None => receivers.iter().map(|receiver| cannot(plugin.form, receiver, configuration)).collect::<Vec<_>>(),
    }
    .into_iter()
    .map(|finding| if finding.at.line == 0 { Finding { at, ..finding } } else { finding })
    .collect()
}

fn cannot(form: Form, receiver: &str, configuration: &Configuration) -> Finding {
    let (kind, ways_out) = match form {
        Form::EnvoyExtensionPolicy => (
            "an EnvoyExtensionPolicy",
            "an EnvoyPatchPolicy that adds it to every listener of the Gateway (docs/check.md)",
        ),
        Form::TrafficExtension => ("a TrafficExtension", "the same filter by EnvoyFilter"),
        _ => ("a WasmPlugin", "the same filter by EnvoyFilter"),
    };
    let problem = format!(
        "expected {SWITCH}, which {kind} cannot set: every signal gets 503; ways out: {ways_out}; or what needs no switch: \
         revocation.security_events.poll, providers.NAME.status_list, revocation.endpoint"
    );
    Finding::error(configuration.place(receiver), receiver, problem)
}

/// Of plugins that share a configuration, Envoy keeps the first and its switch: all must have the same.
pub(super) fn check_alike(plugins: &[Plugin<'_>]) -> Vec<(usize, Finding)> {
    let mut findings = Vec::new();
    for (index, plugin) in plugins.iter().enumerate() {
        let same = plugins
            .iter()
            .take(index)
            .find(|other| is_same(plugin, other) && other.switch() != plugin.switch());
        let (Some(other), Some(settings)) = (same, plugin.settings) else { continue };
        let at = settings.get(SWITCH).map_or(plugin.at, |node| node.at);
        let problem = format!(
            "expected the same on every listener with this configuration, got it {} here and {} at {}:{}{}: Envoy goes by the \
             first that it makes",
            on(plugin),
            on(other),
            other.document.file.name,
            other.at,
            other.listener.map(|name| format!(" (listener {name})")).unwrap_or_default(),
        );
        findings.push((index, Finding::error(at, SWITCH, problem)));
    }
    findings
}

fn on(plugin: &Plugin<'_>) -> &'static str {
    if plugin.switch() == Some(true) { "on" } else { "off" }
}

fn is_same(one: &Plugin<'_>, other: &Plugin<'_>) -> bool {
    let id = |plugin: &Plugin<'_>, keys: &[&str]| {
        plugin.settings.and_then(|it| it.text_at(keys)).unwrap_or_default().to_owned()
    };
    let own = |plugin: &Plugin<'_>| plugin.own().map(|own| own.to_json(plugin.document.dialect()));
    one.settings.is_some()
        && other.settings.is_some()
        && [&["vm_config", "vm_id"][..], &["root_id"]].iter().all(|keys| id(one, keys) == id(other, keys))
        && own(one) == own(other)
}

/// What receives, and the key under which it does.
const RECEIVERS: [(&str, Option<&str>); 4] = [
    ("back_channel_logout", None),
    ("security_events", Some("push")),
    ("global_token_revocation", None),
    ("admin", None),
];
