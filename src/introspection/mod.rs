//! Token introspection (RFC 7662): the request we send, and what the reply says.
//!
//! Pure on both sides: [`Endpoint::request`] builds a call, [`parse`] reads an answer. Who sends it, when,
//! and how often is the state machine's business.

mod authentication;
mod endpoint;
mod error_reply;
mod failure;
mod reply;
mod signed;
mod verdict;

pub use authentication::Authentication;
pub use endpoint::{BreakerLimits, Endpoint};
pub use error_reply::says;
pub use failure::ServerFailure;
pub use reply::parse;
pub use signed::{Keys, Response, SignedReply, SignedReplyKind};
pub use verdict::Introspection;
