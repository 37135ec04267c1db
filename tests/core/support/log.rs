//! What goes to the log, as operators read it. There is one log for all tests of a program, so they are told apart by
//! the names of their providers.

use std::sync::{Mutex, Once};

use log::{LevelFilter, Log, Metadata, Record};

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Kept;

impl Log for Kept {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        LINES.lock().unwrap().push(format!("{} {}", record.level(), record.args()));
    }

    fn flush(&self) {}
}

/// From now on lines of warnings and errors are kept.
pub fn keep() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| {
        log::set_logger(&Kept).unwrap();
        log::set_max_level(LevelFilter::Warn);
    });
}

/// The lines about a provider so far.
pub fn about(provider: &str) -> Vec<String> {
    let text = format!("provider {provider:?}: ");
    LINES.lock().unwrap().iter().filter(|line| line.contains(&text)).cloned().collect()
}
