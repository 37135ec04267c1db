//! Public keys: read from SPKI PEM or a JWK, published as JWK (RFC 7517, RFC 7518 §6, RFC 8037 §2), and
//! written as SPKI DER, which is what the host verifies with.

use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};
use der::asn1::ObjectIdentifier;
use der::{Tag, pem};
use serde_json::{Map, Value};

use super::der::{Elements, Malformed, bits, element, numbers, sequence};
use super::roca;
use crate::json::object_of;

/// A public key that JWTs can be verified with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// A point on a NIST curve; coordinates are as long as the field.
    Ec {
        /// Which curve.
        curve: Curve,
        /// Big-endian x coordinate.
        x: Vec<u8>,
        /// Big-endian y coordinate.
        y: Vec<u8>,
    },
    /// An Ed25519 point (RFC 8032).
    Ed25519([u8; 32]),
    /// An RSA key of at least 2048 bits (RFC 7518 §3.3).
    Rsa {
        /// Big-endian modulus without leading zeros.
        n: Vec<u8>,
        /// Big-endian exponent without leading zeros.
        e: Vec<u8>,
    },
}

/// The NIST curves of RFC 7518 §6.2.1.1 that the filter signs and verifies with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// secp256r1, for ES256.
    P256,
    /// secp384r1, for ES384.
    P384,
}

impl Curve {
    /// Length of a coordinate, a scalar and half a JOSE signature, in bytes.
    pub fn field_len(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }

    /// The `crv` of a JWK.
    fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
        }
    }

    /// The curve's object identifier (RFC 5480 §2.1.1.1).
    pub(super) fn oid(self) -> ObjectIdentifier {
        match self {
            Self::P256 => P256,
            Self::P384 => P384,
        }
    }

    /// The one that comes next, as the parameters of an EC key's algorithm.
    pub(super) fn read(algorithm: &mut Elements<'_>) -> Result<Self, KeyError> {
        let oid = algorithm.content(Tag::ObjectIdentifier).map_err(|_| KeyError::Unsupported)?;
        let curve = [Self::P256, Self::P384].into_iter().find(|curve| curve.oid().as_bytes() == oid);
        curve.ok_or(KeyError::Unsupported)
    }
}

