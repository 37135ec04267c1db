//! Why a token is taken not to be its sender's.

use super::dpop::{BadProof, NonceWanted};

/// What keeps a token from being its sender's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unproven {
    /// The token is not for whoever sends it so.
    Binding(BadBinding),
    /// Its proof lacks a nonce of ours.
    Nonce(NonceWanted),
    /// The host verifies no signature.
    NotVerified,
    /// Its proof is none.
    Proof(BadProof),
    /// There is no room to remember its proof, which may have been seen.
    TooManyProofs,
}

/// What is wrong between a token and how it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadBinding {
    /// It is bound to a key, and came as if it were not (RFC 9449 §7.2).
    AsBearer,
    /// It is bound to a certificate, and its client has shown none.
    NoCertificate,
    /// It is bound to a key, and no DPoP proof is taken here.
    NoProofsHere,
    /// It is not bound, and was to be, or came as if it were.
    NotBound,
    /// It is bound to another key than its proof is by.
    OtherKey,
    /// It is bound to another certificate than its client has shown.
    OtherCertificate,
    /// It is bound to what cannot be verified.
    Unverifiable,
}

impl BadBinding {
    /// One word for access logs.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::AsBearer => "bound_token_as_bearer",
            Self::NoCertificate => "token_without_its_certificate",
            Self::NoProofsHere => "dpop_not_configured",
            Self::NotBound => "token_not_bound",
            Self::OtherKey => "token_of_other_key",
            Self::OtherCertificate => "token_of_other_certificate",
            Self::Unverifiable => "token_of_unknown_binding",
        }
    }
}

impl From<BadProof> for Unproven {
    fn from(reason: BadProof) -> Self {
        Self::Proof(reason)
    }
}

impl From<BadBinding> for Unproven {
    fn from(reason: BadBinding) -> Self {
        Self::Binding(reason)
    }
}
