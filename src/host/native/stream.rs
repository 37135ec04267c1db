//! One request: what happens in its hooks, on its worker.

use super::abi::{HeaderType, Stream};
use super::installation::Installation;
use super::local_reply;
use super::shard::Became;
use crate::filter::{Event, StreamId};
use crate::host::action::Action;
use crate::host::fate::Fate;
use std::cell::Cell;

/// What we have of a request.
pub(super) struct Request {
    /// Its configuration, which outlives it.
    pub(super) installation: *const Installation,
    worker: usize,
    /// What it is called in the worker's shard, if something is noted of it there.
    id: Cell<Option<StreamId>>,
    fate: Cell<Fate>,
}

impl Request {
    pub(super) fn new(installation: *const Installation, worker: usize) -> Self {
        Self { installation, worker, id: Cell::new(None), fate: Cell::new(Fate::Waiting) }
    }

    pub(super) fn headers(&self, host: &Installation, stream: &mut Stream, is_last: bool) -> Action {
        let (id, became) = host.with_shard(self.worker, |shard, around| shard.request(stream, around));
        self.id.set(id);
        self.settle(stream, became);
        if is_last {
            self.more_body(host, stream, true);
        }
        self.fate.get().gate()
    }

    pub(super) fn body(&self, host: &Installation, stream: &mut Stream, is_last: bool) -> Action {
        self.more_body(host, stream, is_last);
        self.fate.get().gate()
    }

    pub(super) fn trailers(&self, host: &Installation, stream: &mut Stream) -> Action {
        host.with_shard(self.worker, |shard, _| shard.clear_trailers(stream));
        if let (Some(id), Fate::Receiving) = (self.id.get(), self.fate.get()) {
            // No signal needs trailers, and what they end cannot be read any more.
            let told = host.with_shard(self.worker, |shard, around| {
                let body = shard.unreadable(id)?;
                Some(shard.stream_event(id, Event::Body(id, body.as_deref()), stream, around))
            });
            self.told(stream, told);
        } else {
            self.more_body(host, stream, true);
        }
        self.fate.get().gate()
    }

    pub(super) fn response_headers(&self, host: &Installation, stream: &mut Stream) {
        if let (Some(id), Fate::Watched) = (self.id.get(), self.fate.get()) {
            let status = stream.header(HeaderType::Response, ":status", 0);
            let status =
                status.and_then(|status| std::str::from_utf8(status).ok()?.parse().ok()).unwrap_or(0);
            let became = host.with_shard(self.worker, |shard, around| {
                shard.stream_event(id, Event::Answered(id, status), stream, around)
            });
            self.told(stream, Some(became));
        }
    }

    /// The main thread has left something to be done.
    pub(super) fn rung(&self, host: &Installation, stream: &mut Stream) {
        let (Some(id), before) = (self.id.get(), self.fate.get()) else { return };
        let became = host.with_shard(self.worker, |shard, _| shard.rung(id, before, stream));
        let goes_on = before.gate() != Action::Continue && became.fate.gate() == Action::Continue;
        let fate = became.fate;
        self.id.set(host.with_shard(self.worker, |shard, _| shard.forget_if_done(id, fate)));
        if before != Fate::Answered {
            self.settle(stream, became);
        }
        if goes_on {
            stream.continue_decoding();
        }
    }

    /// It is no more.
    pub(super) fn gone(&self, host: &Installation) {
        let (id, fate) = (self.id.take(), self.fate.get());
        if let Some(id) = id {
            host.with_shard(self.worker, |shard, around| shard.gone(id, fate, around));
        }
    }

    /// A hook has panicked: it is refused, if it can still be.
    pub(super) fn panicked(&self, host: &Installation, stream: &mut Stream) {
        // First of all, for what follows may panic again.
        if self.fate.replace(Fate::Answered) != Fate::Answered {
            local_reply::fail(stream);
        }
        host.owe(self.worker);
        let id = self.id.get();
        host.with_shard(self.worker, |shard, _| shard.abandoned(id));
    }

    /// More of the body is there.
    fn more_body(&self, host: &Installation, stream: &mut Stream, is_last: bool) {
        let (Some(id), fate @ (Fate::Receiving | Fate::Watched)) = (self.id.get(), self.fate.get()) else {
            return;
        };
        let told = host.with_shard(self.worker, |shard, around| {
            let body = shard.body(id, fate, stream, is_last)?;
            Some(shard.stream_event(id, Event::Body(id, body.as_deref()), stream, around))
        });
        self.told(stream, told);
    }

    /// The filter was told something of it, and said what becomes of it; where it was not held back, perhaps nothing.
    fn told(&self, stream: &mut Stream, became: Option<Became>) {
        if let Some(became) = became
            && (became.fate != Fate::Waiting || self.fate.get() == Fate::Receiving)
        {
            self.settle(stream, became);
        }
    }

    /// Nothing is held that an answer could come back to.
    fn settle(&self, stream: &mut Stream, Became { fate, answer }: Became) {
        self.fate.set(fate);
        match answer {
            Some(answer) => local_reply::send(stream, &answer),
            None if fate == Fate::Answered => local_reply::fail(stream),
            None => {}
        }
    }
}
