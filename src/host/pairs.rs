//! Maps as the ABI has them: a count, the lengths of all texts, then each text with a zero behind it.

use crate::bytes::Reader;

/// The form of these pairs.
pub(super) fn write(pairs: &[(&str, &str)]) -> Vec<u8> {
    let len = |text: &str| u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes();
    let mut bytes = Vec::with_capacity(256);
    bytes.extend_from_slice(&u32::try_from(pairs.len()).unwrap_or(u32::MAX).to_le_bytes());
    for (name, value) in pairs {
        bytes.extend_from_slice(&len(name));
        bytes.extend_from_slice(&len(value));
    }
    for text in pairs.iter().flat_map(|(name, value)| [name, value]) {
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
    }
    bytes
}

/// The pairs of that form; `None` if it is another. Names that are no text are left out: no header has such a one.
pub(super) fn read(bytes: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let mut lengths = Reader::new(bytes);
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let count = usize::try_from(lengths.u32()?).ok()?;
    let mut texts = lengths;
    texts.take(count.checked_mul(8)?)?;
    let mut pairs = Vec::with_capacity(count);
    for _ in 0..count {
        let mut text = || {
            let text = texts.take(usize::try_from(lengths.u32()?).ok()?)?;
            texts.u8()?;
            Some(text)
        };
        let (name, value) = (text()?, text()?);
        if let Ok(name) = std::str::from_utf8(name) {
            pairs.push((name.to_owned(), value.to_vec()));
        }
    }
    Some(pairs)
}
