//! The metadata of one authorization server, as it is looked for, and who waits for it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;
use std::time::Duration;

use litemap::LiteMap;
use log::Level;

use super::back_off::in_words;
use super::schedule::{Pauses, Schedule};
use crate::cache::Mailbox;
use crate::discovery::{Metadata, Refused, Wanted};
use crate::filter::event::{CallId, StreamId};
use crate::filter::part::NOW_AND_THEN;
use crate::filter::step::Step;
use crate::http::{Reply, retry_after};
use crate::introspection::Endpoint;
use crate::metrics::{Counter, Whose};
use crate::policy::Unavailable;
use crate::provider::{Introspector, Search};
use crate::target::{Target, Whereabouts};
use crate::token::UnixMillis;

/// A search for the metadata of a provider.
pub(super) struct Searching {
    pub(super) search: Search,
    wanted: Wanted,
    /// The last good.
    found: Option<Found>,
    /// How often something else was found.
    generation: u64,
    schedule: Schedule,
    /// Which of the documents is looked at.
    document: usize,
    /// Why those before it were of no use.
    refused: Vec<String>,
    /// Requests that wait for it.
    waiting: LiteMap<StreamId, ()>,
    /// Of the worker that searches: all begin at the same time, and need not go on so.
    mailbox: Mailbox,
}

/// What was found of a provider.
#[derive(Clone, Debug)]
pub(in crate::filter) struct Found {
    /// The side that is asked, if anything of it was looked for.
    pub(in crate::filter) introspector: Option<Rc<Introspector>>,
    /// Where the keys are, if that was looked for.
    pub(in crate::filter) jwks: Option<Target>,
}

/// What came of the fetch of a document.
pub(in crate::filter) enum Ended {
    /// Another document is looked at now.
    GoesOn,
    /// This is known from now on. These wait no more.
    Found(Found, Vec<StreamId>),
    /// What is known stays, if anything is. These wait no more.
    Nothing(Vec<StreamId>),
}

impl Searching {
    pub(super) fn new(search: Search, mailbox: Mailbox) -> Self {
        let mut schedule = Schedule::new();
        schedule.want();
        let endpoint = search.introspector.as_ref().map(|introspector| &introspector.endpoint);
        let signed = endpoint.and_then(|endpoint| endpoint.response.signed()).map(|signed| &signed.jwks);
        let is_sought = |whereabouts: &Whereabouts| whereabouts.sought().is_some();
        let wanted = Wanted {
            introspection: endpoint.is_some_and(|it| is_sought(&it.whereabouts)),
            jwks: signed.or(search.jwks.as_ref()).is_some_and(|it| is_sought(&it.whereabouts)),
        };
        Self {
            search,
            wanted,
            found: None,
            generation: 0,
            schedule,
            document: 0,
            refused: Vec::new(),
            waiting: LiteMap::new_vec(),
            mailbox,
        }
    }

    pub(super) fn provider(&self) -> &str {
        &self.search.discovery.provider
    }

