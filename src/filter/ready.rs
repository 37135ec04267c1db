//! What a request gets whose like was just served: the same, without judging again.
//!
//! What becomes of a request whose verdict is in the cache depends on the policy, on what stands in
//! `authorization`, on the verdict and on the time, and on nothing else. So what one such request got is kept, with the
//! time during which it would be the same, and serves the next one at a fraction of the cost: no digest, no look into
//! shared data, no claims, no copy of the JWT. Whatever is not plainly the same goes the long way
//! ([`Event::RequestHeaders`](super::Event::RequestHeaders)): other places for tokens, everything that is refused,
//! the time in which a verdict is renewed.

use std::rc::Rc;

use super::inquiry::Inquiry;
use super::{Description, Effect, Filter, Passage, StreamId};
use crate::cache::{ActiveEntry, Basis, Tag};
use crate::credentials::TokenSource;
use crate::metrics::Counter;
use crate::policy::Policy;
use crate::request::RequestView;
use crate::token::{AccessToken, MAX_CLOCK_DIFFERENCE, UnixMillis, Window};

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
}

impl Ready {
    /// What is counted for it.
    pub const COUNTERS: [Counter; 2] = [Counter::CacheHit, Counter::Forwarded];

    /// The same as effects.
    pub(super) fn effects(&self, stream: StreamId) -> Vec<Effect> {
        let mut effects = Self::COUNTERS.map(Effect::Count).to_vec();
        let description = self.description.as_deref().cloned();
        effects.extend(description.map(|description| Effect::Describe(stream, description)));
        effects.push(Effect::Forward(stream, self.passage.clone()));
        effects
    }

    /// Roughly what it takes of memory.
    fn len(&self) -> usize {
        let texts =
            |it: &Description| [&it.client_id, &it.sub].into_iter().flatten().map(Vec::len).sum::<usize>();
        let description = self.description.as_deref().map(|it| size_of_val(it) + texts(it));
        self.passage.edits().size() + description.unwrap_or(0)
    }
}

/// What requests that get the same have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Likeness {
    tag: Tag,
    basis: Basis,
    /// How long what stands in `authorization` is.
    len: usize,
}

impl Likeness {
    /// Whether the token is written as it is usually: after its scheme and one space. It could be written in
    /// numberless ways, and each of them would have a place of its own.
    fn is_plain(&self, token: &AccessToken) -> bool {
        let len = token.secret().len();
        [len + "Bearer ".len(), len + "DPoP ".len()].contains(&self.len)
    }
}

/// What those that come after may get, too, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Repeat {
    likeness: Likeness,
    window: Window,
}

impl Repeat {
    pub(super) fn holds_at(&self, now: UnixMillis) -> bool {
        self.window.contains(now)
    }

    /// The same, but only as long as this holds, too.
    pub(super) fn within(self, window: Window) -> Self {
        Self { window: self.window.and(window), ..self }
    }
}

impl Filter {
    /// A request's headers are here: [`Event::RequestHeaders`](super::Event::RequestHeaders) for those who can make
    /// something of it that nothing has to be judged.
    pub fn request(&mut self, stream: StreamId, request: &dyn RequestView, now: UnixMillis) -> Outcome {
        self.look_at_clock(now);
        let config = &self.config;
        let ruling = if config.is_own_path(request) { None } else { config.policy_of(request).ok() };
        // What takes another host besides does not get the same as the others.
        let policy = ruling.filter(|ruling| ruling.host.is_none()).map(|ruling| ruling.policy);
        let likeness = policy.and_then(|policy| self.likeness(policy, request));
        let ready = likeness.and_then(|it| self.first_level.borrow_mut().get(it.tag, it.basis, now));
        ready.map_or_else(
            || {
                let mut effects = Vec::with_capacity(4);
                self.judge(stream, request, likeness, now, &mut effects);
                Outcome::Judged(effects)
            },
            Outcome::Again,
        )
    }

    /// Forgets what requests got, so that the next ones are judged.
    pub fn forget(&self) {
        self.first_level.borrow_mut().clear();
    }

    /// What a request under `policy` is like. Only what stands in `authorization` can be told so easily.
    fn likeness(&self, policy: &Policy, request: &dyn RequestView) -> Option<Likeness> {
        if policy.token_sources != [TokenSource::AuthorizationHeader] {
            return None;
        }
        let value = request.authorization()?;
        let tag = self.first_level.borrow().tag(&policy.name, &value)?;
        // Before the verdict is read: what changes meanwhile makes it worthless.
        let basis = Basis { epoch: self.cache.epoch()?, keys: self.keys.generation() };
        Some(Likeness { tag, basis, len: value.len() })
    }

    /// How long requests like this one may get what it gets, as far as the age of the verdict goes.
    pub(super) fn repeat(&self, inquiry: &Inquiry, entry: &ActiveEntry) -> Option<Repeat> {
        // A status is another matter than a verdict: it is looked at each time.
        if inquiry.way.validator().is_some_and(|validator| validator.status_lists.is_some()) {
            return None;
        }
        let policy = &inquiry.case.policy;
        let window = Window {
            from: entry.asked().minus(MAX_CLOCK_DIFFERENCE),
            until: entry
                .asked()
                .plus(policy.cache_ttl)
                .min(entry.good_until())
                .min(self.renewal_due(entry, inquiry)),
        };
        let likeness = inquiry.likeness.filter(|likeness| likeness.is_plain(&inquiry.token))?;
        Some(Repeat { likeness, window })
    }

    /// Keeps what a request gets for those that are like it.
    pub(super) fn keep(&self, repeat: Repeat, ready: Ready, now: UnixMillis) {
        let Repeat { likeness: Likeness { tag, basis, .. }, window } = repeat;
        let len = ready.len();
        self.first_level.borrow_mut().put(tag, basis, window, ready, len, now);
    }
}
