//! The tables of the reference.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::yaml::{Dialect, documents};

/// The keys of each section, by its path as its heading has it: `policies.NAME.require`, `rules[]`.
pub(super) struct Reference {
    sections: BTreeMap<String, Vec<Key>>,
}

/// A line of a table.
pub(super) struct Key {
    pub(super) name: String,
    /// The column `Type`.
    pub(super) kind: String,
    default: String,
    /// The column `Meaning`, without the links.
    pub(super) meaning: String,
}

impl Reference {
    pub(super) fn of(page: &str) -> Self {
        let mut sections: BTreeMap<String, Vec<Key>> = BTreeMap::new();
        let mut section = None;
        for line in page.lines() {
            if line.starts_with('#') {
                let heading = line.trim_start_matches('#').trim();
                let path = heading.strip_prefix('`').and_then(|path| path.strip_suffix('`'));
                section = path.or_else(|| (heading == WHOLE).then_some(""));
            } else if let (Some(section), Some(key)) = (section, Key::of(line)) {
                sections.entry(section.to_owned()).or_default().push(key);
            }
        }
        Self { sections }
    }

    pub(super) fn keys_of(&self, path: &str) -> Option<&[Key]> {
        self.sections.get(path).map(Vec::as_slice)
    }
}

impl Key {
    fn of(line: &str) -> Option<Self> {
        let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
        Some(Self {
            name: cells.next()?.trim_end_matches('`').to_owned(),
            kind: cells.next()?.to_owned(),
            default: cells.next()?.to_owned(),
            meaning: without_links(cells.next()?),
        })
    }

    pub(super) fn is_required(&self) -> bool {
        self.default == "required"
    }

    /// The keys that may be there in the place of this one; one of them all must. None: it may be left out.
    pub(super) fn others(&self) -> Vec<&str> {
        let forms = ["required here or in `", "required here, in `", "this or `"];
        let others =
            forms.iter().filter_map(|words| self.default.strip_prefix(words)?.strip_suffix('`')).next();
        let others: Vec<&str> = others.map_or_else(Vec::new, |others| others.split("` or in `").collect());
        // What is not needed beside a third key is none that must be there.
        if others.iter().any(|other| other.contains('`')) { Vec::new() } else { others }
    }

    /// What counts where it is not written, if that is a value and no sentence.
    pub(super) fn default_value(&self) -> Option<Value> {
        let literal = self.default.strip_prefix('`')?.strip_suffix('`')?;
        let mut nodes = documents(literal).ok()?;
        Some(nodes.pop().map_or_else(|| "".into(), |node| node.to_json(Dialect::Kubernetes)))
    }
}

/// `[text](target)` without brackets and target.
fn without_links(markdown: &str) -> String {
    let mut parts = markdown.split("](");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        // The bracket that this link began with is the last one so far.
        if let Some(bracket) = text.rfind('[') {
            text.remove(bracket);
        }
        text.push_str(part.split_once(')').map_or(part, |(_, rest)| rest));
    }
    text
}

/// The heading of the table of the topmost keys.
const WHOLE: &str = "The whole";
