//! Access tokens of our own (RFC 6749 §4.4): fetched when a call needs one, and again before they end if they are in use.

use std::rc::Rc;
use std::time::Duration;

use log::Level;

use super::back_off::in_words;
use super::schedule::{Pauses, Schedule};
use crate::client::{ClientCredentials, Granted, NotGranted};
use crate::config::Config;
use crate::filter::access_tokens::Want;
use crate::filter::event::CallId;
use crate::filter::part::{Pace, Part};
use crate::filter::step::Step;
use crate::http::Reply;
use crate::introspection;
use crate::metrics::{Counter, Whose};
use crate::token::{Secret, UnixMillis};

/// How all access tokens are fetched.
pub(in crate::filter) struct Tokens(Vec<Fetch>);

struct Fetch {
    credentials: Rc<ClientCredentials>,
    schedule: Schedule,
    /// What the last brought, if it brought none.
    failure: Option<NotGranted>,
    /// What the log was told of last, and when.
    said: Option<(&'static str, UnixMillis)>,
}

/// What came of a fetch, or why there is none.
pub(in crate::filter) struct Ended {
    pub(in crate::filter) credentials: Rc<ClientCredentials>,
    /// Why there is no token, if there is none.
    pub(in crate::filter) failure: Option<NotGranted>,
}

impl Tokens {
    pub(in crate::filter) fn new(config: &Config) -> Self {
        let fetch = |credentials: &Rc<ClientCredentials>| Fetch {
            credentials: Rc::clone(credentials),
            schedule: Schedule::new(),
            failure: None,
            said: None,
        };
        Self(config.client_credentials().map(fetch).collect())
    }

    /// Sends the fetches whose time has come; only in the root's callbacks. Returns what somebody waits for that is not
    /// fetched now.
    pub(in crate::filter) fn fetch(&mut self, step: &mut Step<'_>) -> Vec<Ended> {
        self.0.iter_mut().filter_map(|fetch| fetch.begin(step)).collect()
    }

    /// A call ended. Returns what came of it, if it was a fetch.
    pub(in crate::filter) fn ended(
        &mut self,
        call: CallId,
        reply: Option<&Reply<'_>>,
        step: &mut Step<'_>,
    ) -> Option<Ended> {
        self.0.iter_mut().find_map(|fetch| fetch.ended(call, reply, step))
    }
}

impl Fetch {
    fn begin(&mut self, step: &mut Step<'_>) -> Option<Ended> {
        let tokens = &step.worker.access_tokens;
        let want = tokens.want(&self.credentials);
        if want == Want::Unrefused {
            self.schedule.want();
        }
        if want == Want::Nothing || self.schedule.is_under_way() {
            return None;
        }
        if self.schedule.is_due(step.now) {
            tokens.begun(&self.credentials);
            match self.credentials.request(step.worker.signatures(), step.now) {
                Ok(request) => {
                    let call = step.call(request);
                    self.schedule.begin(call, PAUSES, step.now);
                    return None;
                }
                Err(reason) => {
                    log::debug!("no request for an access token: {reason}");
                    self.failed(NotGranted::NotSigned, None, step);
                }
            }
        }
        let failure = self.failure.filter(|_| want > Want::Renewal)?;
        Some(Ended { credentials: Rc::clone(&self.credentials), failure: Some(failure) })
    }

    fn ended(&mut self, call: CallId, reply: Option<&Reply<'_>>, step: &mut Step<'_>) -> Option<Ended> {
        let sent = self.schedule.ended(call)?;
        let read = match reply {
            Some(reply) => Granted::read(reply),
            None if step.now.since(sent) >= self.credentials.timeout => Err(NotGranted::Timeout),
            None => Err(NotGranted::Unreachable),
        };
        // It lived when it was made, which may have been any time since it was asked for.
        let granted = read.and_then(|Granted { token, life }| match sent.plus(life) {
            until if until > step.now => Ok((token, until, sent.plus(life * 4 / 5))),
            _ => Err(NotGranted::Ended),
        });
        match granted {
            Ok((token, until, renewal)) => self.succeeded(token, until, renewal, step),
            Err(failure) => self.failed(failure, reply, step),
        }
        Some(Ended { credentials: Rc::clone(&self.credentials), failure: self.failure })
    }

    fn succeeded(&mut self, token: Secret, until: UnixMillis, renewal: UnixMillis, step: &mut Step<'_>) {
        self.failure = None;
        self.schedule.succeeded(renewal);
        self.schedule.is_not_wanted();
        step.worker.access_tokens.ended(&self.credentials, Some((token, until)));
        step.count(Counter::AccessTokenFetched, self.whose());
        if self.said.take().is_some() {
            log::warn!("{}an access token is fetched again", self.whose_words());
        }
    }

    fn failed(&mut self, failure: NotGranted, reply: Option<&Reply<'_>>, step: &mut Step<'_>) {
        self.failure = Some(failure);
        self.schedule.is_not_wanted();
        step.worker.access_tokens.ended(&self.credentials, None);
        step.count(Counter::AccessTokenError, self.whose().because(failure.reason()));
        let asked = self.schedule.failed(PAUSES, reply, step.now);
        let is_said =
            |(reason, then): (&str, UnixMillis)| reason == failure.reason() && step.now.since(then) < QUIET;
        if self.said.is_some_and(is_said) {
            return;
        }
        self.said = Some((failure.reason(), step.now));
        let is_ours_to_mend = matches!(failure, NotGranted::Refused(_) | NotGranted::NotSigned);
        let level = if is_ours_to_mend { Level::Error } else { Level::Warn };
        let called = self.credentials.target.called("POST");
        let seen = Reply::behind(reply);
        let error = introspection::says(reply.filter(|reply| reply.status != 200));
        log::log!(
            level,
            "{}no access token: {failure}; {called}{seen}{error}{}",
            self.whose_words(),
            in_words(asked)
        );
    }

    fn whose(&self) -> Whose<'_> {
        self.credentials.provider.as_deref().map_or(Whose::NOBODY, Whose::provider)
    }

    fn whose_words(&self) -> String {
        let provider = self.credentials.provider.as_ref();
        let provider = provider.map(|provider| format!("provider {provider:?}: ")).unwrap_or_default();
        [&provider, &*self.credentials.used_by, ": "].concat()
    }
}

impl Part for Tokens {
    /// What is due, is sent by the router, which has to know of what is not to be had.
    fn tick(&mut self, _: &mut Step<'_>) {}

    fn pace(&self) -> Pace {
        if self.0.is_empty() { Pace::Idle } else { Pace::NowAndThen }
    }

    fn clock_set_back(&mut self, _: UnixMillis) {
        for fetch in &mut self.0 {
            fetch.schedule.clock_set_back();
            fetch.said = None;
        }
    }
}

const PAUSES: Pauses = Pauses {
    least: Duration::ZERO,
    first: Duration::from_secs(1),
    // As long as calls are held back from a server that is down.
    longest: Duration::from_secs(10),
};

/// Between two lines of the same.
const QUIET: Duration = Duration::from_secs(60);
