//! What two threads use in turns: a worker's filter, and what is noted of its requests.

use std::mem::take;

use super::abi::{Doorbell, HeaderType, Stream};
use super::body::{Body, Whole};
use super::headers::Headers;
use super::now;
use super::orders::Order;
use super::statistics::Statistics;
use crate::cache::Mailbox;
use crate::challenge::Answer;
use crate::filter::{Description, Effect, Event, Filter, Outcome, Passage, StreamId, Told};
use crate::host::description::texts;
use crate::host::fate::Fate;
use crate::numbered::Numbered;
use crate::request::HeaderEdit;
use crate::token::TokenDigest;

/// A worker's filter and its requests.
pub(super) struct Shard {
    filter: Filter,
    /// Requests that did not simply go on.
    noted: Numbered<StreamId, Noted>,
    numbers: Numbers,
    /// The request that is judged just now; after a panic, the one that was.
    judged: Option<StreamId>,
    /// Whether requests that were passed on may be ended.
    ends_open_streams: bool,
}

/// What is noted of a request.
struct Noted {
    doorbell: Doorbell,
    /// What the main thread left to be done to it.
    left: Vec<Effect>,
    /// It is refused if it is still held back.
    is_lost: bool,
    body: Body,
}

/// What a shard's effects need beside the shard.
pub(super) trait Surroundings: Sync {
    fn statistics(&self) -> &Statistics;
    /// Asks for a turn.
    fn ask_for_turn(&self);
    /// Has a call do something, once the shard is let go.
    fn order(&self, order: Order);
    /// Has ticks come so often.
    fn tick(&self, period: std::time::Duration);
    fn tell(&self, mailbox: Mailbox, digest: TokenDigest, told: Told);
    fn wake(&self, mailbox: Mailbox);
}

/// What became of a request in its own hook.
pub(super) struct Became {
    pub(super) fate: Fate,
    /// What it is to be answered, once the shard is let go.
    pub(super) answer: Option<Answer>,
}

impl Shard {
    pub(super) fn new(filter: Filter, ends_open_streams: bool) -> Self {
        Self { filter, noted: Numbered::new(), numbers: Numbers::default(), judged: None, ends_open_streams }
    }

    pub(super) fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Takes a request, in its own hook. It has a number if something is noted of it.
    pub(super) fn request(
        &mut self,
        stream: &mut Stream,
        around: &dyn Surroundings,
    ) -> (Option<StreamId>, Became) {
        let id = self.numbers.next(|id| self.noted.contains(id));
        self.judged = Some(id);
        let outcome = self.filter.request(id, &Headers(stream), now());
        let mut became = Became { fate: Fate::Waiting, answer: None };
        match outcome {
            Outcome::Again(ready) => {
                ready.counts.into_iter().for_each(|series| around.statistics().count(series));
                if let Some(description) = &ready.description {
                    describe(stream, description);
                }
                self.forward(id, &ready.passage, stream, &mut became);
            }
            Outcome::Judged(effects) => self.carry_out(effects, Some((id, stream, &mut became)), around),
        }
        if became.fate == Fate::Waiting && !self.filter.is_waiting(id) {
            // Nobody has said a word about it, and nobody will: it must not pass for want of one.
            became = self.refused(id);
        }
        self.judged = None;
        if self.is_done(became.fate) {
            return (None, became);
        }
        let noted =
            Noted { doorbell: stream.doorbell(), left: Vec::new(), is_lost: false, body: Body::default() };
        self.noted.insert(id, noted);
        (Some(id), became)
    }

    /// Takes an event in a hook of a request.
    pub(super) fn stream_event(
        &mut self,
        id: StreamId,
        event: Event<'_>,
        stream: &mut Stream,
        around: &dyn Surroundings,
    ) -> Became {
        let mut became = Became { fate: Fate::Waiting, answer: None };
        let effects = self.filter.step(now(), event);
        self.carry_out(effects, Some((id, stream, &mut became)), around);
        became
    }

    /// Takes an event on the main thread.
    pub(super) fn root_event(&mut self, event: Event<'_>, around: &dyn Surroundings) {
        let effects = self.filter.step(now(), event);
        self.carry_out(effects, None, around);
    }

