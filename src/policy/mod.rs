//! Policies: what a kind of request needs, and the decision on a verdict.
//!
//! [`decide`] alone makes a [`Permit`], and a phantom token is minted for a `Permit` alone: nothing is
//! forwarded unjudged. It judges anew on every request, so that one cached verdict serves many policies.

mod denial;
mod identity;
mod requirements;
mod rules;

pub use denial::{Denial, InvalidRequest, InvalidToken, Unavailable};
pub use identity::IdentityHeaders;
pub use requirements::Requirements;
pub use rules::{Match, Rule};

pub(crate) use rules::path_of;

use std::rc::Rc;
use std::time::Duration;

use crate::claims::Claims;
use crate::credentials::TokenSource;
use crate::provider::Provider;
use crate::token::UnixMillis;

/// What a kind of request needs, and what its upstream gets.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Its name in the configuration.
    pub name: String,
    /// How tokens are judged.
    pub strategy: Strategy,
    /// Where the token may stand; more than one place is looked at in order.
    pub token_sources: Vec<TokenSource>,
    /// How old a verdict may be, counted from when it was asked for; zero: every request asks.
    pub cache_ttl: Duration,
    /// What the verdict must say.
    pub require: Requirements,
    /// What the upstream finds in `authorization`.
    pub authorization: Authorization,
    /// Header to claim: what else the upstream gets to know.
    pub claim_headers: Vec<(String, String)>,
    /// Whether a request without a token is forwarded (without `authorization`).
    pub allow_missing: bool,
}

/// How a policy judges tokens.
#[derive(Clone, Debug)]
pub enum Strategy {
    /// Not at all: the request passes.
    Allow,
    /// By asking this provider (RFC 7662).
    Introspect(Rc<Provider>),
}

/// What the upstream finds in `authorization`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authorization {
    /// The phantom token.
    Jwt,
    /// What the client sent.
    Original,
    /// Nothing.
    Remove,
}

/// Proof that a request's token was judged and may pass. Only [`decide`] makes one.
#[derive(Clone, Copy, Debug)]
pub struct Permit<'a> {
    claims: Claims<'a>,
}

impl<'a> Permit<'a> {
    /// What the token says.
    pub fn claims(&self) -> &Claims<'a> {
        &self.claims
    }
}

/// Judges an active token: its times, its issuer, and what the policy requires.
///
/// # Errors
///
/// The [`Denial`] of the first check that fails; scopes come last, so that 403 means that all else is right.
pub fn decide<'a>(
    require: &Requirements,
    issuer: Option<&str>,
    claims: Claims<'a>,
    now: UnixMillis,
) -> Result<Permit<'a>, Denial> {
    if claims.exp.is_some_and(|exp| now >= exp) {
        return Err(InvalidToken::Expired.into());
    }
    if claims.nbf.is_some_and(|nbf| now.plus(CLOCK_LEEWAY) < nbf) {
        return Err(InvalidToken::NotYetValid.into());
    }
    if let (Some(wanted), Some(iss)) = (issuer, claims.iss)
        && wanted.as_bytes() != iss
    {
        return Err(InvalidToken::OtherIssuer.into());
    }
    require.check(&claims)?;
    Ok(Permit { claims })
}

/// How far the authorization server's clock may be ahead of ours when it says `nbf`.
const CLOCK_LEEWAY: Duration = Duration::from_secs(60);
