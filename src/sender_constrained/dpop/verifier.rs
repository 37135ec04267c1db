//! What a proof is checked by, together.

use super::proof::ShownProof;
use super::replay::SeenProofs;
use super::rules::Rules;
use crate::jwt::Signatures;
use crate::sender_constrained::confirmation::Thumbprint;
use crate::sender_constrained::unproven::Unproven;
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

impl Verifier<'_> {
    /// Judges whether a request shows that its sender has `key`.
    ///
    /// # Errors
    ///
    /// Why not.
    pub(in crate::sender_constrained) fn check(
        &self,
        proof: &ShownProof,
        key: Thumbprint,
    ) -> Result<(), Unproven> {
        proof.check(key, self.rules, self.seen, self.signatures, self.now)
    }
}