    /// What became of a request by what the main thread left to be done to it.
    pub(super) fn rung(&mut self, id: StreamId, fate: Fate, stream: &mut Stream) -> Became {
        let mut became = Became { fate, answer: None };
        let noted = self.noted.get_mut(id).map(|noted| (take(&mut noted.left), take(&mut noted.is_lost)));
        let (left, is_lost) = noted.unwrap_or_default();
        for effect in left {
            self.act(id, effect, stream, &mut became);
        }
        if is_lost && matches!(became.fate, Fate::Waiting | Fate::Receiving) {
            became = self.refused(id);
        }
        became
    }

    /// Forgets a request of which there is no more to know; gives back its number if there is.
    pub(super) fn forget_if_done(&mut self, id: StreamId, fate: Fate) -> Option<StreamId> {
        let is_done = self.is_done(fate);
        if is_done {
            self.noted.remove(id);
        }
        (!is_done).then_some(id)
    }

    /// Whether there is no more to know of a request.
    fn is_done(&self, fate: Fate) -> bool {
        fate == Fate::Forwarded && !self.ends_open_streams
    }

    /// A request is no more.
    pub(super) fn gone(&mut self, id: StreamId, fate: Fate, around: &dyn Surroundings) {
        if self.noted.remove(id).is_none() {
            return;
        }
        if matches!(fate, Fate::Receiving | Fate::Waiting | Fate::Watched) {
            self.root_event(Event::StreamGone(id), around);
        } else {
            self.filter.closed(id);
        }
    }

    /// What a request gets that was not treated as it should.
    pub(super) fn refused(&mut self, id: StreamId) -> Became {
        Became { fate: Fate::Answered, answer: Some(self.filter.host_failure(id)) }
    }

    /// A hook of a request has panicked: nothing more is known of it. It has no number if it was being judged.
    pub(super) fn abandoned(&mut self, id: Option<StreamId>) {
        if let Some(id) = id.or_else(|| self.judged.take()) {
            _ = self.filter.host_failure(id);
        }
    }

    /// Refuses every request that is held back: what they wait for may be lost, or what was to be done to them.
    pub(super) fn refuse_all(&mut self) {
        for (_, noted) in self.noted.iter_mut() {
            noted.is_lost = true;
            noted.doorbell.ring();
        }
    }

    /// More of a request's body is there. What is to be told of it, if anything.
    pub(super) fn body(&mut self, id: StreamId, fate: Fate, stream: &Stream, is_last: bool) -> Option<Whole> {
        let is_wanted = fate == Fate::Watched && self.filter.awaits_body(id);
        let body = &mut self.noted.get_mut(id)?.body;
        match fate {
            Fate::Receiving => body.held_back(stream, is_last),
            Fate::Watched => body.passing(stream, is_last, is_wanted),
            _ => None,
        }
    }

    /// A request's body has ended in a way that is not read.
    pub(super) fn unreadable(&mut self, id: StreamId) -> Option<Whole> {
        self.noted.get_mut(id)?.body.unreadable()
    }

    /// Frees what was kept of bodies that the filter awaits no more: their clients may send nothing else for long.
    pub(super) fn free_bodies(&mut self) {
        let Self { noted, filter, .. } = self;
        for (id, noted) in noted.iter_mut().filter(|(_, noted)| noted.body.is_kept()) {
            if !filter.awaits_body(id) {
                noted.body.free();
            }
        }
    }

    /// Takes out of a request's trailers what no client has a say in.
    pub(super) fn clear_trailers(&self, stream: &mut Stream) {
        for name in self.filter.kept_from_trailers() {
            _ = stream.set_header(HeaderType::RequestTrailer, name, None);
        }
    }

