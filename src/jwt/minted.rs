//! Phantom tokens as they are kept beside a verdict.

use crate::token::UnixMillis;

/// A fingerprint of the settings that shape phantom tokens.
pub type PhantomTokenId = [u8; 8];

/// A phantom token and its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minted {
    /// The JWT in compact form.
    pub jwt: String,
    /// Its `exp`.
    pub exp: UnixMillis,
}
