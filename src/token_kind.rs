//! What kind of token a verdict is about, as far as servers let it be known. Many call refresh tokens, ID tokens and
//! even authorization codes active, or sign ID tokens by the keys of access tokens; none of these is for a service.

use serde_json::{Map, Value};

use crate::json::BadMember;

/// The kind that a reply or a JWT names: `token_use` (Hydra, Cognito) where that names another than an access token,
/// else `token_type`.
pub(crate) fn named(members: &Map<String, Value>) -> Result<Option<&str>, BadMember> {
    let text = |name: &'static str| match present(members, name) {
        None => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or(BadMember(name)),
    };
    let (token_type, token_use) = (text("token_type")?, text("token_use")?);
    Ok(token_use.filter(|kind| !is_one_of(kind, &ACCESS_TOKEN_USES)).or(token_type))
}

/// Whether it is an ID token, or another that is none for a service: its `typ` (Keycloak's, in the payload) says so, or
/// it has what only ID tokens have (OpenID Connect Core §2, §3.3.2.11), and nothing names it an access token.
pub(crate) fn is_for_clients(members: &Map<String, Value>) -> bool {
    let has = |name: &&str| present(members, name).is_some();
    let typ = present(members, "typ").and_then(Value::as_str).unwrap_or_default();
    if ["token_type", "token_use"].iter().any(has) || is_one_of(typ, &ACCESS_TOKEN_TYPS) {
        return false;
    }
    is_one_of(typ, &OTHER_TYPS)
        || ["nonce", "at_hash", "c_hash", "s_hash"].iter().any(has)
        || has(&"auth_time") && !["scope", "scp"].iter().any(has)
}

/// Whether a reply names a client and nothing that an access token has: not whom it speaks for, nor what it may do, nor
/// what it is. Spring answers so for refresh tokens and for authorization codes; the client is not their subject.
pub(crate) fn is_bare(members: &Map<String, Value>) -> bool {
    let has = |name: &&str| present(members, name).is_some();
    has(&"client_id") && !["sub", "scope", "scp", "token_type", "token_use"].iter().any(has)
}

/// `null` is as good as nothing.
fn present<'m>(members: &'m Map<String, Value>, name: &str) -> Option<&'m Value> {
    members.get(name).filter(|value| !value.is_null())
}

fn is_one_of(text: &str, names: &[&str]) -> bool {
    names.iter().any(|name| text.eq_ignore_ascii_case(name))
}

const ACCESS_TOKEN_USES: [&str; 2] = ["access", "access_token"];
const ACCESS_TOKEN_TYPS: [&str; 2] = ["Bearer", "DPoP"];
const OTHER_TYPS: [&str; 4] = ["ID", "Logout", "Offline", "Refresh"];
