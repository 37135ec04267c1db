//! How and when the user was authenticated (RFC 9470).

use std::time::Duration;

use serde_json::{Map, Value};

use crate::claims::{Claims, time};
use crate::token::{UnixMillis, Window};

/// How and when the user must have been authenticated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserAuthentication {
    /// One of these as `acr`; empty: any.
    pub acr_values: Vec<String>,
    /// How long ago `auth_time` may be.
    pub max_age: Option<Duration>,
}

/// How the authentication of a token's user falls short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InsufficientUserAuthentication {
    /// In what.
    pub lack: Lack,
    /// What would do.
    pub wanted: UserAuthentication,
}

/// What an authentication lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// It is of another class (`acr`), or of none.
    OtherClass,
    /// It was too long ago (`auth_time`), or nobody knows when.
    TooOld,
}

impl UserAuthentication {
    /// Judges what a token says of it. What it does not say does not do.
    pub(super) fn check(
        &self,
        claims: &Claims<'_>,
        now: UnixMillis,
    ) -> Result<(), InsufficientUserAuthentication> {
        if self.acr_values.is_empty() && self.max_age.is_none() {
            return Ok(());
        }
        let members = claims.members();
        let acr = members.get("acr").and_then(|acr| acr.as_str());
        if !self.acr_values.is_empty() && !acr.is_some_and(|acr| self.acr_values.iter().any(|it| it == acr)) {
            return Err(self.without(Lack::OtherClass));
        }
        match self.max_age {
            Some(max_age) if !good(&members, max_age).is_some_and(|window| window.contains(now)) => {
                Err(self.without(Lack::TooOld))
            }
            _ => Ok(()),
        }
    }

    /// Until when [`check`](Self::check) does not depend on when it is asked.
    pub(super) fn window(&self, claims: &Claims<'_>) -> Window {
        let always = Window { from: UnixMillis::from_millis(0), until: UnixMillis::MAX };
        self.max_age.and_then(|max_age| good(&claims.members(), max_age)).unwrap_or(always)
    }

    fn without(&self, lack: Lack) -> InsufficientUserAuthentication {
        InsufficientUserAuthentication { lack, wanted: self.clone() }
    }
}

/// When the authentication is young enough, if it says when it was. One that is yet to come (milliseconds in the place of
/// seconds, say) would be for ever.
fn good(members: &Map<String, Value>, max_age: Duration) -> Option<Window> {
    let at = time(members, "auth_time")?;
    Some(Window { from: at.minus(MOST_AHEAD), until: at.plus(max_age) })
}

/// How far the clock of the server may be ahead of ours: as much as `jwt.leeway` may be.
const MOST_AHEAD: Duration = Duration::from_secs(5 * 60);
