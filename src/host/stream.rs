//! One request's context.

use std::rc::Rc;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, MapType};

use super::apply::{Fate, Worker};
use crate::filter::{Event, StreamId};
use crate::request::{RequestView, Unreadable};

/// A request. `worker` is `None` where the configuration was refused: then nothing passes.
pub(super) struct Stream {
    id: StreamId,
    worker: Option<Rc<Worker>>,
    /// What became of it in its own callback; a stream that waits may have gone on since.
    fate: Fate,
}

impl Stream {
    pub(super) fn new(id: u32, worker: Option<Rc<Worker>>) -> Self {
        Self { id: StreamId(id), worker, fate: Fate::Waiting }
    }

    /// Whether more of the request may pass. Headers that wait hold back what follows: where an operator sets
    /// `allow_on_headers_stop_iteration`, Envoy itself does not.
    fn gate(&self) -> Action {
        let passes = match self.fate {
            Fate::Answered => false,
            Fate::Forwarded => true,
            Fate::Waiting => self.worker.as_ref().is_some_and(|worker| !worker.is_waiting(self.id)),
        };
        if passes { Action::Continue } else { Action::Pause }
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        if let Some(worker) = &self.worker {
            self.fate = worker.stream_event(Event::RequestHeaders(self.id, &Headers));
        }
        self.gate()
    }

    fn on_http_request_body(&mut self, _: usize, _: bool) -> Action {
        self.gate()
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        self.gate()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(worker) = self.worker.as_ref().filter(|_| self.fate == Fate::Waiting) {
            worker.stream_event(Event::StreamGone(self.id));
        }
    }
}

/// The request headers of the effective context.
struct Headers;

impl RequestView for Headers {
    fn header(&self, name: &str) -> Option<Vec<u8>> {
        hostcalls::get_map_value_bytes(MapType::HttpRequestHeaders, name).ok()?
    }

    fn copies(&self, name: &str) -> Vec<Vec<u8>> {
        // The single-value call gives the first copy only, while the upstream gets all.
        let headers = hostcalls::get_map_bytes(MapType::HttpRequestHeaders).unwrap_or_default();
        headers.into_iter().filter(|header| header.0 == name).map(|header| header.1).collect()
    }

    fn route_policy(&self) -> Result<Option<Vec<u8>>, Unreadable> {
        let path = vec!["xds", "route_metadata", "filter_metadata", "phantom_token_filter", "policy"];
        hostcalls::get_property(path).map_err(|_| Unreadable)
    }
}
