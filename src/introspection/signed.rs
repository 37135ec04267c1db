//! Replies that are a JWT, signed by the authorization server: RFC 9701, where the JWT says what introspection
//! says and is for us alone, and `application/jwt`, where the server itself gives the JWT for the service behind.
//!
//! If a signed reply is configured, an unsigned one is none: whoever sits between could take the signature away.

use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;

use super::failure::ServerFailure;
use super::verdict::{Introspection, verdict};
use crate::claims::{self, ClaimNames};
use crate::http::{Reply, is_media_type};
use crate::jwt::{Algorithm, JwksEndpoint, KeySet, Minted, Signatures, UntrustedJwt, VerifiedJwt};
use crate::token::UnixMillis;

/// In which form the endpoint answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// JSON (RFC 7662 §2.2).
    Json {
        /// The member that carries a JWT for the service behind, from servers that give one.
        jwt_member: Option<String>,
    },
    /// A JWT.
    Signed(SignedReply),
}

/// What a signed reply must be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedReply {
    /// What the JWT is.
    pub kind: SignedReplyKind,
    /// `iss`.
    pub issuer: String,
    /// Algorithms that count.
    pub algorithms: Vec<Algorithm>,
    /// Where the keys are that verify it.
    pub jwks: Rc<JwksEndpoint>,
}

/// What the JWT of a signed reply is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignedReplyKind {
    /// An introspection response (RFC 9701 §5), with one of these in `aud`. Never forwarded.
    IntrospectionResponse {
        /// Who we are to the server.
        audiences: Vec<String>,
    },
    /// A JWT for the service behind.
    PhantomToken,
}

/// What a signed reply is verified with.
#[derive(Clone, Copy)]
pub struct Keys<'k> {
    /// The server's keys, if they are here.
    pub set: Option<&'k KeySet>,
    /// Envoy's native signatures.
    pub signatures: &'k dyn Signatures,
}

impl Response {
    /// What we accept.
    pub(super) fn media_type(&self) -> &'static str {
        match self {
            Self::Json { .. } => "application/json",
            Self::Signed(signed) => signed.kind.media_type(),
        }
    }

    /// The signed form, if it is one.
    pub fn signed(&self) -> Option<&SignedReply> {
        match self {
            Self::Json { .. } => None,
            Self::Signed(signed) => Some(signed),
        }
    }

    /// Whether the server gives the JWT for the service behind.
    pub fn gives_jwt(&self) -> bool {
        match self {
            Self::Json { jwt_member } => jwt_member.is_some(),
            Self::Signed(signed) => signed.kind == SignedReplyKind::PhantomToken,
        }
    }
}

impl SignedReplyKind {
    fn media_type(&self) -> &'static str {
        match self {
            Self::IntrospectionResponse { .. } => "application/token-introspection+jwt",
            Self::PhantomToken => "application/jwt",
        }
    }
}

impl SignedReply {
    /// Reads a reply of status 200.
    pub(super) fn read(
        &self,
        reply: &Reply<'_>,
        names: &ClaimNames,
        keys: Keys<'_>,
        now: UnixMillis,
    ) -> Result<Introspection, ServerFailure> {
        let body = reply.text()?;
        if !is_media_type(reply.content_type, self.kind.media_type()) {
            return Err(ServerFailure::OtherContentType);
        }
        let text = body.trim_ascii();
        let jwt = UntrustedJwt::parse(text).map_err(|_| ServerFailure::NotAJwt)?;
        let set = keys.set.ok_or(ServerFailure::UnknownKey)?;
        let jwt = set.verify(&jwt, &self.algorithms, keys.signatures).map_err(|reason| {
            if reason.newer_keys_may_help() { ServerFailure::UnknownKey } else { ServerFailure::NotVerified }
        })?;
        if jwt.text("iss").ok().flatten() != Some(&self.issuer) {
            return Err(ServerFailure::OtherIssuer);
        }
        match &self.kind {
            SignedReplyKind::IntrospectionResponse { audiences } => {
                introspection_response(jwt, audiences, names, now)
            }
            SignedReplyKind::PhantomToken => {
                let is_phantom_token = PHANTOM_TYPES.iter().any(|known| jwt.is_of_type(known));
                let mut claims = jwt.into_claims();
                // What is for us alone (RFC 9701 §5) would be an access token in the wrong hands (§8.1).
                if claims.contains_key("token_introspection") || !is_phantom_token {
                    return Err(ServerFailure::OtherJwtType);
                }
                // Some servers put the whole reply into the JWT, `active` among it; others only give it to the active.
                let active = claims.remove("active").unwrap_or(Value::Bool(true));
                claims.insert("active".to_owned(), active);
                let text = std::str::from_utf8(text).map_err(|_| ServerFailure::NotAJwt)?;
                with_jwt(verdict(claims, names, now)?, text.to_owned())
            }
        }
    }
}

fn introspection_response(
    jwt: VerifiedJwt,
    audiences: &[String],
    names: &ClaimNames,
    now: UnixMillis,
) -> Result<Introspection, ServerFailure> {
    if !jwt.is_of_type("token-introspection+jwt") {
        return Err(ServerFailure::OtherJwtType);
    }
    if !claims::is_for(jwt.claims(), audiences) {
        return Err(ServerFailure::OtherAudience);
    }
    // Each answer is made for its question; an old one is somebody's recording.
    let iat = jwt.time("iat").ok().flatten().ok_or(ServerFailure::NotFresh)?;
    if now.since(iat) > MAX_AGE || iat.since(now) > MAX_AGE {
        return Err(ServerFailure::NotFresh);
    }
    match jwt.into_claims().remove("token_introspection") {
        Some(Value::Object(members)) => verdict(members, names, now),
        _ => Err(ServerFailure::NoActive),
    }
}

/// Puts the JWT that the server gave beside the claims of an active token.
pub(super) fn with_jwt(verdict: Introspection, jwt: String) -> Result<Introspection, ServerFailure> {
    match verdict {
        Introspection::Active { claims, is_access_token, .. } => {
            let exp = claims.view().exp.unwrap_or(UnixMillis::MAX);
            Ok(Introspection::Active { claims, jwt: Some(Minted { jwt, exp }), is_access_token })
        }
        other => Ok(other),
    }
}

/// The JWT that a member of a JSON reply carries.
pub(super) fn from_member(
    verdict: Introspection,
    jwt: Option<Value>,
) -> Result<Introspection, ServerFailure> {
    match (verdict, jwt) {
        (verdict @ (Introspection::Inactive | Introspection::Expired { .. }), _) => Ok(verdict),
        (verdict, Some(Value::String(jwt))) if UntrustedJwt::parse(jwt.as_bytes()).is_ok() => {
            with_jwt(verdict, jwt)
        }
        _ => Err(ServerFailure::NotAJwt),
    }
}

/// A JWT access token, one that does not say what it is, and what glewlwyd calls it.
const PHANTOM_TYPES: [&str; 4] = ["at+jwt", "jwt", "", "token-introspection+jwt"];

/// How old a signed reply may be, or how far ahead the server's clock: a call takes seconds.
const MAX_AGE: Duration = Duration::from_secs(5 * 60);
