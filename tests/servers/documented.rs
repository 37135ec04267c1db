//! The configurations that the documentation has for servers: what a user copies is what is run.

use serde_json::Value;

const SERVERS: &str = include_str!("../../docs/servers.md");
const README: &str = include_str!("../../README.md");
const REFERENCE: &str = include_str!("../../docs/configuration.md");

/// The first block in YAML under the heading of a server, and what the others under it add: how its JWTs are validated,
/// how it tells of logouts. Their policies are left out, for the checks have their own.
pub fn configuration(server: &str, replaced: &[(&'static str, String)]) -> Value {
    let mut blocks = blocks(SERVERS, &format!("\n## {server}\n"));
    let mut configuration = parse(server, blocks.next().expect("a block in YAML"), replaced);
    for block in blocks {
        let mut more = parse(server, block, &[]);
        more.as_object_mut().expect("an object").remove("policies");
        merge(&mut configuration, more);
    }
    configuration
}

/// README's smallest configuration.
pub fn smallest() -> Value {
    let block = blocks(README, "\n## The smallest configuration\n").next().expect("a block in YAML");
    parse("README", block, &[])
}

/// That of the reference for a server inside that has a public name.
pub fn inside() -> Value {
    let mut blocks = blocks(REFERENCE, "\n**A server inside that has a public name.**");
    parse("the reference", blocks.next().expect("a block in YAML"), &[])
}

fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            more.into_iter().for_each(|(key, value)| merge(into.entry(key).or_insert(Value::Null), value));
        }
        (into, more) => *into = more,
    }
}

fn blocks(document: &'static str, heading: &str) -> impl Iterator<Item = &'static str> + use<> {
    let (_, section) = document.split_once(heading).unwrap_or_else(|| panic!("no heading {heading}"));
    let section = section.split("\n## ").next().unwrap_or(section);
    section.split("```yaml\n").skip(1).filter_map(|block| Some(block.split_once("```")?.0))
}

fn parse(server: &str, block: &str, replaced: &[(&'static str, String)]) -> Value {
    let replace = |text: String, (old, new): &(&str, String)| {
        assert!(text.contains(old), "{server}: no {old}");
        text.replace(old, new)
    };
    let block = replaced.iter().fold(block.to_owned(), replace);
    serde_yaml_ng::from_str(&block).unwrap_or_else(|error| panic!("{server}: {error}"))
}
