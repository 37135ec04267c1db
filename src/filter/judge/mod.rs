//! From a verdict to what becomes of a request. Nothing here has a state: what was decided is said in effects.

mod outcome;
mod passage;
pub(super) mod phantom;
pub(super) mod ready;
pub(super) mod remember;
pub(super) mod validate;

use std::rc::Rc;

use super::case::{Case, Source, Waiter};
use super::passed_by::PassedBy;
use super::step::Step;
use crate::cache::ActiveEntry;
use crate::claims::Claims;
use crate::introspection::ServerFailure;
use crate::jwt::Minted;
use crate::metrics::Counter;
use crate::policy::Unavailable;
pub(super) use outcome::{deny, forward_anonymous, forward_unjudged, refuse};
use outcome::{forward, refuse_client};
pub use passage::Passage;
use phantom::{OF_SERVER, Phantom, mint, phantom};

/// A request whose verdict is in the cache: judged anew; the phantom token lies beside.
pub(super) fn hit(case: Case, entry: &ActiveEntry, step: &mut Step<'_>) {
    step.count(Counter::CacheHit, case.whose());
    serve(Case { source: Source::Hit, ..case }, entry, step);
}

/// A request whose verdict is past `cache_ttl` while the server is down.
pub(super) fn stale(case: Case, entry: Rc<ActiveEntry>, step: &mut Step<'_>) {
    let waiter = Waiter { case: Case { source: Source::Miss, ..case }, stale: Some(entry) };
    let reason = Unavailable::AuthorizationServer(ServerFailure::HeldBack { is_outage: true });
    without_verdict(waiter, &reason, step);
}

/// Judges a request by a remembered verdict.
pub(super) fn serve(mut case: Case, entry: &ActiveEntry, step: &mut Step<'_>) {
    let Case { policy, origin, .. } = &case;
    let permit = match case.decide(entry.claims(), step) {
        Ok(permit) => permit,
        Err(denial) => return refuse_client(&case, &denial, entry.claims().client_id, step),
    };
    let mut window = origin.expects.window(permit.claims()).and(policy.require.window(permit.claims()));
    let minted;
    let jwt = match phantom(&case, step.worker) {
        Phantom::None => None,
        Phantom::OfServer => entry.jwt(OF_SERVER).map(|cached| cached.jwt),
        Phantom::Minted(phantom_token) => match entry.jwt(phantom_token.id) {
            Some(cached) if !phantom_token.is_running_out(cached.exp, permit.claims().exp, step.now) => {
                let until = phantom_token.lasts_until(cached.exp, permit.claims().exp);
                window.until = window.until.min(until);
                Some(cached.jwt)
            }
            _ => {
                minted = mint(phantom_token, &origin.provider, &permit, step);
                if let Some(minted) = &minted {
                    step.worker.cache.update_jwt(entry, (phantom_token.id, minted), step.now);
                }
                window.until = step.now; // the next one finds the new one
                minted.as_ref().map(|minted| minted.jwt.as_bytes())
            }
        },
    };
    // Who has its token only does not get the same.
    case.repeat = case.repeat.filter(|_| !policy.require.asks_for_proof(permit.claims()));
    case.repeat = case.repeat.map(|repeat| repeat.within(window)).filter(|repeat| repeat.holds_at(step.now));
    let passed_by = case.passed_by(entry.vouched(), entry.asked(), || entry.withdrawable());
    forward(case, &permit, jwt, passed_by, step);
}

/// Settles a stream that gets no verdict: by an older one where that is allowed and the server is down.
pub(super) fn without_verdict(waiter: Waiter, reason: &Unavailable, step: &mut Step<'_>) {
    let Waiter { case, stale } = waiter;
    match stale.filter(|entry| reason.is_outage() && step.worker.cache.holds(entry, step.now)) {
        Some(entry) => {
            step.count(Counter::CacheStale, case.whose());
            serve(Case { source: Source::Stale, ..case }, &entry, step);
        }
        None => refuse(&case, &reason.clone().into(), step),
    }
}

/// Judges a request by a verdict that has just come.
pub(super) fn conclude(
    case: Case,
    claims: Claims<'_>,
    jwt: Option<&Minted>,
    passed_by: Option<Rc<PassedBy>>,
    step: &mut Step<'_>,
) {
    match case.decide(claims, step) {
        Ok(permit) => forward(case, &permit, jwt.map(|jwt| jwt.jwt.as_bytes()), passed_by, step),
        Err(denial) => refuse_client(&case, &denial, claims.client_id, step),
    }
}
