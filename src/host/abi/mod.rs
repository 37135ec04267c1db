//! The border to Envoy: what the filter uses of the proxy-wasm ABI 0.2.1. All that is `unsafe` is in here.
//!
//! Not the Rust SDK, for three reasons. A request whose token is known cost 3 µs more through it, a sixth of what
//! the filter costs: a box, hash maps and allocations for what needs none. It panics where the host answers what it
//! does not expect, which takes down the VM and every request on its worker; here that is a [`Status`]. And it
//! can send no local reply with details or a gRPC status.

mod exports;
pub(super) mod hostcalls;
mod memory;

pub(super) use memory::HeaderReader;
