//! The stream that a transmitter's events are polled from, where the filter finds or makes it (SSF 1.0 §8.1): by the worker that
//! polls, whenever it begins to. Once it is found, it is polled; what it still lacks is asked for beside that.

use std::rc::Rc;
use std::time::Duration;

use super::back_off::in_words;
use super::schedule::{Pauses, Schedule};
use crate::filter::access_tokens::Showing;
use crate::filter::event::CallId;
use crate::filter::step::Step;
use crate::http::{HttpCall, Reply};
use crate::introspection;
use crate::jwt;
use crate::revocation::stream::{Endpoints, Found, Refused, Stream, Subjects, done};
use crate::token::{Secret, UnixMillis};

/// How far this worker has come with a stream.
pub(super) struct Search {
    stream: Rc<Stream>,
    /// Whose it is, for the log.
    provider: String,
    stage: Stage,
    schedule: Schedule,
    found: Option<Found>,
    endpoints: Endpoints,
    showing: Showing,
    /// What the event is to say that was asked for.
    state: String,
}

/// What is asked next, or awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Which streams there are.
    List,
    /// For a stream.
    Create,
    /// For our events, of a stream that was made for others.
    Update,
    /// For one of the documents in which the transmitter says where the rest is asked for.
    Metadata(usize),
    /// For events about one of the subjects.
    AddSubject(usize),
    /// For an event.
    Verify,
    /// Nothing: that event was asked for then.
    Verifying(UnixMillis),
    /// Nothing.
    Done,
}

impl Search {
    pub(super) fn new(stream: &Rc<Stream>, provider: &str) -> Self {
        Self {
            stream: Rc::clone(stream),
            provider: provider.to_owned(),
            stage: Stage::List,
            schedule: Schedule::new(),
            found: None,
            endpoints: Endpoints::default(),
            showing: Showing::default(),
            state: String::new(),
        }
    }

    /// The stream, once it is known.
    pub(super) fn found(&self) -> Option<&Found> {
        self.found.as_ref()
    }

    /// Whether there is something to ask.
    pub(super) fn is_due(&self, now: UnixMillis) -> bool {
        match self.stage {
            Stage::Done => false,
            Stage::Verifying(asked) => asked.is_from_the_future(now) || now >= asked.plus(VERIFIED_WITHIN),
            _ => self.schedule.is_due(now),
        }
    }

    /// How long nothing is asked because the last call failed, if it did.
    pub(super) fn pause(&self, now: UnixMillis) -> Option<Duration> {
        self.schedule.has_failed().then(|| self.schedule.due().since(now))
    }

    /// It is another worker's business until then.
    pub(super) fn put_off(&mut self, due: UnixMillis) {
        self.schedule.put_off(due);
    }

    /// The stream is there no more.
    pub(super) fn start_over(&mut self) {
        self.schedule.start_over();
        (self.stage, self.found) = (Stage::List, None);
    }

    pub(super) fn clock_set_back(&mut self) {
        self.schedule.clock_set_back();
    }

    /// Until when nobody else may ask, if something is asked now: two that make one make two.
    pub(super) fn until(&self, now: UnixMillis) -> UnixMillis {
        now.plus(self.stream.timeout * 2)
    }

    /// Asks what is due; only in the root's callbacks.
    pub(super) fn go_on(&mut self, step: &mut Step<'_>) {
        if let Stage::Verifying(_) = self.stage {
            let interval = self.found.as_ref().map(|found| found.verification_interval).unwrap_or_default();
            log::error!(
                "provider {:?}: its stream of security events: no verification event came within {} s, so others may not \
                 come either; is it enabled, and are its events signed by the keys that are configured?",
                self.provider,
                VERIFIED_WITHIN.as_secs()
            );
            self.stage = Stage::Verify;
            return self.schedule.put_off(step.now.plus(BETWEEN_VERIFICATIONS.max(interval)));
        }
        let credentials = self.stream.client_credentials();
        let Ok(token) = self.showing.token(credentials, &step.worker.access_tokens, step.now) else { return };
        match self.next(token.as_deref()) {
            Some(request) => {
                let call = step.call(request);
                self.schedule.begin(call, PAUSES, step.now);
            }
            None => self.stage = Stage::Done,
        }
    }

