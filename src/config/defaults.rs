//! Every default of the configuration. `docs/configuration.md` names the same values; a test compares them.

use std::time::Duration;

pub(super) const INTROSPECTION_TIMEOUT: Duration = Duration::from_secs(2);
pub(super) const INTROSPECTION_RETRIES: u32 = 1;
pub(super) const TOKEN_TYPE_HINT: &str = "access_token";
pub(super) const MAX_CONCURRENT_CALLS: u32 = 100;

pub(super) const TOKEN_MIN_LENGTH: u32 = 1;
pub(super) const TOKEN_MAX_LENGTH: u32 = 8192;

pub(super) const PHANTOM_TOKEN_TTL: Duration = Duration::from_secs(5 * 60);
pub(super) const JWKS_PATH: &str = "/.well-known/jwks.json";

pub(super) const POLICY: &str = "default";
pub(super) const CACHE_TTL: Duration = Duration::from_secs(60);
pub(super) const TOKEN_TYPES: [&str; 2] = ["bearer", "dpop"];

pub(super) const MAX_ENTRIES: u32 = 10_000;
pub(super) const MAX_NEGATIVE_ENTRIES: u32 = 2_000;
pub(super) const NEGATIVE_TTL: Duration = Duration::from_secs(10);

pub(super) const REALM: &str = "api";
pub(super) const ERROR_DESCRIPTION: bool = true;
