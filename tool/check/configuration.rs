//! The filter's own configuration, read as the module reads it.

use std::cell::RefCell;
use std::collections::BTreeMap;

use clap::ValueEnum;
use phantom_token_filter::config::{Config, ConfigError};

use super::locate::{locate, place};
use super::plugin::{Form, Plugin};
use crate::finding::Finding;
use crate::keygen::{Keys, Signing};
use crate::yaml::{self, Node, Position};

/// What the module would read, and where it stands.
pub(super) struct Configuration {
    /// As a tree; `None` if there is none.
    pub(super) tree: Option<Node>,
    /// Where its key stands.
    at: Position,
    json: Vec<u8>,
}

impl Configuration {
    /// The configuration of a plugin that has one.
    pub(super) fn of(plugin: &Plugin<'_>) -> Option<Self> {
        let at = plugin.configuration?.at;
        let own = plugin.own()?;
        Some(match own.text() {
            // A text of JSON: `StringValue`, or by mistake.
            Some(text) => Self { tree: tree_of_text(own, text), at, json: text.as_bytes().to_vec() },
            None => {
                let json = own.to_json(plugin.document.dialect()).to_string().into_bytes();
                Self { tree: Some(own.clone()), at, json }
            }
        })
    }

    /// Where a path of it leads to.
    pub(super) fn place(&self, path: &str) -> Position {
        self.tree.as_ref().map_or(self.at, |tree| place(tree, self.at, path))
    }

    /// What is under these keys.
    pub(super) fn get(&self, keys: &[&str]) -> Option<&Node> {
        self.tree.as_ref()?.at(keys)
    }

    /// Whether it takes a secret from the variable of this name.
    pub(super) fn names_variable(&self, name: &str) -> bool {
        self.tree.as_ref().is_some_and(|tree| names_variable(tree, name))
    }

    /// A variable that a secret under this path comes from, and that this process does not have.
    pub(super) fn variable_not_set_here(&self, path: &str) -> Option<String> {
        let keys: Vec<&str> = path.split('.').collect();
        self.get(&keys).and_then(variable_not_set)
    }

    /// Secrets that are written into it, for all who see Envoy's configuration.
    pub(super) fn inline_secrets(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for path in ["providers", "phantom_token.signing_keys", "revocation"] {
            let keys: Vec<&str> = path.split('.').collect();
            self.get(&keys).into_iter().for_each(|node| inline_below(node, path, &mut findings));
        }
        findings
    }

    /// Reads it, with stand-ins for what the environment does not have here.
    pub(super) fn read(&self, plugin: &Plugin<'_>) -> Result<Config, Vec<Finding>> {
        let missing: RefCell<Vec<String>> = RefCell::default();
        let stand_ins = StandIns { tree: self.tree.as_ref(), made: RefCell::default() };
        let environment = |name: &str| match plugin.environment.get(name) {
            Some(Some(value)) => Some(value.clone()),
            Some(None) => std::env::var(name).ok().or_else(|| Some(stand_ins.of(name))),
            None if plugin.form == Form::DynamicModule => {
                std::env::var(name).ok().or_else(|| Some(stand_ins.of(name)))
            }
            None => {
                missing.borrow_mut().push(name.to_owned());
                None
            }
        };
        let config = Config::parse(&self.json, &environment);
        let missing = missing.take();
        config.map_err(|errors| errors.iter().map(|error| self.finding(plugin, error, &missing)).collect())
    }

    fn finding(&self, plugin: &Plugin<'_>, error: &ConfigError, missing: &[String]) -> Finding {
        let at = self.tree.as_ref().map_or(self.at, |tree| locate(tree, self.at, error));
        let path = if error.path.is_empty() { "configuration" } else { &error.path };
        let wanted =
            |name: &&String| error.problem.starts_with(&format!("expected the environment variable {name},"));
        let problem = match missing.iter().find(wanted) {
            Some(name) => {
                format!("expected the environment variable {name}, got none ({})", plugin.form.way_to_pass())
            }
            None => error.problem.clone(),
        };
        Finding::error(at, path, problem)
    }
}

fn inline(node: &Node, path: &str, findings: &mut Vec<Finding>) {
    for entry in node.entries() {
        let path = format!("{path}.{}", entry.key);
        let is_secret = entry.value.entries().len() == 1 && entry.key != "public_key";
        match entry.value.entry("inline").filter(|_| is_secret) {
            Some(inline) => {
                let problem =
                    "a secret that Envoy's admin interface and this file show; expected {env: NAME}";
                findings.push(Finding::warning(inline.at, path, problem));
            }
            None => inline_below(&entry.value, &path, findings),
        }
    }
}

fn inline_below(node: &Node, path: &str, findings: &mut Vec<Finding>) {
    inline(node, path, findings);
    for (index, item) in node.items().iter().enumerate() {
        inline_below(item, &format!("{path}[{index}]"), findings);
    }
}

fn variable_not_set(tree: &Node) -> Option<String> {
    let named = tree.text_at(&["env"]).filter(|_| tree.entries().len() == 1);
    let missing = named.filter(|name| std::env::var_os(name).is_none()).map(str::to_owned);
    missing.or_else(|| tree.children().find_map(variable_not_set))
}

fn names_variable(tree: &Node, name: &str) -> bool {
    tree.text_at(&["env"]) == Some(name) || tree.children().any(|child| names_variable(child, name))
}

/// The tree of a JSON text; of one in a block, with the places of the file.
fn tree_of_text(own: &Node, text: &str) -> Option<Node> {
    let tree = yaml::documents(text).ok()?.into_iter().next().filter(Node::is_map)?;
    Some(match own.margin() {
        Some(margin) => tree
            .moved(&|at| Position { line: at.line + margin.line - 1, column: at.column + margin.column - 1 }),
        None => tree.moved(&|_| own.at),
    })
}

/// Values that are read as those would be that are not here: a key of the algorithm that is named beside it, and else a
/// text as long as secrets should be.
struct StandIns<'n> {
    tree: Option<&'n Node>,
    made: RefCell<BTreeMap<String, String>>,
}

impl StandIns<'_> {
    fn of(&self, name: &str) -> String {
        let make = || self.tree.and_then(|tree| key_named(tree, name)).unwrap_or_else(|| "x".repeat(64));
        self.made.borrow_mut().entry(name.to_owned()).or_insert_with(make).clone()
    }
}

/// A key for the place in this tree where the variable stands for one.
fn key_named(tree: &Node, name: &str) -> Option<String> {
    let here = tree.entries().iter().find_map(|entry| {
        let is_named = entry.value.text_at(&["env"]) == Some(name);
        if !is_named || !["private_key", "public_key"].contains(&entry.key.as_str()) {
            return None;
        }
        let alg = tree.text_at(&["alg"]).unwrap_or("ES256");
        let keys = Keys::generate(Signing::from_str(alg, false).ok()?)?;
        if entry.key == "public_key" { keys.public() } else { Some(keys.private()) }
    });
    here.or_else(|| tree.children().find_map(|child| key_named(child, name)))
}
