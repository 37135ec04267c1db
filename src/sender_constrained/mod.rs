//! Tokens that are of use to their holder alone (RFC 7800): who sends one must show that he is it, or a stolen one would
//! be as good as any.

pub(crate) mod certificate;
mod confirmation;
pub mod dpop;
mod possession;
mod shown;
mod unproven;

pub use certificate::ClientCertificate;
pub use confirmation::{Confirmation, Thumbprint};
pub use possession::Possession;
pub use shown::{Look, Shown};
pub use unproven::{BadBinding, Unproven};

/// What a policy makes of tokens that are bound to their holder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SenderConstrained {
    /// It does not look at it: a bound token is good in anybody's hands.
    Ignore,
    /// Every token must be bound, and its proof hold.
    Require,
    /// The proof of a token that is bound must hold.
    #[default]
    Verify,
}
