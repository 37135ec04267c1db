//! Log lines and panics, into Envoy's log.

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::abi::hostcalls::{self, LogLevel};

/// Sends everything of at least `level` on from now on.
pub(super) fn set_level(level: LogLevel) {
    log::set_max_level(match level {
        LogLevel::Trace => LevelFilter::Trace,
        LogLevel::Debug => LevelFilter::Debug,
        LogLevel::Info => LevelFilter::Info,
        LogLevel::Warn => LevelFilter::Warn,
        LogLevel::Error => LevelFilter::Error,
        LogLevel::Critical => LevelFilter::Off,
    });
}

/// Makes log lines and panics arrive in Envoy's log.
pub(super) fn start() {
    // Only a second logger is refused.
    _ = log::set_logger(&Logger);
    set_level(LogLevel::Warn);
    std::panic::set_hook(Box::new(|panic| hostcalls::log(LogLevel::Critical, &panic.to_string())));
}

struct Logger;

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = match record.level() {
            Level::Trace => LogLevel::Trace,
            Level::Debug => LogLevel::Debug,
            Level::Info => LogLevel::Info,
            Level::Warn => LogLevel::Warn,
            Level::Error => LogLevel::Error,
        };
        hostcalls::log(level, &record.args().to_string());
    }

    fn flush(&self) {}
}
