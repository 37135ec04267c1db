//! The filter's own paths: no policy judges what is for them.

use super::published_keys::PublishedKeys;
use crate::challenge::Answer;
use crate::protected_resource::{ProtectedResource, of_target};
use crate::request::RequestView;
use crate::revocation::sources::{Receiver, Sources};

/// A path of the filter's own.
#[derive(Clone, Debug)]
pub enum OwnPath {
    /// This is the answer.
    Answer(Answer),
    /// A signal comes in here.
    Receiver(Receiver),
}

/// What the filter answers itself, apart from signals.
#[derive(Clone, Debug)]
pub(super) struct OwnPaths {
    /// The keys that verify phantom tokens.
    keys: Option<PublishedKeys>,
    /// What tells clients where to get a token.
    resources: Vec<ProtectedResource>,
}

/// What a request is for.
pub(super) enum Found<'c> {
    Keys(&'c PublishedKeys),
    Resource(&'c ProtectedResource),
    Receiver(Receiver),
}

impl OwnPaths {
    pub(super) fn new(keys: Option<PublishedKeys>, resources: Vec<ProtectedResource>) -> Self {
        Self { keys, resources }
    }

    /// What is at the target of this request.
    pub(super) fn of(&self, request: &dyn RequestView, receivers: &Sources) -> Option<Found<'_>> {
        if self.keys.is_none() && self.resources.is_empty() && !receivers.is_any() {
            return None;
        }
        // The one read of the path, and only where there is a path of our own.
        let target = request.header(":path")?;
        let keys = || self.keys.as_ref().filter(|keys| keys.is_at(&target)).map(Found::Keys);
        let resource = || of_target(&self.resources, &target, request).map(Found::Resource);
        keys().or_else(resource).or_else(|| receivers.of_target(&target).map(Found::Receiver))
    }
}

impl Found<'_> {
    /// What the filter does with the request.
    pub(super) fn own_path(&self, request: &dyn RequestView) -> OwnPath {
        match self {
            Self::Keys(keys) => OwnPath::Answer(keys.answer(request)),
            Self::Resource(resource) => OwnPath::Answer(resource.answer(request)),
            Self::Receiver(receiver) => OwnPath::Receiver(*receiver),
        }
    }
}
