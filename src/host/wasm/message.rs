//! What workers put into each other's mailboxes, and a worker into its own.

use crate::bytes::Reader;
use crate::filter::Told;
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
            Self::Told(digest, Told::Failed { is_outage: true }) => (FAILED_BY_OUTAGE, digest),
            Self::Told(digest, Told::Failed { is_outage: false }) => (FAILED, digest),
        };
        [&[kind][..], digest.as_bytes()].concat()
    }

    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let told = match reader.u8()? {
            TURN => return Some(Self::Turn),
            VERDICT => Told::Verdict,
            NOT_ASKED => Told::NotAsked,
            FAILED_BY_OUTAGE => Told::Failed { is_outage: true },
            FAILED => Told::Failed { is_outage: false },
            _ => return None,
        };
        Some(Self::Told(TokenDigest::from_bytes(reader.array()?), told))
    }
}

const TURN: u8 = b'T';
const VERDICT: u8 = b'V';
const NOT_ASKED: u8 = b'N';
const FAILED_BY_OUTAGE: u8 = b'F';
const FAILED: u8 = b'E';
