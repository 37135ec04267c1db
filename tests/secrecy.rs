//! What the filter's logs promise: no token, no secret, no claim, whatever happens.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::sync::Mutex;

use log::{LevelFilter, Log, Metadata, Record};
use serde_json::json;
use support::{Request, Worker, active, config, inactive};

static LINES: Mutex<String> = Mutex::new(String::new());

struct Capture;

impl Log for Capture {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        LINES.lock().unwrap().push_str(&format!("{} {}\n", record.level(), record.args()));
    }

    fn flush(&self) {}
}

#[test]
fn no_log_line_shows_a_token_a_secret_or_a_claim() {
    log::set_logger(&Capture).unwrap();
    log::set_max_level(LevelFilter::Trace);
    let mut worker = Worker::new(config(json!({"providers": {"main": {"introspection": {"retries": 1}}}})));
    const TOKEN: &str = "SECRET-TOKEN-4711";
    worker.call(&Request::bearer(TOKEN), &active());
    worker.call(&Request::bearer(&format!("{TOKEN}2")), &inactive());
    worker.receive(&Request::bearer(&format!("{TOKEN}\"")));
    worker.receive(&Request::bearer(&format!("{TOKEN},{TOKEN}")));
    for (number, (status, body)) in
        [(401, ""), (500, TOKEN), (200, TOKEN), (200, "{\"active\":true,\"sub\":7}")].iter().enumerate()
    {
        worker.receive(&Request::bearer(&format!("{TOKEN}-{number}")));
        worker.answer_with(*status, "application/json", body.as_bytes());
        if !worker.calls.is_empty() {
            worker.fail_call();
        }
    }
    let lines = LINES.lock().unwrap().clone();
    assert!(lines.contains("WARN provider \"main\": introspection of"), "{lines}");
    assert!(
        lines.contains("ERROR provider \"main\": introspection of"),
        "refused credentials are an error: {lines}"
    );
    for secret in ["SECRET", "4711", "hush", "alice", "Basic"] {
        assert!(!lines.contains(secret), "{secret} in {lines}");
    }
    worker.receive(&Request::bearer("SECRET-TOKEN-4712"));
    worker.give_turns();
    let shown = format!("{:?}", worker.calls);
    assert!(shown.contains("HttpCall") && !shown.contains("SECRET") && !shown.contains("Basic"), "{shown}");
}
