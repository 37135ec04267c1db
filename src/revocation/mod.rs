//! Where withdrawals come from: signals of authorization servers and operators, read and checked. What they
//! withdraw is kept by the [cache](crate::cache::Withdrawals).
//!
//! | Source | File |
//! |---|---|
//! | RFC 7009 requests that pass through | [`revocation_endpoint`] |
//! | OpenID Connect Back-Channel Logout 1.0 | [`back_channel_logout`] |
//! | Security Event Tokens (RFC 8417), pushed (RFC 8935) or polled (RFC 8936) | [`security_event`], [`subject_identifier`] |
//! | Global Token Revocation, a draft | [`global_token_revocation`] |
//! | The stream that events are polled from, found or made (SSF 1.0 §8.1) | [`stream`] |
//! | Token Status List, for tokens that nobody is asked about | [`status_list`] |
//! | The operator | [`admin`] |
//!
//! A withdrawal makes the filter ask again and bans nobody. So wherever a signal cannot be related to verdicts
//! for certain, more is withdrawn rather than less. JWTs that nobody is asked about it refuses; of those none more than
//! are named, and none that were issued later.

pub mod admin;
pub mod answer;
pub mod back_channel_logout;
mod claim;
pub mod global_token_revocation;
pub mod replay;
pub mod revocation_endpoint;
pub mod security_event;
pub mod sources;
pub mod status_list;
pub mod stream;
pub mod subject_identifier;

pub use replay::Replay;
