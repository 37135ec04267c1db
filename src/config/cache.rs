//! `cache`: how much is remembered, and for how long.

use std::time::Duration;

use super::defaults;
use super::reader::{Refused, Section};

/// Bounds of the cache.
#[derive(Clone, Copy, Debug)]
pub struct CacheLimits {
    /// Most active tokens.
    pub max_entries: u32,
    /// Most inactive tokens.
    pub max_negative_entries: u32,
    /// How long a token is known to be inactive without asking again.
    pub negative_ttl: Duration,
    /// After which part of its `cache_ttl` a verdict that is used is renewed; 0: never.
    pub refresh_ahead: f64,
    /// How long past `cache_ttl` a verdict may serve while the server is down.
    pub stale_if_error: Duration,
    /// By up to which part of itself `refresh_ahead` is put off, differently for each token.
    pub jitter: f64,
}

pub(super) fn limits(root: &Section<'_>) -> Result<CacheLimits, Refused> {
    let section = root.section(
        "cache",
        &["max_entries", "max_negative_entries", "negative_ttl", "refresh_ahead", "stale_if_error", "jitter"],
    )?;
    let negative_ttls = Duration::ZERO..=Duration::from_secs(60 * 60);
    let stale = Duration::ZERO..=Duration::from_secs(24 * 60 * 60);
    Ok(CacheLimits {
        max_entries: section.count("max_entries", defaults::MAX_ENTRIES, 1..=1_000_000),
        max_negative_entries: section.count(
            "max_negative_entries",
            defaults::MAX_NEGATIVE_ENTRIES,
            1..=1_000_000,
        ),
        negative_ttl: section.duration("negative_ttl", defaults::NEGATIVE_TTL, negative_ttls),
        refresh_ahead: section.fraction("refresh_ahead", defaults::REFRESH_AHEAD),
        stale_if_error: section.duration("stale_if_error", defaults::STALE_IF_ERROR, stale),
        jitter: section.fraction("jitter", defaults::JITTER),
    })
}
