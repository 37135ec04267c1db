//! End to end: the filter in real Envoy, with real and with misbehaving authorization servers; in Wasm, or with `FILTER_HOST=native`
//! as a dynamic module. What belongs to one host alone is in [`wasm`] and [`native`], whichever is tested.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "these tests live in real time")]
#![allow(unreachable_pub, reason = "a benchmark includes the rig too")]

mod access_tokens;
mod answers;
mod called_hosts;
mod certificates;
mod client_authentication;
mod coalescing;
mod configuration;
mod dialects;
mod discovery;
mod dpop;
mod fleet;
mod floods;
mod host_traps;
mod hostile_jwts;
mod hosts;
mod internal_redirects;
mod jwks;
mod jwt_and_introspection;
mod jwt_vectors;
mod key_rotation;
mod launcher;
mod leases;
mod mcp;
mod memory;
mod metrics;
mod minted;
mod native;
mod open_streams;
mod operation;
mod operators_tool;
mod outage;
mod paths;
mod phantom_token;
mod policies;
mod protected_resources;
mod real_servers;
mod reload;
mod renewal;
mod revocation;
mod rig;
mod server_faults;
mod signals;
mod signals_fetched;
mod signed_replies;
mod soak;
mod strategies;
mod streams;
mod token_sources;
mod unsent_calls;
mod uploads;
mod waiting_bodies;
mod wasm;
mod withdrawn_jwts;
mod workers;