impl PublicKey {
    /// Reads a PEM `PUBLIC KEY` (SPKI) or a JWK.
    ///
    /// # Errors
    ///
    /// [`KeyError`] with what is wrong; never with the key.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if text.trim_start().starts_with('{') {
            return Self::from_jwk(&jwk(text)?);
        }
        match pem::decode_vec(text.trim().as_bytes()) {
            Ok(("PUBLIC KEY", der)) => Self::from_spki(&der),
            _ => Err(KeyError::NotAPublicKey),
        }
    }

    /// The public half of a JWK, private or not.
    ///
    /// # Errors
    ///
    /// [`KeyError`] with what is wrong.
    pub fn from_jwk(jwk: &Map<String, Value>) -> Result<Self, KeyError> {
        match (text(jwk, "kty")?, jwk.get("crv").and_then(Value::as_str)) {
            ("EC", Some(crv)) => {
                let curve = [Curve::P256, Curve::P384].into_iter().find(|curve| curve.name() == crv);
                let curve = curve.ok_or(KeyError::Unsupported)?;
                let (x, y) = (member(jwk, "x")?, member(jwk, "y")?);
                let fits = x.len() == curve.field_len() && y.len() == curve.field_len();
                fits.then_some(Self::Ec { curve, x, y }).ok_or(KeyError::Malformed)
            }
            ("OKP", Some("Ed25519")) => {
                member(jwk, "x")?.try_into().map(Self::Ed25519).map_err(|_| KeyError::Malformed)
            }
            ("RSA", _) => Self::rsa(&member(jwk, "n")?, &member(jwk, "e")?),
            _ => Err(KeyError::Unsupported),
        }
    }

    fn from_spki(der: &[u8]) -> Result<Self, KeyError> {
        let mut spki = Elements::of_sequence(der)?;
        let mut algorithm = spki.sequence()?;
        let oid = algorithm.content(Tag::ObjectIdentifier)?;
        let key = spki.bits()?;
        spki.end()?;
        if oid == EC_PUBLIC_KEY.as_bytes() {
            Self::from_point(Curve::read(&mut algorithm)?, key)
        } else if oid == RSA_ENCRYPTION.as_bytes() {
            let mut numbers = Elements::of_sequence(key)?;
            let (n, e) = (numbers.number()?, numbers.number()?);
            numbers.end()?;
            Self::rsa(n, e)
        } else if oid == ED25519.as_bytes() {
            key.try_into().map(Self::Ed25519).map_err(|_| KeyError::Malformed)
        } else {
            Err(KeyError::Unsupported)
        }
    }

    /// An RSA key, if it is strong enough, and neither so large nor so odd that it is there to cost time.
    pub(super) fn rsa(n: &[u8], e: &[u8]) -> Result<Self, KeyError> {
        let (n, e) = (without_leading_zeros(n), without_leading_zeros(e));
        let (bits, exponent_bits) = (bit_length(n), bit_length(e));
        let is_odd = |number: &[u8]| number.last().is_some_and(|byte| byte & 1 == 1);
        if bits < MIN_RSA_BITS {
            return Err(KeyError::WeakRsa { bits });
        }
        if bits > MAX_RSA_BITS {
            return Err(KeyError::LongRsa { bits });
        }
        if !is_odd(n) || !is_odd(e) || !(2..=MAX_EXPONENT_BITS).contains(&exponent_bits) {
            return Err(KeyError::UnsafeRsa);
        }
        if roca::is_marked(n) {
            return Err(KeyError::PredictableRsa);
        }
        Ok(Self::Rsa { n: n.to_vec(), e: e.to_vec() })
    }

    /// A point in SEC 1 uncompressed form: `04 ‖ x ‖ y`.
    pub(super) fn from_point(curve: Curve, point: &[u8]) -> Result<Self, KeyError> {
        let Some((4, coordinates)) = point.split_first() else { return Err(KeyError::Malformed) };
        match coordinates.split_at_checked(curve.field_len()) {
            Some((x, y)) if x.len() == y.len() => Ok(Self::Ec { curve, x: x.to_vec(), y: y.to_vec() }),
            _ => Err(KeyError::Malformed),
        }
    }

    /// The members that a JWK of this key has: `kty` and the key itself.
    pub fn to_jwk(&self) -> Map<String, Value> {
        let encode = |bytes: &[u8]| Value::from(Base64UrlUnpadded::encode_string(bytes));
        let members = match self {
            Self::Ec { curve, x, y } => {
                vec![("kty", "EC".into()), ("crv", curve.name().into()), ("x", encode(x)), ("y", encode(y))]
            }
            Self::Ed25519(x) => vec![("kty", "OKP".into()), ("crv", "Ed25519".into()), ("x", encode(x))],
            Self::Rsa { n, e } => vec![("kty", "RSA".into()), ("n", encode(n)), ("e", encode(e))],
        };
        object_of(members.into_iter().map(|(name, value)| (name.to_owned(), value)))
    }

    /// What a thumbprint is the hash of: the members that make the key, in their order (RFC 7638 §3).
    pub(super) fn thumbprint_input(&self) -> String {
        let encode = Base64UrlUnpadded::encode_string;
        match self {
            Self::Ec { curve, x, y } => {
                let (crv, x, y) = (curve.name(), encode(x), encode(y));
                format!(r#"{{"crv":"{crv}","kty":"EC","x":"{x}","y":"{y}"}}"#)
            }
            Self::Ed25519(x) => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, encode(x)),
            Self::Rsa { n, e } => format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, encode(e), encode(n)),
        }
    }

    /// SubjectPublicKeyInfo, DER (RFC 5280 §4.1.2.7).
    ///
    /// # Errors
    ///
    /// [`KeyError::Malformed`] if the parts do not make a key.
    pub fn to_spki_der(&self) -> Result<Vec<u8>, KeyError> {
        let (algorithm, key) = match self {
            Self::Ec { curve, x, y } => (algorithm(EC_PUBLIC_KEY, Some(curve.oid()))?, point(x, y)),
            Self::Ed25519(x) => (sequence(&[&oid(ED25519)?])?, x.to_vec()),
            Self::Rsa { n, e } => (algorithm(RSA_ENCRYPTION, None)?, numbers(&[n, e])?),
        };
        Ok(sequence(&[&algorithm, &bits(&key)?])?)
    }
}

