//! One key of a key set, ready to verify: a public JWK (RFC 7517 §4) in the form that the host, or Rust code
//! where the host lacks the algorithm, verifies with.

use std::fmt;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::algorithm::Algorithm;
use super::ecdsa;
use super::key::{SignError, Signatures};
use super::pss;
use super::public_key::{Curve, KeyError, PublicKey};

/// A key that signatures are verified with.
#[derive(Clone, Debug)]
pub(super) struct VerifyingKey {
    kid: Option<String>,
    /// The only algorithm that the key may be used with; `None` if its publisher leaves that open.
    alg: Option<Algorithm>,
    /// Whether it may verify RSASSA-PSS though its publisher does not say so.
    admits_unnamed_pss: bool,
    public: PublicKey,
    material: Material,
    fingerprint: [u8; 32],
}

/// A key in the form that verifies.
#[derive(Clone, Debug)]
enum Material {
    /// For the host: SPKI DER.
    Ec { curve: Curve, spki: Vec<u8> },
    /// For Rust.
    Ed25519(Box<ed25519_dalek::VerifyingKey>),
    /// PKCS#1 v1.5 for the host, PSS for Rust.
    Rsa { spki: Vec<u8>, pss: Box<pss::Key> },
}

impl VerifyingKey {
    /// Reads a JWK. The private half of a key that was published by mistake is not looked at.
    ///
    /// # Errors
    ///
    /// [`UnusableKey`] if no JWT is to be verified with it.
    pub(super) fn from_jwk(jwk: &Map<String, Value>) -> Result<Self, UnusableKey> {
        if jwk.get("kty").is_some_and(|kty| kty == "oct") {
            return Err(UnusableKey::Symmetric);
        }
        // What some servers write for "not said".
        let get = |name| jwk.get(name).filter(|value| !value.is_null());
        match get("use") {
            None => {}
            Some(purpose) if purpose == "sig" => {}
            Some(purpose) if purpose == "enc" => return Err(UnusableKey::ForEncryption),
            Some(_) => return Err(UnusableKey::OtherUse),
        }
        let verifies = |operations: &Value| {
            operations.as_array().is_some_and(|operations| operations.iter().any(|name| name == "verify"))
        };
        if get("key_ops").is_some_and(|operations| !verifies(operations)) {
            return Err(UnusableKey::OtherOperations);
        }
        let kid = match get("kid") {
            None => None,
            Some(kid) => Some(kid.as_str().ok_or(UnusableKey::NoName)?.to_owned()),
        };
        let public = PublicKey::from_jwk(jwk)?;
        let alg = match get("alg") {
            None => None,
            Some(alg) => {
                let alg = alg.as_str().and_then(Algorithm::from_name).filter(|alg| alg.fits(&public));
                Some(alg.ok_or(UnusableKey::OtherAlgorithm)?)
            }
        };
        let material = Material::new(&public)?;
        let fingerprint = fingerprint(kid.as_deref(), alg, &public)?;
        Ok(Self { kid, alg, admits_unnamed_pss: true, public, material, fingerprint })
    }

    /// The key itself.
    pub(super) fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Its name, by which tokens call for it.
    pub(super) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Whether its type, curve and own `alg` admit an algorithm (RFC 8725 §3.1).
    pub(super) fn admits(&self, alg: Algorithm) -> bool {
        let admits = match self.alg {
            Some(own) => own == alg,
            None => self.admits_unnamed_pss || !pss::is_pss(alg),
        };
        admits && alg.fits(&self.public)
    }

    /// From now on it verifies RSASSA-PSS only if its own `alg` says so.
    pub(super) fn refuse_unnamed_pss(&mut self) {
        self.admits_unnamed_pss = false;
    }

