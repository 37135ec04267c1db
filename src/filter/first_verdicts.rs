//! What the first tokens of a provider met with. If none of them passes, and all for one reason, something is set up
//! wrong here or there, and nothing else says so: to clients it looks as if their tokens were bad.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::policy::{Denial, Expectation, InvalidToken};

/// Of each provider, until a token of its passes.
#[derive(Default)]
pub(super) struct FirstVerdicts(RefCell<BTreeMap<String, Met>>);

/// What tokens have met with.
enum Met {
    /// So many were refused, all for this reason.
    One(&'static str, u32),
    /// One passed, or there are several reasons, or it was said.
    Enough,
}

impl FirstVerdicts {
    /// A token of the provider was judged: `None` if it passes. `iss` is what it says of its issuer.
    pub(super) fn note(
        &self,
        provider: &str,
        denial: Option<&Denial>,
        expects: &Expectation,
        iss: Option<&[u8]>,
    ) {
        let mut all = self.0.borrow_mut();
        let reason = match denial {
            None => None,
            Some(denial @ Denial::InvalidToken(_)) => Some(denial.reason()),
            // A scope is the client's to ask for, and without a verdict nothing is known.
            Some(_) => return,
        };
        let met = all.get(provider).map_or(0, |met| match met {
            Met::One(before, count) if Some(*before) == reason => *count,
            _ => u32::MAX,
        });
        let next = match (reason, met) {
            (None, _) | (_, u32::MAX) => Met::Enough,
            (Some(reason), count) if is_telling(reason, count + 1) => {
                tell(provider, reason, count + 1, expects, iss);
                Met::Enough
            }
            (Some(reason), count) => Met::One(reason, count + 1),
        };
        if !matches!(all.get(provider), Some(Met::Enough)) {
            all.insert(provider.to_owned(), next);
        }
    }
}

/// Whether so many refusals are enough to say so. Another issuer is nobody's slip but ours or the server's.
fn is_telling(reason: &'static str, count: u32) -> bool {
    count >= MANY || reason == Denial::from(InvalidToken::OtherIssuer).reason()
}

fn tell(provider: &str, reason: &'static str, count: u32, expects: &Expectation, iss: Option<&[u8]>) {
    if reason == Denial::from(InvalidToken::OtherIssuer).reason() {
        let got: String = String::from_utf8_lossy(iss.unwrap_or_default()).chars().take(MAX_SHOWN).collect();
        let wanted = expects.issuer.as_deref().unwrap_or_default();
        log::warn!(
            "provider {provider:?}: a token's iss is {got:?}, and `issuer` is {wanted:?}: no such token passes; copy it \
             from the server's metadata"
        );
    } else if reason == Denial::from(InvalidToken::Inactive).reason() {
        log::warn!(
            "provider {provider:?}: the first {count} tokens were all called inactive. Unless they were: is it the right \
             server and realm, may this client introspect (Keycloak tells only a client in the token's aud), and does it \
             know the token_type_hint?"
        );
    } else {
        log::warn!(
            "provider {provider:?}: the first {count} tokens were all refused for one reason: {reason}"
        );
    }
}

/// So many and no other outcome: no accident.
const MANY: u32 = 10;

/// Of an issuer, in characters.
const MAX_SHOWN: usize = 200;
