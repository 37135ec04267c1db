//! A request with its token, on the way to a verdict on it.

use std::rc::Rc;

use super::case::Case;
use super::judge::ready::Likeness;
use super::step::Step;
use super::way::{Question, Way};
use crate::request::RequestView;
use crate::sender_constrained::{Look, SenderConstrained, Shown};
use crate::token::{AccessToken, TokenDigest};

/// A request that carries a token.
pub(super) struct Inquiry {
    pub(super) case: Case,
    pub(super) token: AccessToken,
    pub(super) way: Way,
    /// What it has in common with requests that will get the same.
    pub(super) likeness: Option<Likeness>,
    /// Whether keys were fetched for its sake already: then there is no other fetch.
    pub(super) has_waited_for_keys: bool,
    /// The same of metadata.
    pub(super) has_waited_for_metadata: bool,
}

impl Inquiry {
    /// What is asked about its token.
    pub(super) fn question(&self, digest: TokenDigest) -> Question {
        let (way, origin) = (self.way.clone(), Rc::clone(&self.case.origin));
        Question { token: self.token.clone(), digest, way, origin }
    }

    /// The same, if it is to be asked again as long as the request is open.
    pub(super) fn asked_again(&self, digest: TokenDigest) -> Option<Rc<Question>> {
        let is_asked = !self.case.policy.open_streams.recheck.is_zero() && self.way.introspector().is_some();
        is_asked.then(|| Rc::new(self.question(digest)))
    }

    /// Reads what the request shows of its sender, if its policy is to look at that. Once it has to wait, there is nothing
    /// left to read.
    pub(super) fn look_at_sender(&mut self, request: &dyn RequestView, step: &Step<'_>) {
        let Self { case: Case { policy, shown, .. }, token, .. } = self;
        if shown.is_none() && policy.require.sender_constrained != SenderConstrained::Ignore {
            let config = &step.worker.config;
            let look = Look { certificate: config.client_certificate, proof: config.dpop.is_some() };
            *shown = Some(Shown::by(request, token, look, step.now));
        }
    }

    /// How many bytes of the client's it holds.
    pub(super) fn bytes(&self) -> usize {
        let shown = self.case.shown.as_ref().map_or(0, Shown::size);
        self.token.secret().len() + self.case.removal.size() + shown
    }
}
