//! Bodies of requests that the filter wants to read.

use super::abi::{BodyType, Stream};
use crate::filter::MAX_BODY_BYTES;

/// What is noted of the body of a request.
#[derive(Default)]
pub(super) struct Body {
    /// What of it has passed, of a request that is watched.
    passed: Vec<u8>,
    /// Whether the filter has been told of it, or wants it no more.
    is_read: bool,
}

/// What is to be told of a body.
pub(super) enum Whole {
    /// All of it.
    Read(Vec<u8>),
    /// It is too long, or there is none.
    Unreadable,
}

impl Whole {
    pub(super) fn as_deref(&self) -> Option<&[u8]> {
        match self {
            Self::Read(body) => Some(body),
            Self::Unreadable => None,
        }
    }
}

impl Body {
    /// More is there of a body that is held back until it is whole.
    pub(super) fn held_back(&mut self, stream: &Stream, is_last: bool) -> Option<Whole> {
        if self.is_read {
            return None;
        }
        let kinds = [BodyType::BufferedRequest, BodyType::ReceivedRequest];
        let size: usize = kinds.iter().map(|kind| stream.body_size(*kind)).sum();
        let whole = match is_last {
            _ if size > MAX_BODY_BYTES => Whole::Unreadable,
            true => Whole::Read(kinds.iter().flat_map(|kind| stream.body(*kind)).collect()),
            false => return None,
        };
        self.is_read = true;
        Some(whole)
    }

    /// More of a body has come that passes; the filter wants it or not.
    pub(super) fn passing(&mut self, stream: &Stream, is_last: bool, is_wanted: bool) -> Option<Whole> {
        if self.is_read || !is_wanted {
            self.free();
            return None;
        }
        if self.passed.len() <= MAX_BODY_BYTES && stream.body_size(BodyType::ReceivedRequest) > MAX_BODY_BYTES
        {
            // Not copied: it is too long.
            self.passed.resize(MAX_BODY_BYTES + 1, 0);
        } else if self.passed.len() <= MAX_BODY_BYTES {
            self.passed.extend(stream.body(BodyType::ReceivedRequest));
        }
        is_last.then(|| {
            self.is_read = true;
            let body = std::mem::take(&mut self.passed);
            if body.len() <= MAX_BODY_BYTES { Whole::Read(body) } else { Whole::Unreadable }
        })
    }

    /// What the body ends with makes it unreadable.
    pub(super) fn unreadable(&mut self) -> Option<Whole> {
        (!std::mem::replace(&mut self.is_read, true)).then_some(Whole::Unreadable)
    }

    /// The filter wants it no more.
    pub(super) fn free(&mut self) {
        self.is_read = true;
        self.passed = Vec::new();
    }

    /// Whether something of it is kept.
    pub(super) fn is_kept(&self) -> bool {
        !self.passed.is_empty()
    }
}
