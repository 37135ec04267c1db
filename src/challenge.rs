//! The answer to a refused request: one exhaustive match from [`Denial`] to status, `WWW-Authenticate`
//! (RFC 6750 §3, RFC 9110 §11.6.1), body and gRPC status.

use crate::policy::{Denial, InsufficientScope, InvalidRequest, InvalidToken, Policy, UserAuthentication};
use crate::sender_constrained::{BadBinding, SenderConstrained};
use crate::token::Scheme;

/// How challenges are worded.
#[derive(Clone, Debug)]
pub struct Challenge {
    /// `realm`.
    pub realm: String,
    /// Whether clients are told `error_description`.
    pub error_description: bool,
    /// The algorithms of DPoP proofs, separated by spaces, if any are taken.
    pub dpop_algorithms: Option<String>,
}

/// What a challenge says beside what was wrong.
#[derive(Clone, Copy, Debug)]
pub struct Occasion<'a> {
    /// The scopes that the policy needs, separated by spaces.
    pub scope: &'a str,
    /// Where the metadata of its resource is (RFC 9728 §5.1), a URL without quotes.
    pub resource_metadata: Option<&'a str>,
    /// How the request carried its token.
    pub scheme: Scheme,
    /// Whether the policy looks at who sends a token.
    pub verifies_sender: bool,
}

impl<'a> Occasion<'a> {
    /// A request under this policy, which needs these scopes.
    pub fn under(policy: &'a Policy, scope: &'a str, scheme: Scheme) -> Self {
        Self {
            scope,
            resource_metadata: policy.resource_metadata.as_deref(),
            scheme,
            verifies_sender: policy.require.sender_constrained != SenderConstrained::Ignore,
        }
    }

    /// One of which nothing is known.
    pub const UNKNOWN: Self =
        Self { scope: "", resource_metadata: None, scheme: Scheme::Bearer, verifies_sender: false };
}

/// A local answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
    /// Body; the message of a gRPC answer, which has none, is `grpc_message`.
    pub body: String,
    /// The reason in one word, for access logs (`%RESPONSE_CODE_DETAILS%`).
    pub details: &'static str,
    /// Status for a gRPC client.
    pub grpc_status: u8,
    /// Message for a gRPC client.
    pub grpc_message: &'static str,
}

