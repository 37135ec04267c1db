//! What a JWT says and what its server says of it, taken together. The server's word is the fresher one, the JWT's is the
//! one that this token was issued with. So that no requirement has to be looked for in two places, on every request, they
//! are made one when the server has answered: what both say stays, what they disagree on goes.

use serde_json::Value;

use crate::claims::{Claims, ClaimsBuf, audiences};
use crate::json::object_of;
use crate::jwt::claims_unchecked;
use crate::token::AccessToken;

/// The claims of a JWT that was validated here and of the server's reply about it.
///
/// A claim that both have holds as far as both say it: of `scope`, `aud` and arrays, what is in both; of objects, each
/// member so; of anything else, if it is the same. One that only the reply has, holds. One that only the JWT has, holds
/// where the reply says nothing of such claims; a reply that has claims beyond those of RFC 7662 §2.2 is taken for all that
/// the server knows, and what it leaves out is gone. Of two ends the earlier counts, of two beginnings the later.
pub(crate) fn together(jwt: &ClaimsBuf, reply: Claims<'_>) -> ClaimsBuf {
    let (ours, mut members) = (jwt.view(), reply.members());
    let is_complete = members.keys().any(|name| !SAYS_NOTHING_OF_OTHERS.contains(&name.as_str()));
    let is_gone = |name: &str| {
        is_complete && (!SAYS_NOTHING_OF_OTHERS.contains(&name) || ["aud", "scope", "scp"].contains(&name))
    };
    for (name, own) in ours.members() {
        let held = match members.remove(&name) {
            None if is_gone(&name) => None,
            None => Some(own),
            Some(fresh) => match name.as_str() {
                "aud" => Some(in_both(&words(ours.audiences()), reply.audiences())),
                "scope" => Some(in_both(&words(ours.scopes()), reply.scopes())),
                "exp" => Some(if reply.exp < ours.exp { fresh } else { own }),
                "nbf" => Some(if reply.nbf > ours.nbf { fresh } else { own }),
                // Whose token it is counts as it was compared here, and as the server has it now.
                "iss" => Some(fresh),
                "cnf" => Some(bound_by_both(own, fresh)),
                "token_type" | "token_use" => Some(if is_access(&own) { fresh } else { own }),
                name if OF_THIS_TOKEN.contains(&name) => Some(own),
                _ => agreed(&own, fresh),
            },
        };
        members.extend(held.map(|value| (name, value)));
    }
    // Both could be read before.
    ClaimsBuf::from_members(members).unwrap_or_else(|_| jwt.clone())
}

/// What a token is bound to by either. Where they disagree nobody can tell, and what cannot be told cannot be verified.
fn bound_by_both(own: Value, fresh: Value) -> Value {
    match (own, fresh) {
        (Value::Object(mut own), Value::Object(fresh)) => {
            for (name, fresh) in fresh {
                let both = match own.remove(&name) {
                    Some(own) if own != fresh => Value::Array(vec![own, fresh]),
                    _ => fresh,
                };
                own.insert(name, both);
            }
            Value::Object(own)
        }
        (own, fresh) if own == fresh => own,
        (own, fresh) => Value::Array(vec![own, fresh]),
    }
}

/// What a server says of a token, where that has claims: of the audiences those that it was issued for, and bound to what it
/// says itself. Some servers make up `aud` anew, and wider, when they are asked (Keycloak, of an exchanged token). Nobody has
/// verified it here, so it grants nothing.
pub(crate) fn within_own_bounds(token: &AccessToken, reply: ClaimsBuf) -> ClaimsBuf {
    let Some(mut own) = claims_unchecked(token) else { return reply };
    let cnf = own.remove("cnf").filter(|cnf| !cnf.is_null());
    let audiences = sorted(audiences(&own).unwrap_or_default().into_iter().map(str::to_owned));
    let is_own = |audience: &[u8]| audiences.iter().any(|own| own.as_bytes() == audience);
    let is_within = audiences.is_empty() || reply.view().audiences().all(is_own);
    if is_within && cnf.is_none() {
        return reply;
    }
    let mut members = reply.view().members();
    if !is_within {
        members.insert("aud".to_owned(), in_both(&audiences, reply.view().audiences()));
    }
    if let Some(own) = cnf {
        let both = match members.remove("cnf") {
            Some(fresh) => bound_by_both(own, fresh),
            None => own,
        };
        members.insert("cnf".to_owned(), both);
    }
    ClaimsBuf::from_members(members).unwrap_or(reply)
}

