//! The configurations of `docs/servers.md`: what a user copies is what is run.

use serde_json::Value;

const DOCUMENT: &str = include_str!("../../docs/servers.md");

/// The first block in YAML under the heading of a server; how its JWTs are validated from the second, if there is one.
pub fn configuration(server: &str, replaced: &[(&'static str, String)]) -> Value {
    let mut blocks = blocks(server);
    let mut configuration = parse(server, blocks.next().expect("a block in YAML"), replaced);
    if let Some(validating) = blocks.next().map(|block| parse(server, block, &[])) {
        for key in ["jwks", "jwt"] {
            let value = &validating["providers"]["main"][key];
            if !value.is_null() {
                configuration["providers"]["main"][key] = value.clone();
            }
        }
    }
    configuration
}

fn blocks(server: &str) -> impl Iterator<Item = &'static str> {
    let heading = format!("\n## {server}\n");
    let (_, section) = DOCUMENT.split_once(&heading).unwrap_or_else(|| panic!("no heading {server}"));
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
