//! What goes wrong at a provider is said when it begins, counted while it lasts, and said again when it is over: a log
//! that a flood of requests fills tells nobody anything.

use std::cell::RefCell;
use std::fmt;
use std::time::Duration;

use litemap::LiteMap;
use log::Level;

use crate::token::UnixMillis;

/// What was complained of, by provider and reason.
#[derive(Default)]
pub(super) struct Complaints(RefCell<LiteMap<(String, &'static str), Complaint>>);

struct Complaint {
    said: UnixMillis,
    /// How often it happened.
    times: u64,
    /// How often since it was said last.
    unsaid: u64,
    /// Whether it ends when the provider answers again.
    is_failure: bool,
}

impl Complaints {
    /// The provider gave no verdict. Says so, unless the same was said a moment ago.
    pub(super) fn failed(
        &self,
        level: Level,
        provider: &str,
        reason: &'static str,
        now: UnixMillis,
        text: fmt::Arguments<'_>,
    ) {
        self.complain(level, provider, reason, true, now, text);
    }

    /// Something else about a provider that is worth knowing, once.
    pub(super) fn note(
        &self,
        provider: &str,
        reason: &'static str,
        now: UnixMillis,
        text: fmt::Arguments<'_>,
    ) {
        self.complain(Level::Warn, provider, reason, false, now, text);
    }

    fn complain(
        &self,
        level: Level,
        provider: &str,
        reason: &'static str,
        is_failure: bool,
        now: UnixMillis,
        text: fmt::Arguments<'_>,
    ) {
        let mut all = self.0.borrow_mut();
        let begin = Complaint { said: UnixMillis::from_millis(0), times: 0, unsaid: 0, is_failure };
        let complaint = all.entry((provider.to_owned(), reason)).or_insert(begin);
        complaint.times += 1;
        if complaint.times > 1 && (!is_failure || now.since(complaint.said) < QUIET) {
            complaint.unsaid += 1;
            return;
        }
        match complaint.unsaid {
            0 => log::log!(level, "provider {provider:?}: {text}"),
            more => log::log!(level, "provider {provider:?}: {text}; and {more} more of the same"),
        }
        (complaint.said, complaint.unsaid) = (now, 0);
    }

    /// The provider gave a verdict: what failed before is over.
    pub(super) fn answered(&self, provider: &str) {
        let mut all = self.0.borrow_mut();
        if all.is_empty() {
            return;
        }
        let mut times = 0;
        all.retain(|(of, _), complaint| {
            let is_over = complaint.is_failure && of == provider;
            times += if is_over { complaint.times } else { 0 };
            !is_over
        });
        if times > 0 {
            log::warn!("provider {provider:?}: answers again, after {times} introspections that failed");
        }
    }
}

/// Between two lines of the same.
const QUIET: Duration = Duration::from_secs(60);
