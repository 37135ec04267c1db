//! Whether a call may be made to a server now: not to one that is down, and not more than it can take. The rest wait until
//! another is over, or get no answer.

use std::rc::Rc;

use super::Introspections;
use super::calls::Asker;
use super::load::{Priority, Room};
use super::settlement::Outcome;
use crate::filter::event::{Effect, Told};
use crate::filter::step::Step;
use crate::introspection::ServerFailure;
use crate::policy::Unavailable;
use crate::provider::Introspector;

/// When a call may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admitted {
    /// Once another is over.
    Later,
    Now,
}

impl Introspections {
    /// Whether a call to this server may be made now, or once another is over.
    pub(super) fn admit(
        &mut self,
        introspector: &Rc<Introspector>,
        priority: Priority,
        step: &Step<'_>,
    ) -> Result<Admitted, Unavailable> {
        if let Some(failure) = self.calls.servers.withheld(introspector, step.now) {
            return Err(Unavailable::AuthorizationServer(failure));
        }
        match self.calls.servers.room(introspector, priority, step.now) {
            Room::Now => {
                self.calls.servers.admits(introspector, step.now);
                Ok(Admitted::Now)
            }
            Room::Later => Ok(Admitted::Later),
            Room::None => Err(Unavailable::TooManyCalls),
            Room::NotThisSecond => Err(Unavailable::TooManyUnknownTokens),
        }
    }

    /// Calls that waited until another was over go on, or have waited in vain.
    pub(in crate::filter) fn send_queued(&mut self, step: &mut Step<'_>) {
        if !self.calls.servers.are_awaited() {
            return;
        }
        let config = Rc::clone(&step.worker.config);
        for introspector in config.providers.iter().filter_map(|provider| provider.introspector.as_ref()) {
            if self.calls.begin_queued(introspector, step.now) {
                step.push(Effect::AskForTurn);
            }
            let given_up = self.calls.give_up_queued(introspector, step.now);
            if given_up.is_empty() {
                continue;
            }
            let reason = self.why_in_vain(introspector, step);
            for id in given_up {
                let Some(call) = self.calls.close(id) else { continue };
                if call.asker() == Asker::UsForAll {
                    step.release(&call.digest, Told::NotAsked);
                }
                self.tell(call, Outcome::NoVerdict(reason.clone()));
            }
        }
    }

    /// Why calls to this server have waited in vain until another is over.
    fn why_in_vain(&self, introspector: &Introspector, step: &Step<'_>) -> Unavailable {
        let servers = &self.calls.servers;
        let failure = servers.withheld(introspector, step.now).or_else(|| {
            if servers.is_down(introspector) {
                Some(ServerFailure::HeldBack { is_outage: true })
            } else {
                // The house is full because nobody is answered, which is an outage; else it is no reason to serve by an
                // old verdict.
                servers.is_silent(introspector, step.now).then_some(ServerFailure::Timeout)
            }
        });
        failure.map_or(Unavailable::TooManyCalls, Unavailable::AuthorizationServer)
    }
}
