//! From a verdict to what becomes of the requests that asked for it.

use std::collections::VecDeque;
use std::rc::Rc;

use super::calls::{Asker, Call};
use super::{Description, Effect, Filter, Inquiry, Source, StreamId, Told, Waiter};
use crate::cache::ActiveEntry;
use crate::claims::{Claims, ClaimsBuf};
use crate::introspection::{Introspection, ServerFailure};
use crate::jwt::{self, Minted, PhantomToken};
use crate::metrics::Counter;
use crate::policy::{self, Authorization, Denial, InvalidToken, Permit, Policy, Unavailable};
use crate::provider::Provider;
use crate::request::HeaderEdit;
use crate::token::UnixMillis;

/// The outcome of a call, and the streams that have yet to be told.
pub(super) struct Settlement {
    provider: Rc<Provider>,
    outcome: Outcome,
    streams: VecDeque<StreamId>,
}

/// What all streams of a call are told.
pub(super) enum Outcome {
    /// The token is active; each stream's policy decides.
    Active {
        claims: ClaimsBuf,
        /// `None` if no stream was permitted that wants one, or if it could not be signed.
        minted: Option<Minted>,
    },
    /// Nobody passes.
    Denied(Denial),
    /// There is none: nobody passes but by an older verdict that may serve instead.
    NoVerdict(Unavailable),
}

impl Filter {
    /// A request whose verdict is in the cache: judged anew; the phantom token lies beside.
    pub(super) fn hit(
        &self,
        inquiry: Inquiry,
        entry: &ActiveEntry,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        effects.push(Effect::Count(Counter::CacheHit));
        let Inquiry { stream, policy, provider, removal, .. } = inquiry;
        self.serve(stream, &policy, &provider, entry, removal, Source::Hit, now, effects);
    }

    /// A request whose verdict is past `cache_ttl` while the server is down.
    pub(super) fn stale(
        &self,
        inquiry: Inquiry,
        entry: Rc<ActiveEntry>,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        let Inquiry { stream, policy, provider, removal, .. } = inquiry;
        let waiter = Waiter { policy, removal, source: Source::Miss, stale: Some(entry) };
        let reason = Unavailable::AuthorizationServer(ServerFailure::HeldBack);
        self.settle_without_verdict(stream, waiter, &provider, &reason, now, effects);
    }

    /// Judges a request by a remembered verdict.
    #[expect(clippy::too_many_arguments, reason = "all that a remembered request consists of")]
    fn serve(
        &self,
        stream: StreamId,
        policy: &Policy,
        provider: &Provider,
        entry: &ActiveEntry,
        removal: Vec<HeaderEdit>,
        source: Source,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        let permit = match policy::decide(&policy.require, provider.issuer.as_deref(), entry.claims(), now) {
            Ok(permit) => permit,
            Err(denial) => return self.deny(stream, Some(policy), source, &denial, effects),
        };
        let minted;
        let jwt = match self.phantom_token_for(policy) {
            None => None,
            Some(phantom_token) => match entry.jwt(phantom_token.id) {
                Some(cached) if !phantom_token.is_running_out(cached.exp, permit.claims().exp, now) => {
                    Some(cached.jwt)
                }
                _ => {
                    minted = self.mint(phantom_token, &permit, now, effects);
                    if let Some(minted) = &minted {
                        self.cache.update_jwt(entry, (phantom_token.id, minted), now);
                    }
                    minted.as_ref().map(|minted| minted.jwt.as_bytes())
                }
            },
        };
        self.forward(stream, policy, &permit, jwt, removal, source, effects);
    }

