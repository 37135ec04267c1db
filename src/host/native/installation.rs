//! A configuration that is in force: its workers' shards, and what the main thread does for them.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use log::error;

use super::abi::{self, Confined, NotSent};
use super::clock::Clock;
use super::grpc::{self, OpenCalls};
use super::inbox::{Inbox, MESSAGES, Message, TICKS};
use super::mailboxes;
use super::orders::{Order, Orders};
use super::presence::Presence;
use super::shard::{Shard, Surroundings};
use super::shared_data::SharedData;
use super::statistics::Statistics;
use crate::cache::Mailbox;
use crate::config::Config;
use crate::filter::{CallId, Event, Filter, Told};
use crate::grpc::GrpcStatus;
use crate::host::reply::reply;
use crate::host::start::{announce, lines};
use crate::http::{HttpCall, Reply};
use crate::jwt::RustCrypto;
use crate::token::TokenDigest;

/// A configuration that is in force.
pub(super) struct Installation {
    config: abi::Config,
    /// First of all, for its thread uses the inbox.
    clock: Clock,
    inbox: Arc<Inbox>,
    first: Confined<Shard>,
    /// The shards of all workers but the first.
    others: Vec<Confined<Shard>>,
    mailboxes: Vec<Mailbox>,
    statistics: Statistics,
    /// Calls under way by Envoy's numbers, and whose they are.
    calls: Mutex<HashMap<u64, (usize, CallId)>>,
    grpc: Mutex<OpenCalls>,
    orders: Orders,
    /// Workers that may have asked for a turn before something panicked: they have one with their next tick.
    owed_turns: Mutex<Vec<usize>>,
    presence: Arc<Presence>,
}

/// A call's answer as Envoy has it: headers, and the body in pieces.
type Answer<'a> = (&'a [(&'a [u8], &'a [u8])], &'a [&'a [u8]]);

impl Installation {
    /// What a configuration makes.
    ///
    /// # Errors
    ///
    /// Why the configuration, or the host, does not do; of a configuration all that is wrong, in a line each.
    pub(super) fn new(config: abi::Config, name: &[u8], json: &[u8]) -> Result<Arc<Self>, String> {
        let workers = if abi::is_validation_mode() { 1 } else { abi::concurrency().max(1) };
        let mailboxes: Vec<Mailbox> = (0..workers).map(|_| mailboxes::open()).collect();
        let shared = SharedData::named(name);
        let shard = |(worker, &mailbox)| {
            let shared = shared.clone();
            Confined::new(move || shard(json, worker == 0, shared, mailbox))
        };
        let mut shards = mailboxes.iter().enumerate().map(shard);
        let first = shards.next().ok_or("expected a worker, got none")??;
        let others = shards.collect::<Result<Vec<_>, String>>()?;
        let (names, expected) =
            first.with(|shard| ((*shard.filter().names()).clone(), shard.filter().expected_counts()));
        let statistics = Statistics::new(config, names, expected)?;
        let scheduler = config.scheduler().ok_or("expected an Envoy with schedulers, got one without")?;
        let presence = Arc::new(Presence::new());
        let inbox = Arc::new(Inbox::new(scheduler, Arc::clone(&presence)));
        let clock = Clock::start(mailboxes.len(), Arc::clone(&inbox))?;
        for (worker, mailbox) in mailboxes.iter().enumerate() {
            mailboxes::deliver_to(*mailbox, Arc::downgrade(&inbox), worker);
            inbox.put(worker, Message::Start);
        }
        let (calls, grpc, orders, owed_turns) = Default::default();
        Ok(Arc::new(Self {
            config,
            clock,
            inbox,
            first,
            others,
            mailboxes,
            statistics,
            calls,
            grpc,
            orders,
            owed_turns,
            presence,
        }))
    }

    /// Uses a worker's shard. What `act` does must not come back here.
    pub(super) fn with_shard<R: Send>(
        &self,
        worker: usize,
        act: impl FnOnce(&mut Shard, &dyn Surroundings) -> R + Send,
    ) -> R {
        // Envoy has as many workers as it said; should it have more, they share.
        let (worker, shard) = match self.others.get(worker.wrapping_sub(1)) {
            Some(shard) => (worker, shard),
            None => (0, &self.first),
        };
        let around = Around { host: self, worker };
        shard.with(|shard| act(shard, &around))
    }

    /// Does something on the main thread, for Envoy has come for it; nothing once this has ended.
    pub(super) fn enter(&self, act: impl FnOnce(&Self)) {
        let Some(stay) = self.presence.enter() else { return };
        self.guarded(|| act(self));
        let is_outermost = stay.is_outermost();
        drop(stay);
        // This may end it: nothing of Envoy's is touched after it.
        if is_outermost {
            self.inbox.left(self.orders.are_there());
        }
    }

