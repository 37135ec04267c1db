//! One request.

use std::borrow::Cow;
use std::cell::OnceCell;

use super::abi::HeaderMap;
use super::abi::hostcalls::{self, MapType};
use super::apply::{Fate, Worker};
use super::callbacks::Action;
use super::pairs;
use crate::filter::{Event, StreamId};
use crate::request::{RequestView, Unreadable};

impl Worker {
    pub(super) fn request_headers(&self, stream: StreamId) -> Action {
        let headers = Headers::read();
        let fate = self
            .serve_again(stream, &headers)
            .unwrap_or_else(|| self.stream_event(Event::RequestHeaders(stream, &headers)));
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
struct Headers {
    map: HeaderMap,
    route_policy: OnceCell<Result<Option<Vec<u8>>, Unreadable>>,
}

impl Headers {
    fn read() -> Self {
        Self { map: HeaderMap::read(), route_policy: OnceCell::new() }
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let pairs = pairs::read(self.map.as_bytes());
        pairs.filter(move |(other, _)| *other == name.as_bytes()).map(|(_, value)| value)
    }
}

impl RequestView for Headers {
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        if self.map.as_bytes().is_empty() {
            // More headers than the host gives at once.
            return hostcalls::get_map_value_bytes(MapType::HttpRequestHeaders, name).ok()?.map(Cow::Owned);
        }
        self.values(name).next().map(Cow::Borrowed)
    }

    fn copies(&self, name: &str) -> Vec<Vec<u8>> {
        self.values(name).map(<[u8]>::to_vec).collect()
    }

    fn route_policy(&self) -> Result<Option<Vec<u8>>, Unreadable> {
        let path = ["xds", "route_metadata", "filter_metadata", "phantom_token_filter", "policy"];
        let read = || hostcalls::get_property(&path).map_err(|_| Unreadable);
        self.route_policy.get_or_init(read).clone()
    }
}