/// Why a text is not a key the filter can use. Never shows the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// An RSA key over 8192 bits, which the host's library refuses too.
    LongRsa {
        /// Length of its modulus.
        bits: usize,
    },
    /// The structure is a key's, the content is not.
    Malformed,
    /// A PKCS#8 EC key without its public part, which the key set is made from.
    NoPublicPart,
    /// Neither a PEM of a private key nor a JWK.
    NotAPrivateKey,
    /// Neither a PEM of a public key nor a JWK.
    NotAPublicKey,
    /// A JWK without a member that its `kty` requires, or with one that is not base64url.
    NoMember(&'static str),
    /// A PEM in another form than PKCS#8.
    OtherPem,
    /// An RSA key whose primes can be computed (ROCA, CVE-2017-15361).
    PredictableRsa,
    /// A symmetric key shorter than the hash (RFC 7518 §3.2).
    ShortSecret,
    /// An RSA key whose modulus or exponent is even, or whose exponent is 1 or longer than 33 bits.
    UnsafeRsa,
    /// A key type or curve that the filter neither signs nor verifies with.
    Unsupported,
    /// An RSA key under 2048 bits (RFC 7518 §3.3).
    WeakRsa {
        /// Length of its modulus.
        bits: usize,
    },
    /// A key of another type than the algorithm needs.
    WrongType {
        /// What the algorithm needs.
        wanted: &'static str,
    },
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LongRsa { bits } => write!(f, "expected an RSA key of at most {MAX_RSA_BITS} bits, got {bits}"),
            Self::Malformed => f.write_str("expected a key, got something that is built like one but is none"),
            Self::NoPublicPart => f.write_str(
                "expected a PKCS#8 key with its public part, got one without (openssl pkcs8 -topk8 -nocrypt writes it)",
            ),
            Self::NotAPrivateKey => f.write_str("expected a PKCS#8 PEM (BEGIN PRIVATE KEY) or a JWK, got neither"),
            Self::NotAPublicKey => f.write_str("expected an SPKI PEM (BEGIN PUBLIC KEY) or a JWK, got neither"),
            Self::NoMember(name) => write!(f, "expected a JWK with the base64url member {name:?}, got one without"),
            Self::OtherPem => f.write_str(
                "expected a PKCS#8 PEM (BEGIN PRIVATE KEY), got another PEM (openssl pkcs8 -topk8 -nocrypt converts it)",
            ),
            Self::PredictableRsa => {
                f.write_str("expected a sound RSA key, got one that can be broken (ROCA, CVE-2017-15361)")
            }
            Self::ShortSecret => f.write_str("expected a secret of at least 32 bytes, got a shorter one"),
            Self::UnsafeRsa => {
                f.write_str("expected an RSA key of odd numbers, the exponent 3 to 2^33 - 1, got other numbers")
            }
            Self::Unsupported => {
                f.write_str("expected a P-256, P-384, Ed25519 or RSA key, got a key of another type or curve")
            }
            Self::WeakRsa { bits } => write!(f, "expected an RSA key of at least {MIN_RSA_BITS} bits, got {bits}"),
            Self::WrongType { wanted } => write!(f, "expected {wanted}, got a key of another type"),
        }
    }
}

impl From<Malformed> for KeyError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// Parses the JSON of a JWK.
pub(super) fn jwk(text: &str) -> Result<Map<String, Value>, KeyError> {
    crate::json::object(text.as_bytes()).map_err(|_| KeyError::Malformed)
}

/// A string member of a JWK.
pub(super) fn text<'j>(jwk: &'j Map<String, Value>, name: &'static str) -> Result<&'j str, KeyError> {
    jwk.get(name).and_then(Value::as_str).ok_or(KeyError::NoMember(name))
}

/// A base64url member of a JWK.
pub(super) fn member(jwk: &Map<String, Value>, name: &'static str) -> Result<Vec<u8>, KeyError> {
    // RFC 7515 §2 wants no padding, but some servers write it, and it says nothing else.
    let text = text(jwk, name)?.trim_end_matches('=');
    Base64UrlUnpadded::decode_vec(text).map_err(|_| KeyError::NoMember(name))
}

/// A point in SEC 1 uncompressed form.
pub(super) fn point(x: &[u8], y: &[u8]) -> Vec<u8> {
    [&[4], x, y].concat()
}

/// AlgorithmIdentifier of an EC key, with its curve, or of an RSA key, whose parameters are NULL (RFC 3279 §2.3).
pub(super) fn algorithm(of: ObjectIdentifier, curve: Option<ObjectIdentifier>) -> Result<Vec<u8>, Malformed> {
    let parameters = curve.map_or_else(|| element(Tag::Null, &[]), oid)?;
    sequence(&[&oid(of)?, &parameters])
}

fn oid(oid: ObjectIdentifier) -> Result<Vec<u8>, Malformed> {
    element(Tag::ObjectIdentifier, oid.as_bytes())
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|&&byte| byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// The length in bits of a big-endian number without leading zeros.
fn bit_length(number: &[u8]) -> usize {
    number.len() * 8 - number.first().map_or(0, |byte| byte.leading_zeros() as usize)
}

/// id-ecPublicKey (RFC 5480).
pub(super) const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// id-Ed25519 (RFC 8410).
pub(super) const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// rsaEncryption (RFC 8017).
pub(super) const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// secp256r1 and secp384r1 (RFC 5480 §2.1.1.1).
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
/// Shortest RSA modulus (RFC 7518 §3.3).
const MIN_RSA_BITS: usize = 2048;
/// Longest RSA modulus and exponent that BoringSSL works with; the time of a verification grows with both.
const MAX_RSA_BITS: usize = 8192;
const MAX_EXPONENT_BITS: usize = 33;
