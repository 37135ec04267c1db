//! How and when the user was authenticated (RFC 9470).

use std::time::Duration;

use super::denial::{Denial, InsufficientUserAuthentication, Lack};
use crate::claims::{Claims, numeric_date};
use crate::token::{UnixMillis, Window};

/// How and when the user must have been authenticated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserAuthentication {
    /// One of these as `acr`; empty: any.
    pub acr_values: Vec<String>,
    /// How long ago `auth_time` may be.
    pub max_age: Option<Duration>,
}

impl UserAuthentication {
    /// Judges what a token says of it. What it does not say does not do.
    pub(super) fn check(&self, claims: &Claims<'_>, now: UnixMillis) -> Result<(), Denial> {
        if self.acr_values.is_empty() && self.max_age.is_none() {
            return Ok(());
        }
        let members = claims.members();
        let acr = members.get("acr").and_then(|acr| acr.as_str());
        if !self.acr_values.is_empty() && !acr.is_some_and(|acr| self.acr_values.iter().any(|it| it == acr)) {
            return Err(self.denial(Lack::OtherClass));
        }
        match self.max_age {
            Some(max_age) if auth_time(claims).is_none_or(|at| at.plus(max_age) <= now) => {
                Err(self.denial(Lack::TooOld))
            }
            _ => Ok(()),
        }
    }

    /// Until when [`check`](Self::check) does not depend on when it is asked.
    pub(super) fn window(&self, claims: &Claims<'_>) -> Window {
        let until =
            self.max_age.map(|max_age| auth_time(claims).map_or(UnixMillis::MAX, |at| at.plus(max_age)));
        Window { from: UnixMillis::from_millis(0), until: until.unwrap_or(UnixMillis::MAX) }
    }

    fn denial(&self, lack: Lack) -> Denial {
        InsufficientUserAuthentication { lack, wanted: self.clone() }.into()
    }
}

fn auth_time(claims: &Claims<'_>) -> Option<UnixMillis> {
    numeric_date(&claims.members(), "auth_time").ok().flatten()
}
