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

/// Every value of this name in that form.
pub(super) fn values<'b>(bytes: &'b [u8], name: &str) -> impl Iterator<Item = &'b [u8]> {
    read(bytes).filter(move |(other, _)| *other == name.as_bytes()).map(|(_, value)| value)
}

/// The pairs of that form, as far as it is one.
fn read(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut lengths = Reader::new(bytes);
    let count = lengths.u32().and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
    let mut texts = lengths;
    let has_lengths = count.checked_mul(8).and_then(|len| texts.take(len)).is_some();
    (0..count).take_while(move |_| has_lengths).map_while(move |_| {
        let mut text = || {
            let text = texts.take(usize::try_from(lengths.u32()?).ok()?)?;
            texts.u8()?;
            Some(text)
        };
        Some((text()?, text()?))
    })
}
