//! Requests and their tokens.

use phantom_token_filter::jwt::Algorithm;
use phantom_token_filter::token::UnixMillis;
use serde_json::json;

use super::{ISSUER, LIFE, STRICT, USUAL, name};
use crate::support::issuer::sign;

/// Requests under one policy.
pub(crate) struct Kind {
    pub(crate) path: &'static str,
    /// In milliseconds.
    pub(crate) cache_ttl: u64,
    pub(crate) judged: Judged,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judged {
    /// By what the server says.
    Asked,
    /// By the JWT itself.
    Validated,
    /// By both.
    ValidatedAndAsked,
}

pub(crate) const KINDS: [Kind; 5] = [
    Kind { path: "/", cache_ttl: USUAL, judged: Judged::Asked },
    Kind { path: "/strict", cache_ttl: STRICT, judged: Judged::Asked },
    Kind { path: "/fresh", cache_ttl: 0, judged: Judged::Asked },
    Kind { path: "/jwt", cache_ttl: USUAL, judged: Judged::Validated },
    Kind { path: "/both", cache_ttl: USUAL, judged: Judged::ValidatedAndAsked },
];

/// A JWT and its end.
pub(crate) fn jwt(token: u64, now: UnixMillis) -> (String, UnixMillis) {
    let exp = UnixMillis::from_secs(now.plus(LIFE).as_secs());
    let claims = json!({"iss": ISSUER, "sub": name(token), "exp": exp.as_secs()});
    (sign(Algorithm::ES256, json!({"typ": "at+jwt"}), &claims), exp)
}
