//! What every verdict of a provider must be like.

use std::time::Duration;

use crate::claims::Claims;
use crate::token::{UnixMillis, Window};

/// What a verdict must be like for the provider that it comes from, whatever the policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expectation {
    /// `iss`, where the verdict has one.
    pub issuer: Option<String>,
    /// How long past `exp` a token is still good: clocks differ.
    pub exp_leeway: Duration,
    /// How long ahead of `nbf` it is already good.
    pub nbf_leeway: Duration,
}

impl Expectation {
    /// The last moment at which a token with this `exp` is good.
    pub fn end(&self, exp: Option<UnixMillis>) -> UnixMillis {
        exp.map_or(UnixMillis::MAX, |exp| exp.plus(self.exp_leeway))
    }

    /// When a token of these claims is good, as far as it says itself: other than at these times, [`decide`](super::decide) does
    /// not depend on when it is asked.
    pub fn window(&self, claims: &Claims<'_>) -> Window {
        let from = claims.nbf.map_or(UnixMillis::from_millis(0), |nbf| nbf.minus(self.nbf_leeway));
        Window { from, until: self.end(claims.exp) }
    }
}
