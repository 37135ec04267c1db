//! Where in a file the filter's own configuration has what one of its errors is about.

use phantom_token_filter::config::ConfigError;

use crate::yaml::{Node, Position};

/// The place of an error in a configuration whose key stands at `start`; of what is not there, the key of what it should
/// be in.
pub(super) fn locate(root: &Node, start: Position, error: &ConfigError) -> Position {
    let (node, at) = follow(root, start, &error.path);
    let unknown = error.unknown_key.as_ref().and_then(|key| node.entry(key));
    unknown.map_or(at, |entry| entry.at)
}

/// The place that a path leads to.
pub(super) fn place(root: &Node, start: Position, path: &str) -> Position {
    follow(root, start, path).1
}

fn follow<'n>(root: &'n Node, start: Position, path: &str) -> (&'n Node, Position) {
    let (mut node, mut at, mut rest) = (root, start, path);
    while let Some((next, place, left)) = step(node, rest) {
        (node, at, rest) = (next, place, left);
    }
    (node, at)
}

/// One key or index further: keys may have dots, too, so the longest that fits is taken.
fn step<'n, 'p>(node: &'n Node, path: &'p str) -> Option<(&'n Node, Position, &'p str)> {
    if let Some((index, rest)) = path.strip_prefix('[').and_then(|path| path.split_once(']')) {
        let item = node.items().get(index.parse::<usize>().ok()?)?;
        return Some((item, item.at, rest.strip_prefix('.').unwrap_or(rest)));
    }
    let fits = |key: &str| {
        let rest = path.strip_prefix(key).filter(|_| !key.is_empty())?;
        (rest.is_empty() || rest.starts_with(['.', '['])).then(|| rest.strip_prefix('.').unwrap_or(rest))
    };
    let entries = node.entries().iter().filter_map(|entry| Some((entry, fits(&entry.key)?)));
    let (entry, rest) = entries.max_by_key(|(entry, _)| entry.key.len())?;
    let at = if entry.value.text().is_some_and(|text| !text.is_empty()) { entry.value.at } else { entry.at };
    Some((&entry.value, at, rest))
}
