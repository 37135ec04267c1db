//! JWTs as they come in: taken apart, and not believed.
//!
//! Only the compact serialization of a JWS exists here (RFC 7515 §7.1, RFC 8725 §3.12 of its revision). What a
//! header says of keys (`jwk`, `jku`, `x5c`, `x5u`) is not even read: keys come from a [`KeySet`](super::KeySet)
//! alone. The exception is [`OwnKeyJwt`](super::OwnKeyJwt), which reads `jwk`.

use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::{Map, Value};

use crate::json;
use crate::token::{AccessToken, canonical};

/// A JWT whose form is right and whose signature nobody has checked. `Debug` shows only its header.
#[derive(Clone, PartialEq, Eq)]
pub struct UntrustedJwt<'t> {
    /// `header.payload`, as it was signed (RFC 7515 §5.2).
    signing_input: &'t [u8],
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl<'t> UntrustedJwt<'t> {
    /// Takes a JWT apart: exactly three parts, base64url without padding, white space or stray bits, and a
    /// header whose members are unique. A payload that is no JSON object is found out only when the signature
    /// has held ([`KeySet::verify`](super::KeySet::verify)).
    ///
    /// # Errors
    ///
    /// [`MalformedJwt`] with what is wrong; never with the text.
    pub fn parse(text: &'t [u8]) -> Result<Self, MalformedJwt> {
        Self::with_header(text).map(|(jwt, _)| jwt)
    }

    /// As [`parse`](Self::parse), with the whole header.
    pub(super) fn with_header(text: &'t [u8]) -> Result<(Self, Map<String, Value>), MalformedJwt> {
        if text.len() > MAX_JWT_LEN {
            return Err(MalformedJwt::TooLong);
        }
        let (signing_input, parts) = split(text).ok_or(MalformedJwt::NotCompact)?;
        if parts[0].len() > MAX_HEADER_LEN {
            return Err(MalformedJwt::TooLong);
        }
        let [header, payload, signature] = parts.map(decode);
        let (header, payload, signature) = (header?, payload?, signature?);
        let header = json::object(&header).map_err(|_| MalformedJwt::NoHeader)?;
        // RFC 7515 §4.1.11: what `crit` names must be understood, and no extension is. RFC 7797's `b64` changes
        // what is signed, so it is refused even where it was left out of `crit`.
        if header.contains_key("crit") || header.contains_key("b64") {
            return Err(MalformedJwt::Extension);
        }
        let jwt = Self {
            signing_input,
            alg: text_member(&header, "alg")?.ok_or(MalformedJwt::BadMember("alg"))?,
            kid: text_member(&header, "kid")?,
            typ: text_member(&header, "typ")?,
            payload,
            signature,
        };
        Ok((jwt, header))
    }

    /// The name of the algorithm that the header claims (RFC 7515 §4.1.1); may be `none` or nonsense.
    pub fn alg(&self) -> &str {
        &self.alg
    }

    /// The name of the key that the header claims (RFC 7515 §4.1.4).
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The type that the header claims (RFC 7515 §4.1.9).
    pub fn typ(&self) -> Option<&str> {
        self.typ.as_deref()
    }

    /// Whether the header claims the type `wanted`; an empty one is that of a JWT that says none.
    pub fn is_of_type(&self, wanted: &str) -> bool {
        is_type(self.typ(), wanted)
    }

    /// The `iss` of the payload, which anyone may have written: good for choosing whose keys to try, and for
    /// nothing else. `None` if there is no such string.
    pub fn issuer_unchecked(&self) -> Option<String> {
        match json::object(&self.payload).ok()?.remove("iss")? {
            Value::String(issuer) => Some(issuer),
            _ => None,
        }
    }

    pub(super) fn signing_input(&self) -> &'t [u8] {
        self.signing_input
    }

    pub(super) fn signature(&self) -> &[u8] {
        &self.signature
    }

    pub(super) fn payload_unchecked(&self) -> &[u8] {
        &self.payload
    }
}

impl fmt::Debug for UntrustedJwt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UntrustedJwt(alg {:?}, kid {:?}, typ {:?})", self.alg, self.kid, self.typ)
    }
}

