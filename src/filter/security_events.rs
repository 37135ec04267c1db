//! Security event tokens that were received or polled, and hold: what they say is done, once.

use crate::cache::{Jwts, Subject, Which};
use crate::metrics::{Counter, Whose};
use crate::revocation::security_event::{SecurityEvent, StreamStatus};
use crate::revocation::sources::{SecurityEvents, Signer};

use super::step::Step;

/// Does what a security event token says, unless it was done before.
pub(super) fn apply(events: &SecurityEvents, event: SecurityEvent, step: &mut Step<'_>) {
    let SecurityEvents { rules, signer, .. } = events;
    if !step.worker.replay.is_first(events.sender(), &event.jti, event.replayable_until, step.now) {
        return step.count(Counter::RevocationRefused, Whose::NOBODY.because("security_event_repeated"));
    }
    let (provider, issuer) = (&signer.provider, &rules.issuer);
    match event.stream {
        Some(StreamStatus::Paused | StreamStatus::Disabled) => {
            log::error!(
                "provider {provider:?}: the stream of security events of {issuer:?} is paused or disabled"
            );
        }
        Some(status) => {
            log::warn!("provider {provider:?}: the stream of security events of {issuer:?} is {status:?}");
        }
        None => {}
    }
    let (subjects, settle) = (subjects(signer, event.withdraws), step.worker.config.revocation.settle);
    step.withdraw(&subjects, Jwts::Named(event.date), settle);
}

/// What a signal of this signer's withdraws.
pub(super) fn subjects(signer: &Signer, which: Vec<Which>) -> Vec<Subject> {
    which.into_iter().map(|which| Subject::Of(signer.tag, which)).collect()
}
