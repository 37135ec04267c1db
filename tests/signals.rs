//! Signals: what each withdraws, and why each that is not in order is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "signals/admin.rs"]
mod admin;
#[path = "signals/hostile.rs"]
mod hostile;
#[path = "signals/logout.rs"]
mod logout;
#[path = "signals/replay.rs"]
mod replay;
#[path = "signals/revocation_endpoint.rs"]
mod revocation_endpoint;
#[path = "signals/security_event.rs"]
mod security_event;
#[path = "signals/status_list.rs"]
mod status_list;
mod support;

use serde_json::{Map, Value};

/// The members of an object after `patch` (RFC 7396) was applied.
fn patched(base: &Value, patch: &Value) -> Map<String, Value> {
    let mut members = base.as_object().unwrap().clone();
    for (name, value) in patch.as_object().unwrap() {
        match value {
            Value::Null => _ = members.remove(name),
            value => _ = members.insert(name.clone(), value.clone()),
        }
    }
    members
}
