//! Claims that the upstream gets as headers.

use serde_json::Value;

use super::Policy;
use crate::claims::{self, Claims};
use crate::request::{HeaderEditsBuf, RequestView};

/// All headers that some policy writes a claim into. An upstream takes what stands in them for ours, so a
/// client's own copy is removed from every request that passes, whatever its policy.
#[derive(Clone, Debug, Default)]
pub struct IdentityHeaders(Vec<String>);

impl IdentityHeaders {
    /// The headers of these policies.
    pub fn new<'p>(policies: impl IntoIterator<Item = &'p Policy>) -> Self {
        let mut names: Vec<String> = Vec::new();
        for (name, _) in policies.into_iter().flat_map(|policy| &policy.claim_headers) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        Self(names)
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether a request brings any of them.
    pub fn are_in(&self, request: &dyn RequestView) -> bool {
        self.names().any(|name| request.header(name).is_some())
    }

    /// Makes these headers say what `claims` say, under `policy`.
    pub fn edit(&self, policy: Option<&Policy>, claims: Option<&Claims<'_>>, edits: &mut HeaderEditsBuf) {
        if self.0.is_empty() {
            return;
        }
        let claim_headers = policy.map_or(&[][..], |policy| policy.claim_headers.as_slice());
        let members = claims.filter(|_| !claim_headers.is_empty()).map(Claims::members).unwrap_or_default();
        for name in &self.0 {
            let claim = claim_headers.iter().find(|(header, _)| header == name);
            match claim.and_then(|(_, name)| claims::claim(&members, name)).and_then(header_value) {
                Some(value) => edits.set(name, &[value.as_bytes()]),
                None => edits.remove(name),
            }
        }
    }
}

/// A claim as the value of a header: text as it is, an array of texts as a list (RFC 9110 §5.6.1), anything
/// else as JSON. `None` for what no header can carry unmistakably.
fn header_value(claim: &Value) -> Option<String> {
    let text = match claim {
        Value::String(text) => text.clone(),
        Value::Array(items)
            if items.iter().all(|item| item.as_str().is_some_and(|text| !text.contains(','))) =>
        {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    };
    (text.len() <= MAX_VALUE_BYTES && !text.chars().any(char::is_control)).then_some(text)
}

/// Longest value; header sections are bounded, too.
const MAX_VALUE_BYTES: usize = 8 << 10;
