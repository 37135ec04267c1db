//! Envoy's callbacks: whom each is for.
//!
//! A root context stands for one configuration; after a change, the old one and its requests live on beside the new.
//! Most of the time there is one. Then nothing is noted of a stream, which makes its begin and its end cost next to
//! nothing: that a root outlives its streams, the host sees to.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use log::error;

use super::abi::hostcalls;
use super::absence;
use super::apply::Worker;
use super::doubt::{self, Sight};
use super::{local_reply, logger, root};
use crate::filter::{Event, StreamId};
use crate::host::action::Action;
use crate::numbered::Numbered;

/// Every context of this VM.
struct Contexts {
    /// The roots, by the host's number; `None` until the configuration was accepted.
    roots: RefCell<Vec<(u32, Option<Rc<Worker>>)>>,
    /// The root of streams of which nothing is noted: the last that was the only one.
    only: Cell<u32>,
    /// The roots of streams that began while there were several.
    noted: RefCell<Numbered<u32, u32>>,
    /// Whether requests' headers are shown to us.
    sight: Cell<Sight>,
}

/// A context that is no more, by its worker.
enum Gone {
    Root(Rc<Worker>),
    Stream(Rc<Worker>),
}

impl Contexts {
    fn root_created(&self, root: u32) {
        self.roots.borrow_mut().push((root, None));
        self.note_only();
    }

    fn stream_created(&self, stream: u32, root: u32) {
        if self.roots.borrow().len() != 1 {
            self.noted.borrow_mut().insert(stream, root);
        }
    }

    /// Forgets a context; gives back its worker, and what it was.
    fn gone(&self, context: u32) -> Option<Gone> {
        let place = self.roots.borrow().iter().position(|(root, _)| *root == context);
        if let Some(place) = place {
            let (_, worker) = self.roots.borrow_mut().remove(place);
            self.note_only();
            return worker.map(Gone::Root);
        }
        let worker = self.worker_of(context);
        self.noted.borrow_mut().remove(context);
        worker.map(Gone::Stream)
    }

    fn note_only(&self) {
        if let [(only, _)] = self.roots.borrow().as_slice() {
            self.only.set(*only);
        }
    }

    /// Whether there is such a root.
    fn accepted(&self, root: u32, worker: Worker) -> bool {
        let mut roots = self.roots.borrow_mut();
        let place = roots.iter_mut().find(|(number, _)| *number == root);
        place.map(|(_, place)| *place = Some(Rc::new(worker))).is_some()
    }

    /// A stream begins: its headers come next, if ever.
    fn await_headers(&self, stream: u32) {
        match self.sight.get() {
            Sight::Proven => {}
            Sight::Untried => {
                self.sight.set(Sight::Awaited(stream));
                // A callback of the root, before anything of the stream can have left.
                if let Some(worker) = self.worker_of(stream) {
                    worker.ask_for_turn();
                }
            }
            Sight::Awaited(_) => {
                self.look_for_headers();
                // Whoever was looked at is not the one that begins.
                _ = hostcalls::set_effective_context(stream);
                match self.sight.get() {
                    Sight::Missing => refuse_unseen(),
                    _ => self.sight.set(Sight::Awaited(stream)),
                }
            }
            Sight::Missing => refuse_unseen(),
        }
    }

    /// Something else came before a stream's headers did.
    fn look_for_headers(&self) {
        let Sight::Awaited(stream) = self.sight.get() else { return };
        self.sight.set(Sight::Untried);
        if hostcalls::set_effective_context(stream).is_ok()
            && (!absence::is_answered() || absence::is_from_upstream())
        {
            self.headers_are_missing();
            refuse_unseen();
        }
    }

    /// A stream is gone, perhaps before its headers came.
    fn look_back(&self, stream: u32) {
        if self.sight.get() == Sight::Awaited(stream) {
            // Nothing may be sent to it any more.
            if absence::is_from_upstream() {
                self.headers_are_missing();
            } else {
                self.sight.set(Sight::Untried);
            }
        }
    }

    fn headers_are_missing(&self) {
        self.sight.set(Sight::Missing);
        doubt::complain("proxy_on_request_headers", "every request is refused, for it would pass unjudged");
    }

    fn worker(&self, root: u32) -> Option<Rc<Worker>> {
        let roots = self.roots.borrow();
        roots.iter().find(|(number, _)| *number == root).and_then(|(_, worker)| worker.clone())
    }

