//! `cnf` (RFC 7800 §3.1): what a token is bound to. Read once, when a verdict comes; a hit reads bytes.

use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::{Map, Value};

use crate::bytes::Reader;

/// SHA-256 of a key (`jkt`, RFC 9449 §6) or of a certificate (`x5t#S256`, RFC 8705 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thumbprint(pub [u8; 32]);

impl Thumbprint {
    /// Reads base64url without padding, as both RFCs have it.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        let decoded = Base64UrlUnpadded::decode(text, &mut bytes).ok()?;
        (decoded.len() == 32).then_some(Self(bytes))
    }
}

/// What the sender of a token must show to have. Each part that is there must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// What of `cnf` can be verified; one of the two is there.
    Bound {
        /// The key that signs DPoP proofs.
        key: Option<Thumbprint>,
        /// The certificate that its client shows in TLS.
        certificate: Option<Thumbprint>,
    },
    /// Nobody can tell what: nothing in it is understood, or what is understood cannot be read.
    Unverifiable,
}

impl Confirmation {
    /// What the claims of a token, or what is said of it, bind it to. Members of `cnf` that are not understood are left
    /// aside (RFC 7800 §3.1), but not if they are all that there is. A token that is called one of DPoP and names no key
    /// is bound all the same (RFC 9449 §6.2).
    pub(crate) fn of(members: &Map<String, Value>) -> Option<Self> {
        let is_dpop = members.get("token_type").and_then(Value::as_str).is_some_and(is_dpop);
        let Some(cnf) = members.get("cnf").filter(|cnf| !cnf.is_null()) else {
            return is_dpop.then_some(Self::Unverifiable);
        };
        Some(Self::read(cnf, is_dpop).unwrap_or(Self::Unverifiable))
    }

    fn read(cnf: &Value, is_dpop: bool) -> Option<Self> {
        let cnf = cnf.as_object()?;
        let thumbprint = |name| match cnf.get(name) {
            None | Some(Value::Null) => Some(None),
            Some(value) => value.as_str().and_then(Thumbprint::parse).map(Some),
        };
        let (key, certificate) = (thumbprint("jkt")?, thumbprint("x5t#S256")?);
        let is_bound = key.is_some() || certificate.is_some() && !is_dpop;
        is_bound.then_some(Self::Bound { key, certificate })
    }

    /// Whether DPoP has a part in it.
    pub fn needs_key(&self) -> bool {
        matches!(self, Self::Bound { key: Some(_), .. })
    }

    /// Appends the flat form: which parts there are, and they.
    pub(crate) fn write(confirmation: Option<Self>, flat: &mut Vec<u8>) {
        let (key, certificate) = match confirmation {
            None => return flat.push(UNBOUND),
            Some(Self::Unverifiable) => return flat.push(UNVERIFIABLE),
            Some(Self::Bound { key, certificate }) => (key, certificate),
        };
        let bit = |part: Option<Thumbprint>, bit| if part.is_some() { bit } else { 0 };
        flat.push(bit(key, KEY) | bit(certificate, CERTIFICATE));
        [key, certificate].into_iter().flatten().for_each(|part| flat.extend_from_slice(&part.0));
    }

    /// Reads the flat form. Outer `None`: it is none.
    pub(crate) fn take(reader: &mut Reader<'_>) -> Option<Option<Self>> {
        let kind = reader.u8()?;
        match kind {
            UNBOUND => return Some(None),
            UNVERIFIABLE => return Some(Some(Self::Unverifiable)),
            kind if kind & !(KEY | CERTIFICATE) != 0 => return None,
            _ => {}
        }
        let mut part = |bit| match kind & bit {
            0 => Some(None),
            _ => reader.array().map(|bytes| Some(Thumbprint(bytes))),
        };
        let (key, certificate) = (part(KEY)?, part(CERTIFICATE)?);
        Some(Some(Self::Bound { key, certificate }))
    }
}

fn is_dpop(token_type: &str) -> bool {
    token_type.eq_ignore_ascii_case("dpop")
}

const UNBOUND: u8 = 0;
const UNVERIFIABLE: u8 = 1;
const KEY: u8 = 2;
const CERTIFICATE: u8 = 4;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const A: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    const B: &str = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    fn of(members: &Value) -> Option<Confirmation> {
        let confirmation = Confirmation::of(members.as_object().unwrap());
        let mut flat = Vec::new();
        Confirmation::write(confirmation, &mut flat);
        let mut reader = Reader::new(&flat);
        assert_eq!(Confirmation::take(&mut reader), Some(confirmation), "{members}");
        assert!(reader.rest().is_empty());
        for cut in 0..flat.len() {
            assert_eq!(Confirmation::take(&mut Reader::new(&flat[..cut])), None, "{members}");
        }
        confirmation
    }

    #[test]
    fn what_is_understood_binds_and_what_is_not_is_left_aside_but_never_everything() {
        let bound = |key: bool, certificate: bool| {
            let part = |is_there: bool, byte| {
                is_there.then(|| {
                    let mut bytes = [0; 32];
                    bytes[0] = byte;
                    Thumbprint(bytes)
                })
            };
            Some(Confirmation::Bound { key: part(key, 0), certificate: part(certificate, 1) })
        };
        let unverifiable = Some(Confirmation::Unverifiable);
        for (members, wanted) in [
            (json!({}), None),
            (json!({"cnf": null}), None),
            (json!({"token_type": "Bearer"}), None),
            (json!({"cnf": {"jkt": A}}), bound(true, false)),
            (json!({"cnf": {"x5t#S256": B}}), bound(false, true)),
            (json!({"cnf": {"jkt": A, "x5t#S256": B}}), bound(true, true)),
            (json!({"cnf": {"jkt": A, "kc-jkt-type": "DPoP"}, "token_type": "DPoP"}), bound(true, false)),
            (json!({"cnf": {"jkt": null, "x5t#S256": B}}), bound(false, true)),
            (json!({"cnf": {}}), unverifiable),
            (json!({"cnf": {"jwk": {"kty": "EC"}}}), unverifiable),
            (json!({"cnf": {"kid": "k", "x5t": A}}), unverifiable),
            (json!({"cnf": {"jkt": null}}), unverifiable),
            (json!({"cnf": {"jkt": format!("{A}=")}}), unverifiable),
            (json!({"cnf": {"jkt": &A[1..]}}), unverifiable),
            (json!({"cnf": {"jkt": format!("{A}AA")}}), unverifiable),
            (json!({"cnf": {"jkt": 1, "x5t#S256": B}}), unverifiable),
            (json!({"cnf": {"jkt": "", "x5t#S256": B}}), unverifiable),
            (json!({"cnf": {"jkt": A, "x5t#S256": [B]}}), unverifiable),
            (json!({"cnf": A}), unverifiable),
            (json!({"cnf": [{"jkt": A}]}), unverifiable),
            (json!({"cnf": false}), unverifiable),
            (json!({"token_type": "dPoP"}), unverifiable),
            (json!({"token_type": "DPoP", "cnf": {"x5t#S256": B}}), unverifiable),
        ] {
            assert_eq!(of(&members), wanted, "{members}");
        }
    }
}
