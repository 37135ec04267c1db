//! A request comes in: its policy, its token, the way to a verdict on it, and what the cache knows already.

use std::rc::Rc;
use std::time::Duration;

use super::keys::KeysWanted;
use super::ready::Likeness;
use super::{Case, Effect, Filter, Source, StreamId, is_fresh};
use crate::cache::{ActiveEntry, Cached};
use crate::config::{OwnPath, Ruling};
use crate::credentials;
use crate::jwt::{JwksEndpoint, UntrustedJwt};
use crate::metrics::Counter;
use crate::policy::{AllowMissing, Authorization, Denial, InvalidToken, Policy, Strategy};
use crate::provider::{Introspector, Origin, TokenFormat, Validator};
use crate::request::{HeaderEditsBuf, RequestView, is_preflight};
use crate::token::{AccessToken, TokenDigest, UnixMillis};

/// A request that carries a token.
pub(super) struct Inquiry {
    pub(super) case: Case,
    pub(super) token: AccessToken,
    pub(super) way: Way,
    /// What it has in common with requests that will get the same.
    pub(super) likeness: Option<Likeness>,
    /// Whether keys were fetched for its sake already: then there is no other fetch.
    pub(super) has_waited_for_keys: bool,
}

/// The way to a verdict on a token.
#[derive(Clone)]
pub(super) enum Way {
    /// Asking the server (RFC 7662).
    Ask(Rc<Introspector>),
    /// Validating the JWT that it is (RFC 9068).
    Validate(Rc<Validator>),
    /// Validating it, and asking the server besides.
    ValidateAndAsk(Rc<Validator>, Rc<Introspector>),
}

impl Inquiry {
    /// How many bytes of the client's it holds.
    pub(super) fn bytes(&self) -> usize {
        self.token.secret().len() + self.case.removal.size()
    }
}

impl Way {
    fn origin(&self) -> &Rc<Origin> {
        match self {
            Self::Ask(introspector) => &introspector.origin,
            Self::Validate(validator) => &validator.origin,
            Self::ValidateAndAsk(validator, _) => &validator.asked_origin,
        }
    }

    /// The server that is asked, if one is.
    pub(super) fn introspector(&self) -> Option<&Rc<Introspector>> {
        match self {
            Self::Ask(introspector) | Self::ValidateAndAsk(_, introspector) => Some(introspector),
            Self::Validate(_) => None,
        }
    }

    /// The server whose JWT it is, if it is validated here.
    pub(super) fn validator(&self) -> Option<&Rc<Validator>> {
        match self {
            Self::Ask(_) => None,
            Self::Validate(validator) | Self::ValidateAndAsk(validator, _) => Some(validator),
        }
    }

    /// Where the keys are that validate the token.
    pub(super) fn jwks(&self) -> Option<&Rc<JwksEndpoint>> {
        self.validator().map(|validator| &validator.jwks)
    }

    fn token_format(&self) -> &TokenFormat {
        match self {
            Self::Ask(introspector) => &introspector.token_format,
            Self::Validate(validator) | Self::ValidateAndAsk(validator, _) => &validator.token_format,
        }
    }
}

impl Filter {
    /// Judges a request, or looks for the verdict that it needs.
    pub(super) fn judge(
        &mut self,
        stream: StreamId,
        request: &dyn RequestView,
        likeness: Option<Likeness>,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        let config = Rc::clone(&self.config);
        match config.own_path(request) {
            Some(OwnPath::Answer(answer)) => return effects.push(Effect::Answer(stream, answer)),
            Some(OwnPath::Receiver(receiver)) if self.receive(receiver, stream, request, now, effects) => {
                return;
            }
            _ => {}
        }
        let Ruling { policy, host } = match config.policy_of(request) {
            Ok(ruling) => ruling,
            Err(denial) => return self.deny(stream, None, Source::None, &denial, effects),
        };
        let mut edits = HeaderEditsBuf::default();
        if let Some(host) = host {
            edits.set(":authority", &[&host]);
        }
        if let Strategy::Allow = policy.strategy {
            return self.forward_unjudged(stream, policy, edits, effects);
        }
        let removal = || credentials::removal(request, &policy.token_sources);
        if policy.allow_preflight && is_preflight(request) {
            return self.forward_anonymous(stream, policy, edits, removal(), effects);
        }
        let token = credentials::access_token(request, &policy.token_sources);
        let (token, way) = match token.and_then(|token| self.with_way(policy, token, now)) {
            Ok(both) => both,
            Err(denial) if policy.takes_for_missing(&denial) => {
                return self.forward_anonymous(stream, policy, edits, removal(), effects);
            }
            Err(denial) => return self.deny(stream, Some(policy), Source::None, &denial, effects),
        };
        let origin = Rc::clone(way.origin());
        let stays = policy.authorization(&origin) == Authorization::Original
            && policy.allow_missing != AllowMissing::MissingOrInvalid;
        let removal = if stays { HeaderEditsBuf::default() } else { removal() };
        let case = Case {
            stream,
            policy: Rc::clone(policy),
            origin,
            host: edits,
            removal,
            source: Source::None,
            repeat: None,
        };
        let inquiry = Inquiry { case, token, way, likeness, has_waited_for_keys: false };
        self.inquire(inquiry, request, now, effects);
    }