    /// The next call; what needs none is passed over.
    fn next(&mut self, fetched: Option<&Secret>) -> Option<HttpCall> {
        loop {
            let (stream, endpoints, found) = (&self.stream, &self.endpoints, self.found.as_ref());
            let (request, otherwise) = match self.stage {
                Stage::List => (Some(stream.list(fetched)), Stage::List),
                Stage::Create => (Some(stream.create(fetched)), Stage::List),
                Stage::Update => (found.map(|found| stream.update(found, fetched)), Stage::List),
                Stage::Metadata(document) => (stream.metadata(document, fetched), Stage::Done),
                Stage::AddSubject(place) => {
                    let path = endpoints.add_subject.as_ref();
                    let request =
                        found.zip(path).and_then(|(it, path)| stream.add_subject(place, it, path, fetched));
                    (request, Stage::Verify)
                }
                Stage::Verify => {
                    self.state = jwt::random_id().ok()?;
                    let path = endpoints.verification.as_ref();
                    let request =
                        found.zip(path).map(|(it, path)| stream.verify(it, path, &self.state, fetched));
                    (request, Stage::Done)
                }
                Stage::Verifying(_) | Stage::Done => return None,
            };
            if request.is_some() {
                return request;
            }
            self.stage = otherwise;
        }
    }

    /// A call ended. Returns whether it was one of these.
    pub(super) fn ended(&mut self, call: CallId, reply: Option<&Reply<'_>>, step: &Step<'_>) -> bool {
        if self.schedule.ended(call).is_none() {
            return false;
        }
        let was_refused = reply.is_some_and(|reply| reply.status == 401 && !reply.from_envoy);
        if was_refused && self.renews_token(step) {
            self.schedule.put_off(step.now);
            return true;
        }
        let read = match reply {
            None => Err("no answer".to_owned()),
            Some(reply) => self.read(reply, step.now).map_err(|reason| reason.to_string()),
        };
        match read {
            Ok(stage) => {
                self.stage = stage;
                self.schedule.succeeded(step.now);
            }
            // It was verified a moment ago, perhaps by the Envoy that was here before.
            Err(_) if self.stage == Stage::Verify && reply.is_some_and(|reply| reply.status == 429) => {
                self.schedule.failed(BEFORE_VERIFICATION, reply, step.now);
                log::info!("provider {:?}: its stream of security events is verified later", self.provider);
            }
            Err(reason) => {
                let seen = Reply::behind(reply);
                let error = introspection::says(reply.filter(|reply| reply.status >= 400));
                let asked = self.schedule.failed(PAUSES, reply, step.now);
                log::warn!(
                    "provider {:?}: its stream of security events was not {}: {reason}; cluster {:?}, authority \
                     {:?}{seen}{error}{}",
                    self.provider,
                    self.stage.wanted(),
                    self.stream.target.cluster,
                    self.stream.target.authority,
                    in_words(asked)
                );
            }
        }
        true
    }