    /// Stands for the key, its name and its algorithm.
    pub(super) fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// Whether `signature`, in JOSE form, is one over `text` by this key.
    ///
    /// A host that refuses the key (a point beside its curve, say) has said no: other keys go on serving.
    ///
    /// # Errors
    ///
    /// [`SignError`] if the host verifies nothing at all.
    pub(super) fn verify(
        &self,
        alg: Algorithm,
        text: &[u8],
        signature: &[u8],
        signatures: &dyn Signatures,
    ) -> Result<bool, SignError> {
        if !self.admits(alg) {
            return Ok(false);
        }
        let by_host =
            |spki: &[u8], signature: &[u8]| match signatures.verify(alg.hash(), spki, signature, text) {
                Err(SignError::Refused | SignError::WrongSignature) => Ok(false),
                outcome => outcome,
            };
        match &self.material {
            Material::Ec { curve, spki } => match ecdsa::to_der(*curve, signature) {
                Some(der) => by_host(spki, &der),
                None => Ok(false),
            },
            Material::Ed25519(key) => Ok(ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(text, &signature).is_ok())),
            Material::Rsa { pss, .. } if pss::is_pss(alg) => Ok(pss.verify(alg, text, signature)),
            Material::Rsa { spki, .. } => by_host(spki, signature),
        }
    }
}

impl Material {
    fn new(public: &PublicKey) -> Result<Self, KeyError> {
        match public {
            PublicKey::Ec { curve, .. } => Ok(Self::Ec { curve: *curve, spki: public.to_spki_der()? }),
            PublicKey::Ed25519(point) => {
                let key = ed25519_dalek::VerifyingKey::from_bytes(point).map_err(|_| KeyError::Malformed)?;
                // A point of small order verifies one signature over many texts.
                (!key.is_weak()).then(|| Self::Ed25519(Box::new(key))).ok_or(KeyError::Malformed)
            }
            PublicKey::Rsa { n, e } => {
                let pss = pss::Key::new(n, e).ok_or(KeyError::Malformed)?;
                Ok(Self::Rsa { spki: public.to_spki_der()?, pss: Box::new(pss) })
            }
        }
    }
}

/// SHA-256 over everything that a verdict of this key depends on.
fn fingerprint(kid: Option<&str>, alg: Option<Algorithm>, public: &PublicKey) -> Result<[u8; 32], KeyError> {
    let mut hash = Sha256::new();
    // Each text with its length before it, so that no two keys run together into the same bytes.
    for text in [kid, alg.map(Algorithm::name)] {
        hash.update([u8::from(text.is_some())]);
        hash.update((text.map_or(0, str::len) as u64).to_le_bytes());
        hash.update(text.unwrap_or_default());
    }
    Ok(hash.chain_update(public.to_spki_der()?).finalize().into())
}

/// Why a key of a key set verifies nothing. Never shows the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnusableKey {
    /// It has a member twice, and readers may choose differently.
    DuplicateMember,
    /// It is for encryption (`use`), as every key set of Keycloak has one. Nothing is wrong with that.
    ForEncryption,
    /// Its type, curve, strength or numbers are not those of a key that the filter verifies with.
    Key(KeyError),
    /// Its `kid` is no string.
    NoName,
    /// The element is no JSON object.
    NotAnObject,
    /// Its `alg` is none that verifies with a key of its type.
    OtherAlgorithm,
    /// Its `key_ops` do not include `verify` (RFC 7517 §4.3).
    OtherOperations,
    /// Its `use` is not `sig` (RFC 7517 §4.2).
    OtherUse,
    /// A symmetric key: whoever verifies with it can sign as well.
    Symmetric,
}

impl From<KeyError> for UnusableKey {
    fn from(error: KeyError) -> Self {
        Self::Key(error)
    }
}

impl fmt::Display for UnusableKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateMember => {
                f.write_str("expected a JWK with unique members, got one with a member twice")
            }
            Self::ForEncryption => f.write_str("expected the \"use\" \"sig\", got \"enc\""),
            Self::Key(error) => error.fmt(f),
            Self::NoName => f.write_str("expected a string as \"kid\", got another value"),
            Self::NotAnObject => f.write_str("expected a JSON object, got another value"),
            Self::OtherAlgorithm => {
                f.write_str("expected an \"alg\" that verifies with such a key, got another")
            }
            Self::OtherOperations => f.write_str("expected \"key_ops\" with \"verify\", got others"),
            Self::OtherUse => f.write_str("expected the \"use\" \"sig\", got another"),
            Self::Symmetric => f.write_str("expected a public key, got a symmetric one"),
        }
    }
}
