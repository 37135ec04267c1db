//! One request.

use std::borrow::Cow;
use std::cell::OnceCell;

use super::abi::Given;
use super::abi::hostcalls::{self, BufferType, MapType};
use super::apply::Worker;
use super::doubt::Bodies;
use super::held::Held;
use super::pairs;
use crate::filter::{Event, MAX_BODY_BYTES, StreamId};
use crate::host::action::Action;
use crate::host::fate::Fate;
use crate::request::{RequestView, Unreadable};

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
        if fate == Fate::Receiving && self.bodies.get() == Bodies::Pass {
            fate = self.fail(stream);
        }
        if fate == Fate::Receiving {
            // It was read. Should the request pass in spite of us, no service sees the secret.
            _ = hostcalls::remove_map_value(MapType::Request, "authorization");
            if self.bodies.get() == Bodies::Untried {
                route_nowhere(&headers);
            }
        }
        self.hold(stream, Held { fate, passed: Vec::new(), is_read: false });
        if is_last {
            self.body(stream, 0, true);
        }
        self.gate(stream)
    }

    pub(super) fn request_body(&self, stream: StreamId, size: usize, is_last: bool) -> Action {
        self.bodies.set(Bodies::Come);
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
        self.deleted();
        let held = self.let_go(stream);
        let fate = held.as_ref().map(|held| held.fate);
        if held.is_some_and(|held| held.fate == Fate::Receiving && !held.is_read) {
            self.look_for_body();
        }
        if matches!(fate, Some(Fate::Receiving | Fate::Waiting | Fate::Watched)) {
            self.stream_event(Event::StreamGone(stream));
        } else {
            self.closed(stream);
        }
    }

    /// Whether more of a request may pass.
    fn gate(&self, stream: StreamId) -> Action {
        self.fate(stream).map_or(Action::Continue, Fate::gate)
    }

    /// More of the body is there, `size` bytes of it; `is_last`: no more follows.
    fn body(&self, stream: StreamId, size: usize, is_last: bool) {
        let Some(mut held) = self.let_go(stream) else { return };
        let whole = match held.fate {
            _ if held.is_read => None,
            // Held back, it grows until it is whole.
            Fate::Receiving if size > MAX_BODY_BYTES => Some(None),
            Fate::Receiving if is_last => Some(Some(read(size))),
            // The filter has given up on it: what passes is not kept for nothing.
            Fate::Watched if !self.awaits_body(stream) => {
                held.is_read = true;
                held.passed = Vec::new();
                None
            }
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

    /// Frees what was kept of bodies that the filter awaits no more: their clients may send nothing else for long.
    pub(super) fn free_bodies(&self) {
        self.each_held(|stream, held| {
            if held.fate == Fate::Watched && !held.passed.is_empty() && !self.awaits_body(stream) {
                held.passed = Vec::new();
            }
        });
    }

    fn fate(&self, stream: StreamId) -> Option<Fate> {
        self.held(stream, |held| held.fate)
    }
}

/// Gives a request a path that no route has, by path or by prefix: without the slash that all begin with.
fn route_nowhere(headers: &Headers) {
    let path = headers.header(":path").unwrap_or_default();
    let start = path.iter().position(|byte| *byte != b'/').unwrap_or(path.len());
    let path = path.get(start..).unwrap_or_default();
    _ = hostcalls::set_map_value_bytes(MapType::Request, ":path", path);
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
    route_name: OnceCell<Result<Option<Vec<u8>>, Unreadable>>,
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

    fn route_name(&self) -> Result<Option<Vec<u8>>, Unreadable> {
        let read = || hostcalls::get_property(&["xds", "route_name"]).map_err(|_| Unreadable);
        self.route_name.get_or_init(read).clone()
    }

    fn route_cluster(&self) -> Option<Vec<u8>> {
        hostcalls::get_property(&["xds", "cluster_name"]).ok().flatten()
    }

    fn peer_certificate_digest(&self) -> Option<Vec<u8>> {
        hostcalls::get_property(&["connection", "sha256_peer_certificate_digest"]).ok().flatten()
    }

    fn peer(&self) -> Option<Vec<u8>> {
        let mut address = hostcalls::get_property(&["source", "address"]).ok().flatten()?;
        let colon = address.iter().rposition(|&byte| byte == b':');
        address.truncate(colon.unwrap_or(address.len()));
        Some(address)
    }
}
