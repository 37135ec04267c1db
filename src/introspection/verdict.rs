//! What a server says of a token.

use serde_json::{Map, Value};

use super::failure::ServerFailure;
use crate::claims::{ClaimNames, ClaimsBuf};
use crate::jwt::Minted;
use crate::token::UnixMillis;
use crate::token_kind;

/// A verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Introspection {
    /// The token is good.
    Active {
        /// What it says.
        claims: ClaimsBuf,
        /// The JWT that the server gave for the service behind.
        jwt: Option<Minted>,
        /// Whether it is an access token, as far as that can be told.
        is_access_token: bool,
    },
    /// The server says that it is good, but its end has passed.
    Expired {
        /// That end.
        exp: UnixMillis,
    },
    /// It is not, or not any more.
    Inactive,
}

/// What the members of a reply say.
pub(super) fn verdict(
    mut members: Map<String, Value>,
    names: &ClaimNames,
    now: UnixMillis,
) -> Result<Introspection, ServerFailure> {
    match members.remove("active") {
        Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => return Ok(Introspection::Inactive),
        _ => return Err(ServerFailure::NoActive),
    }
    names.apply(&mut members);
    let is_access_token = !token_kind::is_for_clients(&members) && !token_kind::is_bare(&members);
    let claims = ClaimsBuf::from_members(members).map_err(ServerFailure::BadMember)?;
    match claims.view().exp.filter(|exp| *exp <= now) {
        Some(exp) => Ok(Introspection::Expired { exp }),
        None => Ok(Introspection::Active { claims, jwt: None, is_access_token }),
    }
}
