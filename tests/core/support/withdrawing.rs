//! Orders to withdraw, and what is left after them.

use phantom_token_filter::filter::StreamId;
use serde_json::Value;

use super::{Fate, Request, Worker, inactive};

/// An operator's order to withdraw, at `/revocations`.
pub fn order(worker: &mut Worker, what: &Value) -> StreamId {
    let order = Request::default()
        .with(":method", "POST")
        .with(":path", "/revocations")
        .with(":authority", "api.example")
        .with("content-type", "application/json")
        .with("authorization", "Bearer admin-secret-admin-secret");
    worker.post(&order, what.to_string().as_bytes())
}

/// Whether a request with this token passes without a call.
pub fn is_remembered(worker: &mut Worker, token: &str) -> bool {
    let stream = worker.receive(&Request::bearer(token));
    worker.give_turns();
    let was_asked = !worker.calls.is_empty();
    if was_asked {
        worker.answer(&inactive());
    }
    assert_eq!(matches!(worker.fate(stream), Fate::Forwarded(_)), !was_asked);
    !was_asked
}