    /// Does something of a worker's. If that panics, whoever is held back there is refused.
    fn on_main_thread(&self, worker: usize, act: impl FnOnce(&mut Shard, &dyn Surroundings) + Send) {
        if !self.guarded(|| self.with_shard(worker, act)) {
            self.owe(worker);
            self.guarded(|| self.with_shard(worker, |shard, _| shard.refuse_all()));
        }
    }

    /// Something of a worker's has panicked. It may have asked for a turn or for ticks, and that is lost. The turn comes later:
    /// should that panic, too, Envoy goes on.
    pub(super) fn owe(&self, worker: usize) {
        self.clock.set(worker, AFTER_A_PANIC);
        locked(&self.owed_turns).push(worker);
    }

    /// Whether `act` came to its end; if it panics, that is counted.
    fn guarded(&self, act: impl FnOnce()) -> bool {
        let is_done = catch_unwind(AssertUnwindSafe(act)).is_ok();
        if !is_done {
            self.panicked();
        }
        is_done
    }

    /// Does what was ordered. No shard is held: what comes of it may come back at once.
    fn carry_out(&self, worker: usize, order: Order) {
        let (id, call, is_stream) = match order {
            Order::Http(id, call) => return self.call(worker, id, &call),
            Order::Send(id, message) => {
                let stream = locked(&self.grpc).stream(worker, id);
                // One that does not go through shows by what does not come back.
                return stream
                    .into_iter()
                    .for_each(|it| self.config.send_on_stream(it, &grpc::framed(&message)));
            }
            Order::Cancel(id) => {
                let stream = locked(&self.grpc).stream(worker, id);
                return stream.into_iter().for_each(|it| self.reset(it));
            }
            Order::Reset(stream) => return self.reset(stream),
            Order::Call(id, call) => (id, call, false),
            Order::Open(id, call) => (id, call, true),
        };
        let path = format!("/{}/{}", call.service, call.method);
        let timeout = if is_stream { Duration::ZERO } else { call.timeout };
        let (headers, message) = (grpc::headers(&call, &path), grpc::framed(&call.message));
        match self.config.open_stream(&call.cluster, &headers, &message, !is_stream, timeout) {
            Some(stream) => locked(&self.grpc).opened(stream, worker, id, is_stream),
            None => self.on_main_thread(worker, |shard, around| {
                shard.root_event(Event::GrpcClosed(id, GrpcStatus::UNAVAILABLE), around);
            }),
        }
    }

    fn call(&self, worker: usize, id: CallId, call: &HttpCall) {
        match self.config.call(&call.cluster, &call.headers, &call.body, call.timeout) {
            Ok(number) => {
                locked(&self.calls).insert(number, (worker, id));
                return;
            }
            Err(NotSent::NoCluster) => {
                let cluster = &call.cluster;
                error!("cluster {cluster:?}: expected a cluster that Envoy knows, got none of that name");
            }
            Err(NotSent::Refused) => {}
        }
        self.on_main_thread(worker, |shard, around| shard.root_event(Event::NotSent(id), around));
    }

    /// Ends a stream, of which nothing more is to be heard.
    fn reset(&self, stream: u64) {
        locked(&self.grpc).remove(stream);
        self.config.reset_stream(stream);
    }

    /// Headers or trailers of a stream have come.
    pub(super) fn stream_headers(&self, stream: u64, headers: &[(&[u8], &[u8])]) {
        locked(&self.grpc).headers(stream, headers);
    }

    /// Bytes of a stream have come.
    pub(super) fn stream_data(&self, stream: u64, chunks: &[&[u8]]) {
        let data = locked(&self.grpc).data(stream, chunks);
        let Some((worker, call, messages)) = data else { return };
        if messages.contains(&None) {
            self.order(worker, Order::Reset(stream));
        }
        for message in messages {
            self.on_main_thread(worker, |shard, around| {
                shard.root_event(Event::GrpcMessage(call, message.as_deref()), around);
            });
        }
    }

    /// A stream has ended.
    pub(super) fn stream_ended(&self, stream: u64) {
        let ended = locked(&self.grpc).remove(stream);
        if let Some((worker, call, status)) = ended {
            self.on_main_thread(worker, |shard, around| {
                shard.root_event(Event::GrpcClosed(call, status), around);
            });
        }
    }

