//! Digests of settings: what was made under other settings is told apart by them.

use sha2::{Digest, Sha256};

/// SHA-256 over lists of texts. Lengths go in, too, so that no two configurations look alike.
pub(crate) fn fingerprint(lists: &[&[&str]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for list in lists {
        hasher.update((list.len() as u64).to_le_bytes());
        for text in *list {
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text);
        }
    }
    hasher.finalize().into()
}

/// Pairs of texts as one list.
pub(crate) fn flat<'p>(pairs: impl IntoIterator<Item = (&'p String, &'p String)>) -> Vec<&'p str> {
    let mut texts = Vec::new();
    for (name, value) in pairs {
        texts.extend([name.as_str(), value.as_str()]);
    }
    texts
}

/// Texts as a list of them.
pub(crate) fn texts(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}
