//! What becomes of a request: it is passed on, or refused.

use std::rc::Rc;

use super::passage::Passage;
use super::ready::{Likeness, Ready, Repeat};
use crate::challenge::Occasion;
use crate::filter::case::{Case, Source};
use crate::filter::event::{Description, Effect, StreamId};
use crate::filter::passed_by::PassedBy;
use crate::filter::step::Step;
use crate::metrics::{Counter, Whose};
use crate::policy::{Authorization, Denial, Permit, Policy, Unavailable};
use crate::request::HeaderEditsBuf;
use crate::token::Scheme;

/// Passes a permitted request on. Without a phantom token where the policy wants one, it does not pass.
pub(super) fn forward(
    case: Case,
    permit: &Permit<'_>,
    jwt: Option<&[u8]>,
    passed_by: Option<Rc<PassedBy>>,
    step: &mut Step<'_>,
) {
    let authorization = case.policy.authorization(&case.origin);
    if authorization == Authorization::Jwt && jwt.is_none() {
        return refuse(&case, &Unavailable::NotSigned.into(), step);
    }
    let claims = permit.claims();
    let is_described = case.source != Source::Hit || step.worker.config.access_log_hits;
    // Seven host calls, more than all else that a hit takes: only where they are wanted.
    let description = is_described.then(|| Description {
        client_id: claims.client_id.map(for_a_line),
        sub: claims.sub.map(for_a_line),
        ..Description::of(FORWARDED, &case)
    });
    let counts = [Counter::CacheHit, Counter::Forwarded].map(|it| step.worker.names.series(it, case.whose()));
    step.count(Counter::Forwarded, case.whose());
    let Case { stream, policy, scheme, host: mut edits, mut removal, source, repeat, .. } = case;
    if scheme == Scheme::Bare && claims.confirmation.is_some_and(|it| it.needs_key()) {
        removal.remove("dpop");
    }
    match authorization {
        Authorization::Jwt => {
            edits.append(removal);
            edits.set("authorization", &[b"Bearer ", jwt.unwrap_or_default()]);
        }
        Authorization::Original => {}
        Authorization::Remove => {
            edits.append(removal);
            edits.remove("authorization");
        }
    }
    let passage = Passage::new(edits, Some(&policy), Some(claims), &step.worker.config);
    if let Some(repeat) = repeat.filter(|_| source == Source::Hit) {
        let description = description.clone().map(Rc::new);
        let passed_by = passed_by.clone();
        keep(repeat, Ready { passage: passage.clone(), description, counts, passed_by }, step);
    }
    step.effects.extend(description.map(|description| Effect::Describe(stream, description)));
    step.push(Effect::Forward(stream, passage));
    step.passed.extend(passed_by.map(|by| (stream, by)));
}

/// Passes a request on that no token is needed for.
pub(in crate::filter) fn forward_unjudged(
    stream: StreamId,
    policy: &Policy,
    edits: HeaderEditsBuf,
    step: &mut Step<'_>,
) {
    step.count(Counter::Forwarded, Whose { policy: Some(&policy.name), ..Whose::NOBODY });
    step.push(Effect::Describe(stream, Description::new(FORWARDED, Some(policy))));
    let passage = Passage::new(edits, Some(policy), None, &step.worker.config);
    step.push(Effect::Forward(stream, passage));
}

/// Passes a request on as one of somebody unknown: without a token, wherever it may stand.
pub(in crate::filter) fn forward_anonymous(
    stream: StreamId,
    policy: &Policy,
    mut edits: HeaderEditsBuf,
    removal: HeaderEditsBuf,
    step: &mut Step<'_>,
) {
    edits.append(removal);
    edits.remove("authorization");
    forward_unjudged(stream, policy, edits, step);
}

/// Refuses a request that was to be judged, if its policy does.
pub(in crate::filter) fn refuse(case: &Case, denial: &Denial, step: &mut Step<'_>) {
    refuse_client(case, denial, None, step);
}

