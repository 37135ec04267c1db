//! When a fetch that failed is tried again.

use std::time::Duration;

use crate::http::{Reply, retry_after};
use crate::token::UnixMillis;

/// How long to wait after so many failures in a row: twice as long as after one less, and never over `longest`.
pub(in crate::filter) fn back_off(first: Duration, longest: Duration, failures: u32) -> Duration {
    (first * 2_u32.saturating_pow(failures.min(MAX_DOUBLINGS))).min(longest)
}

/// How long a server is left alone because it asks for it (`Retry-After`), but no longer than `longest`. Zero: it does not.
pub(in crate::filter) fn asked_pause(
    reply: Option<&Reply<'_>>,
    longest: Duration,
    now: UnixMillis,
) -> Duration {
    reply.and_then(|reply| reply.pause(now)).unwrap_or_default().min(longest)
}

/// The same in words, for the end of a line of the log.
pub(in crate::filter) fn in_words(pause: Duration) -> String {
    match retry_after(pause) {
        _ if pause.is_zero() => String::new(),
        seconds => format!("; not asked again for {seconds} s, as it wants (Retry-After)"),
    }
}

const MAX_DOUBLINGS: u32 = 8;
