//! One request.

use std::borrow::Cow;
use std::cell::OnceCell;

use super::abi::Given;
use super::abi::hostcalls::{self, BufferType, MapType};
use super::apply::{Fate, Worker};
use super::callbacks::Action;
use super::pairs;
use crate::filter::{Event, MAX_BODY_BYTES, StreamId};
use crate::request::{RequestView, Unreadable};

/// A request that did not simply go on.
pub(super) struct Held {
    /// What became of it in its own callback; one that waits may have gone on since.
    fate: Fate,
    /// The part of a watched request's body that has passed.
    passed: Vec<u8>,
    /// Whether the filter has been told of the body.
    is_read: bool,
}

impl Worker {
    pub(super) fn request_headers(&self, stream: StreamId, is_last: bool) -> Action {
        let headers = Headers::default();
        let mut fate = self.request(stream, &headers);
        if fate == Fate::Forwarded {
            return Action::Continue;
        }
        if fate == Fate::Waiting && !self.is_waiting(stream) {
            // Nobody has said a word about it, and nobody will: it must not pass for want of one.
            fate = self.fail(stream);
        }
        self.hold(stream, Held { fate, passed: Vec::new(), is_read: false });
        if is_last {
            self.body(stream, 0, true);
        }
        self.gate(stream)
    }

    pub(super) fn request_body(&self, stream: StreamId, size: usize, is_last: bool) -> Action {
        self.body(stream, size, is_last);
        self.gate(stream)
    }

    pub(super) fn request_trailers(&self, stream: StreamId) -> Action {
        self.clear_trailers();
        if let Some(held) = self.let_go(stream) {
            // No signal needs trailers, and what they end cannot be read any more.
            let is_unreadable = held.fate == Fate::Receiving && !held.is_read;
            self.hold(stream, held);
            if is_unreadable {
                self.tell_body(stream, None);
            } else {
                self.body(stream, 0, true);
            }
        }
        self.gate(stream)
    }

    pub(super) fn response_headers(&self, stream: StreamId) {
        if self.fate(stream) == Some(Fate::Watched) {
            let status = hostcalls::get_map_value(MapType::Response, ":status").ok().flatten();
            let status = status.and_then(|status| std::str::from_utf8(status.as_bytes()).ok()?.parse().ok());
            self.stream_event(Event::Answered(stream, status.unwrap_or(0)));
        }
    }

    pub(super) fn stream_gone(&self, stream: StreamId) {
        let fate = self.let_go(stream).map(|held| held.fate);
        if matches!(fate, Some(Fate::Receiving | Fate::Waiting | Fate::Watched)) {
            self.stream_event(Event::StreamGone(stream));
        }
    }

    /// Whether more of a request may pass. Headers that wait hold back what follows: where an operator sets
    /// `allow_on_headers_stop_iteration`, Envoy itself does not.
    fn gate(&self, stream: StreamId) -> Action {
        let passes = match self.fate(stream) {
            None | Some(Fate::Forwarded | Fate::Watched) => true,
            Some(Fate::Answered) => false,
            Some(Fate::Receiving | Fate::Waiting) => !self.is_waiting(stream),
        };
        if passes { Action::Continue } else { Action::Pause }
    }

    /// More of the body is there, `size` bytes of it; `is_last`: no more follows.
    fn body(&self, stream: StreamId, size: usize, is_last: bool) {
        let Some(mut held) = self.let_go(stream) else { return };
        let whole = match held.fate {
            _ if held.is_read => None,
            // Held back, it grows until it is whole.
            Fate::Receiving if size > MAX_BODY_BYTES => Some(None),
            Fate::Receiving if is_last => Some(Some(read(size))),
            Fate::Watched => {
                if held.passed.len() <= MAX_BODY_BYTES {
                    held.passed.extend(read(size.min(MAX_BODY_BYTES + 1)));
                }
                let fits = |body: &Vec<u8>| body.len() <= MAX_BODY_BYTES;
                is_last.then(|| Some(std::mem::take(&mut held.passed)).filter(fits))
            }
            _ => None,
        };
        self.hold(stream, held);
        if let Some(body) = whole {
            self.tell_body(stream, body.as_deref());
        }
    }

    fn tell_body(&self, stream: StreamId, body: Option<&[u8]>) {
        let fate = self.stream_event(Event::Body(stream, body));
        if let Some(mut held) = self.let_go(stream) {
            held.is_read = true;
            if held.fate == Fate::Receiving {
                held.fate = fate;
            }
            self.hold(stream, held);
        }
    }

    fn fate(&self, stream: StreamId) -> Option<Fate> {
        self.held(stream, |held| held.fate)
    }
}

/// The beginning of what is there of the request's body.
fn read(size: usize) -> Vec<u8> {
    hostcalls::get_buffer(BufferType::HttpRequestBody, 0, size).ok().flatten().unwrap_or_default()
}

/// The request headers of the effective context. What is read once is not asked for again.
#[derive(Default)]
struct Headers {
    /// `authorization` by itself; where nothing depends on the path, nothing else may be asked for.
    authorization: OnceCell<Option<Given>>,
    /// All of them; `None` where the host does not give them at once: there are too many.
    all: OnceCell<Option<Given>>,
    route_policy: OnceCell<Result<Option<Vec<u8>>, Unreadable>>,
}

impl Headers {
    /// With one call, which costs no more than two for a header each.
    fn all(&self) -> Option<&[u8]> {
        let all = self.all.get_or_init(|| hostcalls::get_map(MapType::Request).ok());
        all.as_ref().map(Given::as_bytes)
    }
}

impl RequestView for Headers {
    fn authorization(&self) -> Option<Cow<'_, [u8]>> {
        if self.all.get().is_some() {
            return self.header("authorization");
        }
        let alone = || hostcalls::get_map_value(MapType::Request, "authorization").ok().flatten();
        self.authorization.get_or_init(alone).as_ref().map(|value| value.as_bytes().into())
    }

    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        match self.all() {
            Some(all) => pairs::values(all, name).next().map(Cow::Borrowed),
            None => {
                let value = hostcalls::get_map_value(MapType::Request, name).ok().flatten()?;
                Some(value.as_bytes().to_vec().into())
            }
        }
    }

    fn copies(&self, name: &str) -> Vec<Vec<u8>> {
        self.all().into_iter().flat_map(|all| pairs::values(all, name)).map(<[u8]>::to_vec).collect()
    }

    fn route_policy(&self) -> Result<Option<Vec<u8>>, Unreadable> {
        let path = ["xds", "route_metadata", "filter_metadata", "phantom_token_filter", "policy"];
        let read = || hostcalls::get_property(&path).map_err(|_| Unreadable);
        self.route_policy.get_or_init(read).clone()
    }
}
