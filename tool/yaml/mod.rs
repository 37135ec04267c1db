//! YAML with the place of every key and value. A JSON file is YAML, too.

mod parse;
mod scalar;

use std::fmt;

use serde_json::{Map, Value};

pub(crate) use parse::{Broken, documents};
pub(crate) use scalar::Dialect;
use scalar::Scalar;

/// Where something stands: line and column, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A value and where it begins.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) at: Position,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key of a map with its value; a map may have one key twice.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    /// Where the key stands.
    pub(crate) at: Position,
    pub(crate) value: Node,
}

impl Node {
    /// The entries of a map; none of anything else.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.content {
            Content::Map(entries) => entries,
            Content::Scalar(_) | Content::List(_) => &[],
        }
    }

    /// The elements of a list; none of anything else.
    pub(crate) fn items(&self) -> &[Self] {
        match &self.content {
            Content::List(items) => items,
            Content::Scalar(_) | Content::Map(_) => &[],
        }
    }

    /// All values in a map or a list.
    pub(crate) fn children(&self) -> impl Iterator<Item = &Self> {
        self.entries().iter().map(|entry| &entry.value).chain(self.items())
    }

    /// The entry of a key; of two, the last, as most readers have it. What Envoy reads may also be written in the other
    /// form that protocol buffers have for JSON: `vmId` for `vm_id`.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        let entries = self.entries();
        let is = |name: &str| entries.iter().rfind(|entry| entry.key == name);
        is(key).or_else(|| key.contains('_').then(|| is(&camel_case(key))).flatten())
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The value under these keys, one in the other.
    pub(crate) fn at(&self, keys: &[&str]) -> Option<&Self> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The text of a scalar, whatever type it may have.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(scalar) => Some(scalar.text()),
            Content::List(_) | Content::Map(_) => None,
        }
    }

    /// The text under these keys.
    pub(crate) fn text_at(&self, keys: &[&str]) -> Option<&str> {
        self.at(keys)?.text()
    }

    /// Whether it is the boolean true, in either dialect.
    pub(crate) fn is_true(&self) -> bool {
        self.to_json(Dialect::Envoy) == Value::Bool(true)
    }

    pub(crate) fn is_map(&self) -> bool {
        matches!(self.content, Content::Map(_))
    }

    /// The value as its reader would have it.
    pub(crate) fn to_json(&self, dialect: Dialect) -> Value {
        match &self.content {
            Content::Scalar(scalar) => scalar.to_json(dialect),
            Content::List(items) => items.iter().map(|item| item.to_json(dialect)).collect(),
            Content::Map(entries) => {
                let members = entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json(dialect)));
                Value::Object(members.collect::<Map<_, _>>())
            }
        }
    }

    /// The same with other places.
    pub(crate) fn moved(self, to: &dyn Fn(Position) -> Position) -> Self {
        let content = match self.content {
            Content::Scalar(scalar) => Content::Scalar(scalar),
            Content::List(items) => Content::List(items.into_iter().map(|item| item.moved(to)).collect()),
            Content::Map(entries) => {
                let moved = |entry: Entry| Entry { at: to(entry.at), value: entry.value.moved(to), ..entry };
                Content::Map(entries.into_iter().map(moved).collect())
            }
        };
        Self { at: to(self.at), content }
    }

    /// Where the first column of the first line of a literal text is (`|`), whose lines are those of the file.
    pub(crate) fn margin(&self) -> Option<Position> {
        let Content::Scalar(Scalar::Literal(text)) = &self.content else { return None };
        // The parser says where the first line that is not empty begins.
        let empty = text.len() - text.trim_start_matches('\n').len();
        Some(Position { line: self.at.line.saturating_sub(empty), ..self.at })
    }

    /// Every key of this and of what is in it that stands twice in one map, with the place of the first.
    pub(crate) fn keys_twice(&self) -> Vec<(&Entry, Position)> {
        let mut twice = Vec::new();
        for (index, entry) in self.entries().iter().enumerate() {
            let first = self.entries().iter().take(index).find(|other| other.key == entry.key);
            twice.extend(first.map(|first| (entry, first.at)));
        }
        twice.extend(self.children().flat_map(Self::keys_twice));
        twice
    }
}

/// `vm_id` as `vmId`.
fn camel_case(key: &str) -> String {
    let mut parts = key.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |name, part| {
        let (initial, rest) = part.split_at_checked(1).unwrap_or((part, ""));
        name + &initial.to_ascii_uppercase() + rest
    })
}
