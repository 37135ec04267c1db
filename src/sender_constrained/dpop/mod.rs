//! DPoP (RFC 9449): whoever sends a token that is bound to a key shows with each request that he has the key.

mod bad_proof;
mod htu;
mod nonce;
mod proof;
mod replay;
mod rules;
mod verifier;

pub use bad_proof::{BadProof, NonceWanted};
pub use htu::Origin;
pub use nonce::NonceKey;
pub use proof::ShownProof;
pub use replay::SeenProofs;
pub use rules::Rules;
pub use verifier::Verifier;
