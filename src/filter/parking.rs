//! Requests that wait for something else than a verdict: metadata, keys, or a status list. They are taken up again where they were.

use std::collections::VecDeque;

use super::event::{Effect, StreamId};
use super::inquiry::Inquiry;
use super::introspections::trace_headers;
use super::kept::Kept;
use super::part::{Pace, Part};
use super::step::Step;
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
    /// Lets a request wait until it is taken up.
    pub(super) fn park(&mut self, mut inquiry: Inquiry, request: &dyn RequestView, step: &mut Step<'_>) {
        inquiry.look_at_sender(request, step);
        let headers = trace_headers(request);
        let (stream, bytes) = (inquiry.case.stream, inquiry.bytes() + headers.size());
        self.parked.insert(stream, Parked { inquiry, headers }, bytes);
        step.push(Effect::AskForTurn);
    }

    pub(super) fn len(&self) -> usize {
        self.parked.len()
    }

    /// How many bytes of clients' they hold.
    pub(super) fn bytes(&self) -> usize {
        self.parked.bytes()
    }

    /// The keys that a request waited for are here, or are not to be had.
    pub(super) fn keys_came(&mut self, stream: StreamId, was_served: bool) {
        if let Some(Parked { inquiry, .. }) = self.parked.get_mut(stream) {
            inquiry.has_waited_for_keys |= was_served;
            self.ready.push_back(stream);
        }
    }

    /// The metadata that a request waited for is here, or is not to be had.
    pub(super) fn metadata_came(&mut self, stream: StreamId) {
        if let Some(Parked { inquiry, .. }) = self.parked.get_mut(stream) {
            inquiry.has_waited_for_metadata = true;
            self.ready.push_back(stream);
        }
    }

    /// What a request waited for is here, or is not to be had.
    pub(super) fn wait_is_over(&mut self, stream: StreamId) {
        self.ready.push_back(stream);
    }

    /// Whether some of them wait no more.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The next of those that wait no more.
    pub(super) fn take(&mut self) -> Option<(Inquiry, KeptHeaders)> {
        // A stream that is gone waits no more.
        let parked = std::iter::from_fn(|| self.ready.pop_front()).find_map(|it| self.parked.remove(it))?;
        Some((parked.inquiry, parked.headers))
    }
}

impl Part for Parking {
    fn tick(&mut self, _: &mut Step<'_>) {}

    fn pace(&self) -> Pace {
        Pace::Idle
    }

    fn holds(&self, stream: StreamId) -> bool {
        self.parked.contains(stream)
    }

    fn forget(&mut self, stream: StreamId) {
        self.parked.remove(stream);
    }

    fn clock_set_back(&mut self, _: UnixMillis) {}
}
