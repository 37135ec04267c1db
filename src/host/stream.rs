//! One request's context.

use std::rc::Rc;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, BufferType, MapType};

use super::apply::{Fate, Worker};
use crate::filter::{Event, MAX_BODY_BYTES, StreamId};
use crate::request::{RequestView, Unreadable};

/// A request. `worker` is `None` where the configuration was refused: then nothing passes.
pub(super) struct Stream {
    id: StreamId,
    worker: Option<Rc<Worker>>,
    /// What became of it in its own callback; a stream that waits may have gone on since.
    fate: Fate,
    /// The part of a watched request's body that has passed.
    passed: Vec<u8>,
    /// Whether the filter has been told of the body.
    is_read: bool,
}

impl Stream {
    pub(super) fn new(id: u32, worker: Option<Rc<Worker>>) -> Self {
        Self { id: StreamId(id), worker, fate: Fate::Waiting, passed: Vec::new(), is_read: false }
    }

    /// Whether more of the request may pass. Headers that wait hold back what follows: where an operator sets
    /// `allow_on_headers_stop_iteration`, Envoy itself does not.
    fn gate(&self) -> Action {
        let passes = match self.fate {
            Fate::Answered => false,
            Fate::Forwarded | Fate::Watched => true,
            Fate::Receiving | Fate::Waiting => {
                self.worker.as_ref().is_some_and(|worker| !worker.is_waiting(self.id))
            }
        };
        if passes { Action::Continue } else { Action::Pause }
    }

    /// More of the body is there, `size` bytes of it; `is_last`: no more follows.
    fn body(&mut self, size: usize, is_last: bool) {
        if self.is_read {
            return;
        }
        match self.fate {
            // Held back, it grows until it is whole.
            Fate::Receiving if size > MAX_BODY_BYTES => self.tell_body(None),
            Fate::Receiving if is_last => {
                let body = read(size);
                self.tell_body(Some(&body));
            }
            Fate::Watched => {
                if self.passed.len() <= MAX_BODY_BYTES {
                    self.passed.extend(read(size.min(MAX_BODY_BYTES + 1)));
                }
                if is_last {
                    let body = std::mem::take(&mut self.passed);
                    self.tell_body(Some(body.as_slice()).filter(|body| body.len() <= MAX_BODY_BYTES));
                }
            }
            _ => {}
        }
    }

    fn tell_body(&mut self, body: Option<&[u8]>) {
        self.is_read = true;
        let Some(worker) = &self.worker else { return };
        let fate = worker.stream_event(Event::Body(self.id, body));
        if self.fate == Fate::Receiving {
            self.fate = fate;
        }
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, is_last: bool) -> Action {
        if let Some(worker) = &self.worker {
            self.fate = worker.stream_event(Event::RequestHeaders(self.id, &Headers));
        }
        if is_last {
            self.body(0, true);
        }
        self.gate()
    }

    fn on_http_request_body(&mut self, size: usize, is_last: bool) -> Action {
        self.body(size, is_last);
        self.gate()
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        match self.fate {
            // No signal needs trailers, and what they end cannot be read any more.
            Fate::Receiving if !self.is_read => self.tell_body(None),
            _ => self.body(0, true),
        }
        self.gate()
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        if self.fate == Fate::Watched
            && let Some(worker) = &self.worker
        {
            let status =
                hostcalls::get_map_value_bytes(MapType::HttpResponseHeaders, ":status").ok().flatten();
            let status = status.and_then(|status| std::str::from_utf8(&status).ok()?.parse().ok());
            worker.stream_event(Event::Answered(self.id, status.unwrap_or(0)));
        }
        Action::Continue
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let is_known = matches!(self.fate, Fate::Receiving | Fate::Waiting | Fate::Watched);
        if let Some(worker) = self.worker.as_ref().filter(|_| is_known) {
            worker.stream_event(Event::StreamGone(self.id));
        }
    }
}

/// The beginning of what is there of the request's body.
fn read(size: usize) -> Vec<u8> {
    hostcalls::get_buffer(BufferType::HttpRequestBody, 0, size).ok().flatten().unwrap_or_default()
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
