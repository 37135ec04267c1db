//! A request comes in: its policy, its token, the way to a verdict on it, and what the cache knows already. From here it is
//! answered at once, or goes to the part that it has to wait for.

use std::rc::Rc;
use std::time::Duration;

use super::Filter;
use super::case::{Case, Source};
use super::clock::is_fresh;
use super::event::{Effect, StreamId};
use super::fetches::keys::KeysWanted;
use super::fetches::status_lists::Outcome as Status;
use super::inquiry::Inquiry;
use super::introspections::renewal::renewal_due;
use super::judge::ready::{Likeness, Repeat};
use super::judge::validate::{Invalid, validate, validated};
use super::judge::{deny, forward_anonymous, forward_unjudged, hit, refuse, stale};
use super::step::Step;
use super::way::{Way, way};
use crate::cache::{ActiveEntry, Cached};
use crate::claims::{Claims, ClaimsBuf};
use crate::config::{OwnPath, Ruling};
use crate::credentials;
use crate::metrics::Counter;
use crate::policy::{AllowMissing, Authorization, Denial, InvalidToken, Policy, Strategy, Unavailable};
use crate::request::{HeaderEditsBuf, RequestView, is_preflight};
use crate::token::{AccessToken, MAX_CLOCK_DIFFERENCE, Scheme, TokenDigest, Window};

impl Filter {
    /// Judges a request, or looks for the verdict that it needs.
    pub(super) fn judge(
        &mut self,
        stream: StreamId,
        request: &dyn RequestView,
        likeness: Option<Likeness>,
        step: &mut Step<'_>,
    ) {
        let config = &step.worker.config;
        match config.own_path(request) {
            Some(OwnPath::Answer(answer)) => return step.push(Effect::Answer(stream, answer)),
            Some(OwnPath::Receiver(receiver)) if self.signals.receive(receiver, stream, request, step) => {
                return;
            }
            _ => {}
        }
        let Ruling { policy, host } = match config.policy_of(request) {
            Ok(ruling) => ruling,
            Err(denial) => return deny(stream, None, &denial, step),
        };
        let mut edits = HeaderEditsBuf::default();
        if let Some(host) = host {
            edits.set(":authority", &[&host]);
        }
        if let Strategy::Allow = policy.strategy {
            return forward_unjudged(stream, policy, edits, step);
        }
        if policy.open_streams.are_watched() && self.open_streams.are_full() {
            let under = Some((&**policy, Scheme::Bearer));
            return deny(stream, under, &Unavailable::TooManyOpenStreams.into(), step);
        }
        let removal = || credentials::removal(request, &policy.token_sources);
        if policy.allow_preflight && is_preflight(request) {
            return forward_anonymous(stream, policy, edits, removal(), step);
        }
        let token = credentials::access_token(request, &policy.token_sources);
        let (token, scheme, way) = match token.and_then(|token| with_way(policy, token, step)) {
            Ok(found) => found,
            Err(denial) if policy.takes_for_missing(&denial) => {
                return forward_anonymous(stream, policy, edits, removal(), step);
            }
            Err(denial) => {
                let scheme = credentials::scheme(request);
                return deny(stream, Some((policy, scheme)), &denial, step);
            }
        };
        if self.fellows.refuse_requests(step) {
            return deny(stream, Some((policy, scheme)), &Unavailable::FleetSilent.into(), step);
        }
        let origin = Rc::clone(way.origin());
        let stays = policy.authorization(&origin) == Authorization::Original
            && policy.allow_missing != AllowMissing::MissingOrInvalid;
        let mut removal = if stays { HeaderEditsBuf::default() } else { removal() };
        if !stays && scheme == Scheme::DPoP {
            // It is for the client's token, which does not go on.
            removal.remove("dpop");
        }
        let case = Case {
            stream,
            policy: Rc::clone(policy),
            origin,
            scheme,
            shown: None,
            host: edits,
            removal,
            source: Source::None,
            digest: None,
            repeat: None,
            question: None,
        };
        let inquiry = Inquiry {
            case,
            token,
            way,
            likeness,
            has_waited_for_keys: false,
            has_waited_for_metadata: false,
        };
        self.inquire(inquiry, request, step);
    }

