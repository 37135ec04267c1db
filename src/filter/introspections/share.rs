//! One question for all workers: who asks, and what the others do meanwhile.

use std::rc::Rc;
use std::time::Duration;

use super::Introspections;
use super::admission::Admitted;
use super::calls::Asker;
use super::settlement::Outcome;
use crate::cache::{ActiveEntry, Cached, Claim};
use crate::filter::clock::is_fresh;
use crate::filter::event::{CallId, Told};
use crate::filter::inquiry::Inquiry;
use crate::filter::judge::phantom::{OF_SERVER, mint_for};
use crate::filter::step::Step;
use crate::introspection::ServerFailure;
use crate::jwt::Minted;
use crate::policy::{InvalidToken, Unavailable};
use crate::provider::Introspector;
use crate::token::{TokenDigest, UnixMillis};

impl Introspections {
    /// Another worker has asked about a token that we may wait for.
    pub(in crate::filter) fn told(&mut self, digest: &TokenDigest, told: Told, step: &mut Step<'_>) {
        for id in self.calls.anothers(digest) {
            let outcome =
                match told {
                    Told::Failed { is_outage } => Some(Outcome::NoVerdict(Unavailable::AuthorizationServer(
                        ServerFailure::OtherWorker { is_outage },
                    ))),
                    Told::Verdict => self.remembered(digest, id, step),
                    Told::NotAsked => None,
                };
            match outcome {
                Some(outcome) => {
                    if let Some(call) = self.calls.close(id) {
                        self.tell(call, outcome);
                    }
                }
                // Nobody has asked, or what was said is too long to be remembered, or pushed out already, or
                // withdrawn.
                None => self.take_over(id, step),
            }
        }
    }

    /// Looks whether another worker has let us down: it may have died.
    pub(super) fn take_over_overdue(&mut self, step: &mut Step<'_>) {
        for id in self.calls.overdue(step.now) {
            self.take_over(id, step);
        }
    }

    /// The outcome of another worker's call by what the cache says, if that is fresh enough for all who wait: the
    /// other worker may go by other policies, and not have asked at all.
    fn remembered(&mut self, digest: &TokenDigest, id: CallId, step: &mut Step<'_>) -> Option<Outcome> {
        let call = self.calls.get(id)?;
        match step.worker.cache.find(digest, step.now).filter(|it| call.is_served_by(it.asked(), step.now))? {
            // Not one that was too old for us when we came: it serves for a shorter time.
            Cached::Inactive { asked, refused } => {
                (Some(asked) >= call.sent).then(|| Outcome::Denied(InvalidToken::from(refused).into()))
            }
            Cached::Active(entry) => {
                let claims = entry.to_claims();
                let jwt = match remembered_jwt(&entry, step) {
                    Some(jwt) => Some(jwt),
                    // Nobody on the other worker was permitted, or wanted one.
                    None => mint_for(self.cases(call), claims.view(), step),
                };
                Some(Outcome::Active { claims, jwt, asked: entry.asked_when() })
            }
        }
    }

    /// Makes another worker's call our own.
    fn take_over(&mut self, id: CallId, step: &mut Step<'_>) {
        let Some(call) = self.calls.get_mut(id) else { return };
        let (digest, introspector) = (call.digest, Rc::clone(&call.introspector));
        let asker =
            match step.worker.leases.claim(&digest, step.now, lease_end(&introspector, step.now), true) {
                Claim::Ours => Asker::UsForAll,
                Claim::Theirs { asked, until } => Asker::Another { asked, until },
                Claim::NotToBeHad => Asker::Us,
            };
        let priority = call.priority;
        if let Asker::Another { asked, .. } = asker {
            call.sent = Some(asked);
        }
        self.calls.hand_over(id, asker);
        if let Asker::Another { .. } = asker {
            return;
        }
        // Whoever was quicker to take over may have asked and given the lease back.
        if let Some(outcome) = self.remembered(&digest, id, step) {
            if asker == Asker::UsForAll {
                step.release(&digest, Told::NotAsked);
            }
            if let Some(call) = self.calls.close(id) {
                self.tell(call, outcome);
            }
            return;
        }
        match self.admit(&introspector, priority, step) {
            Ok(Admitted::Now) => {
                self.calls.begin(id);
                self.send(id, step);
            }
            Ok(Admitted::Later) => self.calls.enqueue(id, step.now),
            Err(reason) => {
                if asker == Asker::UsForAll {
                    step.release(&digest, Told::NotAsked);
                }
                if let Some(call) = self.calls.close(id) {
                    self.tell(call, Outcome::NoVerdict(reason));
                }
            }
        }
    }
}

/// Who is to ask about a token that nobody on this worker asks about.
pub(super) fn asker(
    introspector: &Introspector,
    inquiry: &Inquiry,
    digest: &TokenDigest,
    step: &Step<'_>,
) -> Asker {
    let cache_ttl = inquiry.case.policy.cache_ttl;
    // A request that wants a verdict of its own, or one that is not remembered, has nothing to share.
    if cache_ttl.is_zero() {
        return Asker::Us;
    }
    match step.worker.leases.claim(digest, step.now, lease_end(introspector, step.now), true) {
        Claim::Ours => Asker::UsForAll,
        Claim::Theirs { asked, until } if is_fresh(asked, cache_ttl, step.now) => {
            Asker::Another { asked, until }
        }
        Claim::NotToBeHad | Claim::Theirs { .. } => Asker::Us,
    }
}

/// A verdict that another worker got between our look into the cache and our claim.
pub(super) fn verdict_meanwhile(
    inquiry: &Inquiry,
    digest: &TokenDigest,
    step: &Step<'_>,
) -> Option<Rc<ActiveEntry>> {
    match step.worker.cache.find(digest, step.now)? {
        Cached::Active(entry) => {
            is_fresh(entry.asked(), inquiry.case.policy.cache_ttl, step.now).then_some(entry)
        }
        Cached::Inactive { .. } => None,
    }
}

/// The JWT for the service behind that lies beside a verdict.
fn remembered_jwt(entry: &ActiveEntry, step: &Step<'_>) -> Option<Minted> {
    entry.minted(OF_SERVER).or_else(|| entry.minted(step.worker.config.phantom_token.as_ref()?.id))
}

/// When a lease that begins now ends at the latest: a little after the last try has timed out.
pub(in crate::filter) fn lease_end(introspector: &Introspector, now: UnixMillis) -> UnixMillis {
    now.plus(introspector.endpoint.longest()).plus(LEASE_SLACK)
}

const LEASE_SLACK: Duration = Duration::from_millis(250);
