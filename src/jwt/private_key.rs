//! Private keys: read from PKCS#8 PEM or a private JWK, brought into the form that signs.

use std::fmt;

use pkcs8::PrivateKeyInfoRef;
use pkcs8::der::asn1::{AnyRef, OctetStringRef, UintRef};
use pkcs8::der::{Decode, Encode, pem};
use pkcs8::spki::AlgorithmIdentifierRef;
use serde_json::{Map, Value};

use super::public_key::{self, Curve, EC_PUBLIC_KEY, ED25519, KeyError, PublicKey, RSA_ENCRYPTION};

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

    fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let info = PrivateKeyInfoRef::from_der(der).map_err(|_| KeyError::Malformed)?;
        let key = info.private_key.as_bytes();
        match info.algorithm.oid {
            EC_PUBLIC_KEY => {
                let curve = info.algorithm.parameters_oid().ok().and_then(Curve::from_oid);
                let curve = curve.ok_or(KeyError::Unsupported)?;
                let key = sec1::EcPrivateKey::from_der(key).map_err(|_| KeyError::Malformed)?;
                let public = PublicKey::from_point(curve, key.public_key.ok_or(KeyError::NoPublicPart)?)?;
                Ok(Self::Native { pkcs8: der.to_vec(), public })
            }
            ED25519 => {
                let seed = <&OctetStringRef>::from_der(key).map_err(|_| KeyError::Malformed)?;
                Self::ed25519(seed.as_bytes())
            }
            RSA_ENCRYPTION => {
                let key = pkcs1::RsaPrivateKeyRef::from_der(key).map_err(|_| KeyError::Malformed)?;
                let public = PublicKey::rsa(key.modulus.as_bytes(), key.public_exponent.as_bytes())?;
                Ok(Self::Native { pkcs8: der.to_vec(), public })
            }
            _ => Err(KeyError::Unsupported),
        }
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
                let point = public_key::point(x, y);
                let key = sec1::EcPrivateKey { private_key: &d, parameters: None, public_key: Some(&point) };
                let curve = curve.oid();
                key.to_der().and_then(|key| pkcs8(EC_PUBLIC_KEY, AnyRef::from(&curve), &key))
            }
            PublicKey::Rsa { n, e } => {
                let part = |name| public_key::member(jwk, name);
                let (p, q, dp, dq, qi) = (part("p")?, part("q")?, part("dp")?, part("dq")?, part("qi")?);
                rsa_private_key([n, e, &d, &p, &q, &dp, &dq, &qi])
                    .and_then(|key| pkcs8(RSA_ENCRYPTION, AnyRef::NULL, &key))
            }
        };
        Ok(Self::Native { pkcs8: pkcs8.map_err(|_| KeyError::Malformed)?, public })
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

/// PKCS#1 from the numbers of a JWK (RFC 7518 §6.3).
fn rsa_private_key([n, e, d, p, q, dp, dq, qi]: [&[u8]; 8]) -> pkcs8::der::Result<Vec<u8>> {
    pkcs1::RsaPrivateKeyRef {
        modulus: UintRef::new(n)?,
        public_exponent: UintRef::new(e)?,
        private_exponent: UintRef::new(d)?,
        prime1: UintRef::new(p)?,
        prime2: UintRef::new(q)?,
        exponent1: UintRef::new(dp)?,
        exponent2: UintRef::new(dq)?,
        coefficient: UintRef::new(qi)?,
        other_prime_infos: None,
    }
    .to_der()
}

fn pkcs8(oid: pkcs8::ObjectIdentifier, parameters: AnyRef<'_>, key: &[u8]) -> pkcs8::der::Result<Vec<u8>> {
    let algorithm = AlgorithmIdentifierRef { oid, parameters: Some(parameters) };
    PrivateKeyInfoRef::new(algorithm, OctetStringRef::new(key)?).to_der()
}
