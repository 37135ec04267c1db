//! One request.

use std::borrow::Cow;
use std::cell::OnceCell;

use super::abi::HeaderReader;
use super::abi::hostcalls::{self, MapType};
use super::apply::{Fate, Worker};
use super::callbacks::Action;
use crate::filter::{Event, StreamId};
use crate::request::{RequestView, Unreadable};

impl Worker {
    pub(super) fn request_headers(&self, stream: StreamId) -> Action {
        let reader = HeaderReader::new();
        let fate = self.stream_event(Event::RequestHeaders(stream, &Headers::new(&reader)));
        if fate == Fate::Forwarded {
            return Action::Continue;
        }
        self.hold(stream, fate);
        self.gate(stream)
    }

    /// Whether more of a request may pass.
    pub(super) fn gate(&self, stream: StreamId) -> Action {
        let passes = match self.held(stream) {
            None | Some(Fate::Forwarded) => true,
            Some(Fate::Answered) => false,
            Some(Fate::Waiting) => !self.is_waiting(stream),
        };
        if passes { Action::Continue } else { Action::Pause }
    }

    pub(super) fn stream_gone(&self, stream: StreamId) {
        if self.let_go(stream) == Some(Fate::Waiting) {
            self.stream_event(Event::StreamGone(stream));
        }
    }
}

/// The request headers of the effective context.
struct Headers<'r> {
    reader: &'r HeaderReader,
    /// What rules ask for again and again.
    known: [OnceCell<Option<&'r [u8]>>; KNOWN.len()],
}

impl<'r> Headers<'r> {
    fn new(reader: &'r HeaderReader) -> Self {
        Self { reader, known: Default::default() }
    }

    fn read(&self, name: &str) -> Option<&'r [u8]> {
        match KNOWN.iter().position(|known| *known == name).and_then(|place| self.known.get(place)) {
            Some(known) => *known.get_or_init(|| self.reader.read(name)),
            None => self.reader.read(name),
        }
    }
}

impl RequestView for Headers<'_> {
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        self.read(name).map(Cow::Borrowed)
    }

    fn copies(&self, name: &str) -> Vec<Vec<u8>> {
        // The single-value call gives the first copy only, while the upstream gets all.
        let headers = hostcalls::get_map_bytes(MapType::HttpRequestHeaders).unwrap_or_default();
        headers.into_iter().filter(|header| header.0 == name).map(|header| header.1).collect()
    }

    fn route_policy(&self) -> Result<Option<Vec<u8>>, Unreadable> {
        let path = ["xds", "route_metadata", "filter_metadata", "phantom_token_filter", "policy"];
        hostcalls::get_property(&path).map_err(|_| Unreadable)
    }
}

const KNOWN: [&str; 3] = [":path", ":authority", ":method"];
