//! A worker's mailbox: a shared queue that wakes its root context and no other.

use super::abi::hostcalls;
use crate::cache::Mailbox;
use crate::jwt;

/// A new mailbox. Queues are found by name, so its name is nobody else's.
pub(super) fn open() -> Result<Mailbox, String> {
    let id = jwt::random_id().map_err(|reason| reason.to_string())?;
    hostcalls::register_shared_queue(&format!("phantom_token.mailbox.{id}"))
        .map(Mailbox)
        .map_err(|_| "expected a host with shared queues, got one without".to_owned())
}
