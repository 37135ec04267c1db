//! The metadata of authorization servers (RFC 8414): fetched before it is needed, and again before it is old.
//!
//! Each worker has its own. A request that needs what it says waits for it (it is *parked*), and is then taken up again. The
//! last good stays until there is a better one: a server that is down, or says what is refused, takes nothing away.

use std::rc::Rc;

pub(in crate::filter) use super::search::Ended;
use super::search::Searching;
use crate::cache::Mailbox;
use crate::config::Config;
use crate::filter::event::{CallId, StreamId};
use crate::filter::inquiry::Inquiry;
use crate::filter::part::{Pace, Part};
use crate::filter::step::Step;
use crate::filter::way::Way;
use crate::http::Reply;
use crate::policy::Unavailable;
use crate::provider::{Introspector, Provider};
use crate::token::UnixMillis;

/// The metadata of all providers of which something has to be found.
pub(in crate::filter) struct Discoveries {
    searches: Vec<Searching>,
}

impl Discoveries {
    /// For the providers of which something that policies need is not written; `mailbox` is the worker's.
    pub(in crate::filter) fn new(config: &Config, mailbox: Mailbox) -> Self {
        let search = |provider| Some(Searching::new(config.sought(provider)?, mailbox));
        Self { searches: config.providers.iter().filter_map(search).collect() }
    }

    /// Puts into a way what was found for it. Returns whether it can be gone: not while it is not known where it leads.
    pub(in crate::filter) fn complete(&self, way: &mut Way) -> bool {
        let Some(searching) = self.of(&way.origin().provider) else { return true };
        let search = &searching.search;
        let asks = way.introspector().is_some() && search.introspector.is_some();
        let validates = way.validator().is_some() && search.jwks.is_some();
        let Some(found) = searching.found() else { return !asks && !validates };
        if let Some(introspector) = &found.introspector {
            way.ask_at(introspector);
        }
        true
    }

    /// The side of a provider that is asked, as far as it is known.
    pub(in crate::filter) fn introspector<'d>(
        &'d self,
        provider: &'d Provider,
    ) -> Option<&'d Rc<Introspector>> {
        let found = self.of(&provider.name).and_then(|it| it.found()?.introspector.as_ref());
        found.or(provider.introspector.as_ref())
    }

    /// A number that is another one whenever something else is found.
    pub(in crate::filter) fn generation(&self) -> u64 {
        self.searches.iter().map(Searching::generation).sum()
    }

    /// Lets a request wait for what its way lacks, but only once.
    ///
    /// # Errors
    ///
    /// Why it is no use.
    pub(in crate::filter) fn wait(&mut self, inquiry: &Inquiry, now: UnixMillis) -> Result<(), Unavailable> {
        let provider = &inquiry.way.origin().provider;
        match self.searches.iter_mut().find(|searching| searching.provider() == provider) {
            Some(searching) => searching.wait(inquiry.case.stream, inquiry.has_waited_for_metadata, now),
            None => Err(Unavailable::NoMetadata { seconds: 1 }),
        }
    }

    /// An endpoint of a provider is not where it was found: the metadata may say better by now.
    pub(in crate::filter) fn want(&mut self, provider: &str) {
        self.searches.iter_mut().filter(|it| it.provider() == provider).for_each(Searching::want);
    }

    /// Sends the fetches whose time has come; only in the root's callbacks.
    pub(in crate::filter) fn fetch(&mut self, step: &mut Step<'_>) {
        self.searches.iter_mut().for_each(|searching| searching.fetch(step));
    }

    /// A call ended. Returns whose metadata it was for, and what came of it, if it was a fetch.
    pub(in crate::filter) fn ended(
        &mut self,
        call: CallId,
        reply: Option<&Reply<'_>>,
        step: &mut Step<'_>,
    ) -> Option<(&str, Ended)> {
        let (searching, ended) =
            self.searches.iter_mut().find_map(|it| it.ended(call, reply, step).map(|ended| (&*it, ended)))?;
        Some((searching.provider(), ended))
    }

    fn of(&self, provider: &str) -> Option<&Searching> {
        self.searches.iter().find(|searching| searching.provider() == provider)
    }
}

impl Part for Discoveries {
    fn tick(&mut self, step: &mut Step<'_>) {
        self.fetch(step);
    }

    fn pace(&self) -> Pace {
        // Nobody has looked yet, or somebody waits for the next look.
        match self.searches.iter().any(|searching| searching.schedule().is_awaited()) {
            true => Pace::Soon,
            false if self.searches.is_empty() => Pace::Idle,
            false => Pace::NowAndThen,
        }
    }

    fn forget(&mut self, stream: StreamId) {
        self.searches.iter_mut().for_each(|searching| searching.forget(stream));
    }

    fn clock_set_back(&mut self, _: UnixMillis) {
        self.searches.iter_mut().for_each(Searching::clock_set_back);
    }
}
