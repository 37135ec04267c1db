//! The signature algorithms of JWTs (RFC 7518 §3.1, RFC 8037 §3.1), and which keys they go with.

use super::public_key::{Curve, PublicKey};

/// A signature algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Ed25519.
    EdDSA,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// HMAC with SHA-256; signs, and never verifies what others signed.
    HS256,
    /// RSASSA-PSS with SHA-256, a salt of 32 bytes, and MGF1 with SHA-256.
    PS256,
    /// RSASSA-PSS with SHA-384, a salt of 48 bytes, and MGF1 with SHA-384.
    PS384,
    /// RSASSA-PSS with SHA-512, a salt of 64 bytes, and MGF1 with SHA-512.
    PS512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 10] = [
        Self::EdDSA,
        Self::ES256,
        Self::ES384,
        Self::HS256,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::RS256,
        Self::RS384,
        Self::RS512,
    ];

    /// The value of `alg`, as the filter writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::EdDSA => "EdDSA",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::HS256 => "HS256",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
        }
    }

    /// The algorithm that an `alg` of a JWS header or a JWK means; `None` for `none` and all that is unknown.
    ///
    /// `Ed25519` (RFC 9864 §2.2) is the same as `EdDSA` here, for Ed448 is not supported. Names are compared
    /// case-sensitively (RFC 7515 §4.1.1).
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "Ed25519" => Some(Self::EdDSA),
            _ => Self::ALL.into_iter().find(|algorithm| algorithm.name() == name),
        }
    }

    /// Whether the filter signs with this algorithm; it verifies with all but HS256.
    pub(super) fn signs(self) -> bool {
        match self {
            Self::EdDSA | Self::ES256 | Self::ES384 | Self::HS256 | Self::RS256 => true,
            Self::PS256 | Self::PS384 | Self::PS512 | Self::RS384 | Self::RS512 => false,
        }
    }

    /// Whether `key` is of the type that this algorithm verifies with. No key is for HS256: a public key
    /// taken for an HMAC secret is the oldest attack on JWTs (RFC 8725 §2.1).
    pub(super) fn fits(self, key: &PublicKey) -> bool {
        match self {
            Self::EdDSA => matches!(key, PublicKey::Ed25519(_)),
            Self::ES256 => matches!(key, PublicKey::Ec { curve: Curve::P256, .. }),
            Self::ES384 => matches!(key, PublicKey::Ec { curve: Curve::P384, .. }),
            Self::HS256 => false,
            Self::PS256 | Self::PS384 | Self::PS512 | Self::RS256 | Self::RS384 | Self::RS512 => {
                matches!(key, PublicKey::Rsa { .. })
            }
        }
    }

    /// The key that this algorithm needs, in words.
    pub(super) fn wanted_key(self) -> &'static str {
        match self {
            Self::EdDSA => "an Ed25519 key for EdDSA",
            Self::ES256 => "a P-256 key for ES256",
            Self::ES384 => "a P-384 key for ES384",
            Self::HS256 => "a JWK with \"kty\": \"oct\" for HS256",
            Self::PS256 | Self::PS384 | Self::PS512 => "an RSA key for RSASSA-PSS",
            Self::RS256 => "an RSA key for RS256",
            Self::RS384 => "an RSA key for RS384",
            Self::RS512 => "an RSA key for RS512",
        }
    }

    /// The name of the algorithm's hash, as the host calls it.
    pub(super) fn hash(self) -> &'static str {
        match self {
            Self::EdDSA | Self::ES256 | Self::HS256 | Self::PS256 | Self::RS256 => "sha256",
            Self::ES384 | Self::PS384 | Self::RS384 => "sha384",
            Self::PS512 | Self::RS512 => "sha512",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_compared_to_the_letter() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::from_name(algorithm.name()), Some(algorithm));
            assert_eq!(Algorithm::from_name(&algorithm.name().to_ascii_lowercase()), None);
        }
        assert_eq!(Algorithm::from_name("Ed25519"), Some(Algorithm::EdDSA));
        for unknown in
            ["", "none", "None", "NONE", "HS384", "HS512", "ES256K", "ES512", "Ed448", "RS256 ", "ed25519"]
        {
            assert_eq!(Algorithm::from_name(unknown), None, "{unknown:?}");
        }
    }
}
