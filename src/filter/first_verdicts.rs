//! What the first tokens of a provider met with. If none of them passes, and all for one reason, something is set up
//! wrong here or there, and nothing else says so: to clients it looks as if their tokens were bad.

use std::cell::RefCell;

use litemap::LiteMap;

use crate::claims::{Claims, claim};
use crate::policy::{Denial, Expectation, InsufficientScope, InvalidToken, Policy};

/// What the log was not told yet, or need not be.
#[derive(Default)]
pub(super) struct FirstVerdicts {
    /// Of each provider, until a token of its passes.
    met: RefCell<LiteMap<String, Met>>,
    /// By provider and claim: how many tokens lacked one that their policy requires, until one has it.
    lacking: RefCell<LiteMap<(String, String), u32>>,
}

/// What tokens have met with.
enum Met {
    /// So many were refused, all for this reason.
    One(&'static str, u32),
    /// There are several reasons.
    Several,
    /// One passed, or it was said.
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
        let mut all = self.met.borrow_mut();
        let reason = match denial {
            None => None,
            Some(denial @ Denial::InvalidToken(_)) => Some(denial.reason()),
            // A scope is the client's to ask for, and without a verdict nothing is known.
            Some(_) => return,
        };
        let met = all.get(provider);
        let count = match (met, reason) {
            (Some(Met::Enough), _) => return,
            (None, _) => 1,
            (Some(Met::One(before, count)), Some(reason)) if *before == reason => count + 1,
            // No number of them tells anything.
            (Some(Met::One(..) | Met::Several), _) => 0,
        };
        let next = match reason {
            None => Met::Enough,
            Some(reason) if is_telling(reason, count) => {
                tell(provider, reason, count, expects, iss);
                Met::Enough
            }
            Some(_) if count == 0 => Met::Several,
            Some(reason) => Met::One(reason, count),
        };
        all.insert(provider.to_owned(), next);
    }

    /// A token of the provider was judged by a policy. A claim that is required, and that no token has, is a rule that
    /// can never hold: the server calls it otherwise, or says nothing of it.
    pub(super) fn note_lack(
        &self,
        provider: &str,
        policy: &Policy,
        denial: Option<&Denial>,
        claims: Claims<'_>,
    ) {
        let require = &policy.require;
        match denial {
            None | Some(Denial::InsufficientScope(InsufficientScope::MissingScope)) => {
                let has_scope = denial.is_none() || claims.scopes().next().is_some();
                if !require.scopes.is_empty() || !require.any_scope.is_empty() {
                    self.count_lack(provider, policy, SCOPE, has_scope);
                }
                // Of claims, all that are required are there, or scopes would not have been looked at.
                require.claims.iter().for_each(|(name, _)| self.count_lack(provider, policy, name, true));
            }
            Some(Denial::InsufficientScope(InsufficientScope::OtherClaim)) => {
                let members = claims.members();
                for (name, _) in &require.claims {
                    self.count_lack(provider, policy, name, claim(&members, name).is_some());
                }
            }
            Some(_) => {}
        }
    }

    fn count_lack(&self, provider: &str, policy: &Policy, name: &str, is_there: bool) {
        let mut all = self.lacking.borrow_mut();
        let count = all.entry((provider.to_owned(), name.to_owned())).or_default();
        *count = if is_there { u32::MAX } else { count.saturating_add(1) };
        if *count != MANY {
            return;
        }
        *count = u32::MAX;
        let policy = &policy.name;
        if name == SCOPE {
            log::warn!(
                "provider {provider:?}: none of the first {MANY} tokens names any scope, and policy {policy:?} requires one, \
                 so none passes: does the server say scopes under another name (`claim_names.scope`), or not at all?"
            );
        } else {
            log::warn!(
                "provider {provider:?}: none of the first {MANY} tokens has the claim {name:?}, which policy {policy:?} \
                 requires, so none passes: see `require.claims`, where a name that begins with a slash points into a claim"
            );
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

/// Under whatever name the server has it.
const SCOPE: &str = "scope";

/// Of an issuer, in characters.
const MAX_SHOWN: usize = 200;
