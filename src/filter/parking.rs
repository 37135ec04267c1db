//! Requests that wait for something else than a verdict: keys, or a status list. They are taken up again where they were.

use std::collections::VecDeque;

use super::calls::trace_headers;
use super::inquiry::Inquiry;
use super::kept::Kept;
use super::{Effect, Filter, StreamId};
use crate::request::{KeptHeaders, RequestView};
use crate::token::UnixMillis;

/// All requests that wait so.
#[derive(Default)]
pub(super) struct Parking {
    parked: Kept<Parked>,
    /// Those of them that wait no more.
    ready: VecDeque<StreamId>,
}

struct Parked {
    inquiry: Inquiry,
    headers: KeptHeaders,
}

impl Parking {
    pub(super) fn holds(&self, stream: StreamId) -> bool {
        self.parked.contains(stream)
    }

    pub(super) fn len(&self) -> usize {
        self.parked.len()
    }

    /// How many bytes of clients' they hold.
    pub(super) fn bytes(&self) -> usize {
        self.parked.bytes()
    }

    pub(super) fn get_mut(&mut self, stream: StreamId) -> Option<&mut Inquiry> {
        self.parked.get_mut(stream).map(|parked| &mut parked.inquiry)
    }

    /// What a request waited for is here, or is not to be had.
    pub(super) fn take_up(&mut self, stream: StreamId) {
        self.ready.push_back(stream);
    }

    /// Whether some of them wait no more.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// A stream is gone.
    pub(super) fn forget(&mut self, stream: StreamId) {
        self.parked.remove(stream);
    }
}

impl Filter {
    /// Lets a request wait until somebody takes it up.
    pub(super) fn park_aside(
        &mut self,
        inquiry: Inquiry,
        request: &dyn RequestView,
        effects: &mut Vec<Effect>,
    ) {
        let headers = trace_headers(request);
        let (stream, bytes) = (inquiry.case.stream, inquiry.bytes() + headers.size());
        self.parking.parked.insert(stream, Parked { inquiry, headers }, bytes);
        effects.push(Effect::AskForTurn);
    }

    /// Takes up a request that has waited. Returns whether there was one.
    pub(super) fn unpark_one(&mut self, now: UnixMillis, effects: &mut Vec<Effect>) -> bool {
        let Some(stream) = self.parking.ready.pop_front() else { return false };
        // A stream that is gone waits no more.
        if let Some(Parked { inquiry, headers }) = self.parking.parked.remove(stream) {
            self.inquire(inquiry, &headers, now, effects);
        }
        true
    }
}
