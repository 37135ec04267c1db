//! What a request gets whose like was just served: the same, without judging again.
//!
//! What becomes of a request whose verdict is in the cache depends on the policy, on what stands in
//! `authorization`, on the verdict and on the time, and on nothing else. So what one such request got is kept, with the
//! time during which it would be the same, and serves the next one at a fraction of the cost: no digest, no look into
//! shared data, no claims, no copy of the JWT. Whatever is not plainly the same goes the long way
//! ([`Event::RequestHeaders`](super::Event::RequestHeaders)): other places for tokens, everything that is refused,
//! the time in which a verdict is renewed.

use std::rc::Rc;

use super::passage::Passage;
use crate::cache::{Basis, Tag};
use crate::filter::event::{Description, Effect, StreamId};
use crate::filter::passed_by::PassedBy;
use crate::metrics::{Counter, Series};
use crate::token::{AccessToken, UnixMillis, Window};

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It passes, as one did that was like it.
    Again(Ready),
    /// It was judged: this is to be done, in this order.
    Judged(Vec<Effect>),
}

/// What a request gets that may pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// What happens to its headers.
    pub passage: Passage,
    /// What access logs can say of it, if they are to be told.
    pub description: Option<Rc<Description>>,
    /// What is counted for it.
    pub counts: [Series<Counter>; 2],
    /// What ends it while it is open, if anything does.
    pub passed_by: Option<Rc<PassedBy>>,
}

impl Ready {
    /// The same as effects.
    pub(in crate::filter) fn effects(&self, stream: StreamId) -> Vec<Effect> {
        let mut effects = self.counts.map(Effect::Count).to_vec();
        let description = self.description.as_deref().cloned();
        effects.extend(description.map(|description| Effect::Describe(stream, description)));
        effects.push(Effect::Forward(stream, self.passage.clone()));
        effects
    }

    /// Roughly what it takes of memory.
    pub(super) fn len(&self) -> usize {
        let texts =
            |it: &Description| [&it.client_id, &it.sub].into_iter().flatten().map(Vec::len).sum::<usize>();
        let description = self.description.as_deref().map(|it| size_of_val(it) + texts(it));
        let passed_by = self.passed_by.as_deref().map(PassedBy::len);
        self.passage.edits().size() + description.unwrap_or(0) + passed_by.unwrap_or(0)
    }
}

/// What requests that get the same have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::filter) struct Likeness {
    pub(in crate::filter) tag: Tag,
    pub(in crate::filter) basis: Basis,
    /// How long what stands in `authorization` is.
    len: usize,
}

impl Likeness {
    pub(in crate::filter) fn new(tag: Tag, basis: Basis, len: usize) -> Self {
        Self { tag, basis, len }
    }

    /// Whether the token is written as it is usually: after its scheme and one space. It could be written in
    /// numberless ways, and each of them would have a place of its own.
    pub(in crate::filter) fn is_plain(&self, token: &AccessToken) -> bool {
        let len = token.secret().len();
        [len + "Bearer ".len(), len + "DPoP ".len()].contains(&self.len)
    }
}

/// What those that come after may get, too, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::filter) struct Repeat {
    pub(super) likeness: Likeness,
    pub(super) window: Window,
}

impl Repeat {
    pub(in crate::filter) fn new(likeness: Likeness, window: Window) -> Self {
        Self { likeness, window }
    }

    pub(super) fn holds_at(&self, now: UnixMillis) -> bool {
        self.window.contains(now)
    }

    /// The same, but only as long as this holds, too.
    pub(super) fn within(self, window: Window) -> Self {
        Self { window: self.window.and(window), ..self }
    }
}
