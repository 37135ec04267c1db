//! Private keys: read from PKCS#8 PEM or a private JWK, brought into the form that signs.

use std::fmt;

use der::{Tag, TagNumber, pem};
use serde_json::{Map, Value};

use super::der::{Elements, Malformed, bits, element, number, numbers, sequence};
use super::public_key::{
    self, Curve, EC_PUBLIC_KEY, ED25519, KeyError, PublicKey, RSA_ENCRYPTION, algorithm,
};

/// A private key in the form that signs. `Debug` shows only its type.
#[derive(Clone)]
pub enum PrivateKey {
    /// An Ed25519 key, used by Rust code.
    Ed25519(Box<ed25519_dalek::SigningKey>),
    /// A secret for HMAC.
    Hmac(Vec<u8>),
    /// An EC or RSA key, used by the host.
    Native {
        /// PKCS#8 DER.
        pkcs8: Vec<u8>,
        /// Its public half.
        public: PublicKey,
    },
}

impl PrivateKey {
    /// Reads a PEM `PRIVATE KEY` (PKCS#8) or a private JWK.
    ///
    /// # Errors
    ///
    /// [`KeyError`] with what is wrong; never with the key.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if text.trim_start().starts_with('{') {
            return Self::from_jwk(&public_key::jwk(text)?);
        }
        match pem::decode_vec(text.trim().as_bytes()) {
            Ok(("PRIVATE KEY", der)) => Self::from_pkcs8(&der),
            Ok(_) => Err(KeyError::OtherPem),
            Err(_) => Err(KeyError::NotAPrivateKey),
        }
    }

    /// The public half; `None` for a symmetric key, which has none to show.
    pub fn public(&self) -> Option<PublicKey> {
        match self {
            Self::Ed25519(key) => Some(PublicKey::Ed25519(key.verifying_key().to_bytes())),
            Self::Hmac(_) => None,
            Self::Native { public, .. } => Some(public.clone()),
        }
    }

    /// Reads a PrivateKeyInfo (RFC 5208 §5). That its numbers fit together is for the host to say, which signs with it.
    fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let mut info = Elements::of_sequence(der)?;
        info.number()?;
        let mut algorithm = info.sequence()?;
        let oid = algorithm.content(Tag::ObjectIdentifier)?;
        let key = info.content(Tag::OctetString)?;
        let public = if oid == EC_PUBLIC_KEY.as_bytes() {
            PublicKey::from_point(Curve::read(&mut algorithm)?, public_point(key)?)?
        } else if oid == RSA_ENCRYPTION.as_bytes() {
            let mut numbers = Elements::of_sequence(key)?;
            let [_, n, e] = [numbers.number()?, numbers.number()?, numbers.number()?];
            // The private exponent, the primes, and what is computed from them.
            for _ in 0..6 {
                numbers.number()?;
            }
            PublicKey::rsa(n, e)?
        } else if oid == ED25519.as_bytes() {
            return Self::ed25519(Elements::new(key)?.content(Tag::OctetString)?);
        } else {
            return Err(KeyError::Unsupported);
        };
        Ok(Self::Native { pkcs8: der.to_vec(), public })
    }

    fn from_jwk(jwk: &Map<String, Value>) -> Result<Self, KeyError> {
        if public_key::text(jwk, "kty")? == "oct" {
            return Ok(Self::Hmac(public_key::member(jwk, "k")?));
        }
        let public = PublicKey::from_jwk(jwk)?;
        let d = public_key::member(jwk, "d")?;
        let pkcs8 = match &public {
            PublicKey::Ed25519(x) => {
                let key = Self::ed25519(&d)?;
                let fits = key.public() == Some(PublicKey::Ed25519(*x));
                return fits.then_some(key).ok_or(KeyError::Malformed);
            }
            PublicKey::Ec { curve, x, y } => {
                let public = element(PUBLIC_POINT, &bits(&public_key::point(x, y))?)?;
                let key = sequence(&[&number(&[1])?, &element(Tag::OctetString, &d)?, &public])?;
                pkcs8(&algorithm(EC_PUBLIC_KEY, Some(curve.oid()))?, &key)?
            }
            PublicKey::Rsa { n, e } => {
                let part = |name| public_key::member(jwk, name);
                let (p, q, dp, dq, qi) = (part("p")?, part("q")?, part("dp")?, part("dq")?, part("qi")?);
                // RFC 8017 §A.1.2, from the numbers of RFC 7518 §6.3.
                let key = numbers(&[&[0], n, e, &d, &p, &q, &dp, &dq, &qi])?;
                pkcs8(&algorithm(RSA_ENCRYPTION, None)?, &key)?
            }
        };
        Ok(Self::Native { pkcs8, public })
    }

    fn ed25519(seed: &[u8]) -> Result<Self, KeyError> {
        let seed = seed.try_into().map_err(|_| KeyError::Malformed)?;
        Ok(Self::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(seed))))
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ed25519(_) => "Ed25519([redacted])",
            Self::Hmac(_) => "Hmac([redacted])",
            Self::Native { .. } => "Native([redacted])",
        })
    }
}

/// The public part of an ECPrivateKey (RFC 5915 §3).
fn public_point(der: &[u8]) -> Result<&[u8], KeyError> {
    let mut key = Elements::of_sequence(der)?;
    key.number()?;
    key.content(Tag::OctetString)?;
    let mut point = Elements::new(key.find(PUBLIC_POINT)?.ok_or(KeyError::NoPublicPart)?)?;
    Ok(point.bits()?)
}

const PUBLIC_POINT: Tag = Tag::ContextSpecific { constructed: true, number: TagNumber(1) };

/// PrivateKeyInfo (RFC 5208 §5).
fn pkcs8(algorithm: &[u8], key: &[u8]) -> Result<Vec<u8>, Malformed> {
    sequence(&[&number(&[0])?, algorithm, &element(Tag::OctetString, key)?])
}
