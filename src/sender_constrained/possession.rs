//! The rule: what a request shows of its sender against what its token is bound to.

use super::SenderConstrained;
use super::confirmation::Confirmation;
use super::unproven::{BadBinding, Unproven};
use crate::token::Scheme;

/// What a request shows of its sender.
#[derive(Clone, Copy, Debug)]
pub struct Possession {
    /// How it carries its token.
    pub scheme: Scheme,
}

impl Possession {
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
            (Some(_), Scheme::Bare | Scheme::DPoP) => return Err(BadBinding::NoProofsHere.into()),
            (None, Scheme::DPoP) => return Err(BadBinding::NotBound.into()),
            (None, Scheme::Bare | Scheme::Bearer) => {}
        }
        if certificate.is_some() {
            return Err(BadBinding::NoCertificate.into());
        }
        Ok(())
    }
}
