//! The examples of the documentation.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::accepted_keys;
use super::good::{EC256, smallest};

/// Every configuration of the filter, as JSON, in a YAML example of the documentation and in the sample and the examples for
/// Envoy.
pub(crate) fn examples() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut configurations = Vec::new();
    for folder in [root.to_owned(), root.join("docs")] {
        for file in folder.read_dir().unwrap().map(|entry| entry.unwrap().path()) {
            if file.extension().is_some_and(|extension| extension == "md") {
                let text = std::fs::read_to_string(file).unwrap();
                text.split("```yaml\n").skip(1).for_each(|block| {
                    in_block(block.split("```").next().unwrap(), &mut configurations);
                });
            }
        }
    }
    in_block(&std::fs::read_to_string(root.join("envoy/envoy.yaml")).unwrap(), &mut configurations);
    for file in root.join("envoy/examples").read_dir().unwrap() {
        in_block(&std::fs::read_to_string(file.unwrap().path()).unwrap(), &mut configurations);
    }
    assert!(configurations.len() >= 9, "{configurations:#?}");
    configurations
}

/// The configurations in a block of YAML, which may have several documents.
fn in_block(yaml: &str, configurations: &mut Vec<String>) {
    for document in serde_yaml_ng::Deserializer::from_str(yaml) {
        let document = Value::deserialize(document).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
        in_document(&document, configurations);
    }
}

/// The configurations in a document. One that shows some sections only is completed.
fn in_document(block: &Value, configurations: &mut Vec<String>) {
    let keys = accepted_keys("").unwrap();
    let empty = Map::new();
    let members = block.as_object().unwrap_or(&empty);
    if !members.is_empty() && members.keys().all(|key| keys.contains(key)) {
        let mut whole = smallest();
        if members.contains_key("providers") && members.contains_key("policies") {
            // It says whether phantom tokens are made.
            whole.as_object_mut().unwrap().remove("phantom_token");
        }
        whole.as_object_mut().unwrap().extend(members.clone());
        configurations.push(whole.to_string());
    } else {
        embedded(block, configurations);
    }
}

/// The configurations somewhere below `value`.
fn embedded(value: &Value, configurations: &mut Vec<String>) {
    match value {
        // One with a type of its own belongs to another filter, and a list of them to a SecurityPolicy of Envoy Gateway's.
        Value::Object(members)
            if members.get("providers").is_some_and(|providers| !providers.is_array())
                && !members.contains_key("@type") =>
        {
            configurations.push(value.to_string());
        }
        Value::Object(members) => members.values().for_each(|value| embedded(value, configurations)),
        Value::Array(elements) => elements.iter().for_each(|value| embedded(value, configurations)),
        Value::String(text) if text.contains("\"providers\"") => configurations.push(text.clone()),
        _ => {}
    }
}

/// The environment that the examples expect.
pub(crate) fn env(name: &str) -> Option<String> {
    let value = match name {
        "OLD_PUBLIC_KEY" => include_str!("../keys/ec256.public.pem"),
        "CLIENT_KEY" | "SIGNING_KEY" | "NEXT_SIGNING_KEY" => EC256,
        "NONCE_SECRET" => "a-secret-of-thirty-two-bytes-or-more",
        _ => "a-secret-of-some-length",
    };
    Some(value.to_owned())
}
