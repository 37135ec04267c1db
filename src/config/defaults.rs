//! Every default of the configuration. `docs/configuration.md` names the same values; a test compares them.

use std::time::Duration;

use super::choices::{Form, StrategyName};
use crate::client::SecretEncoding;
use crate::credentials::TokenSource;
use crate::discovery::WellKnown;
use crate::fleet::OnSilence;
use crate::jwt::Algorithm;
use crate::policy::AllowMissing;
use crate::revocation::sources::{UnknownSessions, WithdrawnJwts};
use crate::sender_constrained::SenderConstrained;

pub(super) const DOCUMENT: &[WellKnown] = &[WellKnown::Oauth, WellKnown::Openid];
pub(super) const DISCOVERY_TIMEOUT: Duration = Duration::from_secs(2);
pub(super) const DISCOVERY_REFRESH_INTERVAL: Duration = Duration::from_secs(10 * 60);

pub(super) const INTROSPECTION_TIMEOUT: Duration = Duration::from_secs(2);
pub(super) const INTROSPECTION_RETRIES: u32 = 1;
pub(super) const TOKEN_TYPE_HINT: &str = "access_token";
pub(super) const MAX_CONCURRENT_CALLS: u32 = 100;
pub(super) const BREAKER_FAILURES: u32 = 5;
pub(super) const BREAKER_MAX_HOLD: Duration = Duration::from_secs(10);
pub(super) const ACCESS_TOKENS_ONLY: bool = true;
pub(super) const PROBE: bool = false;
pub(super) const SECRET_ENCODING: SecretEncoding = SecretEncoding::Form;
pub(super) const ASSERTION_ALG: Algorithm = Algorithm::ES256;

pub(super) const RESPONSE: Form = Form::Json;

pub(super) const JWKS_TIMEOUT: Duration = Duration::from_secs(2);
pub(super) const JWKS_REFRESH_INTERVAL: Duration = Duration::from_secs(5 * 60);
pub(super) const JWT_ALGORITHMS: [Algorithm; 4] =
    [Algorithm::ES256, Algorithm::RS256, Algorithm::PS256, Algorithm::EdDSA];
pub(super) const JWT_TYPES: [&str; 1] = ["at+jwt"];
pub(super) const JWT_LEEWAY: Duration = Duration::from_secs(30);

pub(super) const STATUS_LIST_MAX_STALE: Duration = Duration::ZERO;
pub(super) const STATUS_LIST_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) const TOKEN_MIN_LENGTH: u32 = 1;
pub(super) const TOKEN_MAX_LENGTH: u32 = 8192;

pub(super) const PHANTOM_TOKEN_TTL: Duration = Duration::from_secs(5 * 60);
pub(super) const JWKS_PATH: &str = "/.well-known/jwks.json";

/// The policy of requests that no rule is about. It need not be written down.
pub(super) const POLICY: &str = "default";
pub(super) const STRATEGY: StrategyName = StrategyName::PhantomToken;
pub(super) const TOKEN_SOURCE: TokenSource = TokenSource::AuthorizationHeader;
pub(super) const CACHE_TTL: Duration = Duration::from_secs(60);
pub(super) const TOKEN_TYPES: [&str; 2] = ["bearer", "dpop"];
pub(super) const SENDER_CONSTRAINED: SenderConstrained = SenderConstrained::Verify;
/// Any.
pub(super) const MAX_AGE: Duration = Duration::ZERO;
pub(super) const ALLOW_MISSING: AllowMissing = AllowMissing::Never;
pub(super) const ALLOW_PREFLIGHT: bool = false;
pub(super) const END_ON_EXPIRY: bool = false;
pub(super) const RECHECK: Duration = Duration::ZERO;

pub(super) const POLICY_FROM_ROUTE: bool = false;

pub(super) const MAX_ENTRIES: u32 = 10_000;
pub(super) const MAX_NEGATIVE_ENTRIES: u32 = 2_000;
pub(super) const NEGATIVE_TTL: Duration = Duration::from_secs(10);
pub(super) const REFRESH_AHEAD: f64 = 0.8;
pub(super) const STALE_IF_ERROR: Duration = Duration::ZERO;
pub(super) const JITTER: f64 = 0.1;

/// oidc-provider gives the receivers of its logout tokens 2.5 s before it ends the session.
pub(super) const REVOCATION_SETTLE: Duration = Duration::from_secs(10);
pub(super) const REQUIRE_EXP: bool = false;
pub(super) const JWTS: WithdrawnJwts = WithdrawnJwts::Refuse;
pub(super) const POLL_INTERVAL: Duration = Duration::from_secs(5);
pub(super) const POLL_TIMEOUT: Duration = Duration::from_secs(5);
pub(super) const STREAM_DESCRIPTION: &str = "phantom-token-filter";
pub(super) const TOKEN_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) const MAX_SILENCE: Duration = Duration::from_secs(5);
pub(super) const ON_SILENCE: OnSilence = OnSilence::Ask;

pub(super) const CERTIFICATE_IS_FORWARDED: bool = false;
pub(super) const DPOP_ALGORITHMS: [Algorithm; 2] = [Algorithm::ES256, Algorithm::EdDSA];
pub(super) const DPOP_MAX_AGE: Duration = Duration::from_secs(60);
pub(super) const DPOP_LEEWAY: Duration = Duration::from_secs(5);
pub(super) const DPOP_NONCE: bool = false;
pub(super) const MAX_PROOFS: u32 = 500_000;

/// The nearest to the client.
pub(super) const XFCC_ELEMENT: u32 = 0;

pub(super) const ACCESS_LOG_HITS: bool = false;

pub(super) const REALM: &str = "api";
pub(super) const ERROR_DESCRIPTION: bool = true;

pub(super) const UNKNOWN_SESSIONS: UnknownSessions = UnknownSessions::Withdraw;
pub(super) const MAX_UNKNOWN_PER_SECOND: u32 = 0;
