//! Signals: what each withdraws, and why each that is not in order is refused.

mod admin;
mod hostile;
mod logout;
mod replay;
mod revocation_endpoint;
mod security_event;
mod status_list;

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
