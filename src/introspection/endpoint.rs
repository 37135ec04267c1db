//! The introspection endpoint and the request to it (RFC 7662 §2.1).

use std::rc::Rc;
use std::time::Duration;

use super::authentication::Authentication;
use super::signed::Response;
use crate::claims::ClaimNames;
use crate::client::{Authorization, ClientCredentials, Form};
use crate::http::{ACCEPT_ENCODING, HttpCall, Reply, Scheme, USER_AGENT};
use crate::jwt::{SignError, Signatures};
use crate::target::{Target, Whereabouts};
use crate::token::{AccessToken, Secret, UnixMillis};

/// Where and how tokens are introspected.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Where it is; only one that is written is called.
    pub whereabouts: Whereabouts,
    /// How long one try may take.
    pub timeout: Duration,
    /// Tries after the first.
    pub retries: u32,
    /// Our credentials.
    pub authentication: Authentication,
    /// `token_type_hint`; empty sends none.
    pub token_type_hint: String,
    /// Further form parameters.
    pub parameters: Vec<(String, String)>,
    /// Further request headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Calls under way at once, per worker.
    pub max_concurrent_calls: usize,
    /// Tokens that nothing is known of that are asked about within a second, per worker; zero: any number.
    pub max_unknown_per_second: u32,
    /// When calls are held back.
    pub breaker: BreakerLimits,
    /// In which form it answers.
    pub response: Response,
    /// Whether active tokens are refused that are no access tokens, as far as that can be told.
    pub access_tokens_only: bool,
    /// Whether it is asked at the start if it answers.
    pub probe: bool,
    /// Statuses that say that a token is not active, of a server that does not say it as RFC 7662 §2.2 wants.
    pub inactive_statuses: Vec<u16>,
    /// Which members of a reply are read as which.
    pub claim_names: ClaimNames,
}

/// When calls are held back from a server that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerLimits {
    /// So many failures in a row begin a hold.
    pub failures: u32,
    /// Longest hold.
    pub max_hold: Duration,
}

impl Endpoint {
    /// How long it may take from the first try until there is a verdict or none is to be had.
    pub fn longest(&self) -> Duration {
        let keys = self.response.signed().map_or(Duration::ZERO, |signed| signed.jwks.timeout);
        let token = self.client_credentials().map_or(Duration::ZERO, |credentials| credentials.timeout);
        self.timeout * (self.retries + 1) + keys + token
    }

    /// What an access token has to be fetched with first, if one has.
    pub fn client_credentials(&self) -> Option<&Rc<ClientCredentials>> {
        self.authentication.authorization().and_then(Authorization::client_credentials)
    }

    /// Whether a reply says by its status alone that the token is not active.
    pub fn says_inactive(&self, reply: &Reply<'_>) -> bool {
        !reply.from_envoy && self.inactive_statuses.contains(&reply.status)
    }

    /// What is asked, in words for the log.
    pub fn called(&self) -> String {
        self.whereabouts.written().map_or_else(String::new, |target| target.called("POST"))
    }

    /// The request to `target` that asks about `token`. `fetched` is our own access token, where one is fetched; `trace` are headers that connect it with the request that caused it.
    ///
    /// # Errors
    ///
    /// [`SignError`] where our credentials are a signature and the host gives none.
    pub fn request(
        &self,
        target: &Target,
        token: &AccessToken,
        fetched: Option<&Secret>,
        trace: &[(String, String)],
        signatures: &dyn Signatures,
        now: UnixMillis,
    ) -> Result<HttpCall, SignError> {
        let mut form = Form::new(String::new());
        form.append_pair("token", token.secret());
        if !self.token_type_hint.is_empty() {
            form.append_pair("token_type_hint", &self.token_type_hint);
        }
        form.extend_pairs(&self.parameters);
        let authorization = self.authentication.apply(&mut form, fetched, signatures, now)?;
        let fixed = [
            (":method", "POST"),
            (":path", &target.path),
            (":authority", &target.authority),
            ("content-type", "application/x-www-form-urlencoded"),
            ("accept", self.response.media_type()),
            ACCEPT_ENCODING,
            ("user-agent", USER_AGENT),
        ];
        let fixed = fixed.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut headers: Vec<(String, String)> =
            Scheme::header(target.scheme).into_iter().chain(fixed).collect();
        headers.extend(authorization.map(|value| ("authorization".to_owned(), value)));
        headers.extend_from_slice(trace);
        headers.retain(|(name, _)| !self.headers.iter().any(|(configured, _)| configured == name));
        headers.extend_from_slice(&self.headers);
        Ok(HttpCall {
            cluster: target.cluster.clone(),
            headers,
            body: form.finish().into_bytes(),
            timeout: self.timeout,
        })
    }
}
