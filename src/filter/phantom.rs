//! The JWT that the service behind gets for a request.

use super::calls::Call;
use super::{Case, Effect, Filter};
use crate::claims::Claims;
use crate::jwt::{self, Minted, PhantomToken, PhantomTokenId};
use crate::metrics::Counter;
use crate::policy::{self, Authorization, Permit};
use crate::provider::OriginKind;
use crate::token::UnixMillis;

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

impl Filter {
    /// The JWT that a request's policy wants.
    pub(super) fn phantom(&self, case: &Case) -> Phantom<'_> {
        match (case.policy.authorization(&case.origin), case.origin.kind, &self.config.phantom_token) {
            (Authorization::Jwt, OriginKind::IntrospectedWithJwt, _) => Phantom::OfServer,
            (Authorization::Jwt, OriginKind::Introspected | OriginKind::Validated, Some(phantom_token)) => {
                Phantom::Minted(phantom_token)
            }
            _ => Phantom::None,
        }
    }

    /// What the JWT of a request is found by beside its verdict, if it gets one.
    pub(super) fn jwt_id(&self, case: &Case) -> Option<PhantomTokenId> {
        self.phantom(case).id()
    }

    /// Mints the phantom token that all permitted streams of a call share, if there is any that wants it.
    pub(super) fn mint_for_call(
        &self,
        call: &Call,
        claims: Claims<'_>,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) -> Option<Minted> {
        let case = |stream: &_| self.waiting.get(*stream).map(|waiter| &waiter.case);
        let mut cases = call.streams.iter().filter_map(case);
        let (phantom_token, permit) = cases.find_map(|case| self.to_be_minted(case, claims, now))?;
        self.mint(phantom_token, &call.origin.provider, &permit, now, effects)
    }

    /// Mints the phantom token of a request, if it is permitted and wants one.
    pub(super) fn mint_for(
        &self,
        case: &Case,
        claims: Claims<'_>,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) -> Option<Minted> {
        let (phantom_token, permit) = self.to_be_minted(case, claims, now)?;
        self.mint(phantom_token, &case.origin.provider, &permit, now, effects)
    }

    /// What a request's phantom token is made of.
    fn to_be_minted<'c>(
        &self,
        case: &Case,
        claims: Claims<'c>,
        now: UnixMillis,
    ) -> Option<(&PhantomToken, Permit<'c>)> {
        let Phantom::Minted(phantom_token) = self.phantom(case) else { return None };
        let permit = policy::decide(&case.policy.require, &case.origin.expects, claims, now).ok()?;
        Some((phantom_token, permit))
    }

    pub(super) fn mint(
        &self,
        phantom_token: &PhantomToken,
        provider: &str,
        permit: &Permit<'_>,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) -> Option<Minted> {
        match jwt::mint(phantom_token, self.signatures.as_ref(), permit, now) {
            Ok(minted) => {
                effects.push(Effect::Count(Counter::JwtMinted));
                if phantom_token.audiences.is_empty() && permit.claims().audiences().all(<[u8]>::is_empty) {
                    self.note_no_audience(provider, now);
                }
                Some(minted)
            }
            Err(reason) => {
                log::error!("phantom_token.signing_keys: no phantom token: {reason}");
                None
            }
        }
    }
}

impl Filter {
    /// RFC 9068 §2.2 requires `aud`, and many services refuse a JWT without.
    fn note_no_audience(&self, provider: &str, now: UnixMillis) {
        let text = format_args!(
            "a token names no audience, so its phantom token has no aud, which RFC 9068 requires: name them in \
             `phantom_token.audiences`"
        );
        self.complaints.note(provider, "no_audience", now, text);
    }
}

/// In the place of a fingerprint: the JWT beside a verdict is the server's own.
pub(super) const OF_SERVER: PhantomTokenId = *b"server's";