    /// In a request's own hook, or else on the main thread.
    fn carry_out(
        &mut self,
        effects: Vec<Effect>,
        mut own: Option<(StreamId, &mut Stream, &mut Became)>,
        around: &dyn Surroundings,
    ) {
        for effect in effects {
            match effect {
                Effect::Count(series) => around.statistics().count(series),
                Effect::Gauge(series, change) => around.statistics().change(series, change),
                Effect::Took(series, millis) => around.statistics().took(series, millis),
                Effect::AskForTurn => around.ask_for_turn(),
                Effect::Tick(period) => around.tick(period),
                Effect::Tell(mailbox, digest, told) => around.tell(mailbox, digest, told),
                Effect::Wake(mailbox) => around.wake(mailbox),
                Effect::Call(id, call) => around.order(Order::Http(id, call)),
                Effect::Cancel(id) => around.order(Order::Cancel(id)),
                Effect::Grpc(id, call) => around.order(Order::Call(id, call)),
                Effect::Open(id, call) => around.order(Order::Open(id, call)),
                Effect::Send(id, message) => around.order(Order::Send(id, message)),
                Effect::Receive(id) | Effect::Watch(id) => {
                    let is_watch = matches!(effect, Effect::Watch(_));
                    if let Some((own, _, became)) = &mut own
                        && *own == id
                    {
                        became.fate = if is_watch { Fate::Watched } else { Fate::Receiving };
                    }
                }
                Effect::Answer(id, _)
                | Effect::End(id, _)
                | Effect::Describe(id, _)
                | Effect::Forward(id, _) => match &mut own {
                    Some((own, stream, became)) if *own == id => {
                        self.act(id, effect, stream, became);
                    }
                    _ => self.leave(id, effect),
                },
            }
        }
    }

    /// Does something to a request in its own hook. Nothing is done to one that is answered: that was its end.
    fn act(&mut self, id: StreamId, effect: Effect, stream: &mut Stream, became: &mut Became) {
        match effect {
            _ if became.fate == Fate::Answered => {}
            Effect::Answer(_, answer) | Effect::End(_, answer) => {
                *became = Became { fate: Fate::Answered, answer: Some(answer) };
            }
            Effect::Describe(_, description) => describe(stream, &description),
            Effect::Forward(_, passage) => self.forward(id, &passage, stream, became),
            _ => {}
        }
    }

    /// Leaves something to be done to a request on its worker. One that is gone is not reached.
    fn leave(&mut self, id: StreamId, effect: Effect) {
        if let Some(noted) = self.noted.get_mut(id) {
            noted.left.push(effect);
            if noted.left.len() == 1 {
                noted.doorbell.ring();
            }
        }
    }

    fn forward(&mut self, id: StreamId, passage: &Passage, stream: &mut Stream, became: &mut Became) {
        let mut edits = passage.edits().iter();
        let mut is_routed_anew = false;
        let are_edited = edits.all(|edit| {
            let (name, value) = match edit {
                HeaderEdit::Remove(name) if stream.header(HeaderType::Request, name, 0).is_none() => {
                    return true;
                }
                HeaderEdit::Remove(name) => (name, None),
                HeaderEdit::Set(name, value) => (name, Some(value)),
            };
            is_routed_anew |= name != AUTHORIZATION;
            stream.set_header(HeaderType::Request, name, value)
        });
        if is_routed_anew {
            // As Envoy does for a Wasm module: the host that was judged is the one that is routed. The credentials alone choose no
            // route.
            stream.clear_route_cache();
        }
        if !are_edited {
            // Half-edited headers must not go on.
            *became = self.refused(id);
        } else if became.fate != Fate::Watched {
            became.fate = Fate::Forwarded;
        }
    }
}

const AUTHORIZATION: &str = "authorization";

/// What requests are called. A name serves one request and no other after it, however soon that is gone: a call may still bring
/// an answer for it.
#[derive(Default)]
struct Numbers(u32);

impl Numbers {
    /// The next, but none of a request that is still here when they begin anew.
    fn next(&mut self, is_taken: impl Fn(StreamId) -> bool) -> StreamId {
        loop {
            self.0 = self.0.wrapping_add(1);
            if !is_taken(StreamId(self.0)) {
                return StreamId(self.0);
            }
        }
    }
}

/// Says in access logs what became of a request, by the names that it has there in Wasm: the same format serves.
fn describe(stream: &mut Stream, description: &Description) {
    texts(description).for_each(|(name, text)| stream.set_filter_state(name, &text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_one_requests_alone() {
        let mut numbers = Numbers::default();
        let given: Vec<_> = (0..3).map(|_| numbers.next(|_| false)).collect();
        assert_eq!(given, [StreamId(1), StreamId(2), StreamId(3)], "also where the first is gone by now");
        numbers.0 = u32::MAX;
        assert_eq!(numbers.next(|StreamId(number)| number < 2), StreamId(2), "they begin anew");
    }
}
