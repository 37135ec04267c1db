//! What a policy requires of a verdict.

use serde_json::Value;

use super::denial::{Denial, InsufficientScope, InvalidToken};
use super::user_authentication::UserAuthentication;
use crate::claims::{Claims, claim};
use crate::sender_constrained::SenderConstrained;
use crate::token::{UnixMillis, Window};

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
    /// Whether the sender must show that the token is his.
    pub sender_constrained: SenderConstrained,
    /// How and when the user was authenticated.
    pub user_authentication: UserAuthentication,
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

    /// During which time the outcome is the same as now, where that is good.
    pub fn window(&self, claims: &Claims<'_>) -> Window {
        self.user_authentication.window(claims)
    }

    /// Whether each request with such a token has to show anew that the token is its sender's.
    pub fn asks_for_proof(&self, claims: &Claims<'_>) -> bool {
        self.sender_constrained != SenderConstrained::Ignore && claims.confirmation.is_some()
    }

    /// Checks everything; first what makes a token none for us, then what another could give, then what it does not.
    pub(super) fn check(&self, claims: &Claims<'_>, now: UnixMillis) -> Result<(), Denial> {
        self.check_token_type(claims)?;
        self.check_audience(claims)?;
        self.user_authentication.check(claims, now)?;
        self.check_client(claims)?;
        self.check_claims(claims)?;
        self.check_scopes(claims)
    }

    fn check_token_type(&self, claims: &Claims<'_>) -> Result<(), Denial> {
        let fits = |actual: &[u8]| {
            self.token_types.iter().any(|accepted| actual.eq_ignore_ascii_case(accepted.as_bytes()))
        };
        // That it is an access token says not how it is used (RFC 8693 §2.2.1 has another member for that).
        let says = claims.token_type.filter(|actual| !actual.eq_ignore_ascii_case(b"access_token"));
        let ok = self.token_types.is_empty() || says.is_none_or(fits);
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
        let ok = self.claims.iter().all(|(name, accepted)| match claim(&members, name) {
            Some(Value::Array(elements)) => elements.iter().any(|element| has(accepted, element)),
            Some(value) => has(accepted, value),
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

/// Whether a value is among those that are accepted. Numbers are compared by what they are worth: `2` is `2.0`.
fn has(accepted: &[Value], value: &Value) -> bool {
    let is_worth = |one: &Value, other: &Value| match (one, other) {
        (Value::Number(one), Value::Number(other)) if one.is_f64() || other.is_f64() => {
            one.as_f64() == other.as_f64()
        }
        _ => one == other,
    };
    accepted.iter().any(|one| is_worth(one, value))
}
