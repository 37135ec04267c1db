//! What a request was passed on by: what ends it while it is open.

use std::rc::Rc;

use crate::cache::{ProviderTag, Withdrawable, Word};
use crate::claims::ClaimsBuf;
use crate::policy::Policy;
use crate::provider::Origin;
use crate::token::{TokenDigest, UnixMillis};

/// The verdict that a request was passed on by, and its policy. All share it that got the same.
#[derive(Debug)]
pub struct PassedBy {
    pub(super) policy: Rc<Policy>,
    token: TokenDigest,
    provider: ProviderTag,
    /// What the verdict says, as far as it is withdrawn by it.
    claims: ClaimsBuf,
    /// By whose word it was good.
    pub(super) word: Word,
    /// When the call was sent that said so.
    pub(super) asked: UnixMillis,
    /// When the token ends.
    pub(super) end: UnixMillis,
}

impl PassedBy {
    /// To be noted, if the policy ends streams.
    pub(super) fn of<'c>(
        policy: &Rc<Policy>,
        origin: &Origin,
        word: Word,
        asked: UnixMillis,
        verdict: impl FnOnce() -> Withdrawable<'c>,
    ) -> Option<Rc<Self>> {
        policy.open_streams.are_watched().then(|| {
            let Withdrawable { token, provider, claims } = verdict();
            let (policy, end) = (Rc::clone(policy), origin.expects.end(claims.exp));
            Rc::new(Self { policy, token, provider, claims: claims.to_withdraw_by(), word, asked, end })
        })
    }

    /// Roughly what it takes of memory.
    pub(super) fn len(&self) -> usize {
        size_of::<Self>() + self.claims.as_bytes().len()
    }

    /// What it is withdrawn by.
    pub(super) fn verdict(&self) -> Withdrawable<'_> {
        Withdrawable { token: self.token, provider: self.provider, claims: self.claims.view() }
    }
}

/// Two are the same that are one.
impl PartialEq for PassedBy {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for PassedBy {}