impl Challenge {
    /// What the client of a refused request gets.
    pub fn answer(&self, denial: &Denial, occasion: Occasion<'_>) -> Answer {
        let Occasion { scope, resource_metadata, .. } = occasion;
        let (status, grpc_status, error, description) = match denial {
            Denial::InsufficientScope(InsufficientScope::MissingScope) => (
                403,
                PERMISSION_DENIED,
                "insufficient_scope",
                "the access token lacks a scope this request needs",
            ),
            // RFC 6750 has one code for all that needs higher privileges (§3.1).
            Denial::InsufficientScope(InsufficientScope::OtherClaim | InsufficientScope::OtherClient) => {
                (403, PERMISSION_DENIED, "insufficient_scope", "the access token does not allow this request")
            }
            Denial::InsufficientUserAuthentication(_) => (
                401,
                UNAUTHENTICATED,
                "insufficient_user_authentication",
                "the user must be authenticated otherwise, or anew",
            ),
            Denial::InvalidDpopProof(_) => (
                401,
                UNAUTHENTICATED,
                "invalid_dpop_proof",
                "the DPoP proof is absent, malformed, too old, replayed or not for this request",
            ),
            Denial::UseDpopNonce(_) => {
                (401, UNAUTHENTICATED, "use_dpop_nonce", "the DPoP proof needs the nonce of this answer")
            }
            Denial::InvalidToken(InvalidToken::Binding(BadBinding::OtherKey)) => {
                (401, UNAUTHENTICATED, "invalid_token", "the access token is bound to another DPoP key")
            }
            Denial::InvalidToken(InvalidToken::Binding(_)) => (
                401,
                UNAUTHENTICATED,
                "invalid_token",
                "the access token is bound to another than its sender, or was to be",
            ),
            Denial::InvalidRequest(InvalidRequest::ClaimHeader) => (
                400,
                INVALID_ARGUMENT,
                "invalid_request",
                "the request carries a header that only the gateway may write",
            ),
            Denial::InvalidRequest(InvalidRequest::PortInHost) => {
                (400, INVALID_ARGUMENT, "invalid_request", "the host must be named without a port")
            }
            Denial::InvalidRequest(InvalidRequest::SeveralTokens) => {
                (400, INVALID_ARGUMENT, "invalid_request", "the request carries more than one access token")
            }
            Denial::InvalidToken(InvalidToken::TooLong) => {
                (401, UNAUTHENTICATED, "invalid_token", "the access token is longer than is accepted here")
            }
            Denial::InvalidToken(_) => (
                401,
                UNAUTHENTICATED,
                "invalid_token",
                "the access token is expired, revoked, malformed or not valid here",
            ),
            Denial::MissingToken => (401, UNAUTHENTICATED, "unauthorized", "an access token is required"),
            Denial::Unavailable(_) => (
                503,
                UNAVAILABLE,
                "temporarily_unavailable",
                "the access token cannot be checked at the moment",
            ),
        };
        let mut headers =
            vec![("content-type", "application/json".to_owned()), ("cache-control", "no-store".to_owned())];
        let mut error_parameters = String::new();
        // Without credentials, no error code (RFC 6750 §3.1).
        if !matches!(denial, Denial::MissingToken) {
            error_parameters.push_str(&format!(", error=\"{error}\""));
            if self.error_description {
                error_parameters.push_str(&format!(", error_description=\"{description}\""));
            }
        }
        let mut parameters = String::new();
        // A part of them would send the client for a token that does not do. None has a quote or a backslash.
        if (1..=MAX_SCOPE_BYTES).contains(&scope.len()) {
            parameters.push_str(&format!(", scope=\"{scope}\""));
        }
        if let Denial::InsufficientUserAuthentication(reason) = denial {
            parameters.push_str(&wanted(&reason.wanted));
        }
        if let Some(url) = resource_metadata {
            parameters.push_str(&format!(", resource_metadata=\"{url}\""));
        }
        match denial {
            Denial::Unavailable(reason) => {
                headers.push(("retry-after", reason.retry_after_seconds().to_string()));
            }
            Denial::InsufficientScope(_)
            | Denial::InsufficientUserAuthentication(_)
            | Denial::InvalidDpopProof(_)
            | Denial::InvalidRequest(_)
            | Denial::InvalidToken(_)
            | Denial::MissingToken
            | Denial::UseDpopNonce(_) => {
                let challenges = self.challenges(denial, occasion, &error_parameters, &parameters);
                headers.extend(challenges.into_iter().map(|challenge| ("www-authenticate", challenge)));
                // Scripts that come from elsewhere read of an answer only what they may.
                if let Denial::UseDpopNonce(wanted) = denial {
                    headers.push(("dpop-nonce", wanted.nonce.clone()));
                    let exposed = "WWW-Authenticate, DPoP-Nonce".to_owned();
                    headers.push(("access-control-expose-headers", exposed));
                } else if resource_metadata.is_some() || self.offers_dpop(occasion) {
                    headers.push(("access-control-expose-headers", "WWW-Authenticate".to_owned()));
                }
            }
        }
        let body = if self.error_description {
            format!("{{\"error\":\"{error}\",\"error_description\":\"{description}\"}}")
        } else {
            format!("{{\"error\":\"{error}\"}}")
        };
        Answer { status, headers, body, details: denial.reason(), grpc_status, grpc_message: error }
    }
}

impl Challenge {
    /// One for each scheme, the one that was used first: the error is its own (RFC 9449 §7.2).
    fn challenges(
        &self,
        denial: &Denial,
        occasion: Occasion<'_>,
        error: &str,
        parameters: &str,
    ) -> Vec<String> {
        let is_of_dpop = matches!(denial, Denial::InvalidDpopProof(_) | Denial::UseDpopNonce(_))
            || occasion.scheme == Scheme::DPoP;
        let realm = &self.realm;
        let of_bearer = |error| format!("Bearer realm=\"{realm}\"{error}{parameters}");
        let Some(algorithms) = self.dpop_algorithms.as_ref().filter(|_| self.offers_dpop(occasion)) else {
            return vec![of_bearer(error)];
        };
        let of_dpop = |error| format!("DPoP realm=\"{realm}\", algs=\"{algorithms}\"{error}{parameters}");
        match is_of_dpop {
            true => vec![of_dpop(error), of_bearer("")],
            false => vec![of_bearer(error), of_dpop("")],
        }
    }

