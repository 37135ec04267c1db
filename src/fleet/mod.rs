//! What Envoys of a fleet tell each other: withdrawals, put into a store that all of them watch.
//!
//! The store is etcd, of which the v3 API is spoken by gRPC ([`etcd`]). Each withdrawal is a key under a prefix that the
//! fleet has to itself ([`Notice`]): digests, never tokens or names. A lease takes it away when no verdict can live any
//! more that it would withdraw.
//!
//! One worker of an Envoy at a time speaks with the store. What all its workers see lies in shared data ([`Shared`]):
//! withdrawals that have yet to be put, and how much of the store is known. What is said when, is the
//! [filter](crate::filter)'s business.

pub mod etcd;
mod identity;
mod notice;
mod outbox;
mod shared;

use std::time::Duration;

use crate::client::Authorization;
use crate::token::Secret;

pub use identity::{Envoy, StoreId};
pub use notice::{Keys, Notice};
pub use outbox::{Outbox, Waiting};
pub use shared::{Known, Shared, Standing};

/// A fleet, as it is configured.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// Envoy cluster of the store.
    pub cluster: String,
    /// What all its keys begin with; no slash at the end.
    pub prefix: String,
    /// What proves that we may.
    pub credentials: Option<Credentials>,
    /// How long the store may be silent.
    pub max_silence: Duration,
    /// What follows when it is silent for longer.
    pub on_silence: OnSilence,
}

/// What proves to the store who we are.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// A token that is not the store's own: one that does not change, or that is fetched.
    Token(Authorization),
    /// Is asked for a token with these.
    User(String, Secret),
}

/// What becomes of requests while nothing is heard of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnSilence {
    /// No verdict serves for longer than the store may be silent: servers are asked again.
    Ask,
    /// Requests that need a token are refused.
    Refuse,
    /// Nothing.
    Serve,
}

impl OnSilence {
    /// In words, for the log.
    pub fn consequence(self) -> &'static str {
        match self {
            Self::Ask => "no verdict serves for longer than that, servers are asked again",
            Self::Refuse => "requests that need a token are refused",
            Self::Serve => "verdicts serve on, for as long as cache_ttl lets them",
        }
    }
}

/// How long an answer of the store may take.
pub const TIMEOUT: Duration = Duration::from_secs(2);
