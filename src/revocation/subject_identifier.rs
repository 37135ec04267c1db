//! Subject identifiers (RFC 9493, SSF 1.0): whom a security event is about, brought to what verdicts say.
//!
//! | Format | Withdraws |
//! |---|---|
//! | `iss_sub` of the provider | the `sub`'s verdicts |
//! | `email` | verdicts with this `email`, and those that have none |
//! | `opaque` | verdicts whose `sub` or `sid` it is; of a session's event also those without `sid` |
//! | `jwt_id` of the provider | verdicts with this `jti`, and those that have none |
//! | `oauth_client` | verdicts with this `client_id` |
//! | complex, with `user` and perhaps `session` | the user's and the session's |
//! | complex, with `session` alone | the session's, and verdicts without `sid` |
//! | `aliases` | those of every alias that is one of the above |
//! | anything else: `account`, `phone_number`, `did`, `uri`, a device, a tenant, another issuer | all of the provider |

use serde_json::{Map, Value};

use super::claim::text;
use crate::cache::Which;

/// A member of an identifier that its format requires is absent or has another type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// The verdicts of the provider of this `issuer` that may be about `subject`; of an event about a session, if
/// `is_session`.
///
/// # Errors
///
/// [`Malformed`] if `subject` is not what its format says.
pub fn verdicts_about(subject: &Value, issuer: &str, is_session: bool) -> Result<Vec<Which>, Malformed> {
    let subject = subject.as_object().ok_or(Malformed)?;
    Ok(related(subject, issuer, is_session, MAX_DEPTH)?.unwrap_or_else(|| vec![Which::All]))
}

/// What was named, or all of the provider where that is more than so many: it would fill the room that withdrawals of other
/// providers have, too.
pub fn bounded(named: Vec<Which>) -> Vec<Which> {
    if named.len() > MAX_NAMED { vec![Which::All] } else { named }
}

/// `None`: this cannot be related to what verdicts say.
fn related(
    subject: &Map<String, Value>,
    issuer: &str,
    is_session: bool,
    depth: u32,
) -> Result<Option<Vec<Which>>, Malformed> {
    let member = |name| text(subject, name).map(str::to_owned).ok_or(Malformed);
    let is_ours = || Ok(member("iss")? == issuer);
    // Older drafts say `subject_type`, with hyphens.
    let format = subject.get("format").or_else(|| subject.get("subject_type"));
    let format = match format {
        None => "complex".to_owned(),
        Some(format) => format.as_str().ok_or(Malformed)?.replace('-', "_"),
    };
    Ok(match format.as_str() {
        "iss_sub" => {
            let sub = member("sub")?;
            is_ours()?.then(|| vec![Which::Sub(sub)])
        }
        "email" => Some(vec![Which::Email(member("email")?), Which::WithoutEmail]),
        "opaque" => {
            let id = member("id")?;
            let mut which = vec![Which::Sub(id.clone()), Which::Sid(id)];
            if is_session {
                which.push(Which::WithoutSid);
            }
            Some(which)
        }
        "jwt_id" => {
            let jti = member("jti")?;
            is_ours()?.then(|| vec![Which::Jti(jti), Which::WithoutJti])
        }
        // OAuth Event Types 1.0, a draft.
        "oauth_client" => Some(vec![Which::Client(member("client_id")?)]),
        "complex" => complex(subject, issuer, depth)?,
        "aliases" => {
            let aliases = subject.get("identifiers").and_then(Value::as_array).ok_or(Malformed)?;
            let depth = depth.checked_sub(1).ok_or(Malformed)?;
            if aliases.is_empty() || aliases.len() > MAX_ALIASES {
                return Err(Malformed);
            }
            let mut which = Vec::new();
            for alias in aliases {
                let alias = alias.as_object().ok_or(Malformed)?;
                which.extend(related(alias, issuer, is_session, depth)?.into_iter().flatten());
            }
            (!which.is_empty()).then_some(which)
        }
        _ => None,
    })
}

/// A subject of several parts, which narrow each other down (SSF 1.0 §4): the user on a device, in a session, of
/// a tenant. A transmitter's sessions need not be those of `sid`; a user is taken whole.
fn complex(subject: &Map<String, Value>, issuer: &str, depth: u32) -> Result<Option<Vec<Which>>, Malformed> {
    let depth = depth.checked_sub(1).ok_or(Malformed)?;
    let part = |name: &str, is_session| match subject.get(name) {
        None => Ok(None),
        Some(part) => related(part.as_object().ok_or(Malformed)?, issuer, is_session, depth),
    };
    let user = part("user", false)?;
    let session = part("session", user.is_none())?;
    Ok(match (user, session) {
        (Some(mut user), Some(session)) => {
            user.extend(session);
            Some(user)
        }
        (Some(user), None) => Some(user),
        // A session of a user of whom nothing is known here.
        (None, session) => session,
    })
}

/// Of aliases and complex subjects in each other.
const MAX_DEPTH: u32 = 3;

const MAX_ALIASES: usize = 16;

/// Names in one signal.
const MAX_NAMED: usize = 64;
