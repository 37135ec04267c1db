//! The phantom token: a JWT access token (RFC 9068) made from what introspection said, signed by us.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::{Map, Value, json};

use super::compact::sign_compact;
use super::key::{SignError, Signatures, SigningKey};
use crate::policy::Permit;
use crate::token::UnixMillis;

/// How phantom tokens are made.
#[derive(Clone, Debug)]
pub struct PhantomToken {
    /// `iss`.
    pub issuer: String,
    /// `aud`; empty: the introspected one.
    pub audiences: Vec<String>,
    /// Longest life; a token never outlives the introspected `exp`.
    pub ttl: Duration,
    /// The key that signs.
    pub signing_key: SigningKey,
    /// Every key that verifies, as published: the signing key and those that are coming or going.
    pub published_keys: Vec<Map<String, Value>>,
    /// Which members of the reply become claims.
    pub claims: ClaimMapping,
    /// What stands for all of the above: a token minted under another id is not used.
    pub id: PhantomTokenId,
}

/// Which members of an introspection reply a phantom token carries. Steps in this order: `include`,
/// `exclude`, `rename`, `add`.
#[derive(Clone, Debug, Default)]
pub struct ClaimMapping {
    /// Members to take; `None` takes all.
    pub include: Option<BTreeSet<String>>,
    /// Members to leave out.
    pub exclude: BTreeSet<String>,
    /// Member to claim name.
    pub rename: BTreeMap<String, String>,
    /// Claims that every phantom token has.
    pub add: Map<String, Value>,
}

/// A fingerprint of the settings that shape phantom tokens.
pub type PhantomTokenId = [u8; 8];

/// A phantom token and its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minted {
    /// The JWT in compact form.
    pub jwt: String,
    /// Its `exp`.
    pub exp: UnixMillis,
}

impl PhantomToken {
    /// The claims that the filter itself sets; nothing from a reply or from `add` takes their place.
    pub const OWN_CLAIMS: [&str; 5] = ["aud", "exp", "iat", "iss", "jti"];

    /// The `exp` of a token minted `now` for a verdict that ends at `introspected_exp`: whole seconds.
    pub fn exp(&self, introspected_exp: Option<UnixMillis>, now: UnixMillis) -> UnixMillis {
        let exp = now.plus(self.ttl).min(introspected_exp.unwrap_or(UnixMillis::MAX));
        UnixMillis::from_secs(exp.as_secs())
    }

    /// Whether a minted token is in the last quarter of its life and a new one would live longer.
    pub fn is_running_out(
        &self,
        exp: UnixMillis,
        introspected_exp: Option<UnixMillis>,
        now: UnixMillis,
    ) -> bool {
        exp.since(now) < self.ttl / 4 && self.exp(introspected_exp, now) > exp
    }

    /// Until when a minted token does not begin to run out.
    pub fn lasts_until(&self, exp: UnixMillis, introspected_exp: Option<UnixMillis>) -> UnixMillis {
        match introspected_exp {
            Some(end) if UnixMillis::from_secs(end.as_secs()) <= exp => UnixMillis::MAX, // none would live longer
            _ => exp.minus(self.ttl / 4),
        }
    }

    /// The key set that verifies these tokens (RFC 7517 §5).
    pub fn jwks(&self) -> String {
        json!({ "keys": self.published_keys }).to_string()
    }
}

/// Makes the phantom token of a permitted request.
///
/// # Errors
///
/// [`SignError`] if the host does not sign.
pub fn mint(
    phantom_token: &PhantomToken,
    signatures: &dyn Signatures,
    permit: &Permit<'_>,
    now: UnixMillis,
) -> Result<Minted, SignError> {
    let exp = phantom_token.exp(permit.claims().exp, now);
    let mut claims = phantom_token.claims.apply(permit.claims().members());
    claims.insert("iss".to_owned(), phantom_token.issuer.as_str().into());
    claims.insert("iat".to_owned(), now.as_secs().into());
    claims.insert("exp".to_owned(), exp.as_secs().into());
    claims.insert("jti".to_owned(), random_id()?.into());
    let introspected: Vec<&str> =
        permit.claims().audiences().filter_map(|audience| std::str::from_utf8(audience).ok()).collect();
    let aud = match phantom_token.audiences.as_slice() {
        [] => json!(introspected),
        configured => json!(configured),
    };
    match aud.as_array().map(Vec::as_slice) {
        None | Some([]) => {}
        Some([one]) => _ = claims.insert("aud".to_owned(), one.clone()),
        Some(_) => _ = claims.insert("aud".to_owned(), aud),
    }
    let jwt = sign_compact(signatures, &phantom_token.signing_key, TYP, claims)?;
    Ok(Minted { jwt, exp })
}

impl ClaimMapping {
    fn apply(&self, mut members: Map<String, Value>) -> Map<String, Value> {
        // RFC 9068 §2.2 requires `sub`; a client that acts for itself is its own subject.
        if let (false, Some(client_id)) = (members.contains_key("sub"), members.get("client_id").cloned()) {
            members.insert("sub".to_owned(), client_id);
        }
        members.retain(|name, _| {
            self.include.as_ref().is_none_or(|include| include.contains(name)) && !self.exclude.contains(name)
        });
        // A member that was given a name has it before one that came with it.
        let (renamed, mut claims): (Map<_, _>, Map<_, _>) =
            members.into_iter().partition(|(name, _)| self.rename.contains_key(name));
        for (name, value) in renamed {
            claims.insert(self.rename.get(&name).cloned().unwrap_or(name), value);
        }
        claims.extend(self.add.clone());
        claims.retain(|name, _| !PhantomToken::OWN_CLAIMS.contains(&name.as_str()));
        claims
    }
}

/// 128 random bits in base64url: a `jti` (RFC 7519 §4.1.7).
pub(crate) fn random_id() -> Result<String, SignError> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|_| SignError::NoRandomness)?;
    Ok(Base64UrlUnpadded::encode_string(&id))
}

/// The type of a JWT access token (RFC 9068 §2.1).
pub(super) const TYP: &str = "at+jwt";