    /// Looks for a verdict: in the cache, and where that has none, on the token's way.
    fn inquire(&mut self, mut inquiry: Inquiry, request: &dyn RequestView, step: &mut Step<'_>) {
        if !self.discoveries.complete(&mut inquiry.way) {
            return self.wait_for_metadata(inquiry, request, step);
        }
        let Some(digest) = self.keys.digest(&inquiry) else {
            return self.wait_for_keys(inquiry, KeysWanted::Any, request, step);
        };
        inquiry.case.digest = Some(digest);
        inquiry.case.question = inquiry.asked_again(digest);
        let (now, config) = (step.now, &step.worker.config);
        let cache_ttl = inquiry.case.policy.cache_ttl;
        match step.worker.cache.find(&digest, now) {
            Some(Cached::Active(entry)) if is_fresh(entry.asked(), cache_ttl, now) => {
                // Of most tokens nobody has to know who sends them.
                if inquiry.case.policy.require.asks_for_proof(&entry.claims()) {
                    inquiry.look_at_sender(request, step);
                }
                let passed = self.with_status(inquiry, entry.claims(), request, step);
                let Some(inquiry) = passed else { return };
                if step.now >= renewal_due(&entry, &inquiry, step) {
                    self.introspections.renew(&inquiry, digest, request, &self.keys, step);
                }
                let repeat = repeat(&inquiry, &entry, step);
                hit(Case { repeat, ..inquiry.case }, &entry, step);
            }
            Some(Cached::Inactive { asked, refused })
                if is_fresh(asked, cache_ttl.min(config.cache.negative_ttl), now) =>
            {
                let case = Case { source: Source::NegativeHit, ..inquiry.case };
                step.count(Counter::CacheNegativeHit, case.whose());
                refuse(&case, &InvalidToken::from(refused).into(), step);
            }
            Some(Cached::Active(entry)) if may_serve_stale(&entry, &inquiry, step) => {
                inquiry.look_at_sender(request, step);
                let passed = self.with_status(inquiry, entry.claims(), request, step);
                let Some(inquiry) = passed else { return };
                if self.introspections.is_down(&inquiry) {
                    // No use in waiting: what serves anyway serves now, and the probe is nobody's delay.
                    self.introspections.renew(&inquiry, digest, request, &self.keys, step);
                    return stale(inquiry.case, entry, step);
                }
                self.miss(inquiry, digest, Some(entry), request, step);
            }
            _ => self.miss(inquiry, digest, None, request, step),
        }
    }

    /// The cache has no verdict that is fresh enough.
    fn miss(
        &mut self,
        mut inquiry: Inquiry,
        digest: TokenDigest,
        stale: Option<Rc<ActiveEntry>>,
        request: &dyn RequestView,
        step: &mut Step<'_>,
    ) {
        inquiry.look_at_sender(request, step);
        let Some(validator) = inquiry.way.validator() else {
            if is_ours(&inquiry.token, step) {
                return missed(inquiry.case, &InvalidToken::Ours.into(), step);
            }
            return self.ask((inquiry, digest), None, request, stale, step);
        };
        match validate(validator, &inquiry.token, inquiry.has_waited_for_keys, &self.keys, step) {
            Ok(claims) => {
                let Some(inquiry) = self.with_status(inquiry, claims.view(), request, step) else {
                    return;
                };
                match inquiry.way {
                    Way::ValidateAndAsk(..) => {
                        self.ask((inquiry, digest), Some(claims), request, stale, step);
                    }
                    Way::Ask(_) | Way::Validate(_) => {
                        validated(inquiry.case, &inquiry.token, &digest, claims, step);
                    }
                }
            }
            Err(Invalid::ByTheseKeys) => self.wait_for_keys(inquiry, KeysWanted::Newer, request, step),
            Err(Invalid::For(denial)) => missed(inquiry.case, &denial, step),
        }
    }

    /// Lets a request wait for what the server says. `validated` is what the token says itself, where it is a JWT that was
    /// validated before.
    fn ask(
        &mut self,
        about: (Inquiry, TokenDigest),
        validated: Option<ClaimsBuf>,
        request: &dyn RequestView,
        stale: Option<Rc<ActiveEntry>>,
        step: &mut Step<'_>,
    ) {
        if self.is_full() {
            let case = Case { source: Source::Miss, ..about.0.case };
            return refuse(&case, &Unavailable::TooManyWaiting.into(), step);
        }
        self.introspections.wait(about, validated, request, stale, step);
    }

    /// Lets a request wait for what discovery finds.
    fn wait_for_metadata(&mut self, inquiry: Inquiry, request: &dyn RequestView, step: &mut Step<'_>) {
        let waits = match self.is_full() {
            true => Err(Unavailable::TooManyWaiting),
            false => self.discoveries.wait(&inquiry, step.now),
        };
        match waits {
            Ok(()) => self.parking.park(inquiry, request, step),
            Err(reason) => missed(inquiry.case, &reason.into(), step),
        }
    }

    /// Lets a request wait for keys.
    fn wait_for_keys(
        &mut self,
        inquiry: Inquiry,
        wanted: KeysWanted,
        request: &dyn RequestView,
        step: &mut Step<'_>,
    ) {
        let waits = match self.is_full() {
            true => Err(Unavailable::TooManyWaiting),
            false => self.keys.wait_with_request(&inquiry, wanted, step.now),
        };
        match waits {
            Ok(()) => self.parking.park(inquiry, request, step),
            Err(reason) => missed(inquiry.case, &reason.into(), step),
        }
    }