    /// A call was answered: remembers the verdict and tells all who wait.
    pub(super) fn verdict(
        &mut self,
        call: Call,
        verdict: Introspection,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        let asked = call.sent.unwrap_or(now);
        if call.is_renewal {
            effects.push(Effect::Count(Counter::CacheRefreshed));
        }
        let (outcome, evicted) = match verdict {
            Introspection::Inactive => {
                let ttl = self.config.cache.negative_ttl.min(call.provider.max_cache_ttl);
                // Even one that is not to be remembered takes an earlier verdict away.
                let evicted = self.cache.insert_inactive(&call.digest, asked, asked.plus(ttl), now);
                (Outcome::Denied(InvalidToken::Inactive.into()), evicted)
            }
            Introspection::Active(claims) => {
                let minted = self.mint_for(&call, claims.view(), now, effects);
                let ttl = call.provider.max_cache_ttl;
                let longest = ttl.saturating_add(self.config.cache.stale_if_error);
                let useful_until = asked.plus(longest).min(claims.view().exp.unwrap_or(UnixMillis::MAX));
                let jwt = self.config.phantom_token.as_ref().map(|token| token.id).zip(minted.as_ref());
                let evicted = !ttl.is_zero()
                    && self.cache.insert_active(&call.digest, asked, useful_until, &claims, jwt, now);
                (Outcome::Active { claims, minted }, evicted)
            }
        };
        if evicted {
            effects.push(Effect::Count(Counter::CacheEvicted));
        }
        if call.asker == Asker::UsForAll {
            // After the verdict was remembered, so that whoever gets the lease next finds it.
            effects.extend(self.release(&call.digest, Told::Verdict));
        }
        self.tell(call, outcome);
    }

    /// All who wait for a call are to be told what came of it.
    pub(super) fn tell(&mut self, call: Call, outcome: Outcome) {
        let Call { provider, streams, .. } = call;
        self.settlements.push_back(Settlement { provider, outcome, streams });
    }

    /// Settles a batch of waiting streams; asks for another turn if some are left.
    pub(super) fn settle(&mut self, now: UnixMillis, effects: &mut Vec<Effect>) {
        let mut batch = 0;
        while let Some(mut settlement) = self.settlements.pop_front() {
            while let Some(stream) = settlement.streams.pop_front() {
                // A stream that is gone waits no more.
                let Some(waiter) = self.waiting.remove(&stream) else { continue };
                self.settle_one(stream, waiter, &settlement, now, effects);
                batch += 1;
                if batch == MAX_BATCH {
                    self.settlements.push_front(settlement);
                    effects.push(Effect::AskForTurn);
                    return;
                }
            }
        }
    }

    fn settle_one(
        &self,
        stream: StreamId,
        waiter: Waiter,
        settlement: &Settlement,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        let Waiter { policy, removal, source, stale } = waiter;
        let (claims, minted) = match &settlement.outcome {
            Outcome::Active { claims, minted } => (claims.view(), minted),
            Outcome::Denied(denial) => return self.deny(stream, Some(&policy), source, denial, effects),
            Outcome::NoVerdict(reason) => {
                let waiter = Waiter { policy, removal, source, stale };
                return self.settle_without_verdict(
                    stream,
                    waiter,
                    &settlement.provider,
                    reason,
                    now,
                    effects,
                );
            }
        };
        match policy::decide(&policy.require, settlement.provider.issuer.as_deref(), claims, now) {
            Ok(permit) => {
                let jwt = minted.as_ref().map(|minted| minted.jwt.as_bytes());
                self.forward(stream, &policy, &permit, jwt, removal, source, effects);
            }
            Err(denial) => self.deny(stream, Some(&policy), source, &denial, effects),
        }
    }

    /// Settles a stream that gets no verdict: by an older one where that is allowed and the server is down.
    pub(super) fn settle_without_verdict(
        &self,
        stream: StreamId,
        waiter: Waiter,
        provider: &Provider,
        reason: &Unavailable,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        let Waiter { policy, removal, source, stale } = waiter;
        match stale.filter(|_| reason.is_outage()) {
            Some(entry) => {
                effects.push(Effect::Count(Counter::CacheStale));
                self.serve(stream, &policy, provider, &entry, removal, Source::Stale, now, effects);
            }
            None => self.deny(stream, Some(&policy), source, &reason.clone().into(), effects),
        }
    }

    /// How to make the phantom token that `policy` wants, if it wants one.
    fn phantom_token_for(&self, policy: &Policy) -> Option<&PhantomToken> {
        self.config.phantom_token.as_ref().filter(|_| policy.authorization == Authorization::Jwt)
    }

    /// Mints the phantom token that all permitted streams of a call share, if there is any that wants it.
    pub(super) fn mint_for(
        &self,
        call: &Call,
        claims: Claims<'_>,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) -> Option<Minted> {
        let issuer = call.provider.issuer.as_deref();
        let (phantom_token, permit) = call.streams.iter().find_map(|stream| {
            let policy = &self.waiting.get(stream)?.policy;
            let phantom_token = self.phantom_token_for(policy)?;
            Some((phantom_token, policy::decide(&policy.require, issuer, claims, now).ok()?))
        })?;
        self.mint(phantom_token, &permit, now, effects)
    }

