//! Other Envoys: what they withdraw is done here, and what is withdrawn here is put for them into the store that all of
//! them watch.
//!
//! One worker of an Envoy at a time speaks with the store: it holds a lease in shared data, which it prolongs with every
//! tick. It reads all there is, then watches from the revision that it has read. Whatever goes wrong, it begins so again:
//! what was done here before is not done twice, and there is no other way on which something could be missed.
//!
//! Every second the store is asked for a sign of life, for a watch on which nothing happens and one that hangs look the
//! same. What follows when it is silent for too long is configured ([`OnSilence`]).

mod authentication;
mod calls;
mod heard;
mod link;
mod lost;
mod puts;
mod silence;

use std::rc::Rc;

use super::event::CallId;
use super::part::{Pace, Part};
use super::step::Step;
use crate::config::Config;
use crate::fleet::OnSilence;
use crate::grpc::GrpcStatus;
use crate::token::UnixMillis;
use link::Link;

/// The other Envoys, if there are any.
#[derive(Default)]
pub(super) struct Fellows(Option<Box<Link>>);

impl Fellows {
    pub(super) fn new(config: &Config) -> Self {
        Self(config.revocation.fleet.as_ref().map(|fleet| Box::new(Link::new(Rc::clone(fleet)))))
    }

    /// Puts what has yet to be put; only in the root's callbacks.
    pub(super) fn put(&mut self, step: &mut Step<'_>) {
        self.0.iter_mut().for_each(|link| link.put(step));
    }

    /// An access token of ours is here, which may be the store's.
    pub(super) fn token_came(&mut self, step: &mut Step<'_>) {
        self.0.iter_mut().for_each(|link| link.token_came(step));
    }

    /// The store has said something.
    pub(super) fn message(&mut self, call: CallId, message: Option<&[u8]>, step: &mut Step<'_>) {
        self.0.iter_mut().for_each(|link| link.message(call, message, step));
    }

    /// A call to the store has ended.
    pub(super) fn closed(&mut self, call: CallId, status: GrpcStatus, step: &mut Step<'_>) {
        self.0.iter_mut().for_each(|link| link.closed(call, status, step));
    }

    /// The filter ends: another worker may speak with the store at once.
    pub(super) fn end(&mut self, step: &mut Step<'_>) {
        self.0.iter_mut().for_each(|link| link.end(step));
    }

    /// Whether requests are refused that need a token: nothing is heard of what others withdraw.
    pub(super) fn refuse_requests(&self, step: &Step<'_>) -> bool {
        let fleet = step.worker.config.revocation.fleet.as_ref();
        let Some(fleet) = fleet.filter(|fleet| fleet.on_silence == OnSilence::Refuse) else { return false };
        let known = step.worker.fleet.as_ref().and_then(|shared| shared.known());
        known.is_some_and(|known| known.is_silent(fleet, step.now))
    }
}

impl Part for Fellows {
    fn tick(&mut self, step: &mut Step<'_>) {
        self.0.iter_mut().for_each(|link| link.tick(step));
    }

    fn pace(&self) -> Pace {
        if self.0.is_some() { Pace::NowAndThen } else { Pace::Idle }
    }

    fn clock_set_back(&mut self, now: UnixMillis) {
        self.0.iter_mut().for_each(|link| link.clock_set_back(now));
    }
}
