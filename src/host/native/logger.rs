//! Log lines and panics, into Envoy's log.

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::abi::{LogLevel, log as write, log_enabled};

/// Makes log lines and panics arrive in Envoy's log.
pub(super) fn start() {
    // Only a second logger is refused.
    _ = log::set_logger(&Logger);
    log::set_max_level(LevelFilter::Trace);
    // Where it was, and not what it said: that may come from a request.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, ToString::to_string);
        write(LogLevel::Critical, &format!("phantom_token_filter: panicked at {place}"));
    }));
}

struct Logger;

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with(env!("CARGO_CRATE_NAME")) && log_enabled(level(metadata.level()))
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            write(level(record.level()), &format!("phantom_token_filter: {}", record.args()));
        }
    }

    fn flush(&self) {}
}

fn level(level: Level) -> LogLevel {
    match level {
        Level::Trace => LogLevel::Trace,
        Level::Debug => LogLevel::Debug,
        Level::Info => LogLevel::Info,
        Level::Warn => LogLevel::Warn,
        Level::Error => LogLevel::Error,
    }
}
