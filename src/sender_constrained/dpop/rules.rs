//! What is asked of DPoP proofs.

use std::time::Duration;

use super::htu::Origin;
use super::nonce::NonceKey;
use crate::jwt::Algorithm;

/// What is asked of a proof.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Where clients see us.
    pub origins: Vec<Origin>,
    /// By what it may be signed.
    pub algorithms: Vec<Algorithm>,
    /// How old it may be.
    pub max_age: Duration,
    /// How far its client's clock may be from ours.
    pub leeway: Duration,
    /// What makes nonces, if each proof must have one.
    pub nonces: Option<NonceKey>,
    /// About how many are remembered at once.
    pub max_proofs: u32,
}
