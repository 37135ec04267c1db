//! The phantom token: a JWT access token (RFC 9068) made from what introspection said, signed by us.

use std::time::Duration;

use litemap::LiteMap;
use serde_json::{Map, Value, json};

use super::compact::sign_compact;
use super::jti::random_id;
use super::key::{SignError, Signatures, SigningKey};
use super::minted::{Minted, PhantomTokenId};
use crate::claims;
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
    pub include: Option<Vec<String>>,
    /// Members to leave out.
    pub exclude: Vec<String>,
    /// Member to claim name.
    pub rename: LiteMap<String, String>,
    /// Claims that every phantom token has.
    pub add: Map<String, Value>,
}

impl PhantomToken {
    /// The claims that the filter itself sets; nothing from a reply or from `add` takes their place.
    pub const OWN_CLAIMS: [&str; 5] = ["aud", "exp", "iat", "iss", "jti"];

    /// The claims that no phantom token has. They say of the client's token what does not hold for ours: that it is
    /// bound to a key (`cnf`, RFC 7800), where to look whether it is revoked (`status`), or what kind of token it is.
    /// A service that obeys them would have to refuse a JWT that is not bound, listed or typed so.
    pub const NEVER_CLAIMS: [&str; 6] = ["active", "cnf", "status", "token_type", "token_use", "typ"];

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
    in_form(&mut claims, now);
    claims.insert("iss".to_owned(), phantom_token.issuer.as_str().into());
    claims.insert("iat".to_owned(), now.as_secs().into());
    claims.insert("exp".to_owned(), exp.as_secs().into());
    claims.insert("jti".to_owned(), random_id()?.into());
    let introspected: Vec<&str> = permit
        .claims()
        .audiences()
        .filter_map(|audience| std::str::from_utf8(audience).ok())
        .filter(|audience| !audience.is_empty()) // nobody's
        .collect();
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
            self.include.as_ref().is_none_or(|it| it.contains(name)) && !self.exclude.contains(name)
        });
        // A member that was given a name has it before one that came with it.
        let (renamed, mut claims): (Map<_, _>, Map<_, _>) =
            members.into_iter().partition(|(name, _)| self.rename.contains_key(name));
        for (name, value) in renamed {
            claims.insert(self.rename.get(&name).cloned().unwrap_or(name), value);
        }
        claims.extend(self.add.clone());
        let is_free = |name: &str| {
            !PhantomToken::OWN_CLAIMS.contains(&name) && !PhantomToken::NEVER_CLAIMS.contains(&name)
        };
        claims.retain(|name, _| is_free(name));
        claims
    }
}

/// Gives claims the form that RFC 9068 §2.2 and RFC 7519 §4.1 want, for verifiers are not as lenient as we are with
/// servers. What has no such form is left out.
fn in_form(claims: &mut Map<String, Value>, now: UnixMillis) {
    claims.retain(|_, value| is_shallow(value, MAX_CLAIM_DEPTH));
    for name in ["auth_time", "nbf"] {
        let time = claims::time(claims, name).map(UnixMillis::as_secs);
        // A `nbf` that our leeway let pass must not make the service refuse what we did not.
        let time = time.map(|time| if name == "nbf" { time.min(now.as_secs()) } else { time });
        replace(claims, name, time.map(Value::from));
    }
    let scope = claims::scope(claims).ok().filter(|scope| !scope.is_empty());
    replace(claims, "scope", scope.map(Value::from));
    for name in ["client_id", "sub"] {
        let text = match claims.get(name) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) if !number.is_f64() => Some(number.to_string()),
            _ => None,
        };
        replace(claims, name, text.map(Value::from));
    }
}

fn is_shallow(value: &Value, depth: usize) -> bool {
    let mut inner: Box<dyn Iterator<Item = &Value>> = match value {
        Value::Array(elements) => Box::new(elements.iter()),
        Value::Object(members) => Box::new(members.values()),
        _ => return true,
    };
    depth > 0 && inner.all(|value| is_shallow(value, depth - 1))
}

fn replace(claims: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    match value {
        Some(value) => claims.insert(name.to_owned(), value),
        None => claims.remove(name),
    };
}

/// Envoy's `jwt_authn` refuses a JWT whose claims are nested in a hundred levels; nobody needs so many.
const MAX_CLAIM_DEPTH: usize = 64;

/// The type of a JWT access token (RFC 9068 §2.1).
pub(super) const TYP: &str = "at+jwt";
