//! phantom-token-filter: a WebAssembly HTTP filter that makes Envoy enforce OAuth access tokens.
//!
//! # The life of a request
//!
//! 1. Envoy calls the [host layer](crate) with a request's headers; it makes them an
//!    [`Event`](filter::Event) for the worker's [`Filter`](filter::Filter).
//! 2. The configuration says which [`Policy`](policy::Policy) the request falls under, and [`credentials`]
//!    reads the access token. Without one, or with something else in its place, the request ends here.
//! 3. The token's [digest](token::TokenDigest) is looked up in the [`cache`]. A verdict that is fresh enough for
//!    this policy is judged ([`policy::decide`]), and the request goes on with the phantom token beside it.
//! 4. Otherwise the stream waits. A call to the authorization server is made ([`introspection`]), or joined if
//!    another request has made it.
//! 5. The reply is read ([`introspection::parse`]), remembered, and told to every stream that waits: each is
//!    judged by its own policy, and either forwarded with a JWT ([`jwt::mint`]) or answered ([`challenge`]).
//!
//! # Rooms
//!
//! Everything but the host layer is sans-io: it knows neither Envoy nor a clock, and runs natively in tests.
//! Imports point one way: host → [`filter`] → the concepts → [`token`].

mod bytes;
pub mod cache;
pub mod challenge;
pub mod claims;
pub mod config;
pub mod credentials;
pub mod filter;
#[cfg(target_arch = "wasm32")]
mod host;
pub mod http;
pub mod introspection;
mod json;
pub mod jwt;
pub mod metrics;
pub mod policy;
mod protobuf;
pub mod provider;
pub mod request;
pub mod revocation;
pub mod token;
