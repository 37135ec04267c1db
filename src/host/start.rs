//! What is said of a configuration at the start.

use log::{info, warn};

use crate::cache::{MAX_ENTRY_BYTES, max_first_level_bytes};
use crate::config::{Config, ConfigError};

/// All that is wrong with a configuration, in a line each.
pub(in crate::host) fn lines(errors: &[ConfigError]) -> String {
    errors.iter().map(ConfigError::to_string).collect::<Vec<_>>().join("\n")
}

/// Says what may be a mistake, and how much memory a configuration allows.
pub(in crate::host) fn announce(config: &Config) {
    config.warnings.iter().for_each(|warning| warn!("{warning}"));
    let limits = config.cache;
    let verdicts = u64::from(limits.max_entries) * MAX_ENTRY_BYTES as u64;
    info!(
        "at most {} MiB of verdicts, and {} MiB for each worker",
        (verdicts + u64::from(limits.max_negative_entries) * 256) >> 20,
        max_first_level_bytes(limits.max_entries) >> 20,
    );
}
