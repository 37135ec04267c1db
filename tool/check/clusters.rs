//! The clusters that the configuration calls: whether they are there, and how they are reached.

use std::collections::BTreeMap;

use super::input::Document;
use crate::yaml::{Entry, Node};

/// The clusters that the files define.
pub(super) struct Clusters<'d> {
    defined: BTreeMap<&'d str, (&'d Document<'d>, &'d Node)>,
    /// Whether there may be others, from elsewhere.
    are_open: bool,
}

impl<'d> Clusters<'d> {
    pub(super) fn of(documents: &'d [Document<'d>]) -> Self {
        let mut clusters = Self { defined: BTreeMap::new(), are_open: false };
        for document in documents {
            clusters.gather(document, &document.root);
            clusters.are_open |= document.root.at(&["dynamic_resources", "cds_config"]).is_some()
                || document.root.at(&["dynamic_resources", "ads_config"]).is_some();
        }
        clusters
    }

    fn gather(&mut self, document: &'d Document<'d>, node: &'d Node) {
        let is_typed = node.text_at(&["@type"]).is_some_and(|it| it.ends_with("config.cluster.v3.Cluster"));
        let listed = node.get("clusters").into_iter().flat_map(Node::items);
        for cluster in listed.chain(is_typed.then_some(node)).chain(added(node)) {
            if let Some(name) = cluster.text_at(&["name"]) {
                self.defined.insert(name, (document, cluster));
            }
        }
        node.children().for_each(|child| self.gather(document, child));
    }

    /// A cluster by its name, and the document that it stands in.
    pub(super) fn get(&self, name: &str) -> Option<(&'d Document<'d>, &'d Node)> {
        self.defined.get(name).copied()
    }

    /// What is wrong with a name that is none of them, if all are known.
    pub(super) fn unknown(&self, name: &str) -> Option<String> {
        if self.defined.contains_key(name) || self.defined.is_empty() || self.are_open {
            return None;
        }
        let names: Vec<&str> = self.defined.keys().copied().collect();
        Some(format!("expected one of the clusters {}, got {name:?}", names.join(", ")))
    }
}

/// The cluster that a patch of a control plane adds.
fn added(node: &Node) -> Option<&Node> {
    let by_istio = node.text_at(&["applyTo"]) == Some("CLUSTER");
    let by_gateway = node.text_at(&["type"]).is_some_and(|it| it.ends_with("config.cluster.v3.Cluster"));
    match (by_istio, by_gateway) {
        (true, _) => node.at(&["patch", "value"]),
        (_, true) => node.at(&["operation", "value"]),
        (false, false) => None,
    }
}

/// Every entry of a configuration that names a cluster, with its path.
pub(super) fn named(tree: &Node) -> Vec<(String, &Entry)> {
    let mut named = Vec::new();
    for section in ["providers", "revocation"] {
        tree.get(section).into_iter().for_each(|node| gather_named(node, section, &mut named));
    }
    named
}

fn gather_named<'n>(node: &'n Node, path: &str, named: &mut Vec<(String, &'n Entry)>) {
    for entry in node.entries() {
        let path = format!("{path}.{}", entry.key);
        if entry.key == "cluster" && entry.value.text().is_some() {
            named.push((path, entry));
        } else {
            gather_named(&entry.value, &path, named);
        }
    }
    for (place, item) in node.items().iter().enumerate() {
        gather_named(item, &format!("{path}[{place}]"), named);
    }
}
