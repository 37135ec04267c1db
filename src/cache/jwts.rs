//! JWTs that nobody is asked about: what is left of them after withdrawals.

use std::time::Duration;

use super::subject::Withdrawable;
use super::withdrawals::{Asked, Checked, Standing, Withdrawals};
use crate::claims::Claims;
use crate::token::UnixMillis;

impl Withdrawals {
    /// What is left of the verdict on a JWT that nobody is asked about. There is no server to wait for that may be about
    /// to withdraw it.
    pub fn standing_of_jwt(&self, asked: Asked, verdict: &Withdrawable<'_>, now: UnixMillis) -> Standing {
        // First, for it reads the moment.
        let standing = self.standing(asked, verdict);
        match standing {
            _ if self.refuses(verdict, now) => Standing::Refused,
            Standing::Good(checked) => Standing::Good(Checked { until: UnixMillis::MAX, ..checked }),
            Standing::Refused | Standing::Void => standing,
        }
    }

    /// Whether a JWT that nobody is asked about is refused.
    pub fn refuses(&self, verdict: &Withdrawable<'_>, now: UnixMillis) -> bool {
        self.refusals.has(verdict, now)
    }

    /// Notes until when a JWT is good that nobody is asked about.
    pub fn note_life(&self, claims: &Claims<'_>, end: UnixMillis, now: UnixMillis) {
        self.refusals.note_life(claims, end, now);
    }

    /// How long what refuses JWTs is kept: as long as any may be good.
    pub fn refusals_kept(&self) -> Duration {
        self.refusals.kept()
    }
}
