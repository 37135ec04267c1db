//! Envoy's own configuration, whole or in parts: wherever a Wasm filter or a dynamic module stands in it.

use std::collections::BTreeMap;

use super::input::Document;
use super::plugin::{Form, Plugin, is_ours};
use crate::finding::Finding;
use crate::yaml::{Node, Position};

/// What is around a node.
#[derive(Clone, Copy, Default)]
struct Around<'d> {
    manager: Option<&'d Node>,
    filter: Option<&'d str>,
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
    if node.get("typed_config").is_some() {
        around.filter = node.text_at(&["name"]);
    }
    // A type that Envoy does not know itself may stand around one that it does.
    let is_wrapped = is(".TypedStruct") && node.text_at(&["type_url"]).is_some_and(|it| it.ends_with(WASM));
    let wasm = if is_wrapped { node.get("value") } else { Some(node).filter(|_| is(WASM)) };
    if is(DYNAMIC_MODULE) {
        found.extend(module(document, node, around));
        return;
    }
    match wasm.and_then(|wasm| wasm.get("config")) {
        Some(settings) => found.extend(plugin(document, settings, form, around)),
        None => node.children().for_each(|child| gather(document, child, form, around, found)),
    }
}

/// By what a plugin may be known.
fn names(settings: &Node) -> [Option<&str>; 3] {
    let names = [
        &["name"][..],
        &["vm_config", "code", "local", "filename"],
        &["vm_config", "code", "remote", "http_uri", "uri"],
    ];
    names.map(|keys| settings.text_at(keys))
}

fn plugin<'d>(
    document: &'d Document<'d>,
    settings: &'d Node,
    form: Form,
    around: Around<'d>,
) -> Option<Plugin<'d>> {
    let configuration = settings.entry("configuration");
    if !is_ours(&names(settings), configuration.map(|entry| &entry.value)) {
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
        filter: around.filter,
        listener: around.listener,
    })
}

/// A dynamic module, which has the whole environment and none of a VM's settings.
fn module<'d>(document: &'d Document<'d>, filter: &'d Node, around: Around<'d>) -> Option<Plugin<'d>> {
    let configuration = filter.entry("filter_config");
    let names = [filter.text_at(&["dynamic_module_config", "name"]), filter.text_at(&["filter_name"])];
    is_ours(&names, configuration.map(|entry| &entry.value)).then(|| Plugin {
        document,
        form: Form::DynamicModule,
        at: filter.at,
        configuration,
        environment: BTreeMap::new(),
        settings: None,
        manager: around.manager,
        filter: around.filter,
        listener: around.listener,
    })
}

/// The `vm_id` of every other Wasm plugin in this part of a document, with where it stands.
pub(super) fn other_memories<'d>(node: &'d Node, found: &mut Vec<(&'d str, Position)>) {
    if let Some(id) = node.at(&["vm_config", "vm_id"]) {
        let names = names(node);
        if !is_ours(&names, node.get("configuration")) {
            found.extend(id.text().map(|text| (text, id.at)));
        }
    }
    node.children().for_each(|child| other_memories(child, found));
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

/// The type of a dynamic module.
const DYNAMIC_MODULE: &str = ".filters.http.dynamic_modules.v3.DynamicModuleFilter";

/// The type of a Wasm filter.
const WASM: &str = ".filters.http.wasm.v3.Wasm";
