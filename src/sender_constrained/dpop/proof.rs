//! One proof (RFC 9449 §4.3), check by check.

use std::cell::OnceCell;
use std::fmt;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::bad_proof::{BadProof, NonceWanted};
use super::htu::{self, Target};
use super::replay::Sighting;
use super::rules::Rules;
use super::verifier::Verifier;
use crate::jwt::{NotByOwnKey, OwnKeyJwt, VerifiedJwt};
use crate::request::RequestView;
use crate::sender_constrained::confirmation::Thumbprint;
use crate::sender_constrained::unproven::{BadBinding, Unproven};
use crate::token::{AccessToken, UnixMillis};

/// What a request has in its `dpop` header, and what a proof is checked against.
pub struct ShownProof {
    header: Header,
    /// `htm` must be this.
    method: Vec<u8>,
    target: Target,
    /// `ath` must be this.
    token: Thumbprint,
    /// When it came.
    received: UnixMillis,
    /// The key that it had to be by, and how that was judged: a proof that is looked at twice would be one that was seen.
    judged: OnceCell<(Thumbprint, Result<(), Unproven>)>,
}

enum Header {
    Absent,
    One(Vec<u8>),
    Several,
    TooLong,
}

impl ShownProof {
    /// What is there, whatever it is.
    pub(in crate::sender_constrained) fn of(
        request: &dyn RequestView,
        token: &AccessToken,
        received: UnixMillis,
    ) -> Self {
        let mut copies = request.copies("dpop");
        let header = match (copies.pop(), copies.is_empty()) {
            (None, _) => Header::Absent,
            (Some(_), false) => Header::Several,
            (Some(one), true) if one.len() > MAX_PROOF_BYTES => Header::TooLong,
            (Some(one), true) => Header::One(one),
        };
        Self {
            header,
            method: request.header(":method").unwrap_or_default().into_owned(),
            target: Target::of(request),
            token: Thumbprint(Sha256::digest(token.secret()).into()),
            received,
            judged: OnceCell::new(),
        }
    }

    /// How many bytes of the client's it holds.
    pub(in crate::sender_constrained) fn size(&self) -> usize {
        let proof = if let Header::One(proof) = &self.header { proof.len() } else { 0 };
        proof + self.method.len() + self.target.size()
    }

    /// Judges whether it is a proof by `key` for its request, which was not seen before.
    ///
    /// # Errors
    ///
    /// Why it is none.
    pub(in crate::sender_constrained) fn check(
        &self,
        key: Thumbprint,
        by: &Verifier<'_>,
    ) -> Result<(), Unproven> {
        let (judged_by, outcome) = self.judged.get_or_init(|| (key, self.judge(key, by)));
        if *judged_by == key { outcome.clone() } else { Err(BadBinding::OtherKey.into()) }
    }

    fn judge(&self, key: Thumbprint, by: &Verifier<'_>) -> Result<(), Unproven> {
        let Verifier { rules, seen, signatures, now } = *by;
        let text = match &self.header {
            Header::One(text) => text,
            Header::Absent => return Err(BadProof::Missing.into()),
            Header::Several => return Err(BadProof::Several.into()),
            Header::TooLong => return Err(BadProof::Malformed.into()),
        };
        let proof = OwnKeyJwt::parse(text, TYP, &rules.algorithms)?;
        // Before its signature: whoever has another key does not make us verify it.
        if Thumbprint(proof.thumbprint()) != key {
            return Err(BadBinding::OtherKey.into());
        }
        let proof = proof.verify(signatures)?;
        let jti = text_of(&proof, "jti")?;
        if text_of(&proof, "htm")?.as_bytes() != self.method {
            return Err(BadProof::OtherMethod.into());
        }
        if !htu::is_same(text_of(&proof, "htu")?, &self.target, &rules.origins) {
            return Err(BadProof::OtherUri.into());
        }
        if Thumbprint::parse(text_of(&proof, "ath")?) != Some(self.token) {
            return Err(BadProof::OtherToken.into());
        }
        self.check_nonce(&proof, rules, now)?;
        let until = self.check_times(&proof, rules, now)?;
        match seen.note(key, jti, until, now) {
            Sighting::First => Ok(()),
            Sighting::Again => Err(BadProof::Replayed.into()),
            Sighting::NoRoom => Err(Unproven::TooManyProofs),
        }
    }

    fn check_nonce(&self, proof: &VerifiedJwt, rules: &Rules, now: UnixMillis) -> Result<(), Unproven> {
        let nonce = proof.text("nonce").map_err(|_| BadProof::BadClaim)?;
        let Some(key) = &rules.nonces else { return Ok(()) };
        match nonce {
            Some(nonce) if key.is_good(nonce, self.received) => Ok(()),
            other => Err(Unproven::Nonce(NonceWanted { nonce: key.issue(now), has_other: other.is_some() })),
        }
    }

    /// Until when one like it can pass. It counts how old it was when it came; but who waits for long, waits in vain, or it
    /// would have to be remembered for ever.
    fn check_times(
        &self,
        proof: &VerifiedJwt,
        rules: &Rules,
        now: UnixMillis,
    ) -> Result<UnixMillis, BadProof> {
        let time = |name| proof.time(name).map_err(|_| BadProof::BadClaim);
        let (received, leeway) = (self.received, rules.leeway);
        let issued = time("iat")?.ok_or(BadProof::BadClaim)?;
        let latest = received.plus(leeway);
        if issued > latest || time("nbf")?.is_some_and(|start| start > latest) {
            return Err(BadProof::FromTheFuture);
        }
        let end = issued.plus(rules.max_age).plus(leeway);
        let last = end.plus(LONGEST_WAIT);
        if end < received || last < now || time("exp")?.is_some_and(|exp| exp.plus(leeway) <= received) {
            return Err(BadProof::TooOld);
        }
        Ok(last)
    }
}

/// A claim that must be a text with something in it.
fn text_of<'p>(proof: &'p VerifiedJwt, name: &'static str) -> Result<&'p str, BadProof> {
    let text = proof.text(name).ok().flatten();
    text.filter(|text| !text.is_empty()).ok_or(BadProof::BadClaim)
}

impl fmt::Debug for ShownProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShownProof([redacted])")
    }
}

impl From<NotByOwnKey> for Unproven {
    fn from(reason: NotByOwnKey) -> Self {
        match reason {
            NotByOwnKey::BadSignature => BadProof::BadSignature,
            NotByOwnKey::Host(_) => return Self::NotVerified,
            NotByOwnKey::Malformed => BadProof::Malformed,
            NotByOwnKey::NoKey => BadProof::NoKey,
            NotByOwnKey::OtherAlgorithm => BadProof::OtherAlgorithm,
            NotByOwnKey::OtherType => BadProof::OtherType,
            NotByOwnKey::PrivateKey => BadProof::PrivateKey,
        }
        .into()
    }
}

/// RFC 9449 §4.2.
const TYP: &str = "dpop+jwt";

/// How long a request may wait for its verdict and its proof be as young as when it came.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// Longest proof. One by RSA is 2 KB.
const MAX_PROOF_BYTES: usize = 8 << 10;
