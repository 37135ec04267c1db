//! Verdicts are remembered, for all workers.

use crate::cache::{MAX_ENTRY_BYTES, Verdict};
use crate::filter::step::Step;
use crate::metrics::{Counter, Whose};

/// Remembers a verdict on a token of this provider.
pub(in crate::filter) fn remember(verdict: &Verdict<'_>, provider: &str, step: &mut Step<'_>) {
    if step.worker.cache.insert_active(verdict, step.now) {
        step.count(Counter::CacheEvicted, Whose::NOBODY);
    }
    if verdict.is_oversized() {
        step.count(Counter::CacheOversized, Whose::provider(provider));
        let text = format_args!(
            "a verdict is over {MAX_ENTRY_BYTES} bytes with its JWT and is not remembered, so every request with this \
             token asks; let the server put less into its tokens, or less into the JWT (phantom_token.claims)"
        );
        step.worker.complaints.note(provider, "oversized", step.now, text);
    }
}
