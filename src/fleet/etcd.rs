//! Messages of etcd's v3 API (`etcdserverpb`), as far as they are sent or read. Field numbers are the API's, which never
//! change; what is not read is skipped, as protocol buffers want it.
//!
//! A reader gives `None` for what is no such message. None takes more memory than a small multiple of what it reads.

use std::time::Duration;

use crate::protobuf::{Field, fields, put, put_varint};

/// Keys and values.
pub const KV: &str = "etcdserverpb.KV";
/// Leases.
pub const LEASE: &str = "etcdserverpb.Lease";
/// Watches.
pub const WATCH: &str = "etcdserverpb.Watch";
/// Users.
pub const AUTH: &str = "etcdserverpb.Auth";

/// The metadata that carries a token.
pub const TOKEN: &str = "token";

/// The metadata that lets a member end a stream when it is cut off from the others; its value is `true`.
pub const HAS_LEADER: &str = "hasleader";

/// Asks for a user's token (`AuthenticateRequest`).
pub fn authenticate(name: &str, password: &str) -> Vec<u8> {
    let mut message = Vec::new();
    put(&mut message, 1, name.as_bytes());
    put(&mut message, 2, password.as_bytes());
    message
}

/// The token of an `AuthenticateResponse`: one that metadata can carry.
pub fn token(message: &[u8]) -> Option<String> {
    let token = std::str::from_utf8(last_bytes(message, 2)?).ok()?;
    let is_one =
        !token.is_empty() && token.len() <= MAX_TOKEN && token.bytes().all(|byte| byte.is_ascii_graphic());
    is_one.then(|| token.to_owned())
}

/// Asks for a lease of this life (`LeaseGrantRequest`).
pub fn lease_grant(life: Duration) -> Vec<u8> {
    let mut message = Vec::new();
    // Rounded up: a lease must not end too early.
    put_varint(&mut message, 1, life.as_secs().saturating_add(1).min(LONGEST_LEASE));
    message
}

/// The number of a lease that was granted (`LeaseGrantResponse`).
pub fn lease(message: &[u8]) -> Option<u64> {
    let mut id = 0;
    for field in fields(message)? {
        if let (2, Field::Varint(value)) = field {
            id = value;
        }
    }
    (id != 0).then_some(id)
}

/// Puts keys with their values, all or none, under a lease; without one where that is 0 (`TxnRequest`).
pub fn put_all<'p>(pairs: impl IntoIterator<Item = (&'p [u8], &'p [u8])>, lease: u64) -> Vec<u8> {
    let mut message = Vec::new();
    for (key, value) in pairs {
        let (mut request, mut operation) = (Vec::new(), Vec::new());
        put(&mut request, 1, key);
        put(&mut request, 2, value);
        put_varint(&mut request, 3, lease);
        put(&mut operation, 2, &request);
        put(&mut message, 2, &operation);
    }
    message
}

/// Reads keys in order, from `start` to before `end`, no more than `limit`, as they were at `revision`; 0: as they are
/// (`RangeRequest`).
pub fn range(start: &[u8], end: &[u8], limit: u64, revision: u64) -> Vec<u8> {
    let mut message = Vec::new();
    put(&mut message, 1, start);
    put(&mut message, 2, end);
    put_varint(&mut message, 3, limit);
    put_varint(&mut message, 4, revision);
    message
}

/// What was read (`RangeResponse`).
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page<'a> {
    /// The store's revision.
    pub revision: u64,
    /// In the order of their keys.
    pub pairs: Vec<Pair<'a>>,
    /// Whether there are more after these.
    pub more: bool,
}

/// A key and its value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pair<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The value.
    pub value: &'a [u8],
    /// The revision that it was put in.
    pub revision: u64,
}

impl<'a> Page<'a> {
    /// Reads a `RangeResponse`.
    pub fn read(message: &'a [u8]) -> Option<Self> {
        let mut page = Self::default();
        for field in fields(message)? {
            match field {
                (1, Field::Bytes(header)) => page.revision = revision(header)?,
                (2, Field::Bytes(pair)) => page.pairs.push(Pair::read(pair)?),
                (3, Field::Varint(more)) => page.more = more != 0,
                _ => {}
            }
        }
        (page.revision > 0).then_some(page)
    }
}

