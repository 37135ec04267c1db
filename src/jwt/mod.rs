//! JWTs: the keys that sign them (RFC 7517, RFC 7518), and the phantom token itself, a JWT access token
//! (RFC 9068) that says to the service behind what the authorization server said to us.
//!
//! EC and RSA signatures are made by the host ([`Signatures`]); Ed25519 and HMAC, which it lacks, here.

mod compact;
mod ecdsa;
mod key;
mod mint;
mod private_key;
mod public_key;

pub use key::{Algorithm, SignError, Signatures, SigningKey, published_key};
pub use mint::{ClaimMapping, Minted, PhantomToken, PhantomTokenId, mint};
pub use private_key::PrivateKey;
pub use public_key::{Curve, KeyError, PublicKey};

pub(crate) use compact::sign_compact;
pub(crate) use mint::random_id;