/// The same where the server said whose token it is.
pub(super) fn refuse_client(case: &Case, denial: &Denial, client_id: Option<&[u8]>, step: &mut Step<'_>) {
    if case.policy.takes_for_missing(denial) {
        let (edits, removal) = (case.host.clone(), case.removal.clone());
        return forward_anonymous(case.stream, &case.policy, edits, removal, step);
    }
    let description =
        Description { client_id: client_id.map(for_a_line), ..Description::of(denial.reason(), case) };
    answer(case.stream, Some((&case.policy, case.scheme)), denial, (case.whose(), description), step);
}

/// Refuses a request that has no token to be judged, under this policy, which carries what it has so.
pub(in crate::filter) fn deny(
    stream: StreamId,
    under: Option<(&Policy, Scheme)>,
    denial: &Denial,
    step: &mut Step<'_>,
) {
    let policy = under.map(|(policy, _)| policy);
    let whose = Whose { policy: policy.map(|policy| policy.name.as_str()), ..Whose::NOBODY };
    answer(stream, under, denial, (whose, Description::new(denial.reason(), policy)), step);
}

fn answer(
    stream: StreamId,
    under: Option<(&Policy, Scheme)>,
    denial: &Denial,
    (whose, description): (Whose<'_>, Description),
    step: &mut Step<'_>,
) {
    log::debug!("request refused: {}", denial.reason());
    let policy = under.map(|(policy, _)| policy);
    let scope = policy.map(|policy| policy.require.scope()).unwrap_or_default();
    let counter = match denial {
        Denial::InsufficientScope(_) => Counter::DeniedInsufficientScope,
        Denial::InsufficientUserAuthentication(_) => Counter::DeniedInsufficientUserAuthentication,
        Denial::InvalidDpopProof(_) => Counter::DeniedInvalidDpopProof,
        Denial::InvalidRequest(_) => Counter::DeniedInvalidRequest,
        Denial::InvalidToken(_) => Counter::DeniedInvalidToken,
        Denial::MissingToken => Counter::DeniedMissingToken,
        Denial::Unavailable(_) => Counter::Unavailable,
        Denial::UseDpopNonce(_) => Counter::DeniedUseDpopNonce,
    };
    step.count(counter, whose.because(denial.reason()));
    step.push(Effect::Describe(stream, description));
    let occasion =
        under.map_or(Occasion::UNKNOWN, |(policy, scheme)| Occasion::under(policy, &scope, scheme));
    let answer = step.worker.config.challenge.answer(denial, occasion);
    step.push(Effect::Answer(stream, answer));
}

/// Keeps what a request gets for those that are like it.
fn keep(repeat: Repeat, ready: Ready, step: &Step<'_>) {
    let Repeat { likeness: Likeness { tag, basis, .. }, window } = repeat;
    let len = ready.len();
    step.worker.first_level.borrow_mut().put(tag, basis, window, ready, len, step.now);
}

impl Description {
    fn new(outcome: &'static str, policy: Option<&Policy>) -> Self {
        let policy = policy.map(|policy| policy.name.clone());
        Self { outcome, policy, cache: None, provider: None, token: None, client_id: None, sub: None }
    }

    /// Of a request that was to be judged.
    fn of(outcome: &'static str, case: &Case) -> Self {
        Self {
            cache: case.source.name(),
            provider: Some(case.origin.provider.clone()),
            token: case.digest,
            ..Self::new(outcome, Some(&case.policy))
        }
    }
}

/// What an access log can be told: a text log writes it as it is, and a claim must not begin a line there, or colour it.
fn for_a_line(claim: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(claim);
    let readable = |c: char| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { '?' } else { c };
    text.chars().map(readable).collect::<String>().into_bytes()
}

/// The outcome of a request that passes.
const FORWARDED: &str = "forwarded";
