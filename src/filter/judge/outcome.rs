//! What becomes of a request: it is passed on, or refused.

use std::rc::Rc;

use super::passage::Passage;
use super::ready::{Likeness, Ready, Repeat};
use crate::challenge::Occasion;
use crate::filter::case::{Case, Source};
use crate::filter::event::{Description, Effect, StreamId};
use crate::filter::passed_by::PassedBy;
use crate::filter::step::Step;
use crate::metrics::Counter;
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
    let Case { stream, policy, scheme, host: mut edits, mut removal, source, repeat, .. } = case;
    let claims = permit.claims();
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
    step.count(Counter::Forwarded);
    // Five host calls, more than all else that a hit takes: only where they are wanted.
    let is_described = source != Source::Hit || step.worker.config.access_log_hits;
    let description = is_described.then(|| Description {
        outcome: FORWARDED,
        policy: Some(policy.name.clone()),
        cache: source.name(),
        client_id: claims.client_id.map(for_a_line),
        sub: claims.sub.map(for_a_line),
    });
    if let Some(repeat) = repeat.filter(|_| source == Source::Hit) {
        let description = description.clone().map(Rc::new);
        keep(repeat, Ready { passage: passage.clone(), description, passed_by: passed_by.clone() }, step);
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
    step.count(Counter::Forwarded);
    step.push(Effect::Describe(stream, Description::new(FORWARDED, Some(policy), Source::None)));
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
    if case.policy.takes_for_missing(denial) {
        let (edits, removal) = (case.host.clone(), case.removal.clone());
        return forward_anonymous(case.stream, &case.policy, edits, removal, step);
    }
    deny(case.stream, Some((&case.policy, case.scheme)), case.source, denial, step);
}

/// Refuses a request under this policy, which carries its token so.
pub(in crate::filter) fn deny(
    stream: StreamId,
    under: Option<(&Policy, Scheme)>,
    source: Source,
    denial: &Denial,
    step: &mut Step<'_>,
) {
    log::debug!("request refused: {}", denial.reason());
    let policy = under.map(|(policy, _)| policy);
    let scope = policy.map(|policy| policy.require.scope()).unwrap_or_default();
    step.count(match denial {
        Denial::InsufficientScope(_) => Counter::DeniedInsufficientScope,
        Denial::InsufficientUserAuthentication(_) => Counter::DeniedInsufficientUserAuthentication,
        Denial::InvalidDpopProof(_) => Counter::DeniedInvalidDpopProof,
        Denial::InvalidRequest(_) => Counter::DeniedInvalidRequest,
        Denial::InvalidToken(_) => Counter::DeniedInvalidToken,
        Denial::MissingToken => Counter::DeniedMissingToken,
        Denial::Unavailable(_) => Counter::Unavailable,
        Denial::UseDpopNonce(_) => Counter::DeniedUseDpopNonce,
    });
    step.push(Effect::Describe(stream, Description::new(denial.reason(), policy, source)));
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
    fn new(outcome: &'static str, policy: Option<&Policy>, source: Source) -> Self {
        let policy = policy.map(|policy| policy.name.clone());
        Self { outcome, policy, cache: source.name(), client_id: None, sub: None }
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
