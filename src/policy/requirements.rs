//! What a policy requires of a verdict.

use serde_json::Value;

use super::denial::{Denial, InsufficientScope, InvalidToken};
use crate::claims::Claims;

/// What a verdict must say. An empty list requires nothing.
#[derive(Clone, Debug, Default)]
pub struct Requirements {
    /// All of these scopes.
    pub scopes: Vec<String>,
    /// At least one of these scopes.
    pub any_scope: Vec<String>,
    /// At least one of these audiences.
    pub audiences: Vec<String>,
    /// One of these clients.
    pub client_ids: Vec<String>,
    /// Each of these members with one of its values; of a member that is an array, one element.
    pub claims: Vec<(String, Vec<Value>)>,
    /// One of these values of `token_type`, in any case, where the verdict has one.
    pub token_types: Vec<String>,
}

impl Requirements {
    /// All scopes that are named, as a challenge has them (RFC 6750 §3): with these, none is missing.
    pub fn scope(&self) -> String {
        let mut named: Vec<&str> = Vec::new();
        for scope in self.scopes.iter().chain(&self.any_scope) {
            if !named.contains(&scope.as_str()) {
                named.push(scope);
            }
        }
        named.join(" ")
    }

    /// Checks everything; first what makes a token none for us, then what it does not give.
    pub(super) fn check(&self, claims: &Claims<'_>) -> Result<(), Denial> {
        self.check_token_type(claims)?;
        self.check_audience(claims)?;
        self.check_client(claims)?;
        self.check_claims(claims)?;
        self.check_scopes(claims)
    }

    fn check_token_type(&self, claims: &Claims<'_>) -> Result<(), Denial> {
        let fits = |actual: &[u8]| {
            self.token_types.iter().any(|accepted| actual.eq_ignore_ascii_case(accepted.as_bytes()))
        };
        let ok = self.token_types.is_empty() || claims.token_type.is_none_or(fits);
        ok.then_some(()).ok_or_else(|| InvalidToken::OtherType.into())
    }

    fn check_audience(&self, claims: &Claims<'_>) -> Result<(), Denial> {
        let ok = self.audiences.is_empty()
            || claims
                .audiences()
                .any(|actual| self.audiences.iter().any(|wanted| wanted.as_bytes() == actual));
        ok.then_some(()).ok_or_else(|| InvalidToken::OtherAudience.into())
    }

    fn check_client(&self, claims: &Claims<'_>) -> Result<(), Denial> {
        let ok = self.client_ids.is_empty()
            || claims
                .client_id
                .is_some_and(|actual| self.client_ids.iter().any(|wanted| wanted.as_bytes() == actual));
        ok.then_some(()).ok_or_else(|| InsufficientScope::OtherClient.into())
    }

    fn check_claims(&self, claims: &Claims<'_>) -> Result<(), Denial> {
        if self.claims.is_empty() {
            return Ok(());
        }
        let members = claims.members();
        let ok = self.claims.iter().all(|(name, accepted)| match members.get(name) {
            Some(Value::Array(elements)) => elements.iter().any(|element| accepted.contains(element)),
            Some(value) => accepted.contains(value),
            None => false,
        });
        ok.then_some(()).ok_or_else(|| InsufficientScope::OtherClaim.into())
    }

    fn check_scopes(&self, claims: &Claims<'_>) -> Result<(), Denial> {
        let has = |scope: &String| claims.scopes().any(|actual| actual == scope.as_bytes());
        let ok = self.scopes.iter().all(has) && (self.any_scope.is_empty() || self.any_scope.iter().any(has));
        ok.then_some(()).ok_or_else(|| InsufficientScope::MissingScope.into())
    }
}
