//! Policies: what a kind of request needs, and the decision on a verdict.
//!
//! [`decide`] alone makes a [`Permit`], and a phantom token is minted for a `Permit` alone: nothing is
//! forwarded unjudged. It judges anew on every request, so that one cached verdict serves many policies.

mod denial;
mod expectation;
mod identity;
mod open_streams;
mod requirements;
mod rules;
mod user_authentication;

pub use denial::{Denial, InsufficientScope, InvalidRequest, InvalidToken, Unavailable};
pub use expectation::Expectation;
pub use identity::IdentityHeaders;
pub use open_streams::OpenStreams;
pub use requirements::Requirements;
pub use rules::{Match, Reading, Rule};
pub use user_authentication::{InsufficientUserAuthentication, Lack, UserAuthentication};

use std::rc::Rc;
use std::time::Duration;

use crate::claims::Claims;
use crate::credentials::TokenSource;
use crate::provider::{Introspector, Origin, OriginKind, Validator};
use crate::sender_constrained::Possession;
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
    /// What the upstream finds in `authorization` where the server was asked what the token means.
    pub authorization: Authorization,
    /// And where the token is a JWT that was validated here.
    pub validated_authorization: Authorization,
    /// Header to claim: what else the upstream gets to know.
    pub claim_headers: Vec<(String, String)>,
    /// Which requests are forwarded without a verdict, and then without a token.
    pub allow_missing: AllowMissing,
    /// Where the metadata of its resource is (RFC 9728), if it has one.
    pub resource_metadata: Option<String>,
    /// Whether a CORS preflight is forwarded without a look at its token, and without one.
    pub allow_preflight: bool,
    /// What ends requests that were passed on.
    pub open_streams: OpenStreams,
}

/// Which requests pass as those of somebody unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowMissing {
    /// None.
    Never,
    /// Those without a token.
    Missing,
    /// Those without a good one.
    MissingOrInvalid,
}

/// How a policy judges tokens.
#[derive(Clone, Debug)]
pub enum Strategy {
    /// Not at all: the request passes.
    Allow,
    /// A JWT of one of these issuers is validated here; anything else is for the server to judge.
    Auto(Vec<Rc<Validator>>, Rc<Introspector>),
    /// By asking the server (RFC 7662).
    Introspect(Rc<Introspector>),
    /// By validating a JWT of one of these issuers here (RFC 9068).
    Jwt(Vec<Rc<Validator>>),
    /// Both: validated here, and still active at the server that issued it.
    JwtAndIntrospection(Vec<(Rc<Validator>, Rc<Introspector>)>),
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

impl Strategy {
    /// The servers whose JWTs are validated here.
    pub fn validators(&self) -> Vec<&Rc<Validator>> {
        match self {
            Self::Allow | Self::Introspect(_) => Vec::new(),
            Self::Auto(validators, _) | Self::Jwt(validators) => validators.iter().collect(),
            Self::JwtAndIntrospection(both) => both.iter().map(|(validator, _)| validator).collect(),
        }
    }

    /// The servers that are asked.
    pub fn introspectors(&self) -> Vec<&Rc<Introspector>> {
        match self {
            Self::Allow | Self::Jwt(_) => Vec::new(),
            Self::Auto(_, introspector) | Self::Introspect(introspector) => vec![introspector],
            Self::JwtAndIntrospection(both) => both.iter().map(|(_, introspector)| introspector).collect(),
        }
    }

    /// Where verdicts come from: those of the servers whose JWTs are validated here first.
    pub fn origins(&self) -> impl Iterator<Item = &Rc<Origin>> {
        let validated = self.validators().into_iter().map(|it| &it.origin);
        validated.chain(self.introspectors().into_iter().map(|it| &it.origin))
    }
}

impl Policy {
    /// Whether a request that is refused for this reason passes as one without a token.
    pub fn takes_for_missing(&self, denial: &Denial) -> bool {
        match denial {
            Denial::MissingToken => self.allow_missing != AllowMissing::Never,
            Denial::InvalidToken(_) => self.allow_missing == AllowMissing::MissingOrInvalid,
            Denial::InsufficientScope(_)
            | Denial::InsufficientUserAuthentication(_)
            | Denial::InvalidDpopProof(_)
            | Denial::InvalidRequest(_)
            | Denial::Unavailable(_)
            | Denial::UseDpopNonce(_) => false,
        }
    }

    /// What the upstream finds in `authorization` if the verdict comes from there.
    pub fn authorization(&self, origin: &Origin) -> Authorization {
        match origin.kind {
            OriginKind::Introspected | OriginKind::IntrospectedWithJwt => self.authorization,
            OriginKind::Validated | OriginKind::ValidatedAndAsked => self.validated_authorization,
        }
    }
}

/// Judges an active token: its times, its issuer, whether it is its sender's, and what the policy requires.
///
/// # Errors
///
/// The [`Denial`] of the first check that fails; what makes 403 comes last, so that it means a token that is good.
pub fn decide<'a>(
    require: &Requirements,
    expects: &Expectation,
    claims: Claims<'a>,
    possession: &Possession<'_>,
    now: UnixMillis,
) -> Result<Permit<'a>, Denial> {
    if now >= expects.end(claims.exp) {
        return Err(InvalidToken::Expired.into());
    }
    if claims.nbf.is_some_and(|nbf| now.plus(expects.nbf_leeway) < nbf) {
        return Err(InvalidToken::NotYetValid.into());
    }
    if let (Some(wanted), Some(iss)) = (&expects.issuer, claims.iss)
        && wanted.as_bytes() != iss
    {
        return Err(InvalidToken::OtherIssuer.into());
    }
    possession.check(require.sender_constrained, claims.confirmation)?;
    require.check(&claims, now)?;
    Ok(Permit { claims })
}
