//! Phantom tokens that come back: an internal redirect of Envoy's runs the filters again, on headers that we have changed.

use super::algorithm::Algorithm;
use super::key::Signatures;
use super::key_set::{KeySet, Unverified};
use super::mint::{PhantomToken, TYP};
use super::untrusted::UntrustedJwt;
use crate::bytes::are_same;
use crate::token::AccessToken;

impl PhantomToken {
    /// Whether we have signed `token`. Of one that says so and cannot be verified for want of a host that does, too: it
    /// must not go to an authorization server, whose token it is not.
    pub fn is_ours(&self, token: &AccessToken, signatures: &dyn Signatures) -> bool {
        let Ok(jwt) = UntrustedJwt::parse(token.secret().as_bytes()) else { return false };
        let says_so = jwt.is_of_type(TYP) && jwt.issuer_unchecked().as_deref() == Some(&self.issuer);
        let Some(alg) = Algorithm::from_name(jwt.alg()).filter(|_| says_so) else { return false };
        if alg == Algorithm::HS256 {
            let key = Some(&self.signing_key).filter(|key| key.alg() == alg);
            let signed = key.and_then(|key| key.sign(signatures, jwt.signing_input()).ok());
            return signed.is_some_and(|signature| are_same(signature.as_ref(), jwt.signature()));
        }
        let Ok((keys, _)) = KeySet::parse(self.jwks().as_bytes()) else { return false };
        let verified =
            keys.verify_signature(alg, jwt.kid(), jwt.signing_input(), jwt.signature(), signatures);
        matches!(verified, Ok(()) | Err(Unverified::Host(_)))
    }
}
