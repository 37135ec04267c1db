//! JWTs, both ways.
//!
//! *Ours*: the keys that sign them (RFC 7517, RFC 7518), and the phantom token itself, a JWT access token
//! (RFC 9068) that says to the service behind what the authorization server said to us.
//!
//! *Others'*: an [`UntrustedJwt`] becomes a [`VerifiedJwt`] by the issuer's [`KeySet`] and in no other way;
//! [`JwtRules`] make an access token of it. No key, algorithm or URL of the token's own choosing is followed. An
//! [`OwnKeyJwt`] becomes one by the key that it brings, and is no token: it shows that its sender has the key.
//!
//! EC and RSA signatures are made and checked by the host ([`Signatures`]), where that is Wasm; Ed25519, HMAC and RSASSA-PSS,
//! which it lacks, here.

mod access_token;
mod algorithm;
mod compact;
mod der;
mod ecdsa;
mod jti;
mod jwks_endpoint;
mod key;
mod key_set;
mod mint;
mod minted;
mod own;
mod own_key;
mod private_key;
mod pss;
mod public_key;
mod roca;
#[cfg(not(target_arch = "wasm32"))]
mod rust_crypto;
mod untrusted;
mod verifying_key;

pub use access_token::{BadJwt, JwtRules};
pub use algorithm::Algorithm;
pub use jwks_endpoint::JwksEndpoint;
pub use key::{SignError, Signatures, SigningKey, published_key};
pub use key_set::{KeySet, KeySetError, KeyWarning, Unverified, VerifiedJwt};
pub use mint::{ClaimMapping, PhantomToken, mint};
pub use minted::{Minted, PhantomTokenId};
pub use own_key::{NotByOwnKey, OwnKeyJwt};
pub use private_key::PrivateKey;
pub use public_key::{Curve, KeyError, PublicKey};
#[cfg(not(target_arch = "wasm32"))]
pub use rust_crypto::RustCrypto;
pub(crate) use untrusted::claims_unchecked;
pub use untrusted::{MalformedJwt, UntrustedJwt, looks_like_jwt};
pub use verifying_key::UnusableKey;

pub(crate) use compact::sign_compact;
pub(crate) use jti::random_id;
#[cfg(test)]
pub(crate) use key::NoSignatures;
pub(crate) use key::hmac_sha256;
pub(crate) use untrusted::is_type;
