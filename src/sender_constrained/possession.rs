//! The rule: what a request shows of its sender against what its token is bound to.

use super::SenderConstrained;
use super::confirmation::{Confirmation, Thumbprint};
use super::dpop::{BadProof, Verifier};
use super::shown::Shown;
use super::unproven::{BadBinding, Unproven};
use crate::token::Scheme;

/// What a request shows of its sender.
#[derive(Clone, Copy)]
pub struct Possession<'a> {
    /// How it carries its token.
    pub scheme: Scheme,
    /// What else it shows; `None` if nobody has looked, which is taken for nothing.
    pub shown: Option<&'a Shown>,
    /// What proofs are checked by; `None` where none are taken.
    pub verifier: Option<Verifier<'a>>,
}

impl Possession<'_> {
    /// Judges whether a token that is bound to this is its sender's.
    ///
    /// # Errors
    ///
    /// Why it is not known to be.
    pub fn check(&self, rule: SenderConstrained, confirmation: Option<Confirmation>) -> Result<(), Unproven> {
        if rule == SenderConstrained::Ignore {
            return Ok(());
        }
        let Some(confirmation) = confirmation else {
            let is_wanted = rule == SenderConstrained::Require || self.scheme == Scheme::DPoP;
            return if is_wanted { Err(BadBinding::NotBound.into()) } else { Ok(()) };
        };
        let Confirmation::Bound { key, certificate } = confirmation else {
            return Err(BadBinding::Unverifiable.into());
        };
        match (key, self.scheme) {
            (Some(_), Scheme::Bearer) => return Err(BadBinding::AsBearer.into()),
            (None, Scheme::DPoP) => return Err(BadBinding::NotBound.into()),
            _ => {}
        }
        self.check_certificate(certificate)?;
        // Last: a proof that has served does not serve again.
        self.check_key(key)
    }

    fn check_key(&self, wanted: Option<Thumbprint>) -> Result<(), Unproven> {
        let Some(wanted) = wanted else { return Ok(()) };
        let verifier = self.verifier.ok_or(BadBinding::NoProofsHere)?;
        let proof = self.shown.and_then(|shown| shown.proof.as_ref()).ok_or(BadProof::Missing)?;
        proof.check(wanted, &verifier)
    }

    fn check_certificate(&self, wanted: Option<Thumbprint>) -> Result<(), Unproven> {
        match (wanted, self.shown.and_then(|shown| shown.certificate)) {
            (Some(_), None) => Err(BadBinding::NoCertificate.into()),
            (Some(wanted), Some(shown)) if wanted != shown => Err(BadBinding::OtherCertificate.into()),
            _ => Ok(()),
        }
    }
}
