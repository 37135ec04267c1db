//! JWTs that somebody else signed and that are no access tokens: signals, status lists. Verified by the keys that are here.

use super::keys::{KeyRings, KeysWanted};
use crate::filter::step::Step;
use crate::jwt::{UntrustedJwt, Unverified, VerifiedJwt};
use crate::revocation::security_event::{SetError, SetRefused};
use crate::revocation::sources::Signer;

/// Why a JWT is not verified.
pub(in crate::filter) enum NotVerified {
    /// It is none of the provider's.
    Bad(String),
    /// It is no JWT, or one of another kind.
    NotOne(String),
    /// The host cannot tell.
    Host,
    /// There are no keys to tell.
    NoKeys(KeysWanted),
}

impl KeyRings {
    /// A JWT whose signature holds, of a type that is admitted.
    pub(in crate::filter) fn verify(
        &self,
        signer: &Signer,
        admits: fn(Option<&str>) -> bool,
        token: &str,
        step: &Step<'_>,
    ) -> Result<VerifiedJwt, NotVerified> {
        let jwt = UntrustedJwt::parse(token.as_bytes())
            .map_err(|reason| NotVerified::NotOne(reason.to_string()))?;
        if !admits(jwt.typ()) {
            return Err(NotVerified::NotOne("typ is that of another kind of JWT".to_owned()));
        }
        let keys = self.set(&signer.jwks).ok_or(NotVerified::NoKeys(KeysWanted::Any))?;
        keys.verify(&jwt, &signer.algorithms, step.worker.signatures()).map_err(|reason| match reason {
            Unverified::Host(failure) => {
                log::error!("provider {:?}: no signal can be verified: {failure}", signer.provider);
                NotVerified::Host
            }
            reason if reason.newer_keys_may_help() => NotVerified::NoKeys(KeysWanted::Newer),
            reason => NotVerified::Bad(reason.to_string()),
        })
    }
}

impl NotVerified {
    pub(in crate::filter) fn text(self) -> String {
        match self {
            Self::Bad(reason) | Self::NotOne(reason) => reason,
            Self::Host | Self::NoKeys(_) => NOT_SIGNED.to_owned(),
        }
    }

    /// As the transmitter of a security event token is told (RFC 8935 §2.4).
    pub(in crate::filter) fn of_event(&self) -> SetRefused {
        match self {
            Self::NotOne(_) => SetError::InvalidRequest.because("not a JWT with typ secevent+jwt"),
            Self::Bad(_) | Self::Host | Self::NoKeys(_) => SetError::InvalidKey.because(NOT_SIGNED),
        }
    }
}

const NOT_SIGNED: &str = "no key of the provider's verifies the signature";
