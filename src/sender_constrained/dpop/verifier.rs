//! What a proof is checked by, together.

use super::replay::SeenProofs;
use super::rules::Rules;
use crate::jwt::Signatures;
use crate::token::UnixMillis;

/// What proofs are checked by.
#[derive(Clone, Copy)]
pub struct Verifier<'a> {
    /// What is asked of them.
    pub rules: &'a Rules,
    /// Those that were seen.
    pub seen: &'a SeenProofs,
    /// What verifies.
    pub signatures: &'a dyn Signatures,
    /// The time.
    pub now: UnixMillis,
}
