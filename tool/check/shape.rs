//! Keys that a resource does not have: Kubernetes drops them without a word.

use crate::finding::Finding;
use crate::yaml::Node;

/// Every key of a part of a resource that it does not have; `hint` says what it cannot carry.
pub(super) fn unknown_keys(node: &Node, path: &str, known: &[&str], hint: &str) -> Vec<Finding> {
    let unknown = node.entries().iter().filter(|entry| !known.contains(&entry.key.as_str()));
    unknown
        .map(|entry| {
            let problem = format!("expected one of {}, got {:?} ({hint})", known.join(", "), entry.key);
            Finding::error(entry.at, path, problem)
        })
        .collect()
}
