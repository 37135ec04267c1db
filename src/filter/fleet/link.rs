//! The link with the store: whose it is, what is said, and what becomes of it when it breaks.

use std::rc::Rc;
use std::time::Duration;

use super::calls::{Authentication, Puts, UnderWay};
use super::lost::Lost;
use crate::client::Authorization;
use crate::filter::event::{CallId, Effect};
use crate::filter::part::NOW_AND_THEN;
use crate::filter::step::Step;
use crate::fleet::etcd::{self, Page, Watched};
use crate::fleet::{Credentials, Fleet, Keys, Known, Standing, StoreId, TIMEOUT};
use crate::grpc::{GrpcCall, GrpcStatus};
use crate::metrics::{Gauge, Whose};
use crate::token::UnixMillis;

/// This worker's link with the store.
pub(super) struct Link {
    pub(super) fleet: Rc<Fleet>,
    pub(super) keys: Keys,
    /// What is known of the store, if it is this worker that speaks with it.
    pub(super) known: Option<Known>,
    pub(super) stage: Stage,
    pub(super) authentication: Authentication,
    pub(super) puts: Puts,
    /// The trouble that the log was told of last.
    pub(super) said: Option<&'static str>,
    /// Whether something under our prefix could not be read.
    pub(super) is_unreadable: bool,
    /// Whether the log was told of that.
    pub(super) said_unreadable: bool,
}

pub(super) enum Stage {
    /// Nothing is said before this.
    Apart(UnixMillis),
    /// All there is is read.
    Reading(UnderWay, Reading),
    /// What is put is told as it is put.
    Watching(Watching),
}

/// What was read so far.
pub(super) struct Reading {
    /// The first key that was not.
    next: Vec<u8>,
    /// As of this revision.
    revision: u64,
    /// What was put up to this one is done here.
    since: u64,
    store: Option<StoreId>,
    pages: u32,
    withdrawals: usize,
}

pub(super) struct Watching {
    pub(super) stream: CallId,
    /// The revision that it began with; `None` once it has said a first word.
    begins_at: Option<u64>,
    /// Since when a sign of life is awaited.
    pub(super) asked: Option<UnixMillis>,
    /// How many withdrawals were read before.
    withdrawals: usize,
    /// Whether the store is another than before.
    is_other: bool,
    /// Whether the store has no identity and is to be given one.
    wants_store: bool,
}

impl Link {
    pub(super) fn new(fleet: Rc<Fleet>) -> Self {
        Self {
            keys: Keys::new(&fleet.prefix),
            fleet,
            known: None,
            stage: Stage::Apart(BEGIN),
            authentication: Authentication::default(),
            puts: Puts::default(),
            said: None,
            is_unreadable: false,
            said_unreadable: false,
        }
    }

    pub(super) fn tick(&mut self, step: &mut Step<'_>) {
        if !self.leads(step) {
            return;
        }
        self.look_for_late(step);
        self.look_for_unreadable(step);
        match &mut self.stage {
            Stage::Apart(until) if *until <= step.now => self.begin(step),
            Stage::Watching(watching) if watching.asked.is_none() => {
                watching.asked = Some(step.now);
                step.push(Effect::Send(watching.stream, etcd::progress()));
            }
            _ => {}
        }
        self.put(step);
        self.look_for_silence(step);
    }

    /// Whether it is this worker that speaks with the store.
    fn leads(&mut self, step: &mut Step<'_>) -> bool {
        let Some(shared) = &step.worker.fleet else { return false };
        if !step.worker.leases.keep(&shared.lease, step.now, step.now.plus(LEAD)) {
            self.leave(step);
            return false;
        }
        if self.known.is_none() {
            let new = Known {
                store: None,
                revision: 0,
                heard: step.now,
                standing: Standing::Unknown,
                by: step.worker.mailbox,
            };
            let before = shared.known().unwrap_or(new);
            // One from before the clock was set back says nothing.
            let known = Known { by: new.by, heard: before.heard.min(step.now), ..before };
            shared.note(&known);
            self.known = Some(known);
        }
        true
    }

    /// Another worker speaks with the store now.
    fn leave(&mut self, step: &mut Step<'_>) {
        if self.known.take().is_some() {
            self.break_off(BEGIN, step);
            self.authentication.forget_call();
        }
    }

    /// The filter ends.
    pub(super) fn end(&mut self, step: &mut Step<'_>) {
        if self.known.is_some() {
            self.leave(step);
            // Until another says otherwise.
            step.set(Gauge::FleetHeard, Whose::NOBODY, 0);
            step.worker.fleet.iter().for_each(|shared| drop(step.worker.leases.release(&shared.lease)));
        }
    }

