//! The one way for a request to go on.

use super::Filter;
use crate::claims::Claims;
use crate::policy::Policy;
use crate::request::{HeaderEdits, HeaderEditsBuf};

/// What happens to the headers of a request that goes on. There is one way to make it, and none to forget that headers
/// which say who the client is are ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage(HeaderEdits);

impl Passage {
    /// What happens, in this order.
    pub fn edits(&self) -> &HeaderEdits {
        &self.0
    }
}

impl Filter {
    /// What may not stand in the trailers of a request that goes on: services may take them for headers, and no
    /// credentials belong there (RFC 9110 §6.5.1).
    pub fn kept_from_trailers(&self) -> impl Iterator<Item = &str> {
        ["authorization"].into_iter().chain(self.config.identity_headers.names())
    }

    /// Lets a request go on with these edits. What its headers say of the client is what `claims` say under `policy`;
    /// without either, nothing.
    pub(super) fn passage(
        &self,
        mut edits: HeaderEditsBuf,
        policy: Option<&Policy>,
        claims: Option<&Claims<'_>>,
    ) -> Passage {
        self.config.identity_headers.edit(policy, claims, &mut edits);
        Passage(edits.share())
    }
}
