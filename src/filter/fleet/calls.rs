//! What is under way between the store and us, besides what is read and watched.

use crate::filter::access_tokens::Showing;
use crate::filter::event::CallId;
use crate::fleet::Waiting;
use crate::token::UnixMillis;

/// A call that is under way, and by when it must have been answered.
pub(super) struct UnderWay {
    pub(super) call: CallId,
    pub(super) until: UnixMillis,
}

/// The token that the store gives for a user and a password.
#[derive(Default)]
pub(super) struct Authentication {
    pub(super) token: Option<String>,
    /// It is asked for.
    pub(super) under_way: Option<UnderWay>,
    /// It is not asked for before this.
    pub(super) not_before: Option<UnixMillis>,
    /// Where the token is an access token of our own.
    pub(super) showing: Showing,
}

impl Authentication {
    /// The token, if it was given.
    pub(super) fn token(&self) -> Option<&String> {
        self.token.as_ref()
    }

    /// Forgets what is under way: nothing more is heard of it.
    pub(super) fn forget_call(&mut self) {
        self.under_way = None;
    }

    pub(super) fn clock_set_back(&mut self) {
        self.not_before = None;
    }
}

/// What is being put.
#[derive(Default)]
pub(super) struct Puts {
    /// The number of the lease that is used, and until when.
    pub(super) lease: Option<(u64, UnixMillis)>,
    pub(super) doing: Option<(UnderWay, Doing)>,
    /// The mark of the outbox when it was found empty.
    pub(super) empty_at: Option<Vec<u8>>,
    /// After a failure, nothing is put before this.
    pub(super) not_before: Option<UnixMillis>,
    /// Failures since something was put.
    pub(super) failures: u32,
    /// Whether the log was told of them.
    pub(super) are_failing: bool,
}

pub(super) enum Doing {
    /// A lease is asked for, to be used until then.
    Lease(UnixMillis),
    /// The store gets an identity.
    Store,
    /// These are put.
    Withdrawals(Vec<Waiting>),
}

impl Puts {
    /// Forgets what is under way: nothing more is heard of it.
    pub(super) fn forget(&mut self) {
        self.doing = None;
    }

    pub(super) fn clock_set_back(&mut self) {
        self.not_before = None;
        self.lease = None;
    }
}