    pub(super) fn clock_set_back(&mut self, now: UnixMillis) {
        if let Stage::Apart(until) = &mut self.stage {
            *until = now;
        }
        if let Stage::Watching(Watching { asked: Some(asked), .. }) = &mut self.stage {
            *asked = now;
        }
        if let Some(known) = &mut self.known {
            known.heard = known.heard.min(now);
        }
        self.authentication.clock_set_back();
        self.puts.clock_set_back();
    }

    pub(super) fn break_off(&mut self, until: UnixMillis, step: &mut Step<'_>) {
        if let Stage::Watching(Watching { stream, .. }) =
            std::mem::replace(&mut self.stage, Stage::Apart(until))
        {
            step.push(Effect::Cancel(stream));
        }
        self.puts.forget();
    }

    /// Reads all there is, and then watches.
    pub(super) fn begin(&mut self, step: &mut Step<'_>) {
        self.read(Reading::new(&self.keys), step);
    }

    /// Reads on, as far as was not read.
    fn read(&mut self, reading: Reading, step: &mut Step<'_>) {
        if self.is_authorized(step) {
            let message = etcd::range(&reading.next, &self.keys.end(), PAGE, reading.revision);
            let call = self.call(etcd::KV, "Range", message, step);
            self.stage = Stage::Reading(call, reading);
        }
    }

    /// Calls the store; its answer comes to [`Link::message`] or [`Link::closed`].
    pub(super) fn call(
        &self,
        service: &'static str,
        method: &'static str,
        message: Vec<u8>,
        step: &mut Step<'_>,
    ) -> UnderWay {
        let call = step.grpc(self.request(service, method, message));
        // Envoy ends it itself, in time.
        UnderWay { call, until: step.now.plus(TIMEOUT).plus(NOW_AND_THEN) }
    }

    fn request(&self, service: &'static str, method: &'static str, message: Vec<u8>) -> GrpcCall {
        let token = match &self.fleet.credentials {
            Some(Credentials::Token(Authorization::Secret(token))) => Some(token.secret().to_owned()),
            _ => self.authentication.token().cloned(),
        };
        let mut metadata = vec![(etcd::HAS_LEADER, "true".to_owned())];
        metadata.extend(token.map(|token| (etcd::TOKEN, token)));
        GrpcCall { cluster: self.fleet.cluster.clone(), service, method, metadata, message, timeout: TIMEOUT }
    }

    /// The store has said something.
    pub(super) fn message(&mut self, call: CallId, message: Option<&[u8]>, step: &mut Step<'_>) {
        if self.authentication_ended(call, Ok(message), step) || self.put_ended(call, Ok(message), step) {
            return;
        }
        match std::mem::replace(&mut self.stage, Stage::Apart(BEGIN)) {
            Stage::Reading(under_way, reading) if under_way.call == call => {
                match message.and_then(Page::read) {
                    Some(page) => self.read_page(&page, reading, step),
                    None => self.lost(Lost::Unreadable, step),
                }
            }
            Stage::Watching(watching) if watching.stream == call => {
                self.stage = Stage::Watching(watching);
                match message.and_then(Watched::read) {
                    Some(watched) => self.watched(&watched, step),
                    None => self.lost(Lost::Unreadable, step),
                }
            }
            // Of a call that was given up.
            other => self.stage = other,
        }
    }

    /// A call has ended, or could not be sent.
    pub(super) fn closed(&mut self, call: CallId, status: GrpcStatus, step: &mut Step<'_>) {
        if self.authentication_ended(call, Err(status), step) || self.put_ended(call, Err(status), step) {
            return;
        }
        let is_ours = match &self.stage {
            Stage::Apart(_) => false,
            Stage::Reading(under_way, _) => under_way.call == call,
            Stage::Watching(watching) => watching.stream == call,
        };
        if is_ours {
            // What has ended needs no end.
            self.stage = Stage::Apart(BEGIN);
            // What etcd answers to whoever reads what it has forgotten.
            let is_compacted = status == GrpcStatus::OUT_OF_RANGE;
            self.lost(if is_compacted { Lost::Compacted } else { Lost::Closed(status) }, step);
        }
    }

