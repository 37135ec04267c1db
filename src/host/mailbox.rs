//! A worker's mailbox: a shared queue that wakes its root context and no other.

use super::abi::hostcalls;
use crate::bytes::Reader;
use crate::cache::Mailbox;
use crate::filter::Told;
use crate::jwt;
use crate::token::TokenDigest;

/// What is put into a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// By another worker: what became of a call.
    Told(TokenDigest, Told),
    /// By ourselves: the root asks for a turn.
    Turn,
}

impl Message {
    pub(super) fn write(self) -> Vec<u8> {
        let (kind, digest) = match self {
            Self::Turn => return vec![TURN],
            Self::Told(digest, Told::Verdict) => (VERDICT, digest),
            Self::Told(digest, Told::NotAsked) => (NOT_ASKED, digest),
            Self::Told(digest, Told::Failed { is_transient: true }) => (FAILED_FOR_NOW, digest),
            Self::Told(digest, Told::Failed { is_transient: false }) => (FAILED, digest),
        };
        [&[kind][..], digest.as_bytes()].concat()
    }

    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let told = match reader.u8()? {
            TURN => return Some(Self::Turn),
            VERDICT => Told::Verdict,
            NOT_ASKED => Told::NotAsked,
            FAILED_FOR_NOW => Told::Failed { is_transient: true },
            FAILED => Told::Failed { is_transient: false },
            _ => return None,
        };
        Some(Self::Told(TokenDigest::from_bytes(reader.array()?), told))
    }
}

/// A new mailbox. Queues are found by name, so its name is nobody else's.
pub(super) fn open() -> Result<Mailbox, String> {
    let id = jwt::random_id().map_err(|reason| reason.to_string())?;
    hostcalls::register_shared_queue(&format!("phantom_token.mailbox.{id}"))
        .map(Mailbox)
        .map_err(|_| "expected a host with shared queues, got one without".to_owned())
}

const TURN: u8 = b'T';
const VERDICT: u8 = b'V';
const NOT_ASKED: u8 = b'N';
const FAILED_FOR_NOW: u8 = b'F';
const FAILED: u8 = b'E';
