//! Envoy's own configuration, whole or in parts: wherever a Wasm filter stands in it.

use std::collections::BTreeMap;

use super::input::Document;
use super::plugin::{Form, Plugin, is_ours};
use crate::finding::Finding;
use crate::yaml::Node;

/// What is around a node.
#[derive(Clone, Copy, Default)]
struct Around<'d> {
    manager: Option<&'d Node>,
    listener: Option<&'d str>,
}

/// The filter, wherever it is configured in this part of a document.
pub(super) fn plugins<'d>(document: &'d Document<'d>, node: &'d Node, form: Form) -> Vec<Plugin<'d>> {
    let mut found = Vec::new();
    gather(document, node, form, Around::default(), &mut found);
    found
}

fn gather<'d>(
    document: &'d Document<'d>,
    node: &'d Node,
    form: Form,
    mut around: Around<'d>,
    found: &mut Vec<Plugin<'d>>,
) {
    let is = |typ: &str| node.text_at(&["@type"]).is_some_and(|it| it.ends_with(typ));
    if node.get("filter_chains").is_some() {
        around.listener = node.text_at(&["name"]);
    }
    if is(".HttpConnectionManager") {
        around.manager = Some(node);
    }
    match node.get("config").filter(|_| is(".filters.http.wasm.v3.Wasm")) {
        Some(settings) => found.extend(plugin(document, settings, form, around)),
        None => node.children().for_each(|child| gather(document, child, form, around, found)),
    }
}

fn plugin<'d>(
    document: &'d Document<'d>,
    settings: &'d Node,
    form: Form,
    around: Around<'d>,
) -> Option<Plugin<'d>> {
    let configuration = settings.entry("configuration");
    let names = [
        &["name"][..],
        &["vm_config", "vm_id"],
        &["vm_config", "code", "local", "filename"],
        &["vm_config", "code", "remote", "http_uri", "uri"],
    ];
    let named = names.map(|keys| settings.text_at(keys));
    if !is_ours(&named, configuration.map(|entry| &entry.value)) {
        return None;
    }
    let variables = settings.at(&["vm_config", "environment_variables"]);
    let keys = variables.and_then(|it| it.get("host_env_keys")).into_iter().flat_map(Node::items);
    let values = variables.and_then(|it| it.get("key_values")).into_iter().flat_map(Node::entries);
    let mut environment = BTreeMap::new();
    environment.extend(keys.filter_map(|key| Some((key.text()?.to_owned(), None))));
    environment
        .extend(values.map(|it| (it.key.clone(), Some(it.value.text().unwrap_or_default().to_owned()))));
    Some(Plugin {
        document,
        form,
        at: settings.at,
        configuration,
        environment,
        settings: Some(settings),
        manager: around.manager,
        listener: around.listener,
    })
}

/// Whether the configuration stands in a message that the filter reads.
pub(super) fn message(plugin: &Plugin<'_>) -> Option<Finding> {
    let entry = plugin.configuration?;
    match entry.value.text_at(&["@type"]) {
        Some(
            "type.googleapis.com/google.protobuf.Struct" | "type.googleapis.com/google.protobuf.StringValue",
        ) => None,
        got => {
            let got = got.map_or_else(|| "none".to_owned(), |got| format!("{got:?}"));
            let problem = format!("expected type.googleapis.com/google.protobuf.Struct, got {got}");
            Some(Finding::error(entry.at, "configuration.@type", problem))
        }
    }
}