    fn offers_dpop(&self, occasion: Occasion<'_>) -> bool {
        self.dpop_algorithms.is_some() && occasion.verifies_sender
    }
}

/// The parameters of RFC 9470 §3. No `acr` value of a configuration has a quote, a backslash or a space.
fn wanted(authentication: &UserAuthentication) -> String {
    let acr_values = authentication.acr_values.join(" ");
    let acr_values = (!acr_values.is_empty()).then(|| format!(", acr_values=\"{acr_values}\""));
    let max_age = authentication.max_age.map(|max_age| format!(", max_age=\"{}\"", max_age.as_secs()));
    [acr_values, max_age].into_iter().flatten().collect()
}

/// Longest list of scopes in a challenge: clients bound the headers of an answer, too.
const MAX_SCOPE_BYTES: usize = 4 << 10;

// https://grpc.github.io/grpc/core/md_doc_statuscodes.html
const INVALID_ARGUMENT: u8 = 3;
const PERMISSION_DENIED: u8 = 7;
const UNAVAILABLE: u8 = 14;
const UNAUTHENTICATED: u8 = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::introspection::ServerFailure;
    use crate::policy::Unavailable;

    fn answer(denial: &Denial, error_description: bool) -> (u16, Option<String>, String) {
        let challenge = Challenge { realm: "api".to_owned(), error_description, dpop_algorithms: None };
        let answer = challenge.answer(denial, Occasion::UNKNOWN);
        let challenge = answer.headers.into_iter().find(|(name, _)| *name == "www-authenticate");
        (answer.status, challenge.map(|(_, value)| value), answer.body)
    }

    #[test]
    fn a_missing_token_gets_a_challenge_without_error_code() {
        assert_eq!(
            answer(&Denial::MissingToken, false),
            (401, Some("Bearer realm=\"api\"".to_owned()), "{\"error\":\"unauthorized\"}".to_owned())
        );
    }

    #[test]
    fn errors_are_named_as_rfc_6750_does() {
        for (denial, status, error) in [
            (InvalidRequest::SeveralTokens.into(), 400, "invalid_request"),
            (InvalidToken::Inactive.into(), 401, "invalid_token"),
            (InvalidToken::Malformed.into(), 401, "invalid_token"),
            (InsufficientScope::MissingScope.into(), 403, "insufficient_scope"),
            (InsufficientScope::OtherClaim.into(), 403, "insufficient_scope"),
            (InsufficientScope::OtherClient.into(), 403, "insufficient_scope"),
        ] {
            let (actual, challenge, body) = answer(&denial, true);
            let challenge = challenge.unwrap();
            assert_eq!(actual, status);
            assert!(challenge.contains(&format!(", error=\"{error}\", error_description=\"")), "{challenge}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&body).unwrap()["error"], error);
        }
    }

    #[test]
    fn the_servers_trouble_is_a_503_without_challenge() {
        let challenge = Challenge {
            realm: "api".to_owned(),
            error_description: true,
            dpop_algorithms: Some("ES256".to_owned()),
        };
        let answer = challenge.answer(
            &Unavailable::AuthorizationServer(ServerFailure::Timeout).into(),
            Occasion {
                scope: "read",
                resource_metadata: Some("https://api.example/.well-known/oauth-protected-resource"),
                scheme: Scheme::DPoP,
                verifies_sender: true,
            },
        );
        assert_eq!((answer.status, answer.grpc_status, answer.details), (503, 14, "introspection_timeout"));
        assert!(answer.headers.contains(&("retry-after", "1".to_owned())));
        let of_challenges = ["www-authenticate", "access-control-expose-headers"];
        assert!(!answer.headers.iter().any(|(name, _)| of_challenges.contains(name)), "{answer:?}");
    }
}