    /// The main thread was woken. What was ordered is done in its order.
    pub(super) fn scheduled(&self, event: u64) {
        match event {
            MESSAGES => self.read_inbox(),
            TICKS => {
                for worker in self.clock.take_fallen() {
                    self.on_main_thread(worker, |shard, around| {
                        shard.free_bodies();
                        shard.root_event(Event::Tick, around);
                    });
                }
                let owed = std::mem::take(&mut *locked(&self.owed_turns));
                owed.into_iter().for_each(|worker| self.inbox.put(worker, Message::Turn));
            }
            _ => {}
        }
        while let Some((worker, order)) = self.orders.take() {
            self.guarded(|| self.carry_out(worker, order));
        }
    }

    /// Has something done when the main thread is woken next, or by what it was woken for.
    fn order(&self, worker: usize, order: Order) {
        self.orders.put(worker, order);
        if !self.presence.is_here() {
            self.inbox.wake();
        }
    }

    fn read_inbox(&self) {
        let mut turns = Vec::new();
        for (worker, message) in self.inbox.take() {
            self.on_main_thread(worker, |shard, around| match message {
                Message::Start => shard.root_event(Event::Start, around),
                Message::Told(digest, told) => shard.root_event(Event::Told(digest, told), around),
                Message::Turn => {}
            });
            if message != Message::Start && !turns.contains(&worker) {
                turns.push(worker);
            }
        }
        for worker in turns {
            self.on_main_thread(worker, |shard, around| shard.root_event(Event::Turn, around));
        }
    }

    /// A call was answered; `None`: its answer broke off.
    pub(super) fn called(&self, number: u64, answer: Option<Answer<'_>>) {
        let call = locked(&self.calls).remove(&number);
        let Some((worker, call)) = call else { return };
        let Some((headers, chunks)) = answer else {
            return self.on_main_thread(worker, |shard, around| {
                shard.root_event(Event::CallFailed(call), around);
            });
        };
        let header =
            |name: &str| headers.iter().find(|(other, _)| *other == name.as_bytes()).map(|(_, value)| *value);
        let size: usize = chunks.iter().map(|chunk| chunk.len()).sum();
        let body = (size <= Reply::MAX_BODY_BYTES).then(|| chunks.concat());
        let reply = reply(header, body.as_deref());
        self.on_main_thread(worker, |shard, around| shard.root_event(Event::Reply(call, reply), around));
    }

    /// Something has panicked.
    pub(super) fn panicked(&self) {
        self.statistics.panicked();
    }

    /// It is no more in force, and has no more requests. Envoy itself ends its calls.
    pub(super) fn end(&self) {
        let _place = self.presence.end();
        self.mailboxes.iter().for_each(|mailbox| mailboxes::close(*mailbox));
        for worker in 0..self.mailboxes.len() {
            self.guarded(|| self.with_shard(worker, |shard, around| shard.root_event(Event::End, around)));
        }
    }
}

/// How often a worker has ticks from then on, unless it asks for others.
const AFTER_A_PANIC: Duration = Duration::from_millis(50);

/// Whoever panicked with it has left it as it was.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A worker's shard by this configuration. The first says what there is to say of it.
fn shard(json: &[u8], is_first: bool, shared: SharedData, mailbox: Mailbox) -> Result<Shard, String> {
    let environment = |name: &str| std::env::var(name).ok();
    let config = Config::parse(json, &environment).map_err(|errors| lines(&errors))?;
    let signatures = Rc::new(RustCrypto);
    if is_first {
        config.try_out_keys(signatures.as_ref()).map_err(|error| error.to_string())?;
        announce(&config);
    }
    let ends_open_streams = config.ends_open_streams();
    let filter = Filter::new(Rc::new(config), Rc::new(shared), signatures, mailbox);
    Ok(Shard::new(filter, ends_open_streams))
}

/// A worker of a configuration, for the effects of its shard.
struct Around<'h> {
    host: &'h Installation,
    worker: usize,
}

impl Surroundings for Around<'_> {
    fn statistics(&self) -> &Statistics {
        &self.host.statistics
    }

    fn ask_for_turn(&self) {
        if !self.host.presence.has_ended() {
            self.host.inbox.put(self.worker, Message::Turn);
        }
    }

    fn order(&self, order: Order) {
        if !self.host.presence.has_ended() {
            self.host.order(self.worker, order);
        }
    }

    fn tick(&self, period: Duration) {
        self.host.clock.set(self.worker, period);
    }

    fn tell(&self, mailbox: Mailbox, digest: TokenDigest, told: Told) {
        mailboxes::put(mailbox, Message::Told(digest, told));
    }

    fn wake(&self, mailbox: Mailbox) {
        mailboxes::put(mailbox, Message::Turn);
    }
}
