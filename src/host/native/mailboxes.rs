//! Where workers of this process are found, by what their mailboxes are called.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use super::inbox::{Inbox, Message};
use crate::cache::Mailbox;

/// The inbox of a configuration, and which of its workers it is.
type Place = (Weak<Inbox>, usize);

#[derive(Default)]
struct Mailboxes {
    places: HashMap<u32, Place>,
    last: u32,
}

fn mailboxes() -> MutexGuard<'static, Mailboxes> {
    static MAILBOXES: LazyLock<Mutex<Mailboxes>> = LazyLock::new(Mutex::default);
    MAILBOXES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A new mailbox, which nobody empties yet.
pub(super) fn open() -> Mailbox {
    let mut mailboxes = mailboxes();
    mailboxes.last = mailboxes.last.wrapping_add(1);
    Mailbox(mailboxes.last)
}

/// What is put into a mailbox comes to a worker of this inbox from now on.
pub(super) fn deliver_to(Mailbox(number): Mailbox, inbox: Weak<Inbox>, worker: usize) {
    mailboxes().places.insert(number, (inbox, worker));
}

/// Nobody empties it any more.
pub(super) fn close(Mailbox(number): Mailbox) {
    mailboxes().places.remove(&number);
}

/// Puts something into a mailbox. A worker that is no more needs no telling.
pub(super) fn put(Mailbox(number): Mailbox, message: Message) {
    let place = mailboxes().places.get(&number).cloned();
    if let Some((inbox, worker)) = place
        && let Some(inbox) = inbox.upgrade()
    {
        inbox.put(worker, message);
    }
}
