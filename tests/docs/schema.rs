//! The JSON Schema of the configuration says what the reader says.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use boon::{Compiler, SchemaIndex, Schemas, ValidationError};
use phantom_token_filter::config::Config;
use serde::Deserialize;
use serde_json::{Value, json};

use super::examples::{env, examples};
use super::good::{change, smallest};
use super::{Key, concrete, documented, join, sections_of_the_code, with};

/// Where the schema is kept, for editors.
const FILE: &str = "envoy/phantom-token-filter.schema.json";

const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";

fn schema() -> Value {
    serde_json::from_str(&fs::read_to_string(root().join(FILE)).unwrap()).unwrap()
}

/// The schema, which is one by its own meta-schema, ready to use.
struct Validator {
    schemas: Schemas,
    index: SchemaIndex,
}

fn validator() -> Validator {
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.add_resource("schema.json", schema()).unwrap();
    let index = compiler.compile("schema.json", &mut schemas).unwrap();
    Validator { schemas, index }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_committed_schema_is_the_one_that_the_tool_prints() {
    let printed = Command::new(env!("CARGO_BIN_EXE_phantom-token-filter")).arg("schema").output().unwrap();
    assert!(printed.status.success(), "{printed:?}");
    let printed = String::from_utf8(printed.stdout).unwrap();
    if std::env::var_os("BLESS").is_some() {
        fs::write(root().join(FILE), &printed).unwrap();
    }
    let committed = fs::read_to_string(root().join(FILE)).unwrap();
    assert!(
        committed == printed,
        "not what `schema` prints: BLESS=1 cargo test --test docs writes {FILE} anew"
    );
}

#[test]
fn the_schema_and_the_reader_know_the_same_keys() {
    let mut in_code = BTreeMap::new();
    sections_of_the_code("", &mut in_code);
    let mut in_schema = BTreeMap::new();
    sections_of_the_schema("", &schema()["$defs"]["configuration"], &mut in_schema);
    for keys in in_code.values_mut().chain(in_schema.values_mut()) {
        keys.sort();
    }
    assert_eq!(in_schema, in_code);
}

/// Sections and their keys, as the schema has them.
fn sections_of_the_schema(path: &str, schema: &Value, sections: &mut BTreeMap<String, Vec<String>>) {
    // Where a list of it may stand instead, the keys are the same.
    let alternatives = schema["anyOf"].as_array().filter(|_| schema.get("properties").is_none());
    let one = alternatives.and_then(|any| any.iter().find(|it| it.get("properties").is_some()));
    let schema = one.unwrap_or(schema);
    if let Some(properties) = schema["properties"].as_object() {
        assert_eq!(schema["additionalProperties"], false, "{path}");
        sections.insert(path.to_owned(), properties.keys().cloned().collect());
        for (key, property) in properties {
            sections_of_the_schema(&join(path, key), property, sections);
        }
    } else if let Some(elements) = schema.get("items") {
        sections_of_the_schema(&format!("{path}[]"), elements, sections);
    } else if let Some(members) = schema.get("additionalProperties") {
        sections_of_the_schema(&format!("{path}.NAME"), members, sections);
    }
}

#[test]
fn every_example_validates_alone_and_every_sample_as_a_file() {
    let validator = validator();
    let mut count = 0;
    for text in examples() {
        let example: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(errors(&validator, &example), Vec::<String>::new(), "{text}");
        count += 1;
    }
    assert!(count > 30, "{count}");
    for (path, text) in samples() {
        for document in serde_yaml_ng::Deserializer::from_str(&text) {
            let document = Value::deserialize(document).unwrap();
            assert_eq!(errors(&validator, &document), Vec::<String>::new(), "{}", path.display());
        }
    }
}

#[test]
fn every_sample_names_the_schema() {
    for (path, text) in samples() {
        let line = text.lines().next().unwrap();
        let schema = line.strip_prefix("# yaml-language-server: $schema=");
        let schema = schema.unwrap_or_else(|| panic!("{}: {line}", path.display()));
        let named = path.parent().unwrap().join(schema).canonicalize().unwrap();
        assert_eq!(named, root().join(FILE).canonicalize().unwrap());
    }
}

#[test]
fn a_mistake_is_found_in_every_kind_of_file_that_has_the_configuration_in_it() {
    let validator = validator();
    let wrong = change(smallest(), json!({"providers.main.introspection.timeout": 2}));
    let files = |configuration: &Value| {
        let message = json!({"@type": "type.googleapis.com/google.protobuf.Struct", "value": configuration});
        let filter = json!({"typed_config": {"@type": WASM, "config": {"configuration": message}}});
        let chain = json!({"filters": [{"typed_config": {"http_filters": [filter]}}]});
        [
            configuration.clone(),
            json!({"static_resources": {"listeners": [{"filter_chains": [chain]}]}}),
            json!({"apiVersion": "extensions.istio.io/v1alpha1", "spec": {"pluginConfig": configuration}}),
            json!({"apiVersion": "gateway.envoyproxy.io/v1alpha1", "spec": {"wasm": [{"config": configuration}]}}),
        ]
    };
    for (good, wrong) in files(&smallest()).iter().zip(files(&wrong)) {
        assert_eq!(errors(&validator, good), Vec::<String>::new(), "{good}");
        assert!(errors(&validator, &wrong)[0].ends_with("/introspection/timeout"), "{wrong}");
    }
}

#[test]
fn what_the_reader_refuses_by_its_form_the_schema_refuses_in_the_same_place() {
    let validator = validator();
    let mut count = 0;
    for (sentence, configuration, path) in mistakes() {
        let text = configuration.to_string();
        let refusals = Config::parse(text.as_bytes(), &env).expect_err(&sentence);
        assert!(refusals.iter().any(|error| error.path.starts_with(&path)), "{sentence}: {refusals:?}");
        let pointer = format!("/{path}").replace('[', "/").replace(']', "").replace('.', "/");
        let errors = errors(&validator, &configuration);
        let is_there = |error: &String| pointer.starts_with(error.as_str()) || error.starts_with(&pointer);
        assert!(errors.iter().any(is_there), "{sentence}: {pointer} is none of {errors:?}");
        count += 1;
    }
    assert!(count >= 250, "{count}");
}

/// In words, a configuration with one mistake, and the path of that.
fn mistakes() -> Vec<(String, Value, String)> {
    let mut mistakes = Vec::new();
    for Key { section, name, kind, default } in documented() {
        let (path, base) = (join(&concrete(&section), &name), with(&section));
        let wrong_type = if kind.starts_with("text") { json!(7) } else { json!("?") };
        for (problem, wrong) in [("of another type", wrong_type), ("null", json!(null))] {
            let changed = change(base.clone(), json!({(&*path): wrong}));
            mistakes.push((format!("{path} is {problem}"), changed, path.clone()));
        }
        let numbers = kind.strip_prefix("whole number from ").and_then(|range| range.split_once(" to "));
        if let Some((_, most)) = numbers {
            let more = most.parse::<u32>().unwrap() + 1;
            let changed = change(base.clone(), json!({(&*path): more}));
            mistakes.push((format!("{path} is too large"), changed, path.clone()));
        }
        if kind.starts_with("list of ES256") {
            let changed = change(base.clone(), json!({(&*path): ["none"]}));
            mistakes.push((format!("{path} has an unknown element"), changed, path.clone()));
        }
        if default == "required"
            && base.pointer(&format!("/{}", path.replace("[0]", "/0").replace('.', "/"))).is_some()
        {
            let changed = change(base, json!({(format!("-{path}")): null}));
            mistakes.push((format!("{path} is missing"), changed, concrete(&section)));
        }
    }
    let mut sections: Vec<String> = documented().into_iter().map(|key| key.section).collect();
    sections.dedup();
    for section in sections {
        let (path, base) = (concrete(&section), with(&section));
        let changed = change(base, json!({(join(&path, "no_such_key")): 1}));
        mistakes.push((format!("{path} has an unknown key"), changed, path));
    }
    mistakes
}

/// The places, as JSON Pointers, of what is wrong.
fn errors(validator: &Validator, instance: &Value) -> Vec<String> {
    let mut places = Vec::new();
    if let Err(error) = validator.schemas.validate(instance, validator.index) {
        gather(&error, &mut places);
    }
    places
}

fn gather(error: &ValidationError<'_, '_>, places: &mut Vec<String>) {
    if error.causes.is_empty() {
        places.push(error.instance_location.to_string());
    }
    error.causes.iter().for_each(|cause| gather(cause, places));
}

/// The sample and the examples for Envoy.
fn samples() -> Vec<(PathBuf, String)> {
    let folder = root().join("envoy");
    let examples = folder.join("examples").read_dir().unwrap().map(|entry| entry.unwrap().path());
    let samples: Vec<PathBuf> = examples.chain([folder.join("envoy.yaml")]).collect();
    assert!(samples.len() > 5, "{samples:?}");
    samples.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}
