//! Key sets of others (RFC 7517 §5), and the one way from an [`UntrustedJwt`] to a [`VerifiedJwt`].

use std::fmt;

use litemap::LiteMap;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::algorithm::Algorithm;
use super::key::{SignError, Signatures};
use super::pss::is_pss;
use super::untrusted::{UntrustedJwt, is_type};
use super::verifying_key::{UnusableKey, VerifyingKey};
use crate::claims::{BadMember, point_in_time};
use crate::json::{self, NotAnObject};
use crate::token::UnixMillis;

/// The keys that an authorization server signs with, as it published them.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    /// In the order of publication.
    keys: Vec<VerifyingKey>,
}

impl KeySet {
    /// Reads the body of a JWKS reply. A key that is weak, malformed, for another purpose or of an unknown kind
    /// is left out and named in a warning; the others serve (RFC 7517 §5). A set may turn out empty: then it
    /// verifies nothing.
    ///
    /// # Errors
    ///
    /// [`KeySetError`] if the body is no key set.
    pub fn parse(body: &[u8]) -> Result<(Self, Vec<KeyWarning>), KeySetError> {
        let elements = json::array_in(body, "keys").map_err(KeySetError::NotJson)?;
        let elements = elements.ok_or(KeySetError::NoKeys)?;
        let (mut keys, mut warnings) = (Vec::new(), Vec::new());
        if elements.len() > MAX_KEYS {
            warnings.push(KeyWarning::TooMany);
        }
        for (index, element) in elements.into_iter().enumerate().take(MAX_KEYS) {
            let jwk = match element {
                Ok(Value::Object(jwk)) => Ok(jwk),
                Err(NotAnObject::DuplicateMember) => Err(UnusableKey::DuplicateMember),
                _ => Err(UnusableKey::NotAnObject),
            };
            match jwk.as_ref().map_err(|reason| *reason).and_then(VerifyingKey::from_jwk) {
                Ok(key) => keys.push(key),
                Err(reason) => warnings.push(KeyWarning::Skipped { index, reason }),
            }
            if jwk.is_ok_and(|jwk| PRIVATE_MEMBERS.iter().any(|name| jwk.contains_key(*name))) {
                warnings.push(KeyWarning::PrivateKey { index });
            }
        }
        Ok((Self { keys }, warnings))
    }

    /// The same set, in which keys that name no algorithm verify no RSASSA-PSS: that is done here and not by the host,
    /// at ten times the cost, and whoever forges JWTs would choose it.
    #[must_use]
    pub fn without_unnamed_pss(mut self) -> Self {
        self.keys.iter_mut().for_each(VerifyingKey::refuse_unnamed_pss);
        self
    }

    /// How many keys can verify.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key can verify anything.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// SHA-256 over the usable keys with their `kid` and `alg`, whatever their order: two sets that verify the
    /// same tokens have the same, so a verdict can be bound to the keys it was made with.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut keys = LiteMap::new_vec();
        // One by one: to collect them would sort them first, by 24 KB of code.
        for key in &self.keys {
            keys.insert(key.fingerprint(), ());
        }
        keys.keys().fold(Sha256::new(), |hash, key| hash.chain_update(key)).finalize().into()
    }

    /// Verifies a JWT's signature; then, and only then, reads its claims. What they say is not judged here.
    ///
    /// `allowed` are the algorithms that the caller expects from this issuer (RFC 8725 §3.1).
    ///
    /// # Errors
    ///
    /// [`Unverified`] with the reason.
    pub fn verify(
        &self,
        jwt: &UntrustedJwt<'_>,
        allowed: &[Algorithm],
        signatures: &dyn Signatures,
    ) -> Result<VerifiedJwt, Unverified> {
        let alg = Algorithm::from_name(jwt.alg()).filter(|alg| allowed.contains(alg));
        let alg = alg.ok_or(Unverified::AlgorithmNotAllowed)?;
        self.verify_signature(alg, jwt.kid(), jwt.signing_input(), jwt.signature(), signatures)?;
        let claims = json::object(jwt.payload_unchecked()).map_err(|_| Unverified::NotClaims)?;
        Ok(VerifiedJwt::new(alg, jwt, claims))
    }

    /// Verifies a signature in JOSE form over `text`: with the key that `kid` names; if no key has that name,
    /// with those that have none; without `kid`, with any. Every key must admit `alg`, and at most eight are
    /// tried, for RSASSA-PSS two.
    ///
    /// # Errors
    ///
    /// [`Unverified`] with the reason.
    pub fn verify_signature(
        &self,
        alg: Algorithm,
        kid: Option<&str>,
        text: &[u8],
        signature: &[u8],
        signatures: &dyn Signatures,
    ) -> Result<(), Unverified> {
        let is_known = kid.is_some() && self.keys.iter().any(|key| key.kid() == kid);
        let is_meant = |key: &&VerifyingKey| match kid {
            Some(_) if is_known => key.kid() == kid,
            Some(_) => key.kid().is_none(),
            None => true,
        };
        let most = if is_pss(alg) { MAX_TRIED_PSS } else { MAX_TRIED };
        let mut reason = if is_known { Unverified::AlgorithmNotAllowed } else { Unverified::UnknownKey };
        for key in self.keys.iter().filter(is_meant).filter(|key| key.admits(alg)).take(most) {
            if key.verify(alg, text, signature, signatures).map_err(Unverified::Host)? {
                return Ok(());
            }
            if is_known {
                reason = Unverified::BadSignature;
            }
        }
        Err(reason)
    }
}