    /// What an answer leads to.
    fn read(&mut self, reply: &Reply<'_>, now: UnixMillis) -> Result<Stage, Refused> {
        let stream = Rc::clone(&self.stream);
        Ok(match self.stage {
            Stage::List => match stream.find(reply)? {
                None => Stage::Create,
                Some(found) => self.note(found, "found"),
            },
            Stage::Create => self.note(stream.made(reply)?, "made"),
            Stage::Update => match stream.made(reply) {
                Ok(found) => {
                    self.found = Some(found);
                    Stage::Metadata(0)
                }
                // It is ours as it is.
                Err(reason @ Refused::Status(400..=499 | 501)) => {
                    log::warn!(
                        "provider {:?}: its stream of security events lacks some of the events that are wanted: {reason}",
                        self.provider
                    );
                    Stage::Metadata(0)
                }
                Err(reason) => return Err(reason),
            },
            Stage::Metadata(document) => match stream.endpoints(reply) {
                Ok(endpoints) => self.know(endpoints),
                // Perhaps where others have it.
                Err(Refused::Status(404)) if stream.metadata(document + 1, None).is_some() => {
                    Stage::Metadata(document + 1)
                }
                Err(reason @ Refused::Status(404)) if !matches!(stream.subjects, Subjects::These(_)) => {
                    log::warn!(
                        "provider {:?}: its stream of security events is not verified, for the transmitter does not say \
                         where (ssf-configuration): {reason}",
                        self.provider
                    );
                    Stage::Done
                }
                Err(reason) => return Err(reason),
            },
            Stage::AddSubject(place) => match done(reply) {
                Ok(()) => Stage::AddSubject(place + 1),
                // The others may be known.
                Err(reason @ Refused::Status(400 | 404)) => {
                    log::error!(
                        "provider {:?}: stream.subjects[{place}]: no events about it: {reason}",
                        self.provider
                    );
                    Stage::AddSubject(place + 1)
                }
                Err(reason) => return Err(reason),
            },
            Stage::Verify => {
                done(reply)?;
                Stage::Verifying(now)
            }
            stage @ (Stage::Verifying(_) | Stage::Done) => stage,
        })
    }

    fn note(&mut self, found: Found, how: &str) -> Stage {
        let id: String = found.stream_id.chars().take(MAX_SHOWN).collect();
        log::info!("provider {:?}: its stream of security events was {how}: {id:?}", self.provider);
        let lacks_events = found.lacks_events && how == "found";
        self.found = Some(found);
        if lacks_events { Stage::Update } else { Stage::Metadata(0) }
    }

    fn know(&mut self, endpoints: Endpoints) -> Stage {
        if self.stream.subjects == Subjects::All && endpoints.are_all_subjects == Some(false) {
            log::warn!(
                "provider {:?}: its transmitter sends events about no subject unless it is added (default_subjects: NONE), \
                 and stream.subjects is all: let it send all, for this receiver at least, or list them",
                self.provider
            );
        }
        self.endpoints = endpoints;
        Stage::AddSubject(0)
    }

    /// An event says that it was asked for with this.
    pub(super) fn verified(&mut self, state: &str) {
        if let Stage::Verifying(_) = self.stage
            && state == self.state
        {
            log::info!("provider {:?}: its stream of security events is verified", self.provider);
            self.stage = Stage::Done;
        }
    }

    /// A call was refused. Returns whether it is made anew, with another access token.
    fn renews_token(&mut self, step: &Step<'_>) -> bool {
        self.showing.was_refused(self.stream.client_credentials(), &step.worker.access_tokens, step.now)
    }
}

impl Stage {
    /// What was wanted of the stream, in a word.
    fn wanted(self) -> &'static str {
        match self {
            Self::List => "found",
            Self::Create => "made",
            Self::Update => "changed",
            Self::Metadata(_) => "completed (ssf-configuration)",
            Self::AddSubject(_) => "given its subjects",
            Self::Verify | Self::Verifying(_) | Self::Done => "verified",
        }
    }
}

const PAUSES: Pauses =
    Pauses { least: Duration::ZERO, first: Duration::from_secs(5), longest: Duration::from_secs(60) };

/// Where verification was asked for too often: what servers want between two.
const BEFORE_VERIFICATION: Pauses =
    Pauses { least: Duration::ZERO, first: Duration::from_secs(60), longest: Duration::from_secs(60) };

/// So long the event may take that was asked for.
const VERIFIED_WITHIN: Duration = Duration::from_secs(60);

/// Before it is asked for again.
const BETWEEN_VERIFICATIONS: Duration = Duration::from_secs(5 * 60);

/// Of an identifier that a log line shows.
const MAX_SHOWN: usize = 64;
