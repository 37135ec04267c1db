//! The host layer: Envoy's callbacks in, events to the filter; effects out, host calls to Envoy.
//!
//! It decides nothing. Every host call that can fail gives a `Result`; what fails closes the request. Only the
//! byte-wise calls of `hostcalls` are used: a header value need not be text, and the SDK's own conveniences
//! panic, which takes down the VM and every request on its worker.

mod apply;
mod local_reply;
mod mailbox;
mod root;
mod shared_data;
mod signatures;
mod stream;

use proxy_wasm::hostcalls;

use crate::token::UnixMillis;

/// The time, which the core is told.
fn now() -> UnixMillis {
    let since_epoch =
        hostcalls::get_current_time().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let millis = since_epoch.map_or(0, |since| since.as_millis());
    UnixMillis::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}