impl<'a> Pair<'a> {
    /// Reads a `KeyValue`.
    fn read(message: &'a [u8]) -> Option<Self> {
        let mut pair = Self::default();
        for field in fields(message)? {
            match field {
                (1, Field::Bytes(key)) => pair.key = key,
                (3, Field::Varint(value)) => pair.revision = revision_of(value)?,
                (5, Field::Bytes(value)) => pair.value = value,
                _ => {}
            }
        }
        Some(pair)
    }
}

/// Watches all keys from `start` to before `end`, from `revision` on (`WatchRequest`). Deletions are not told, for leases
/// delete all the time; what is too long for one message comes in several.
pub fn watch(start: &[u8], end: &[u8], revision: u64) -> Vec<u8> {
    const NO_DELETE: u64 = 1;
    let (mut create, mut message) = (Vec::new(), Vec::new());
    put(&mut create, 1, start);
    put(&mut create, 2, end);
    put_varint(&mut create, 3, revision);
    put_varint(&mut create, 5, NO_DELETE);
    put_varint(&mut create, 8, 1);
    put(&mut message, 1, &create);
    message
}

/// Asks a stream of watches for a sign of life (`WatchRequest`).
pub fn progress() -> Vec<u8> {
    let mut message = Vec::new();
    put(&mut message, 3, b"");
    message
}

/// What a watch tells (`WatchResponse`).
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Watched<'a> {
    /// The store's revision.
    pub revision: u64,
    /// Whether the watch is over, or never began.
    pub is_canceled: bool,
    /// Whether it is over because what it was to tell of is forgotten.
    pub is_compacted: bool,
    /// Whether more of the same follows in the next message.
    pub goes_on: bool,
    /// What was put.
    pub puts: Vec<Pair<'a>>,
}

impl<'a> Watched<'a> {
    /// Reads a `WatchResponse`.
    pub fn read(message: &'a [u8]) -> Option<Self> {
        let mut watched = Self::default();
        for field in fields(message)? {
            match field {
                (1, Field::Bytes(header)) => watched.revision = revision(header)?,
                (4, Field::Varint(is_canceled)) => watched.is_canceled = is_canceled != 0,
                (5, Field::Varint(revision)) => watched.is_compacted = revision != 0,
                (7, Field::Varint(goes_on)) => watched.goes_on = goes_on != 0,
                (11, Field::Bytes(event)) => watched.puts.extend(put_of(event)?),
                _ => {}
            }
        }
        (watched.revision > 0).then_some(watched)
    }
}

/// What an `Event` says was put: nothing, if it is a deletion. Outer `None` if it is no event.
fn put_of(event: &[u8]) -> Option<Option<Pair<'_>>> {
    let (mut is_put, mut pair) = (true, None);
    for field in fields(event)? {
        match field {
            (1, Field::Varint(kind)) => is_put = kind == 0,
            (2, Field::Bytes(message)) => pair = Some(Pair::read(message)?),
            _ => {}
        }
    }
    Some(pair.filter(|_| is_put))
}

/// The store's revision in a `ResponseHeader`.
fn revision(header: &[u8]) -> Option<u64> {
    let mut revision = 0;
    for field in fields(header)? {
        if let (3, Field::Varint(value)) = field {
            revision = revision_of(value)?;
        }
    }
    Some(revision)
}

/// A revision, which is never negative.
fn revision_of(value: u64) -> Option<u64> {
    (value <= i64::MAX as u64).then_some(value)
}

/// The value of a field; the last, if there are several.
fn last_bytes(message: &[u8], number: u64) -> Option<&[u8]> {
    fields(message)?.into_iter().rev().find_map(|field| match field {
        (it, Field::Bytes(bytes)) if it == number => Some(bytes),
        _ => None,
    })
}

/// Longer than any that etcd gives.
const MAX_TOKEN: usize = 8 << 10;

/// etcd refuses leases of more seconds.
const LONGEST_LEASE: u64 = 9_000_000_000;