    /// Looks at the status of a token that was found good. Gives the request back if it may go on; otherwise it has
    /// been refused, or waits.
    fn with_status(
        &mut self,
        inquiry: Inquiry,
        claims: Claims<'_>,
        request: &dyn RequestView,
        step: &mut Step<'_>,
    ) -> Option<Inquiry> {
        // Nothing to do for all tokens but those of a provider with status lists.
        let Some(validator) = inquiry.way.validator().filter(|it| it.status_lists.is_some()) else {
            return Some(inquiry);
        };
        match self.status_lists.status(validator, claims, step.now) {
            Status::Good => return Some(inquiry),
            Status::Refused(denial) => missed(inquiry.case, &denial, step),
            Status::Wait(_) if self.is_full() => {
                refuse(&inquiry.case, &Unavailable::TooManyWaiting.into(), step);
            }
            Status::Wait(list) => {
                self.status_lists.wait(&list, inquiry.case.stream);
                self.parking.park(inquiry, request, step);
            }
        }
        None
    }

    /// Takes up a request that has waited for metadata, keys or a status list. Returns whether there was one.
    pub(super) fn take_up_one(&mut self, step: &mut Step<'_>) -> bool {
        let Some((inquiry, headers)) = self.parking.take() else { return false };
        self.inquire(inquiry, &headers, step);
        true
    }

    /// Whether no more requests may wait: there are very many, or their clients have sent very much.
    fn is_full(&self) -> bool {
        let (introspections, parking) = (&self.introspections, &self.parking);
        introspections.waiting() + parking.len() >= MAX_WAITING
            || introspections.waiting_bytes() + parking.bytes() >= MAX_WAITING_BYTES
    }
}

/// A token, how it is carried, and the way that a policy has for it.
fn with_way(
    policy: &Policy,
    token: Option<(AccessToken, Scheme)>,
    step: &Step<'_>,
) -> Result<(AccessToken, Scheme, Way), Denial> {
    let (token, scheme) = token.ok_or(Denial::MissingToken)?;
    let way = way(policy, &token)?;
    let format = way.token_format();
    if format.fits(&token) {
        return Ok((token, scheme, way));
    }
    if token.secret().len() <= format.max_length {
        return Err(InvalidToken::OtherFormat.into());
    }
    let text = format_args!(
        "a token is longer than `token_format.max_length` ({} bytes), and is refused unasked; if the server's tokens \
         are so long, raise it",
        format.max_length
    );
    step.worker.complaints.note(&way.origin().provider, "token_too_long", step.now, text);
    Err(InvalidToken::TooLong.into())
}

/// Refuses a request whose verdict is not in the cache.
fn missed(case: Case, denial: &Denial, step: &mut Step<'_>) {
    step.count(Counter::CacheMiss, case.whose());
    refuse(&Case { source: Source::Miss, ..case }, denial, step);
}

/// Whether it is no token of any authorization server's, but the JWT that a request went on with.
fn is_ours(token: &AccessToken, step: &Step<'_>) -> bool {
    let phantom_token = step.worker.config.phantom_token.as_ref();
    phantom_token.is_some_and(|ours| ours.is_ours(token, step.worker.signatures()))
}

/// Whether an entry past `cache_ttl` may serve should there be no other verdict.
fn may_serve_stale(entry: &ActiveEntry, inquiry: &Inquiry, step: &Step<'_>) -> bool {
    let (limit, cache_ttl) = (step.worker.config.cache.stale_if_error, inquiry.case.policy.cache_ttl);
    inquiry.way.introspector().is_some()
        && limit > Duration::ZERO
        && cache_ttl > Duration::ZERO
        && is_fresh(entry.asked(), cache_ttl.saturating_add(limit), step.now)
}

/// How long requests like this one may get what it gets, as far as the age of the verdict goes.
fn repeat(inquiry: &Inquiry, entry: &ActiveEntry, step: &Step<'_>) -> Option<Repeat> {
    // A status is another matter than a verdict: it is looked at each time.
    if inquiry.way.validator().is_some_and(|validator| validator.status_lists.is_some()) {
        return None;
    }
    let cache_ttl = inquiry.case.policy.cache_ttl;
    let until = entry.asked().plus(cache_ttl).min(entry.good_until()).min(renewal_due(entry, inquiry, step));
    let window = Window { from: entry.asked().minus(MAX_CLOCK_DIFFERENCE), until };
    let likeness = inquiry.likeness.filter(|likeness| likeness.is_plain(&inquiry.token))?;
    Some(Repeat::new(likeness, window))
}

/// Streams that may wait at once, per worker: bounds what a flood of new tokens can hold.
const MAX_WAITING: usize = 16_384;

/// What is kept of them at most, of tokens and of headers from which tokens are taken out: 32 MiB.
const MAX_WAITING_BYTES: usize = 32 << 20;
