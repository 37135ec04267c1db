//! The configurations of `docs/servers.md`: what a user copies is what is run.

use serde_json::Value;

const DOCUMENT: &str = include_str!("../../docs/servers.md");

/// The first block in YAML under the heading of a server.
pub fn configuration(server: &str, replaced: &[(&'static str, String)]) -> Value {
    let (_, section) =
        DOCUMENT.split_once(&format!("\n## {server}")).unwrap_or_else(|| panic!("no heading {server}"));
    let (_, block) = section.split_once("```yaml\n").expect("a block in YAML");
    let (block, _) = block.split_once("```").expect("its end");
    let replace = |text: String, (old, new): &(&str, String)| {
        assert!(text.contains(old), "{server}: no {old}");
        text.replace(old, new)
    };
    let block = replaced.iter().fold(block.to_owned(), replace);
    serde_yaml_ng::from_str(&block).unwrap_or_else(|error| panic!("{server}: {error}"))
}