/// The claims of a token that some server may take for a JWT, however it reads one: with padding, stray bits, an end that it drops,
/// or a header that says nothing here. What its issuer has signed is the text of header and payload; the rest anyone may spell as
/// he likes. And anyone may have written all of it: good for refusing and for choosing who judges, and for nothing else.
pub(crate) fn claims_unchecked(token: &AccessToken) -> Option<Map<String, Value>> {
    let payload = canonical(token.secret().split('.').nth(1)?);
    json::object(&decode(&payload).ok()?).ok()
}

/// Whether a text has the form of a JWT: three parts in base64url, the first a JSON object with `alg`.
///
/// An opaque token with two dots in it does not, and neither does a JWE, which has five parts. Says nothing of
/// whether [`UntrustedJwt::parse`] accepts it.
pub fn looks_like_jwt(text: &[u8]) -> bool {
    let is_base64url =
        |part: &[u8]| part.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte));
    split(text).is_some_and(|(_, [header, payload, signature])| {
        header.len() <= MAX_HEADER_LEN
            && is_base64url(payload)
            && is_base64url(signature)
            && decode(header)
                .is_ok_and(|header| json::object(&header).is_ok_and(|header| header.contains_key("alg")))
    })
}

/// Why a text is no JWT that could be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MalformedJwt {
    /// A header member is absent that must be there, or is no string.
    BadMember(&'static str),
    /// A part is not base64url as RFC 7515 §2 has it: no padding, no white space, no stray bits.
    Encoding,
    /// The header has `crit` or `b64`.
    Extension,
    /// The header is no JSON object, or has a member twice (RFC 7515 §4).
    NoHeader,
    /// Not three parts: an encrypted JWT, the JSON serialization, or no JWT at all.
    NotCompact,
    /// The header is over 8 KiB, or the whole over 1 MiB.
    TooLong,
}

impl fmt::Display for MalformedJwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadMember(name) => write!(f, "expected a JWT header with the string {name:?}, got another"),
            Self::Encoding => {
                f.write_str("expected three parts in base64url, got something else in one of them")
            }
            Self::Extension => {
                f.write_str("expected a JWT without extensions, got one with \"crit\" or \"b64\"")
            }
            Self::NoHeader => {
                f.write_str("expected a JSON object with unique members as JWT header, got none")
            }
            Self::NotCompact => f.write_str("expected a JWT of three parts, got another number"),
            Self::TooLong => {
                f.write_str("expected a JWT of at most 1 MiB, its header of at most 8 KiB, got more")
            }
        }
    }
}

/// Types are media types: compared without case, and without the `application/` that may be left out
/// (RFC 7515 §4.1.9).
pub(crate) fn is_type(typ: Option<&str>, wanted: &str) -> bool {
    short_type(typ.unwrap_or_default()).eq_ignore_ascii_case(short_type(wanted))
}

fn short_type(typ: &str) -> &str {
    match typ.split_at_checked(APPLICATION.len()) {
        Some((prefix, short)) if prefix.eq_ignore_ascii_case(APPLICATION) => short,
        _ => typ,
    }
}

/// What is signed, and the three parts.
fn split(text: &[u8]) -> Option<(&[u8], [&[u8]; 3])> {
    let last_dot = text.iter().rposition(|&byte| byte == b'.')?;
    let (signing_input, signature) = (text.get(..last_dot)?, text.get(last_dot + 1..)?);
    let mut parts = signing_input.split(|&byte| byte == b'.');
    let (header, payload) = (parts.next()?, parts.next()?);
    parts.next().is_none().then_some((signing_input, [header, payload, signature]))
}

fn decode(part: &[u8]) -> Result<Vec<u8>, MalformedJwt> {
    let text = std::str::from_utf8(part).map_err(|_| MalformedJwt::Encoding)?;
    Base64UrlUnpadded::decode_vec(text).map_err(|_| MalformedJwt::Encoding)
}

fn text_member(header: &Map<String, Value>, name: &'static str) -> Result<Option<String>, MalformedJwt> {
    match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(MalformedJwt::BadMember(name)),
    }
}

const APPLICATION: &str = "application/";

/// Longest header, encoded. A real one is some hundred bytes; with a certificate chain that nobody reads, a few
/// thousand.
const MAX_HEADER_LEN: usize = 8 * 1024;

/// Longest JWT. Callers bound access tokens far below; this is for status lists.
const MAX_JWT_LEN: usize = 1024 * 1024;
