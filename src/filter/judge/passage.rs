//! The one way for a request to go on.

use crate::claims::Claims;
use crate::config::Config;
use crate::policy::Policy;
use crate::request::{HeaderEdits, HeaderEditsBuf};

/// What happens to the headers of a request that goes on. There is one way to make it, and none to forget that headers
/// which say who the client is are ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage(HeaderEdits);

impl Passage {
    /// With these edits. What the headers say of the client is what `claims` say under `policy`; without either, nothing.
    pub(in crate::filter) fn new(
        mut edits: HeaderEditsBuf,
        policy: Option<&Policy>,
        claims: Option<&Claims<'_>>,
        config: &Config,
    ) -> Self {
        config.identity_headers.edit(policy, claims, &mut edits);
        Self(edits.share())
    }

    /// What happens, in this order.
    pub fn edits(&self) -> &HeaderEdits {
        &self.0
    }
}
