//! Hosts: what runs the filter. Each takes callbacks in, which become events to the filter, and carries out its effects.
//!
//! A host decides nothing. What of it can fail gives a `Result`; what fails closes the request. A header value is bytes, for it
//! need not be text.

mod action;
mod answer;
mod description;
mod fate;
#[cfg(not(target_arch = "wasm32"))]
mod native;
mod reply;
mod start;
#[cfg(target_arch = "wasm32")]
mod wasm;
