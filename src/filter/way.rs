//! The way to a verdict on a token: whom a policy has validate it, or asks.

use std::rc::Rc;

use serde_json::Value;

use crate::jwt::{JwksEndpoint, claims_unchecked};
use crate::policy::{InvalidToken, Policy, Strategy};
use crate::provider::{Introspector, Origin, TokenFormat, Validator};
use crate::token::{AccessToken, TokenDigest};

/// The way to a verdict on a token.
#[derive(Clone)]
pub(super) enum Way {
    /// Asking the server (RFC 7662).
    Ask(Rc<Introspector>),
    /// Validating the JWT that it is (RFC 9068).
    Validate(Rc<Validator>),
    /// Validating it, and asking the server besides.
    ValidateAndAsk(Rc<Validator>, Rc<Introspector>),
}

/// What the server is asked about a token, now and again.
#[derive(Clone)]
pub(super) struct Question {
    pub(super) token: AccessToken,
    /// What the answer is found under.
    pub(super) digest: TokenDigest,
    pub(super) way: Way,
    /// How the answer is judged.
    pub(super) origin: Rc<Origin>,
}

impl Way {
    pub(super) fn origin(&self) -> &Rc<Origin> {
        match self {
            Self::Ask(introspector) => &introspector.origin,
            Self::Validate(validator) => &validator.origin,
            Self::ValidateAndAsk(validator, _) => &validator.asked_origin,
        }
    }

    /// The server that is asked, if one is.
    pub(super) fn introspector(&self) -> Option<&Rc<Introspector>> {
        match self {
            Self::Ask(introspector) | Self::ValidateAndAsk(_, introspector) => Some(introspector),
            Self::Validate(_) => None,
        }
    }

    /// The server is asked as this one says, if one is asked.
    pub(super) fn ask_at(&mut self, found: &Rc<Introspector>) {
        match self {
            Self::Ask(introspector) | Self::ValidateAndAsk(_, introspector) => {
                *introspector = Rc::clone(found);
            }
            Self::Validate(_) => {}
        }
    }

    /// The server whose JWT it is, if it is validated here.
    pub(super) fn validator(&self) -> Option<&Rc<Validator>> {
        match self {
            Self::Ask(_) => None,
            Self::Validate(validator) | Self::ValidateAndAsk(validator, _) => Some(validator),
        }
    }

    /// Where the keys are that validate the token.
    pub(super) fn jwks(&self) -> Option<&Rc<JwksEndpoint>> {
        self.validator().map(|validator| &validator.jwks)
    }

    pub(super) fn token_format(&self) -> &TokenFormat {
        match self {
            Self::Ask(introspector) => &introspector.token_format,
            Self::Validate(validator) | Self::ValidateAndAsk(validator, _) => &validator.token_format,
        }
    }
}

/// The way that a policy has for a token.
///
/// # Errors
///
/// Why there is none.
pub(super) fn way(policy: &Policy, token: &AccessToken) -> Result<Way, InvalidToken> {
    match &policy.strategy {
        // Not read, and so not judged; whoever gets here has no way.
        Strategy::Allow => Err(InvalidToken::OtherFormat),
        Strategy::Auto(validators, introspector) => {
            let validator = issuer_of(token).and_then(|issuer| of_issuer(validators.iter(), &issuer));
            Ok(validator.map_or_else(
                || Way::Ask(Rc::clone(introspector)),
                |validator| Way::Validate(Rc::clone(validator)),
            ))
        }
        Strategy::Introspect(introspector) => Ok(Way::Ask(Rc::clone(introspector))),
        // Where there is but one, its verdict is found without a look into the token.
        Strategy::Jwt(validators) => match validators.as_slice() {
            [only] => Ok(Way::Validate(Rc::clone(only))),
            several => {
                let issuer = issuer_of(token).ok_or(InvalidToken::OtherFormat)?;
                let validator = of_issuer(several.iter(), &issuer).ok_or(InvalidToken::OtherIssuer)?;
                Ok(Way::Validate(Rc::clone(validator)))
            }
        },
        Strategy::JwtAndIntrospection(servers) => {
            let (validator, introspector) = match servers.as_slice() {
                [only] => only,
                several => {
                    let issuer = issuer_of(token).ok_or(InvalidToken::OtherFormat)?;
                    let of_issuer = |(validator, _): &&(Rc<Validator>, _)| validator.rules.issuer == issuer;
                    several.iter().find(of_issuer).ok_or(InvalidToken::OtherIssuer)?
                }
            };
            Ok(Way::ValidateAndAsk(Rc::clone(validator), Rc::clone(introspector)))
        }
    }
}

/// What a token says of its issuer, if some server may take it for a JWT that says something. Chooses who judges it, and no more:
/// who writes a JWT so that only the server reads it gets no other judge by it.
fn issuer_of(token: &AccessToken) -> Option<String> {
    match claims_unchecked(token)?.remove("iss")? {
        Value::String(issuer) => Some(issuer),
        _ => None,
    }
}

fn of_issuer<'v>(
    mut validators: impl Iterator<Item = &'v Rc<Validator>>,
    issuer: &str,
) -> Option<&'v Rc<Validator>> {
    validators.find(|validator| validator.rules.issuer == issuer)
}
