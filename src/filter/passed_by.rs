//! What a request was passed on by: what ends it while it is open.

use std::fmt;
use std::rc::Rc;

use super::way::Question;
use crate::cache::{ProviderTag, Vouched, Withdrawable};
use crate::claims::ClaimsBuf;
use crate::policy::Policy;
use crate::provider::Origin;
use crate::token::{TokenDigest, UnixMillis};

/// The verdict that a request was passed on by, and its policy. All share it that got the same.
pub struct PassedBy {
    pub(super) policy: Rc<Policy>,
    token: TokenDigest,
    provider: ProviderTag,
    /// What the verdict says, as far as it is withdrawn by it.
    claims: ClaimsBuf,
    /// Who vouched for it.
    pub(super) vouched: Vouched,
    /// When the call was sent that said so.
    pub(super) asked: UnixMillis,
    /// When the token ends.
    pub(super) end: UnixMillis,
    /// What the server is asked again meanwhile.
    pub(super) question: Option<Rc<Question>>,
}

impl PassedBy {
    /// To be noted, if the policy ends streams.
    pub(super) fn of<'c>(
        (policy, origin): (&Rc<Policy>, &Origin),
        question: Option<&Rc<Question>>,
        vouched: Vouched,
        asked: UnixMillis,
        verdict: impl FnOnce() -> Withdrawable<'c>,
    ) -> Option<Rc<Self>> {
        policy.open_streams.are_watched().then(|| {
            let Withdrawable { token, provider, claims } = verdict();
            let (policy, end) = (Rc::clone(policy), origin.expects.end(claims.exp));
            let (claims, question) = (claims.to_withdraw_by(), question.cloned());
            Rc::new(Self { policy, token, provider, claims, vouched, asked, end, question })
        })
    }

    /// Roughly what it takes of memory.
    pub(super) fn len(&self) -> usize {
        let question = self.question.as_ref().map(|it| size_of::<Question>() + it.token.secret().len());
        size_of::<Self>() + self.claims.as_bytes().len() + question.unwrap_or(0)
    }

    /// What it is withdrawn by.
    pub(super) fn verdict(&self) -> Withdrawable<'_> {
        Withdrawable { token: self.token, provider: self.provider, claims: self.claims.view() }
    }
}

impl fmt::Debug for PassedBy {
    /// Says nothing of the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PassedBy").field("asked", &self.asked).field("end", &self.end).finish_non_exhaustive()
    }
}

/// Two are the same that are one.
impl PartialEq for PassedBy {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for PassedBy {}