    fn read_page(&mut self, page: &Page<'_>, mut reading: Reading, step: &mut Step<'_>) {
        let (Some(shared), Some(known)) = (&step.worker.fleet, self.known) else { return };
        if reading.pages == 0 {
            reading.revision = page.revision;
            let store = self.keys.store();
            let id = page.pairs.iter().find(|pair| pair.key == store);
            reading.store = id.and_then(|pair| StoreId::read(pair.value));
            // Of another store's revisions nothing is known.
            let is_same =
                reading.store.is_some() && reading.store == known.store && page.revision >= known.revision;
            reading.since = if is_same { known.revision } else { 0 };
        }
        self.apply(&page.pairs, reading.since, shared.envoy(), step);
        reading.withdrawals += page.pairs.len();
        reading.pages += 1;
        let last = page.pairs.last().map(|pair| pair.key).filter(|last| *last >= reading.next.as_slice());
        match last {
            Some(last) if page.more && reading.pages < MAX_PAGES => {
                reading.next = [last, b"\0"].concat();
                self.read(reading, step);
            }
            None if page.more => self.lost(Lost::Unreadable, step),
            _ => {
                if page.more {
                    // It stands for all that was not read.
                    self.withdraw_everything(step);
                }
                self.watch(reading, step);
            }
        }
    }

    fn watch(&mut self, reading: Reading, step: &mut Step<'_>) {
        let message = etcd::watch(self.keys.start(), &self.keys.end(), reading.revision.saturating_add(1));
        let stream = step.open(self.request(etcd::WATCH, "Watch", message));
        let is_other = self.known.is_some_and(|known| known.store.is_some() && known.store != reading.store);
        self.stage = Stage::Watching(Watching {
            stream,
            begins_at: Some(reading.revision),
            asked: Some(step.now),
            withdrawals: reading.withdrawals - usize::from(reading.store.is_some()),
            is_other,
            wants_store: reading.store.is_none(),
        });
        if let Some(known) = &mut self.known {
            known.store = reading.store;
            known.revision = reading.revision;
        }
    }

    fn watched(&mut self, watched: &Watched<'_>, step: &mut Step<'_>) {
        let (Stage::Watching(watching), Some(shared)) = (&mut self.stage, &step.worker.fleet) else { return };
        if watched.is_canceled {
            return self.lost(if watched.is_compacted { Lost::Compacted } else { Lost::Refused }, step);
        }
        // It would be silent until it knew as much again, and what happens meanwhile would be missed.
        if watching.begins_at.is_some_and(|revision| watched.revision < revision) {
            return self.lost(Lost::Older, step);
        }
        let is_first = watching.begins_at.take().is_some();
        watching.asked = None;
        let (withdrawals, is_other) = (watching.withdrawals, watching.is_other);
        let store = self.apply(&watched.puts, 0, shared.envoy(), step);
        if let Some(known) = &mut self.known {
            known.store = store.or(known.store);
            // Of the rest of a revision more may follow. And a sign of life says nothing here: etcd before 3.4.25 may give
            // it before what came first.
            if let Some(last) =
                watched.puts.iter().map(|pair| pair.revision).max().filter(|_| !watched.goes_on)
            {
                known.revision = known.revision.max(last);
            }
            let (before, silence) = (known.standing, step.now.since(known.heard));
            (known.heard, known.standing) = (step.now, Standing::Heard);
            shared.note(known);
            if is_first || before != Standing::Heard {
                self.say_heard(before, silence, (withdrawals, is_other));
                self.put(step);
            }
        }
    }

    /// Whether what is put is told.
    pub(super) fn is_watching(&self) -> bool {
        matches!(&self.stage, Stage::Watching(watching) if watching.begins_at.is_none())
    }

    /// Whether the store has no identity yet.
    pub(super) fn wants_store(&self) -> bool {
        matches!(&self.stage, Stage::Watching(watching) if watching.wants_store)
    }

    /// The store has an identity now, and tells it as all that is put.
    pub(super) fn store_was_put(&mut self) {
        if let Stage::Watching(watching) = &mut self.stage {
            watching.wants_store = false;
        }
    }
}

impl Reading {
    fn new(keys: &Keys) -> Self {
        let next = keys.start().to_vec();
        Self { next, revision: 0, since: 0, store: None, pages: 0, withdrawals: 0 }
    }
}

const BEGIN: UnixMillis = UnixMillis::from_millis(0);

/// How long another worker waits to speak with the store in the place of one that says nothing any more.
const LEAD: Duration = Duration::from_secs(3);

/// Keys that are read at once: 100 KiB of withdrawals.
const PAGE: u64 = 500;

/// More pages are not read: a million withdrawals, fifty times what our memory tells apart.
const MAX_PAGES: u32 = 2000;