    fn worker_of(&self, stream: u32) -> Option<Rc<Worker>> {
        let noted = self.noted.borrow().get(stream).copied();
        self.worker(noted.unwrap_or_else(|| self.only.get()))
    }
}

thread_local! {
    static CONTEXTS: Contexts = const {
        Contexts {
            roots: RefCell::new(Vec::new()),
            only: Cell::new(0),
            noted: RefCell::new(Numbered::new()),
            sight: Cell::new(Sight::Untried),
        }
    };
}

pub(super) fn start() {
    logger::start();
}

pub(super) fn context_created(context: u32, root: u32) {
    CONTEXTS.with(|contexts| match root {
        0 => contexts.root_created(context),
        root => {
            contexts.stream_created(context, root);
            contexts.await_headers(context);
        }
    });
}

pub(super) fn context_gone(context: u32) {
    CONTEXTS.with(|contexts| contexts.look_back(context));
    match CONTEXTS.with(|contexts| contexts.gone(context)) {
        Some(Gone::Root(worker)) => worker.root_event(Event::End),
        Some(Gone::Stream(worker)) => worker.stream_gone(StreamId(context)),
        None => {}
    }
}

/// Whether the configuration is accepted.
pub(super) fn configure(root: u32) -> bool {
    match root::configure(root) {
        Ok(worker) => {
            let is_known = CONTEXTS.with(|contexts| contexts.accepted(root, worker));
            if !is_known {
                doubt::complain("proxy_on_context_create", "no request could be told from another");
            }
            is_known
        }
        Err(reason) => {
            reason.lines().for_each(|line| error!("{line}"));
            false
        }
    }
}

pub(super) fn request_headers(stream: u32, is_last: bool) -> Action {
    CONTEXTS.with(|contexts| {
        if contexts.sight.get() != Sight::Proven {
            contexts.sight.set(Sight::Proven);
        }
    });
    of_request(stream, |worker, stream| worker.request_headers(stream, is_last))
}

pub(super) fn request_body(stream: u32, size: usize, is_last: bool) -> Action {
    CONTEXTS.with(Contexts::look_for_headers);
    of_request(stream, |worker, stream| worker.request_body(stream, size, is_last))
}

pub(super) fn request_trailers(stream: u32) -> Action {
    CONTEXTS.with(Contexts::look_for_headers);
    of_request(stream, Worker::request_trailers)
}

pub(super) fn response_headers(stream: u32) {
    if let Some(worker) = CONTEXTS.with(|contexts| contexts.worker_of(stream)) {
        worker.response_headers(StreamId(stream));
    }
}

/// Ends the request of the effective context, which nobody can judge.
fn refuse_unseen() {
    if !absence::is_answered() {
        local_reply::refuse_unseen();
    }
}

/// A part of a request. Without a configuration, nothing passes.
fn of_request(stream: u32, act: impl FnOnce(&Worker, StreamId) -> Action) -> Action {
    match CONTEXTS.with(|contexts| contexts.worker_of(stream)) {
        Some(worker) => act(&worker, StreamId(stream)),
        None => {
            doubt::complain("proxy_on_configure", "every request is refused");
            refuse_unseen();
            Action::Wait
        }
    }
}

pub(super) fn call_answered(root: u32, call: u32, num_headers: usize, body_size: usize) {
    if let Some(worker) = CONTEXTS.with(|contexts| contexts.worker(root)) {
        root::call_answered(&worker, call, num_headers, body_size);
    }
}

pub(super) fn grpc_received(root: u32, call: u32, size: usize) {
    if let Some(worker) = CONTEXTS.with(|contexts| contexts.worker(root)) {
        root::grpc_received(&worker, call, size);
    }
}

pub(super) fn grpc_closed(root: u32, call: u32, status: u32) {
    if let Some(worker) = CONTEXTS.with(|contexts| contexts.worker(root)) {
        root::grpc_closed(&worker, call, status);
    }
}

pub(super) fn queue_ready(root: u32, queue: u32) {
    CONTEXTS.with(Contexts::look_for_headers);
    if let Some(worker) = CONTEXTS.with(|contexts| contexts.worker(root)) {
        root::queue_ready(&worker, queue);
    }
}

pub(super) fn tick(root: u32) {
    CONTEXTS.with(Contexts::look_for_headers);
    if let Some(worker) = CONTEXTS.with(|contexts| contexts.worker(root)) {
        root::tick(&worker);
    }
}