    /// A token, and the way that a policy has for it.
    fn with_way(
        &self,
        policy: &Policy,
        token: Option<AccessToken>,
        now: UnixMillis,
    ) -> Result<(AccessToken, Way), Denial> {
        let token = token.ok_or(Denial::MissingToken)?;
        let way = way(policy, &token)?;
        let format = way.token_format();
        if format.fits(&token) {
            return Ok((token, way));
        }
        if token.secret().len() <= format.max_length {
            return Err(InvalidToken::OtherFormat.into());
        }
        let text = format_args!(
            "a token is longer than `token_format.max_length` ({} bytes), and is refused unasked; if the server's tokens \
             are so long, raise it",
            format.max_length
        );
        self.complaints.note(&way.origin().provider, "token_too_long", now, text);
        Err(InvalidToken::TooLong.into())
    }

    /// Looks for a verdict: in the cache, and where that has none, on the token's way.
    pub(super) fn inquire(
        &mut self,
        inquiry: Inquiry,
        request: &dyn RequestView,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        let Some(digest) = self.keys.digest(&inquiry) else {
            return self.park(inquiry, KeysWanted::Any, request, now, effects);
        };
        let cache_ttl = inquiry.case.policy.cache_ttl;
        match self.cache.find(&digest, now) {
            Some(Cached::Active(entry)) if is_fresh(entry.asked(), cache_ttl, now) => {
                let passed = self.with_status(inquiry, entry.claims(), request, now, effects);
                let Some(inquiry) = passed else { return };
                if self.is_to_be_renewed(&entry, &inquiry, now) {
                    self.renew(&inquiry, &digest, request, now, effects);
                }
                let repeat = self.repeat(&inquiry, &entry);
                self.hit(Case { repeat, ..inquiry.case }, &entry, now, effects);
            }
            Some(Cached::Inactive { asked, refused })
                if is_fresh(asked, cache_ttl.min(self.config.cache.negative_ttl), now) =>
            {
                effects.push(Effect::Count(Counter::CacheNegativeHit));
                let case = Case { source: Source::NegativeHit, ..inquiry.case };
                self.refuse(&case, &InvalidToken::from(refused).into(), effects);
            }
            Some(Cached::Active(entry)) if self.may_serve_stale(&entry, &inquiry, now) => {
                let passed = self.with_status(inquiry, entry.claims(), request, now, effects);
                let Some(inquiry) = passed else { return };
                if self.is_down(&inquiry) {
                    // No use in waiting: what serves anyway serves now, and the probe is nobody's delay.
                    self.renew(&inquiry, &digest, request, now, effects);
                    return self.stale(inquiry.case, entry, now, effects);
                }
                self.miss(inquiry, digest, Some(entry), request, now, effects);
            }
            _ => self.miss(inquiry, digest, None, request, now, effects),
        }
    }