/// A JWT whose signature held: only [`KeySet::verify`] and [`OwnKeyJwt`](super::OwnKeyJwt) make one. Whether it is meant for
/// us, still good, and of the wanted type is another question.
#[derive(Clone, PartialEq)]
pub struct VerifiedJwt {
    alg: Algorithm,
    typ: Option<String>,
    claims: Map<String, Value>,
}

impl VerifiedJwt {
    /// Whoever makes one has verified it.
    pub(super) fn new(alg: Algorithm, jwt: &UntrustedJwt<'_>, claims: Map<String, Value>) -> Self {
        Self { alg, typ: jwt.typ().map(str::to_owned), claims }
    }

    /// The algorithm of the signature.
    pub fn alg(&self) -> Algorithm {
        self.alg
    }

    /// The type of the JWT (RFC 7515 §4.1.9), as it was written. Callers must require the one they expect
    /// (RFC 8725 §3.11): a key set signs more than one kind of JWT.
    pub fn typ(&self) -> Option<&str> {
        self.typ.as_deref()
    }

    /// Whether the type is `wanted`; an empty one is that of a JWT that says none.
    pub fn is_of_type(&self, wanted: &str) -> bool {
        is_type(self.typ(), wanted)
    }

    /// A claim that must be a string where there is one (StringOrURI, RFC 7519 §2).
    ///
    /// # Errors
    ///
    /// [`BadMember`] if it is anything else, `null` included.
    pub fn text(&self, name: &'static str) -> Result<Option<&str>, BadMember> {
        self.claims.get(name).map(|value| value.as_str().ok_or(BadMember(name))).transpose()
    }

    /// A claim that must be a number of seconds since the epoch where there is one (NumericDate, RFC 7519 §2),
    /// clamped to what a clock can show.
    ///
    /// # Errors
    ///
    /// [`BadMember`] if it is anything else: a number in a string, or `null`.
    pub fn time(&self, name: &'static str) -> Result<Option<UnixMillis>, BadMember> {
        let time = |value: &Value| value.as_f64().map(point_in_time).ok_or(BadMember(name));
        self.claims.get(name).map(time).transpose()
    }

    /// The claims set (RFC 7519 §4).
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// The claims set, owned.
    pub fn into_claims(self) -> Map<String, Value> {
        self.claims
    }
}

impl fmt::Debug for VerifiedJwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifiedJwt(alg {:?}, typ {:?}, claims [redacted])", self.alg, self.typ)
    }
}

/// Why a JWT is not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unverified {
    /// Its `alg` is none that the caller allows, or not one of the key that it names.
    AlgorithmNotAllowed,
    /// The key that it names did not make the signature.
    BadSignature,
    /// The host verifies nothing: no verdict.
    Host(SignError),
    /// The signature holds, but over something that is no claims set.
    NotClaims,
    /// The set has no key of that name, or the JWT names none; and no key that may be meant made the signature.
    UnknownKey,
}

impl Unverified {
    /// Whether the issuer may have published a key since that verifies the JWT. All else is final.
    pub fn newer_keys_may_help(&self) -> bool {
        match self {
            Self::UnknownKey => true,
            Self::AlgorithmNotAllowed | Self::BadSignature | Self::Host(_) | Self::NotClaims => false,
        }
    }
}

impl fmt::Display for Unverified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlgorithmNotAllowed => {
                "expected a JWT by an algorithm that is allowed and fits its key, got another"
            }
            Self::BadSignature => "expected a JWT signed by the key that it names, got another signature",
            Self::Host(error) => return error.fmt(f),
            Self::NotClaims => "expected a JWT of claims, got one of something else",
            Self::UnknownKey => "expected a JWT signed by a key of the key set, got one of another",
        })
    }
}

/// What an operator should know about a key of a key set. Shows where it is, never the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyWarning {
    /// A private or symmetric key was published. Its public half, if it has one, is used.
    PrivateKey {
        /// Its place in `keys`, from 0.
        index: usize,
    },
    /// There are more than 100 keys; those after are not looked at.
    TooMany,
    /// The key is not used.
    Skipped {
        /// Its place in `keys`, from 0.
        index: usize,
        /// Why.
        reason: UnusableKey,
    },
}

impl fmt::Display for KeyWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PrivateKey { index } => {
                write!(
                    f,
                    "keys[{index}]: expected a public key, got a private one, which is no secret any more"
                )
            }
            Self::TooMany => {
                write!(f, "expected at most {MAX_KEYS} keys, got more: the first {MAX_KEYS} are used")
            }
            Self::Skipped { index, reason } => write!(f, "keys[{index}]: not used: {reason}"),
        }
    }
}

/// Why a text is no key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySetError {
    /// An object without the array `keys`.
    NoKeys,
    /// Not one JSON object, or one with several `keys`.
    NotJson(NotAnObject),
}

impl fmt::Display for KeySetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKeys => f.write_str("expected a JSON object with the array \"keys\", got one without"),
            Self::NotJson(reason) => reason.fmt(f),
        }
    }
}

/// Members that only private and symmetric keys have (RFC 7518 §6.2.2, §6.3.2, §6.4.1).
pub(super) const PRIVATE_MEMBERS: [&str; 8] = ["d", "dp", "dq", "k", "oth", "p", "q", "qi"];

/// Most keys in a set.
const MAX_KEYS: usize = 100;

/// Most keys that one JWT is tried with: a token of an attacker must not cost a hundred verifications.
const MAX_TRIED: usize = 8;

/// The same of RSASSA-PSS, at milliseconds each.
const MAX_TRIED_PSS: usize = 2;
