//! Why a token is taken not to be its sender's.

/// What keeps a token from being its sender's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unproven {
    /// The token is not for whoever sends it so.
    Binding(BadBinding),
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
            Self::Unverifiable => "token_of_unknown_binding",
        }
    }
}

impl From<BadBinding> for Unproven {
    fn from(reason: BadBinding) -> Self {
        Self::Binding(reason)
    }
}
