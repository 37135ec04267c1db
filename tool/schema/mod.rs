//! `schema`: a JSON Schema (2020-12) of the filter's configuration.
//!
//! It is made of the tables of `docs/configuration.md`, which tests hold against the filter's reader: so there is no other list of
//! the keys, and none of their descriptions is in the module.

mod kind;
mod reference;

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use kind::{DURATION, Kind, SECRET};
use reference::{Key, Reference};

/// The schema, or what in the reference cannot be made one.
pub(crate) fn schema() -> Result<String, String> {
    let reference = Reference::of(include_str!("../../docs/configuration.md"));
    let mut configuration = section(&reference, "")?;
    describe(&mut configuration, "The configuration of phantom-token-filter.");
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "phantom-token-filter: its configuration, alone or in a file of Envoy, Istio or Envoy Gateway",
        "if": {"anyOf": CARRIERS.map(|key| json!({"required": [key]}))},
        "then": {"$ref": "#/$defs/carrier"},
        "else": {"$ref": "#/$defs/configuration"},
        "$defs": {
            "configuration": configuration,
            "carrier": carrier(),
            "authorization": authorization(&reference)?,
            "duration": {"type": "string", "pattern": DURATION},
            "secret": secret(),
        },
    });
    Ok(format!("{schema:#}\n"))
}

/// An object with the keys of a section and no others.
fn section(reference: &Reference, path: &str) -> Result<Value, String> {
    let keys = reference.keys_of(path).ok_or_else(|| format!("no table for {path}"))?;
    let property = |key: &Key| Ok::<_, String>((key.name.clone(), property(reference, path, key)?));
    let properties: Map<String, Value> = keys.iter().map(property).collect::<Result<_, _>>()?;
    let mut schema = json!({"type": "object", "properties": properties, "additionalProperties": false});
    let required: Vec<&str> = keys.iter().filter(|key| key.is_required()).map(|key| &*key.name).collect();
    if !required.is_empty() {
        set(&mut schema, "required", json!(required));
    }
    // Those that say of each other that one of them must be there.
    let alternatives: BTreeSet<&str> = keys
        .iter()
        .filter(|key| !key.others().is_empty())
        .flat_map(|key| key.others().into_iter().chain([&*key.name]))
        .collect();
    if !alternatives.is_empty() {
        set(&mut schema, "anyOf", alternatives.iter().map(|key| json!({"required": [key]})).collect());
    }
    Ok(schema)
}

/// What a key of a section may be.
fn property(reference: &Reference, path: &str, key: &Key) -> Result<Value, String> {
    let under = if path.is_empty() { key.name.clone() } else { format!("{path}.{}", key.name) };
    let kind = Kind::of(&key.kind).ok_or_else(|| format!("{under}: no such type: {}", key.kind))?;
    let (by_name, elements) = (format!("{under}.NAME"), format!("{under}[]"));
    let mut schema = match kind {
        Kind::Object if reference.keys_of(&under).is_some() => section(reference, &under)?,
        Kind::Object if reference.keys_of(&by_name).is_some() => {
            json!({"type": "object", "additionalProperties": section(reference, &by_name)?})
        }
        Kind::ObjectOrList => {
            let one = section(reference, &under)?;
            json!({"anyOf": [one, {"type": "array", "items": one, "minItems": 1, "maxItems": MAX_SENDERS}]})
        }
        Kind::ExactlyOne(ref choices) => {
            // Those of clients are the same everywhere, and written once.
            let mut one =
                section(reference, if reference.keys_of(&under).is_some() { &under } else { WAYS })?;
            if let Some(ways) = one.get_mut("properties").and_then(Value::as_object_mut) {
                ways.retain(|way, _| choices.contains(&way.as_str()));
            }
            set(&mut one, "minProperties", json!(1));
            set(&mut one, "maxProperties", json!(1));
            one
        }
        Kind::List if reference.keys_of(&elements).is_some() => {
            json!({"type": "array", "items": section(reference, &elements)?})
        }
        _ => kind.schema(),
    };
    if key.is_required() && schema.get("type").is_some_and(|typ| typ == "array") {
        set(&mut schema, "minItems", json!(1));
    } else if key.is_required() && schema.get("additionalProperties").is_some_and(Value::is_object) {
        set(&mut schema, "minProperties", json!(1));
    }
    if let Some(default) = key.default_value() {
        set(&mut schema, "default", default);
    }
    match kind {
        // Which durations are too long, no pattern can say.
        Kind::Duration => describe(&mut schema, &format!("{} ({})", key.meaning, key.kind)),
        _ => describe(&mut schema, &key.meaning),
    }
    Ok(schema)
}

fn describe(schema: &mut Value, text: &str) {
    if !text.is_empty() {
        set(schema, "description", json!(text));
    }
}

fn set(schema: &mut Value, keyword: &str, value: Value) {
    if let Some(keywords) = schema.as_object_mut() {
        keywords.insert(keyword.to_owned(), value);
    }
}

/// A file that has the configuration somewhere in it: it is an object with `providers`. What has these under an `@type` of its
/// own is another filter's.
fn carrier() -> Value {
    json!({
        "if": {
            "type": "object",
            "required": ["providers"],
            "properties": {"providers": {"type": "object"}, "@type": false},
        },
        "then": {"$ref": "#/$defs/configuration"},
        "else": {
            "additionalProperties": {"$ref": "#/$defs/carrier"},
            "items": {"$ref": "#/$defs/carrier"},
        },
    })
}

/// A secret, or what an access token is fetched with.
fn authorization(reference: &Reference) -> Result<Value, String> {
    let fetched = json!({
        "type": "object",
        "properties": {"client_credentials": section(reference, "client_credentials")?},
        "required": ["client_credentials"],
        "additionalProperties": false,
    });
    Ok(json!({"anyOf": [{"$ref": "#/$defs/secret"}, fetched]}))
}

fn secret() -> Value {
    json!({
        "type": "object",
        "properties": {
            "env": {
                "type": "string",
                "pattern": "^[A-Za-z0-9_]+$",
                "description": "The name of a variable in the filter's environment.",
            },
            "inline": {"type": SECRET, "description": "The secret itself, or a JWK."},
        },
        "additionalProperties": false,
        "minProperties": 1,
        "maxProperties": 1,
    })
}

/// The section of the ways to authenticate as a client.
const WAYS: &str = "providers.NAME.introspection.auth";

/// Where one object may stand for a list of them, it has so many at most.
const MAX_SENDERS: usize = 16;

/// Keys that the filter does not have at the top, and files that carry its configuration do.
const CARRIERS: [&str; 10] = [
    "admin",
    "apiVersion",
    "config",
    "configuration",
    "dynamic_resources",
    "filter_chains",
    "name",
    "resources",
    "static_resources",
    "typed_config",
];
