//! The JWT that the service behind gets for a request.

use crate::claims::Claims;
use crate::filter::case::Case;
use crate::filter::step::Step;
use crate::filter::worker::Worker;
use crate::jwt::{self, Minted, PhantomToken, PhantomTokenId};
use crate::metrics::{Counter, Whose};
use crate::policy::{Authorization, Permit};
use crate::provider::OriginKind;

/// The JWT that the service behind is to get.
pub(super) enum Phantom<'f> {
    /// One that we sign.
    Minted(&'f PhantomToken),
    /// None.
    None,
    /// The one that the authorization server gave.
    OfServer,
}

impl Phantom<'_> {
    /// What it is found by beside a verdict.
    fn id(&self) -> Option<PhantomTokenId> {
        match self {
            Self::Minted(phantom_token) => Some(phantom_token.id),
            Self::None => None,
            Self::OfServer => Some(OF_SERVER),
        }
    }
}

/// The JWT that a request's policy wants.
pub(super) fn phantom<'w>(case: &Case, worker: &'w Worker) -> Phantom<'w> {
    match (case.policy.authorization(&case.origin), case.origin.kind, &worker.config.phantom_token) {
        (Authorization::Jwt, OriginKind::IntrospectedWithJwt, _) => Phantom::OfServer,
        (Authorization::Jwt, _, Some(phantom_token)) => Phantom::Minted(phantom_token),
        _ => Phantom::None,
    }
}

/// What the JWT of a request is found by beside its verdict, if it gets one.
pub(super) fn jwt_id(case: &Case, worker: &Worker) -> Option<PhantomTokenId> {
    phantom(case, worker).id()
}

/// Mints the phantom token that requests for one token share, if any of them is permitted and wants one.
pub(in crate::filter) fn mint_for<'c>(
    mut cases: impl Iterator<Item = &'c Case>,
    claims: Claims<'_>,
    step: &mut Step<'_>,
) -> Option<Minted> {
    let worker = step.worker;
    let (phantom_token, case, permit) = cases.find_map(|case| {
        let Phantom::Minted(phantom_token) = phantom(case, worker) else { return None };
        let permit = case.decide(claims, step).ok()?;
        Some((phantom_token, case, permit))
    })?;
    mint(phantom_token, &case.origin.provider, &permit, step)
}

pub(super) fn mint(
    phantom_token: &PhantomToken,
    provider: &str,
    permit: &Permit<'_>,
    step: &mut Step<'_>,
) -> Option<Minted> {
    match jwt::mint(phantom_token, step.worker.signatures(), permit, step.now) {
        Ok(minted) => {
            step.count(Counter::JwtMinted, Whose::provider(provider));
            if phantom_token.audiences.is_empty() && permit.claims().audiences().all(<[u8]>::is_empty) {
                note_no_audience(provider, step);
            }
            Some(minted)
        }
        Err(reason) => {
            log::error!("phantom_token.signing_keys: no phantom token: {reason}");
            None
        }
    }
}

/// RFC 9068 §2.2 requires `aud`, and many services refuse a JWT without.
fn note_no_audience(provider: &str, step: &Step<'_>) {
    let text = format_args!(
        "a token names no audience, so its phantom token has no aud, which RFC 9068 requires: name them in \
         `phantom_token.audiences`"
    );
    step.worker.complaints.note(provider, "no_audience", step.now, text);
}

/// In the place of a fingerprint: the JWT beside a verdict is the server's own.
pub(in crate::filter) const OF_SERVER: PhantomTokenId = *b"server's";