    fn mint(
        &self,
        phantom_token: &PhantomToken,
        permit: &Permit<'_>,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) -> Option<Minted> {
        match jwt::mint(phantom_token, self.signatures.as_ref(), permit, now) {
            Ok(minted) => {
                effects.push(Effect::Count(Counter::JwtMinted));
                Some(minted)
            }
            Err(reason) => {
                log::error!("phantom_token.signing_keys: no phantom token: {reason}");
                None
            }
        }
    }

    /// Passes a permitted request on. Without a phantom token where the policy wants one, it does not pass.
    #[expect(clippy::too_many_arguments, reason = "all that a forwarded request consists of")]
    fn forward(
        &self,
        stream: StreamId,
        policy: &Policy,
        permit: &Permit<'_>,
        jwt: Option<&[u8]>,
        removal: Vec<HeaderEdit>,
        source: Source,
        effects: &mut Vec<Effect>,
    ) {
        let mut edits = removal;
        let authorization = "authorization".to_owned();
        match (policy.authorization, jwt) {
            (Authorization::Jwt, Some(jwt)) => {
                edits.push(HeaderEdit::Set(authorization, [b"Bearer ", jwt].concat()))
            }
            (Authorization::Jwt, None) => {
                return self.deny(stream, Some(policy), source, &Unavailable::NotSigned.into(), effects);
            }
            (Authorization::Original, _) => {}
            (Authorization::Remove, _) => edits.push(HeaderEdit::Remove(authorization)),
        }
        let claims = permit.claims();
        edits.extend(self.config.identity_headers.edits(policy, Some(claims)));
        effects.push(Effect::Count(Counter::Forwarded));
        // Five host calls, more than all else that a hit takes: only where they are wanted.
        if source != Source::Hit || self.config.access_log_hits {
            effects.push(Effect::Describe(
                stream,
                Description {
                    outcome: FORWARDED,
                    policy: Some(policy.name.clone()),
                    cache: source.name(),
                    client_id: claims.client_id.map(<[u8]>::to_vec),
                    sub: claims.sub.map(<[u8]>::to_vec),
                },
            ));
        }
        effects.push(Effect::Forward(stream, edits));
    }

    /// Passes a request on that no token is needed for.
    pub(super) fn forward_unjudged(
        &self,
        stream: StreamId,
        policy: &Policy,
        mut edits: Vec<HeaderEdit>,
        effects: &mut Vec<Effect>,
    ) {
        edits.extend(self.config.identity_headers.edits(policy, None));
        effects.push(Effect::Count(Counter::Forwarded));
        effects.push(Effect::Describe(stream, Description::new(FORWARDED, Some(policy), Source::None)));
        effects.push(Effect::Forward(stream, edits));
    }

    pub(super) fn deny(
        &self,
        stream: StreamId,
        policy: Option<&Policy>,
        source: Source,
        denial: &Denial,
        effects: &mut Vec<Effect>,
    ) {
        log::debug!("request refused: {}", denial.reason());
        effects.push(Effect::Count(match denial {
            Denial::InsufficientScope { .. } => Counter::DeniedInsufficientScope,
            Denial::InvalidRequest(_) => Counter::DeniedInvalidRequest,
            Denial::InvalidToken(_) => Counter::DeniedInvalidToken,
            Denial::MissingToken => Counter::DeniedMissingToken,
            Denial::Unavailable(_) => Counter::Unavailable,
        }));
        effects.push(Effect::Describe(stream, Description::new(denial.reason(), policy, source)));
        effects.push(Effect::Answer(stream, self.config.challenge.answer(denial)));
    }
}

impl Description {
    fn new(outcome: &'static str, policy: Option<&Policy>, source: Source) -> Self {
        let policy = policy.map(|policy| policy.name.clone());
        Self { outcome, policy, cache: source.name(), client_id: None, sub: None }
    }
}

/// Streams settled in one callback; far below the 300 that overflow V8's stack.
const MAX_BATCH: usize = 32;

/// The outcome of a request that passes.
const FORWARDED: &str = "forwarded";
