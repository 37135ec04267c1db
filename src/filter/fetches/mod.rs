//! What is fetched on a schedule: metadata, keys, status lists, events that are polled, access tokens of our own. When each is due, and when it is tried again,
//! is one mechanism ([`Schedule`](schedule::Schedule)); the last good one stays until there is a better.

mod back_off;
pub(super) mod discoveries;
mod key_ring;
pub(super) mod keys;
pub(super) mod polls;
mod schedule;
mod search;
pub(super) mod signed;
pub(super) mod status_lists;
mod stream;
pub(super) mod tokens;

pub(super) use back_off::asked_pause;
