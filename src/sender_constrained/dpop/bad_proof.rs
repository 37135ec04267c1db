//! Why a DPoP proof is none for its request.

/// What is wrong with a DPoP proof: each is `invalid_dpop_proof` to its client (RFC 9449 §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadProof {
    /// A claim is absent that must be there, or of another type.
    BadClaim,
    /// Its key did not make the signature.
    BadSignature,
    /// It was made, or begins, later than now.
    FromTheFuture,
    /// It is no JWT.
    Malformed,
    /// There is no `dpop` header.
    Missing,
    /// `jwk` is absent, or no key that verifies.
    NoKey,
    /// `alg` is none that is taken here, or not one of its key.
    OtherAlgorithm,
    /// `htm` is another method.
    OtherMethod,
    /// `ath` is of another token.
    OtherToken,
    /// `typ` is another.
    OtherType,
    /// `htu` is another URI.
    OtherUri,
    /// `jwk` has private parts, or is a shared secret.
    PrivateKey,
    /// It was seen before.
    Replayed,
    /// There are several.
    Several,
    /// It was made too long ago, or has ended.
    TooOld,
}

/// A nonce is wanted (RFC 9449 §9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NonceWanted {
    /// This one.
    pub nonce: String,
    /// Whether the proof has another, which is not or not any more one of ours.
    pub has_other: bool,
}

impl BadProof {
    /// One word for access logs.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::BadClaim => "dpop_claim",
            Self::BadSignature => "dpop_signature",
            Self::FromTheFuture => "dpop_from_the_future",
            Self::Malformed => "dpop_malformed",
            Self::Missing => "dpop_missing",
            Self::NoKey => "dpop_key",
            Self::OtherAlgorithm => "dpop_algorithm",
            Self::OtherMethod => "dpop_for_other_method",
            Self::OtherToken => "dpop_for_other_token",
            Self::OtherType => "dpop_type",
            Self::OtherUri => "dpop_for_other_uri",
            Self::PrivateKey => "dpop_private_key",
            Self::Replayed => "dpop_replayed",
            Self::Several => "several_dpop_proofs",
            Self::TooOld => "dpop_too_old",
        }
    }
}

impl NonceWanted {
    /// One word for access logs.
    pub(crate) fn reason(&self) -> &'static str {
        match self.has_other {
            true => "dpop_with_other_nonce",
            false => "dpop_without_nonce",
        }
    }
}
