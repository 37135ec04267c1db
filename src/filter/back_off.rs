//! When a fetch that failed is tried again.

use std::time::Duration;

/// How long to wait after so many failures in a row: twice as long as after one less, and never over `longest`.
pub(super) fn back_off(first: Duration, longest: Duration, failures: u32) -> Duration {
    (first * 2_u32.saturating_pow(failures.min(MAX_DOUBLINGS))).min(longest)
}

/// Fetches of one provider's keys are at least so far apart, whatever tokens name; so are fetches of one status list
/// that fail.
pub(super) const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// A fetch of either that failed is tried again after this at the latest.
pub(super) const MAX_RETRY: Duration = Duration::from_secs(30);

const MAX_DOUBLINGS: u32 = 8;