    /// The cache has no verdict that is fresh enough.
    fn miss(
        &mut self,
        inquiry: Inquiry,
        digest: TokenDigest,
        stale: Option<Rc<ActiveEntry>>,
        request: &dyn RequestView,
        now: UnixMillis,
        effects: &mut Vec<Effect>,
    ) {
        let Some(validator) = inquiry.way.validator() else {
            if self.is_ours(&inquiry.token) {
                effects.push(Effect::Count(Counter::CacheMiss));
                let case = Case { source: Source::Miss, ..inquiry.case };
                return self.refuse(&case, &InvalidToken::Ours.into(), effects);
            }
            return self.wait(inquiry, digest, None, request, stale, now, effects);
        };
        match self.validate(validator, &inquiry, now) {
            Ok(claims) => {
                let Some(inquiry) = self.with_status(inquiry, claims.view(), request, now, effects) else {
                    return;
                };
                match inquiry.way {
                    Way::ValidateAndAsk(..) => {
                        self.wait(inquiry, digest, Some(claims), request, stale, now, effects);
                    }
                    Way::Ask(_) | Way::Validate(_) => {
                        self.validated(inquiry.case, &inquiry.token, &digest, claims, now, effects);
                    }
                }
            }
            Err(None) => self.park(inquiry, KeysWanted::Newer, request, now, effects),
            Err(Some(denial)) => {
                effects.push(Effect::Count(Counter::CacheMiss));
                self.refuse(&Case { source: Source::Miss, ..inquiry.case }, &denial, effects);
            }
        }
    }

    /// Whether it is no token of any authorization server's, but the JWT that a request went on with.
    fn is_ours(&self, token: &AccessToken) -> bool {
        let phantom_token = self.config.phantom_token.as_ref();
        phantom_token.is_some_and(|ours| ours.is_ours(token, self.signatures.as_ref()))
    }

    fn is_down(&self, inquiry: &Inquiry) -> bool {
        inquiry.way.introspector().is_some_and(|introspector| self.calls.servers.is_down(introspector))
    }

    /// Whether an entry past `cache_ttl` may serve should there be no other verdict.
    fn may_serve_stale(&self, entry: &ActiveEntry, inquiry: &Inquiry, now: UnixMillis) -> bool {
        let (limit, cache_ttl) = (self.config.cache.stale_if_error, inquiry.case.policy.cache_ttl);
        inquiry.way.introspector().is_some()
            && limit > Duration::ZERO
            && cache_ttl > Duration::ZERO
            && is_fresh(entry.asked(), cache_ttl.saturating_add(limit), now)
    }
}

/// The way that a policy has for a token.
fn way(policy: &Policy, token: &AccessToken) -> Result<Way, InvalidToken> {
    match &policy.strategy {
        // Not read, and so not judged; whoever gets here has no way.
        Strategy::Allow => Err(InvalidToken::OtherFormat),
        Strategy::Auto(validators, introspector) => {
            let validator = issuer_of(token).and_then(|issuer| of_issuer(validators.iter(), &issuer));
            Ok(validator.map_or_else(
                || Way::Ask(Rc::clone(introspector)),
                |validator| Way::Validate(Rc::clone(validator)),
            ))
        }
        Strategy::Introspect(introspector) => Ok(Way::Ask(Rc::clone(introspector))),
        // Where there is but one, its verdict is found without a look into the token.
        Strategy::Jwt(validators) => match validators.as_slice() {
            [only] => Ok(Way::Validate(Rc::clone(only))),
            several => {
                let issuer = issuer_of(token).ok_or(InvalidToken::OtherFormat)?;
                let validator = of_issuer(several.iter(), &issuer).ok_or(InvalidToken::OtherIssuer)?;
                Ok(Way::Validate(Rc::clone(validator)))
            }
        },
        Strategy::JwtAndIntrospection(servers) => {
            let (validator, introspector) = match servers.as_slice() {
                [only] => only,
                several => {
                    let issuer = issuer_of(token).ok_or(InvalidToken::OtherFormat)?;
                    let of_issuer = |(validator, _): &&(Rc<Validator>, _)| validator.rules.issuer == issuer;
                    several.iter().find(of_issuer).ok_or(InvalidToken::OtherIssuer)?
                }
            };
            Ok(Way::ValidateAndAsk(Rc::clone(validator), Rc::clone(introspector)))
        }
    }
}

/// What a token says of its issuer, if it is a JWT that says something. Chooses who judges it, and no more.
fn issuer_of(token: &AccessToken) -> Option<String> {
    UntrustedJwt::parse(token.secret().as_bytes()).ok()?.issuer_unchecked()
}

fn of_issuer<'v>(
    mut validators: impl Iterator<Item = &'v Rc<Validator>>,
    issuer: &str,
) -> Option<&'v Rc<Validator>> {
    validators.find(|validator| validator.rules.issuer == issuer)
}