fn words<'a>(words: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
    sorted(words.map(|word| String::from_utf8_lossy(word).into_owned()))
}

fn in_both<'a>(own: &[String], fresh: impl Iterator<Item = &'a [u8]>) -> Value {
    words(fresh).into_iter().filter(|word| own.binary_search(word).is_ok()).collect()
}

/// Each once, and in order.
fn sorted(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut sorted: Vec<String> = texts.collect();
    sorted.sort_unstable();
    sorted.dedup();
    sorted
}

/// As far as both say it; `None` if they do not agree.
fn agreed(own: &Value, fresh: Value) -> Option<Value> {
    match (own, fresh) {
        (Value::Object(own), Value::Object(fresh)) => {
            let held = fresh.into_iter().filter_map(|(name, fresh)| {
                // What only the server says is fresher than the JWT.
                let held = match own.get(&name) {
                    Some(own) => agreed(own, fresh)?,
                    None => fresh,
                };
                Some((name, held))
            });
            Some(Value::Object(object_of(held)))
        }
        // One element may be written without the array around it.
        (Value::Array(own), Value::Array(fresh)) => {
            let own = sorted(own.iter().map(text));
            Some(fresh.into_iter().filter(|element| own.binary_search(&text(element)).is_ok()).collect())
        }
        (Value::Array(own), fresh) => {
            own.iter().any(|element| text(element) == text(&fresh)).then_some(fresh)
        }
        (own, Value::Array(fresh)) => {
            fresh.iter().any(|element| text(element) == text(own)).then(|| own.clone())
        }
        (own, fresh) => (text(own) == text(&fresh)).then_some(fresh),
    }
}

/// What stands for a value where values are compared: `2` and `2.0` are one.
fn text(value: &Value) -> String {
    let text = value.to_string();
    match text.strip_suffix(".0") {
        Some(whole) if value.is_f64() => whole.to_owned(),
        _ => text,
    }
}

/// Whether a `token_type` or `token_use` says no more than that it is an access token.
fn is_access(kind: &Value) -> bool {
    let kind = kind.as_str().unwrap_or_default();
    ["access", "access_token", "bearer"].iter().any(|access| kind.eq_ignore_ascii_case(access))
}

/// Claims of RFC 7662 §2.2, RFC 9068 §2.2 and of sessions: a server that has them in its reply may have none of others.
const SAYS_NOTHING_OF_OTHERS: [&str; 24] = [
    "acr",
    "amr",
    "aud",
    "auth_time",
    "azp",
    "client_id",
    "cnf",
    "exp",
    "iat",
    "iss",
    "jti",
    "nbf",
    "nonce",
    "scope",
    "scp",
    "sid",
    "status",
    "sub",
    "token_type",
    "token_use",
    "typ",
    "type",
    "username",
    "act",
];

