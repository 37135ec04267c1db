//! The filter as a file configures it, ready to judge.

use std::rc::Rc;

use phantom_token_filter::config::Config;

use super::configuration::Configuration;
use super::input::{Document, File};
use super::plugin::Plugin;
use super::{NOTHING, plugins};
use crate::finding::Finding;
use crate::yaml::{Dialect, Node, Position};

/// A good configuration, and where its rules stand.
pub(crate) struct Configured {
    pub(crate) config: Rc<Config>,
    /// How often the file configures the filter; this is the first.
    pub(crate) count: usize,
    rules: Vec<(String, String)>,
}

impl Configured {
    /// The first in a file, or all that is wrong with it.
    pub(crate) fn first_in(file: &File) -> Result<Self, Vec<Finding>> {
        let documents = Document::all(file).map_err(|finding| vec![finding])?;
        let plugins = plugins(&documents);
        let nothing = || vec![Finding::error(Position { line: 1, column: 1 }, "file", NOTHING)];
        let plugin = plugins.first().ok_or_else(nothing)?;
        let configuration = Configuration::of(plugin).ok_or_else(nothing)?;
        let config = configuration.read(plugin)?;
        let rules = configuration.get(&["rules"]).into_iter().flat_map(Node::items);
        let rules = rules.map(|rule| described(plugin, rule)).collect();
        Ok(Self { config: Rc::new(config), count: plugins.len(), rules })
    }

    /// Where a rule stands, and what it matches.
    pub(crate) fn rule(&self, index: usize) -> (&str, &str) {
        self.rules.get(index).map_or(("", ""), |(at, text)| (at, text))
    }
}

fn described(plugin: &Plugin<'_>, rule: &Node) -> (String, String) {
    let matches = rule.get("match").map(|node| node.to_json(Dialect::Envoy).to_string());
    (
        format!("{}:{}", plugin.document.file.name, rule.at),
        matches.unwrap_or_else(|| "whatever comes".to_owned()),
    )
}
