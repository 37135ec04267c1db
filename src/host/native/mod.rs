//! The filter as a dynamic module of Envoy (`envoy.filters.http.dynamic_modules`).
//!
//! In Wasm each worker has a VM, and its root context all that outlives a request. Here all threads are in one memory, and
//! Envoy lets a module act on its own behalf on the main thread alone: calls are made there, and answered there. So a worker's
//! [`shard`] (its filter, and what is noted of its requests) is used by two threads in turns: by the worker for what happens to
//! its requests, by the main thread for all else. What the main thread has to do to a request it puts into the shard, and
//! rings: Envoy calls back on the worker, which does it.
//!
//! ```text
//! worker thread                                 main thread
//! request ── shard ── must wait ── a turn ────▶ call of the authorization server
//!                                               reply ── shard ── what is to be done ──┐
//! the request goes on, or is answered ◀───────── ring ─────────────────────────────────┘
//! ```
//!
//! No call of Envoy's that may come back to us is made while a shard is held: to let a request go on, or to answer it.
//!
//! [`abi`] is the border itself.

mod abi;
mod body;
mod clock;
mod grpc;
mod headers;
mod hooks;
mod in_force;
mod inbox;
mod installation;
mod local_reply;
mod logger;
mod mailboxes;
mod orders;
mod presence;
mod shard;
mod shared_data;
mod statistics;
mod stream;

use std::time::{SystemTime, UNIX_EPOCH};

use crate::token::UnixMillis;

/// The time, which the core is told.
#[expect(clippy::disallowed_methods, reason = "somebody has to read the clock")]
fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
