//! What all workers of an Envoy know of its fleet.
//!
//! ```text
//! known: version 2 · store 16 · revision 8 · heard 8 · standing 1 · mailbox 4
//! ```

use std::rc::Rc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::Fleet;
use super::identity::{Envoy, StoreId};
use super::outbox::{Outbox, Waiting};
use crate::bytes::Reader;
use crate::cache::{Mailbox, Name, SharedData};
use crate::token::{TokenDigest, UnixMillis};

/// The memory of all workers.
#[derive(Clone)]
pub struct Shared {
    shared: Rc<dyn SharedData>,
    /// What has yet to be put.
    pub outbox: Outbox,
    /// What the one holds that speaks with the store.
    pub lease: TokenDigest,
    /// Where [`Known`] lies.
    key: String,
}

/// How it stands with the store, as the log was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// Nothing was heard of it yet.
    #[default]
    Unknown,
    /// It is heard.
    Heard,
    /// It is not, but was a moment ago.
    Lost,
    /// It has been silent for too long.
    Silent,
}

/// What is known of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Which one it is, if it says so.
    pub store: Option<StoreId>,
    /// All that was put up to this revision is done here.
    pub revision: u64,
    /// When it was heard last, or when we began to listen.
    pub heard: UnixMillis,
    /// What the log was told.
    pub standing: Standing,
    /// The worker that speaks with it.
    pub by: Mailbox,
}

impl Shared {
    /// That of a fleet's.
    pub fn new(fleet: &Fleet, shared: Rc<dyn SharedData>) -> Self {
        let name = Sha256::digest(format!("fleet {} {}", fleet.cluster, fleet.prefix));
        let lease = TokenDigest::from_bytes(name.into());
        let [word, ..] = lease.words();
        Self { outbox: Outbox::new(Rc::clone(&shared)), shared, lease, key: format!("fleet:{word:016x}") }
    }

    /// Makes room. Done before any worker has requests.
    pub fn create(&self) {
        self.outbox.create();
    }

    /// What is known of the store; `None` before anybody has spoken with it.
    pub fn known(&self) -> Option<Known> {
        Known::read(&self.shared.get(&self.key)?)
    }

    /// Notes what is known. Only the worker that speaks with the store does.
    pub fn note(&self, known: &Known) {
        self.shared.set(&self.key, &known.write());
    }

    /// Which Envoy this is. Made up by whoever asks first, which is a worker that speaks with the store.
    pub fn envoy(&self) -> Envoy {
        let known = self.shared.get(US).and_then(|bytes| bytes.try_into().ok());
        Envoy(known.unwrap_or_else(|| {
            // Without randomness, what is our own is done twice.
            let envoy = getrandom::u64().unwrap_or_default().to_le_bytes();
            self.shared.set(US, &envoy);
            envoy
        }))
    }

    /// Lets withdrawals wait to be put, beside each the date of the JWTs that are refused. Returns who is to be woken.
    pub fn tell(
        &self,
        names: impl Iterator<Item = (Name, Option<UnixMillis>)>,
        settle: Duration,
        now: UnixMillis,
    ) -> Option<Mailbox> {
        names.for_each(|(name, jwts)| self.outbox.add(Waiting { name, settle, jwts, at: now }));
        self.known().map(|known| known.by)
    }
}

impl Known {
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return None;
        }
        let store = StoreId(reader.array()?);
        Some(Self {
            store: (store != StoreId::default()).then_some(store),
            revision: reader.u64()?,
            heard: UnixMillis::from_millis(reader.u64()?),
            standing: match reader.u8()? {
                1 => Standing::Heard,
                2 => Standing::Lost,
                3 => Standing::Silent,
                _ => Standing::Unknown,
            },
            by: Mailbox(reader.u32()?),
        })
    }

    fn write(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.store.unwrap_or_default().0);
        bytes.extend_from_slice(&self.revision.to_le_bytes());
        bytes.extend_from_slice(&self.heard.as_millis().to_le_bytes());
        bytes.push(self.standing as u8);
        bytes.extend_from_slice(&self.by.0.to_le_bytes());
        bytes
    }

    /// Whether the store was silent for longer than it may be.
    pub fn is_silent(&self, fleet: &Fleet, now: UnixMillis) -> bool {
        now.since(self.heard) > fleet.max_silence
    }
}

const US: &str = "fleet";

/// A filter that takes the place of one that could read less reads all there is.
const VERSION: u8 = 2;
