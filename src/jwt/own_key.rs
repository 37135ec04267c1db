//! The one kind of JWT that brings its own key: proofs of possession (RFC 9449 §4.2). That its signature holds says that
//! somebody has this key; whose key it must be is for the caller to know.

use sha2::{Digest, Sha256};

use super::algorithm::Algorithm;
use super::key::{SignError, Signatures};
use super::key_set::{PRIVATE_MEMBERS, VerifiedJwt};
use super::untrusted::UntrustedJwt;
use super::verifying_key::VerifyingKey;
use crate::json;

/// A JWT with its own key, whose signature nobody has checked.
pub struct OwnKeyJwt<'t> {
    jwt: UntrustedJwt<'t>,
    alg: Algorithm,
    key: VerifyingKey,
}

impl<'t> OwnKeyJwt<'t> {
    /// Takes apart a JWT of this type, by one of these algorithms.
    ///
    /// # Errors
    ///
    /// [`NotByOwnKey`] with what is wrong.
    pub fn parse(text: &'t [u8], typ: &str, allowed: &[Algorithm]) -> Result<Self, NotByOwnKey> {
        let (jwt, mut header) = UntrustedJwt::with_header(text).map_err(|_| NotByOwnKey::Malformed)?;
        if !jwt.is_of_type(typ) {
            return Err(NotByOwnKey::OtherType);
        }
        let alg = Algorithm::from_name(jwt.alg()).filter(|alg| allowed.contains(alg));
        let alg = alg.ok_or(NotByOwnKey::OtherAlgorithm)?;
        let jwk = header.remove("jwk");
        let jwk = jwk.as_ref().and_then(|jwk| jwk.as_object()).ok_or(NotByOwnKey::NoKey)?;
        if PRIVATE_MEMBERS.iter().any(|name| jwk.contains_key(*name)) {
            return Err(NotByOwnKey::PrivateKey);
        }
        let key = VerifyingKey::from_jwk(jwk).map_err(|_| NotByOwnKey::NoKey)?;
        if !key.admits(alg) {
            return Err(NotByOwnKey::OtherAlgorithm);
        }
        Ok(Self { jwt, alg, key })
    }

    /// The thumbprint of the key (RFC 7638, SHA-256).
    pub fn thumbprint(&self) -> [u8; 32] {
        Sha256::digest(self.key.public().thumbprint_input()).into()
    }

    /// Verifies the signature; then, and only then, reads the claims.
    ///
    /// # Errors
    ///
    /// [`NotByOwnKey`] with the reason.
    pub fn verify(self, signatures: &dyn Signatures) -> Result<VerifiedJwt, NotByOwnKey> {
        let Self { jwt, alg, key } = self;
        match key.verify(alg, jwt.signing_input(), jwt.signature(), signatures) {
            Ok(true) => {}
            Ok(false) => return Err(NotByOwnKey::BadSignature),
            Err(reason) => return Err(NotByOwnKey::Host(reason)),
        }
        let claims = json::object(jwt.payload_unchecked()).map_err(|_| NotByOwnKey::Malformed)?;
        Ok(VerifiedJwt::new(alg, &jwt, claims))
    }
}

/// Why a text is no JWT that its own key has signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotByOwnKey {
    /// The signature is not by the key.
    BadSignature,
    /// The host verifies nothing.
    Host(SignError),
    /// It is no JWT of claims, in the compact form.
    Malformed,
    /// It brings no key, or none that verifies.
    NoKey,
    /// Its `alg` is not allowed, or not one of its key.
    OtherAlgorithm,
    /// Its `typ` is another.
    OtherType,
    /// The key that it brings is private, or symmetric.
    PrivateKey,
}
