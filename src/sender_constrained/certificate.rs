//! The certificate that a client has shown (RFC 8705 §3): in TLS to Envoy itself, or to a proxy in front, which says so in
//! `x-forwarded-client-cert`.

use super::confirmation::Thumbprint;
use crate::bytes::hex_byte;
use crate::request::RequestView;

/// Who has seen the certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificate {
    /// Envoy, on the request's connection.
    #[default]
    Connection,
    /// A proxy in front: it is that of an element of `x-forwarded-client-cert`. Only as good as what Envoy lets pass there.
    Forwarded {
        /// Which element, from 0: the first was written by the proxy that is nearest to the client.
        element: usize,
    },
}

impl ClientCertificate {
    /// The SHA-256 of the client's certificate; `None` if there is none, or nobody can tell.
    pub(super) fn thumbprint(self, request: &dyn RequestView) -> Option<Thumbprint> {
        match self {
            Self::Connection => hex(&request.peer_certificate_digest()?),
            Self::Forwarded { element } => {
                // Several copies are one list (RFC 9110 §5.3).
                let value = request.copies("x-forwarded-client-cert").join(&b","[..]);
                hex(&forwarded_hash(&value, element)?)
            }
        }
    }
}

/// `Hash` of an element of `x-forwarded-client-cert`. All of the header must be well formed, for what is broken may be so to
/// be read in two ways.
pub(crate) fn forwarded_hash(value: &[u8], wanted: usize) -> Option<Vec<u8>> {
    if value.len() > MAX_HEADER_BYTES {
        return None;
    }
    let (mut rest, mut element) = (value, 0);
    let mut hashes = Vec::new();
    loop {
        let (key, after) = key(rest)?;
        let (text, after) = text(after)?;
        if element == wanted && key.eq_ignore_ascii_case(b"hash") {
            hashes.push(text);
        }
        let Some((end, after)) = after.split_first() else { break };
        rest = after;
        match end {
            b';' => {}
            b',' => {
                element += 1;
                rest = rest.trim_ascii_start();
            }
            _ => return None,
        }
    }
    // A name in the certificate may have brought another.
    let is_only = hashes.len() == 1;
    hashes.pop().filter(|_| is_only)
}

/// The key of a pair, up to its `=`.
fn key(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = rest.iter().position(|byte| *byte == b'=')?;
    let (key, after) = rest.split_at_checked(end)?;
    let is_key = !key.is_empty() && key.iter().all(u8::is_ascii_alphabetic);
    is_key.then_some((key, after.get(1..)?))
}

/// The value of a pair, and what follows: in quotes, in which a backslash escapes, or as it is.
fn text(rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let Some(quoted) = rest.strip_prefix(b"\"") else {
        let end = rest.iter().position(|byte| matches!(byte, b',' | b';')).unwrap_or(rest.len());
        let (text, after) = rest.split_at_checked(end)?;
        return (!text.contains(&b'"')).then(|| (text.to_vec(), after));
    };
    let mut text = Vec::new();
    let mut bytes = quoted.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some((text, quoted.get(at + 1..)?)),
            b'\\' => text.push(*bytes.next()?.1),
            byte => text.push(*byte),
        }
    }
    None
}

/// Reads 64 hex digits.
fn hex(digits: &[u8]) -> Option<Thumbprint> {
    let mut bytes = [0; 32];
    let (pairs, rest) = digits.as_chunks::<2>();
    if pairs.len() != bytes.len() || !rest.is_empty() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        *byte = hex_byte(*pair)?;
    }
    Some(Thumbprint(bytes))
}

/// A chain of certificates is some ten thousand bytes.
const MAX_HEADER_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(value: &str, element: usize) -> Option<String> {
        forwarded_hash(value.as_bytes(), element).map(|hash| String::from_utf8(hash).unwrap())
    }

    #[test]
    fn the_hash_of_the_configured_element_is_found_and_no_other() {
        let two = r#"By=spiffe://a/b;Hash=aa;Subject="CN=\"x\";Hash=zz,O=y";URI=,By=;Hash=bb;Cert="-----""#;
        assert_eq!(hash(two, 0).as_deref(), Some("aa"));
        assert_eq!(hash(two, 1).as_deref(), Some("bb"));
        assert_eq!(hash(two, 2), None);
        assert_eq!(hash("Hash=aa, Hash=bb", 1).as_deref(), Some("bb"));
        assert_eq!(hash("hash=\"aa\"", 0).as_deref(), Some("aa"));
        assert_eq!(hash("URI=spiffe://a/b?c=d;Hash=aa", 0).as_deref(), Some("aa"));
    }

    #[test]
    fn what_is_not_well_formed_or_not_clear_says_nothing() {
        for value in [
            "",
            "Hash",
            "=aa",
            "Hash=aa;",
            "Hash=aa,",
            ",Hash=aa",
            ";Hash=aa",
            "Hash=aa;Hash=aa",
            "Hash=aa;hash=bb",
            "Hash=\"aa",
            "Hash=\"aa\\",
            "Hash=\"aa\"b",
            "Hash=a\"a",
            "Hash=aa;Subject=\"CN=x",
            "Hash=aa;Subject=\"CN=x\"\"",
            "Hash=aa,Hash=bb,x",
            "Ha sh=aa",
            "Hash =aa",
            // As a SAN may have it, which Envoy does not quote.
            "By=a;Hash=aa;URI=spiffe://a;Hash=bb",
        ] {
            assert_eq!(hash(value, 0), None, "{value}");
        }
        assert_eq!(hash(&format!("Hash=aa;Cert=\"{}\"", "x".repeat(70_000)), 0), None);
    }

    #[test]
    fn a_digest_is_64_hex_digits() {
        assert_eq!(hex("00".repeat(32).as_bytes()), Some(Thumbprint([0; 32])));
        assert_eq!(hex("aF".repeat(32).as_bytes()), Some(Thumbprint([0xaf; 32])));
        for other in [
            "",
            "0",
            &"00".repeat(31),
            &"00".repeat(33),
            &"0g".repeat(32),
            &" 0".repeat(32),
            &"+1".repeat(32),
        ] {
            assert_eq!(hex(other.as_bytes()), None, "{other}");
        }
    }
}
