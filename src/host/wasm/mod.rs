//! The filter in Wasm: Envoy's callbacks in, events to the filter; effects out, host calls to Envoy.
//!
//! [`abi`] is the border itself.

mod abi;
mod absence;
mod apply;
mod callbacks;
mod doubt;
mod grpc;
mod held;
mod local_reply;
mod logger;
mod mailbox;
mod message;
mod pairs;
mod root;
mod shared_data;
mod signatures;
mod statistics;
mod stream;

use crate::token::UnixMillis;

/// The time, which the core is told.
fn now() -> UnixMillis {
    UnixMillis::from_millis(abi::hostcalls::get_current_time().unwrap_or(0) / 1_000_000)
}