/// Claims that say which token it is, and whose. The signature vouches for them.
const OF_THIS_TOKEN: [&str; 7] = ["act", "iat", "jti", "sid", "status", "sub", "typ"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sender_constrained::Confirmation;

    fn claims(members: &Value) -> ClaimsBuf {
        ClaimsBuf::from_members(members.as_object().unwrap().clone()).unwrap()
    }

    #[test]
    fn what_both_say_holds_and_what_they_disagree_on_does_not() {
        for (jwt, reply, wanted) in [
            (json!({"roles": ["a", "b"]}), json!({"roles": ["b", "c"]}), json!({"roles": ["b"]})),
            (json!({"roles": "a"}), json!({"roles": ["a", "b"]}), json!({"roles": "a"})),
            (json!({"roles": ["a", "b"]}), json!({"roles": "b"}), json!({"roles": "b"})),
            (json!({"roles": ["a"]}), json!({"roles": "b"}), json!({})),
            (json!({"level": 2}), json!({"level": 2.0}), json!({"level": 2.0})),
            (json!({"level": 2}), json!({"level": 3}), json!({})),
            (json!({"tenant": "a"}), json!({"tenant": "b"}), json!({})),
            (json!({"client_id": "a"}), json!({"client_id": "b"}), json!({})),
            (
                json!({"realm": {"roles": ["a", "b"], "old": 1}}),
                json!({"realm": {"roles": ["a"], "new": 1}}),
                json!({"realm": {"roles": ["a"], "new": 1}}),
            ),
        ] {
            let both = together(&claims(&jwt), claims(&reply).view());
            assert_eq!(Value::Object(both.view().members()), wanted, "{jwt} and {reply}");
        }
    }

    #[test]
    fn a_token_is_bound_by_whatever_either_says() {
        let (a, b) = ("A".repeat(43), "B".repeat(42) + "A");
        for (jwt, reply, wanted) in [
            (json!({"jkt": a}), json!(null), json!({"jkt": a})),
            (json!(null), json!({"jkt": a}), json!({"jkt": a})),
            (json!({"jkt": a}), json!({"jkt": a}), json!({"jkt": a})),
            (json!({"jkt": a}), json!({"x5t#S256": b}), json!({"jkt": a, "x5t#S256": b})),
            (json!({"jkt": a}), json!({"jkt": b}), json!({"jkt": [a, b]})),
            (json!({"jkt": a}), json!("x"), json!([{"jkt": a}, "x"])),
        ] {
            let both = together(&claims(&json!({"cnf": jwt})), claims(&json!({"cnf": reply})).view());
            assert_eq!(both.view().members()["cnf"], wanted, "{jwt} and {reply}");
            let is_one = wanted.is_object() && !wanted["jkt"].is_array();
            let is_bound = matches!(both.view().confirmation, Some(Confirmation::Bound { .. }));
            assert_eq!(is_bound, is_one, "{jwt} and {reply}");
        }
    }

    #[test]
    fn scopes_and_audiences_are_those_of_both_in_any_form() {
        let jwt = claims(&json!({"scope": "read write", "aud": ["a", "b"]}));
        let reply = claims(&json!({"scope": ["pay", "read"], "aud": "b"}));
        let both = together(&jwt, reply.view());
        assert!(both.view().scopes().eq([&b"read"[..]]) && both.view().audiences().eq([&b"b"[..]]));
    }

    #[test]
    fn a_claim_that_the_reply_leaves_out_is_gone_if_the_reply_has_such_claims() {
        let jwt =
            claims(&json!({"roles": ["admin"], "scope": "read", "aud": "a", "sub": "alice", "sid": "s"}));
        for (reply, roles, scopes) in [
            (json!({}), true, 1),
            (json!({"sub": "alice", "client_id": "app", "scope": "read", "token_type": "Bearer"}), true, 1),
            (json!({"email": "alice@example.org"}), false, 0),
            (json!({"email": "alice@example.org", "scope": "read"}), false, 1),
        ] {
            let both = together(&jwt, claims(&reply).view());
            assert_eq!(both.view().members().contains_key("roles"), roles, "{reply}");
            assert_eq!(both.view().scopes().count(), scopes, "{reply}");
            assert_eq!(both.view().audiences().count(), usize::from(roles), "{reply}");
            assert!(both.view().sid == Some(b"s"), "{reply}");
        }
    }

    #[test]
    fn of_two_times_the_one_that_allows_less_counts() {
        for (jwt, reply, exp, nbf) in [
            (json!({"exp": 20, "nbf": 5}), json!({"exp": 10, "nbf": 7}), 10, 7),
            (json!({"exp": 10, "nbf": 7}), json!({"exp": 20, "nbf": 5}), 10, 7),
            (json!({"exp": 10, "nbf": 7}), json!({}), 10, 7),
            (json!({}), json!({"exp": 10, "nbf": 7}), 10, 7),
        ] {
            let members = together(&claims(&jwt), claims(&reply).view()).view().members();
            assert_eq!((&members["exp"], &members["nbf"]), (&json!(exp), &json!(nbf)), "{jwt} and {reply}");
        }
    }

    #[test]
    fn who_issued_it_and_what_kind_it_is_cannot_be_talked_away() {
        let both = |jwt: Value, reply: Value| together(&claims(&jwt), claims(&reply).view()).view().members();
        let iss = both(json!({"iss": "https://as.example"}), json!({"iss": "https://other.example"}));
        assert_eq!(iss["iss"], "https://other.example", "and is refused for it");
        for (jwt, reply, wanted) in
            [("access_token", "DPoP", "DPoP"), ("Refresh", "Bearer", "Refresh"), ("Bearer", "N_A", "N_A")]
        {
            let kind = both(json!({"token_type": jwt}), json!({"token_type": reply}));
            assert_eq!(kind["token_type"], wanted, "{jwt} and {reply}");
        }
    }
}
