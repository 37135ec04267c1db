//! A request on its way to a judgement.

use std::rc::Rc;

use super::event::StreamId;
use super::judge::ready::Repeat;
use super::passed_by::PassedBy;
use super::step::Step;
use super::way::Question;
use crate::cache::{ActiveEntry, Vouched, Withdrawable};
use crate::claims::Claims;
use crate::metrics::Whose;
use crate::policy::{self, Denial, Permit, Policy};
use crate::provider::Origin;
use crate::request::HeaderEditsBuf;
use crate::sender_constrained::dpop::Verifier;
use crate::sender_constrained::{Possession, Shown};
use crate::token::{Scheme, TokenDigest, UnixMillis};

/// A request to be judged.
pub(super) struct Case {
    pub(super) stream: StreamId,
    pub(super) policy: Rc<Policy>,
    /// Where the verdict on its token comes from.
    pub(super) origin: Rc<Origin>,
    /// How it carries its token.
    pub(super) scheme: Scheme,
    /// What else it shows of its sender; `None` until somebody looks.
    pub(super) shown: Option<Shown>,
    /// What makes its route that of the host which the rules matched.
    pub(super) host: HeaderEditsBuf,
    /// What takes the client's token out of the request.
    pub(super) removal: HeaderEditsBuf,
    pub(super) source: Source,
    /// What the verdict on its token is found under, once it is known where to look.
    pub(super) digest: Option<TokenDigest>,
    /// How those that come after may get the same.
    pub(super) repeat: Option<Repeat>,
    /// What the server is asked again as long as the request is open.
    pub(super) question: Option<Rc<Question>>,
}

impl Case {
    /// Whose it is, to metrics.
    pub(super) fn whose(&self) -> Whose<'_> {
        Whose { provider: Some(&self.origin.provider), policy: Some(&self.policy.name), ..Whose::NOBODY }
    }

    /// What is noted of it while it is open, by this verdict, if its policy ends streams.
    pub(super) fn passed_by<'c>(
        &self,
        vouched: Vouched,
        asked: UnixMillis,
        verdict: impl FnOnce() -> Withdrawable<'c>,
    ) -> Option<Rc<PassedBy>> {
        PassedBy::of((&self.policy, &self.origin), self.question.as_ref(), vouched, asked, verdict)
    }

    /// Judges the request by what is said of its token.
    ///
    /// # Errors
    ///
    /// Why it does not pass.
    pub(super) fn decide<'c>(&self, claims: Claims<'c>, step: &Step<'_>) -> Result<Permit<'c>, Denial> {
        let proofs = step.worker.config.dpop.as_ref().zip(step.worker.seen_proofs.as_ref());
        let verifier = proofs.map(|(rules, seen)| Verifier {
            rules,
            seen,
            signatures: step.worker.signatures(),
            now: step.now,
        });
        let possession = Possession { scheme: self.scheme, shown: self.shown.as_ref(), verifier };
        policy::decide(&self.policy.require, &self.origin.expects, claims, &possession, step.now)
    }
}

/// A request that waits for a verdict.
pub(super) struct Waiter {
    pub(super) case: Case,
    /// A verdict that is not fresh any more but may serve if no other is to be had.
    pub(super) stale: Option<Rc<ActiveEntry>>,
}

/// Where the verdict on a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A call that an earlier request had started.
    Coalesced,
    /// The cache.
    Hit,
    /// A call that this request started.
    Miss,
    /// The cache, which knew that the token is inactive.
    NegativeHit,
    /// There was no need of one.
    None,
    /// The cache, past `cache_ttl`, for the server is down.
    Stale,
}

impl Source {
    /// As access logs have it.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::Coalesced => Some("coalesced"),
            Self::Hit => Some("hit"),
            Self::Miss => Some("miss"),
            Self::NegativeHit => Some("negative_hit"),
            Self::None => None,
            Self::Stale => Some("stale"),
        }
    }
}