    pub(super) fn found(&self) -> Option<&Found> {
        self.found.as_ref()
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// When it is looked for.
    pub(super) fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Lets a request wait.
    ///
    /// # Errors
    ///
    /// Why that is no use.
    pub(super) fn wait(
        &mut self,
        stream: StreamId,
        has_waited: bool,
        now: UnixMillis,
    ) -> Result<(), Unavailable> {
        let has_just_failed = self.schedule.has_failed() && now < self.schedule.not_before();
        if has_waited || has_just_failed || self.schedule.is_paused(now) {
            let seconds = retry_after(self.schedule.not_before().since(now));
            return Err(Unavailable::NoMetadata { seconds });
        }
        self.want();
        self.waiting.insert(stream, ());
        Ok(())
    }

    /// Something else may be found than before.
    pub(super) fn want(&mut self) {
        if !self.schedule.is_under_way() {
            self.schedule.want();
        }
    }

    pub(super) fn forget(&mut self, stream: StreamId) {
        self.waiting.remove(&stream);
    }

    /// Begins to look, if it is time.
    pub(super) fn fetch(&mut self, step: &mut Step<'_>) {
        if self.schedule.is_due(step.now) {
            self.document = 0;
            self.refused.clear();
            self.send(step);
        }
    }

    fn send(&mut self, step: &mut Step<'_>) {
        if let Some(request) = self.search.discovery.request(self.document) {
            let call = step.call(request);
            self.schedule.begin(call, self.pauses(), step.now);
        }
    }

    /// A call ended. Says what came of it, if it was the fetch.
    pub(super) fn ended(
        &mut self,
        call: CallId,
        reply: Option<&Reply<'_>>,
        step: &mut Step<'_>,
    ) -> Option<Ended> {
        let sent = self.schedule.ended(call)?;
        match reply.map_or(Err(Refused::NoAnswer), |reply| self.read(reply)) {
            Ok((found, metadata)) => {
                self.schedule.succeeded(sent.plus(self.age(sent)));
                self.schedule.is_not_wanted();
                step.count(Counter::DiscoveryRefreshed, Whose::provider(self.provider()));
                let is_new = self.take(found, &metadata, step);
                let waiting = self.take_waiting();
                return Some(match self.found.clone().filter(|_| is_new) {
                    Some(found) => Ended::Found(found, waiting),
                    None => Ended::Nothing(waiting),
                });
            }
            Err(reason) => {
                let discovery = &self.search.discovery;
                let called = discovery.documents.get(self.document).map(|document| document.called("GET"));
                let seen = Reply::behind(reply);
                self.refused.push(format!("{reason}; {}{seen}", called.unwrap_or_default()));
                if reason.may_be_elsewhere() && self.document + 1 < discovery.documents.len() {
                    self.document += 1;
                    self.send(step);
                    return Some(Ended::GoesOn);
                }
                let asked = self.schedule.failed(self.pauses(), reply, step.now);
                let (level, stays) = match self.found {
                    Some(_) => (Level::Warn, "what it said before stays"),
                    None if reason.is_outage() => (Level::Warn, "it is not used before"),
                    None => (Level::Error, "it is not used before"),
                };
                log::log!(
                    level,
                    "provider {:?}: discovery: {}{}; {stays}",
                    self.provider(),
                    self.refused.join("; and "),
                    in_words(asked)
                );
                step.count(Counter::DiscoveryError, Whose::provider(self.provider()));
            }
        }
        self.schedule.is_not_wanted();
        Some(Ended::Nothing(self.take_waiting()))
    }

    fn take_waiting(&mut self) -> Vec<StreamId> {
        std::mem::take(&mut self.waiting).into_iter().map(|(stream, ())| stream).collect()
    }

    pub(super) fn clock_set_back(&mut self) {
        self.schedule.clock_set_back();
    }

    fn read(&self, reply: &Reply<'_>) -> Result<(Found, Metadata), Refused> {
        let metadata = self.search.discovery.read(reply, self.wanted)?;
        let introspector = match &self.search.introspector {
            Some(introspector) => Some(Rc::new(introspector.found(&metadata).ok_or(Refused::NoMethod)?)),
            None => None,
        };
        let sought = self.search.jwks.as_ref().and_then(|jwks| jwks.whereabouts.sought());
        let jwks = sought.zip(metadata.jwks.as_ref()).map(|(sought, url)| sought.at(url));
        Ok((Found { introspector, jwks }, metadata))
    }

    /// Takes over what a good document says. Returns whether it is something else than before.
    fn take(&mut self, found: Found, metadata: &Metadata, step: &Step<'_>) -> bool {
        let provider = self.provider();
        match &self.found {
            Some(before) if before.is_same(&found) => return false,
            Some(before) => {
                log::warn!("provider {provider:?}: discovery: {found}; before: {before}");
            }
            None => {
                log::info!("provider {provider:?}: discovery: {found}");
                self.hint(metadata, step);
            }
        }
        self.found = Some(found);
        self.generation += 1;
        true
    }

    /// Says what the document has to say besides.
    fn hint(&self, metadata: &Metadata, step: &Step<'_>) {
        let (provider, sources) = (self.provider(), &step.worker.config.revocation);
        let endpoint = self.search.introspector.as_ref().map(|introspector| &introspector.endpoint);
        let method = endpoint.and_then(|Endpoint { authentication, .. }| authentication.method());
        if let (Some(methods), Some(method)) = (&metadata.introspection_methods, method)
            && !methods.iter().any(|it| it == method)
        {
            log::warn!(
                "provider {provider:?}: discovery: introspection.auth is {method}, which is not among the \
                 introspection_endpoint_auth_methods_supported"
            );
        }
        if let Some(path) = metadata.revocation_path.as_ref().filter(|_| sources.endpoint.is_none()) {
            let path: String = path.chars().take_while(|char| *char != '?').collect();
            log::info!(
                "provider {provider:?}: discovery: tokens are revoked at {path:?}; where requests to it pass through here, \
                 `revocation.endpoint` takes their verdicts away at once"
            );
        }
        if metadata.has_logout && !sources.back_channel_logout.iter().any(|it| it.signer.provider == provider)
        {
            log::info!(
                "provider {provider:?}: discovery: it can send logout tokens; `revocation.back_channel_logout` receives them"
            );
        }
    }

    /// After which time it is fetched again: some workers sooner than others.
    fn age(&self, sent: UnixMillis) -> Duration {
        let mut hasher = DefaultHasher::new();
        (self.provider(), self.mailbox.0, sent.as_millis()).hash(&mut hasher);
        #[expect(clippy::cast_precision_loss, reason = "a fraction of about")]
        let fraction = hasher.finish() as f64 / u64::MAX as f64;
        let part = 1.0 - JITTER * fraction;
        self.search.discovery.refresh_interval.mul_f64(part).saturating_sub(NOW_AND_THEN)
    }

    fn pauses(&self) -> Pauses {
        Pauses { longest: MAX_RETRY.min(self.search.discovery.refresh_interval), ..PAUSES }
    }
}

impl Found {
    fn is_same(&self, other: &Self) -> bool {
        let fingerprint = |found: &Self| found.introspector.as_ref().map(|it| it.fingerprint);
        let method = |found: &Self| found.introspector.as_ref()?.endpoint.authentication.method();
        fingerprint(self) == fingerprint(other) && method(self) == method(other) && self.jwks == other.jwks
    }
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(introspector) = &self.introspector {
            let Endpoint { authentication, .. } = &introspector.endpoint;
            let method = authentication.method().map_or_else(String::new, |method| [" by ", method].concat());
            write!(f, "introspection is {}{method}", introspector.endpoint.called())?;
        }
        let comma = if self.introspector.is_some() && self.jwks.is_some() { ", " } else { "" };
        match &self.jwks {
            Some(jwks) => write!(f, "{comma}keys are {}", jwks.called("GET")),
            None => Ok(()),
        }
    }
}

/// How much sooner than after `refresh_interval` it may be fetched again.
const JITTER: f64 = 0.25;

/// Whatever requests come, fetches are at least a second apart.
const PAUSES: Pauses =
    Pauses { least: Duration::from_secs(1), first: Duration::from_secs(1), longest: MAX_RETRY };

/// A fetch that failed is tried again after this at the latest.
const MAX_RETRY: Duration = Duration::from_secs(30);
