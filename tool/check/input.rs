//! What is checked: all documents of all files, as one.

use std::fs;
use std::io;

use crate::finding::Finding;
use crate::yaml::{self, Dialect, Node};

/// A file as it was read.
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) text: String,
}

impl File {
    /// The file of this name; `-` is the standard input.
    pub(crate) fn read(name: &str) -> io::Result<Self> {
        let text = if name == "-" { io::read_to_string(io::stdin())? } else { fs::read_to_string(name)? };
        Ok(Self { name: name.to_owned(), text })
    }
}

/// A document of a file.
pub(crate) struct Document<'f> {
    pub(crate) file: &'f File,
    pub(crate) root: Node,
}

impl<'f> Document<'f> {
    /// The documents of a file, the items of lists among them, or why it is none.
    pub(crate) fn all(file: &'f File) -> Result<Vec<Self>, Finding> {
        let broken = |broken: yaml::Broken| {
            Finding::error(broken.at, "file", format!("expected YAML: {}", broken.reason))
        };
        let roots = yaml::documents(&file.text).map_err(broken)?;
        let roots = roots.into_iter().flat_map(|root| match (root.text_at(&["kind"]), root.get("items")) {
            (Some(kind), Some(items)) if kind.ends_with("List") => items.items().to_vec(),
            _ => vec![root],
        });
        Ok(roots.map(|root| Document { file, root }).collect())
    }

    /// What Envoy does not read of a file: of its own, it reads the first document alone, and says nothing of others.
    pub(super) fn unread(documents: &[Self]) -> Option<Finding> {
        let [_, second, ..] = documents else { return None };
        let problem = "expected one document in a file of Envoy's, got another: Envoy reads the first alone";
        let is_envoys = documents.iter().any(|document| document.dialect() == Dialect::Envoy);
        is_envoys.then(|| Finding::error(second.root.at, "file", problem))
    }

    /// What it is, if it is a resource of Kubernetes.
    pub(crate) fn kind(&self) -> Option<&str> {
        self.root.get("apiVersion")?;
        self.root.text_at(&["kind"])
    }

    /// Who reads it.
    pub(crate) fn dialect(&self) -> Dialect {
        if self.kind().is_some() { Dialect::Kubernetes } else { Dialect::Envoy }
    }

    /// The resource's name.
    pub(crate) fn name(&self) -> &str {
        self.root.text_at(&["metadata", "name"]).unwrap_or_default()
    }

    /// The resource's namespace.
    pub(crate) fn namespace(&self) -> &str {
        self.root.text_at(&["metadata", "namespace"]).unwrap_or("default")
    }
}
