//! The border to Envoy: what the filter uses of the proxy-wasm ABI 0.2.1. All that is `unsafe` is in here.
//!
//! Not the Rust SDK: what it lets a callback answer has no word for holding a request back without its being answered
//! 413, and none of its callbacks can be replaced. `docs/decisions/host-layer.md` has what was weighed.

pub(super) mod capabilities;
mod exports;
pub(super) mod hostcalls;
mod memory;
mod status;

pub(super) use memory::Given;
pub(super) use status::Status;
