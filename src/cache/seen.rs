//! What a provider's verdicts have said so far, on any worker: which clients there are, and whether sessions are named.
//!
//! Anybody can name a client, or a session, that no verdict has. Whether one has is told here, by a Bloom filter in
//! shared data: it never forgets one that was there, and seldom takes one for known that never was.
//!
//! ```text
//! version 1 · whether a verdict had a session, or a JWT that nobody is asked about 1 · bits of the clients
//! ```

use std::cell::RefCell;
use std::rc::Rc;

use litemap::LiteMap;

use super::subject::{ProviderTag, Subject, Which};
use super::{SharedData, Version};
use crate::claims::Claims;

/// What the verdicts of all providers have said.
pub struct Seen {
    shared: Rc<dyn SharedData>,
    /// What this worker knows to lie in shared data.
    known: RefCell<LiteMap<[u8; 8], Vec<u8>>>,
}

impl Seen {
    /// What lies in `shared`.
    pub fn new(shared: Rc<dyn SharedData>) -> Self {
        Self { shared, known: RefCell::default() }
    }

    /// Makes the place of a provider exist: shared data can compare and swap only what is there. Done before any
    /// worker has requests; later it changes nothing.
    pub fn create(&self, provider: ProviderTag) {
        let key = key(provider);
        if self.shared.read(&key).1 == Version::NEVER_SET {
            self.shared.set(&key, &EMPTY);
        }
    }

    /// Notes what a verdict says. A host call only where it is new to this worker.
    pub fn note(&self, provider: ProviderTag, claims: &Claims<'_>) {
        let client = claims.client_id.and_then(|client| std::str::from_utf8(client).ok());
        let bits = client.map(|client| places(provider, client)).into_iter().flatten();
        self.note_bits(provider, &bits.chain(claims.sid.map(|_| SESSION)).collect::<Vec<_>>());
    }

    /// Notes what a JWT says that nobody is asked about.
    pub fn note_jwt(&self, provider: ProviderTag, claims: &Claims<'_>) {
        if claims.sid.is_some() {
            self.note_bits(provider, &[SESSION_OF_JWT]);
        }
    }

    fn note_bits(&self, provider: ProviderTag, bits: &[usize]) {
        let is_known = |bytes: &Vec<u8>| bits.iter().all(|bit| has(bytes, *bit));
        if self.known.borrow().get(provider.as_bytes()).is_some_and(is_known) {
            return;
        }
        let key = key(provider);
        for _ in 0..MAX_TRIES {
            let (bytes, version) = self.shared.read(&key);
            let mut bytes = bytes.filter(|bytes| is_whole(bytes)).unwrap_or_else(|| EMPTY.to_vec());
            if !is_known(&bytes) {
                bits.iter().for_each(|bit| raise(&mut bytes, *bit));
                if !self.shared.replace(&key, &bytes, version) {
                    continue;
                }
            }
            self.known.borrow_mut().insert(*provider.as_bytes(), bytes);
            return;
        }
    }

    /// Whether a verdict of the provider's may have named this client.
    pub fn has_client(&self, provider: ProviderTag, client: &str) -> bool {
        self.has(provider, &places(provider, client))
    }

    /// Whether a verdict of the provider's has named a session.
    pub fn has_sessions(&self, provider: ProviderTag) -> bool {
        self.has(provider, &[SESSION])
    }

    /// Whether a JWT of the provider's has named a session.
    pub fn has_sessions_of_jwts(&self, provider: ProviderTag) -> bool {
        self.has(provider, &[SESSION_OF_JWT])
    }

    /// What cannot be read may have been anything.
    fn has(&self, provider: ProviderTag, bits: &[usize]) -> bool {
        self.shared
            .get(&key(provider))
            .filter(|bytes| is_whole(bytes))
            .is_none_or(|bytes| bits.iter().all(|bit| has(&bytes, *bit)))
    }
}

fn key(provider: ProviderTag) -> String {
    format!("seen:{:016x}", u64::from_be_bytes(*provider.as_bytes()))
}

fn is_whole(bytes: &[u8]) -> bool {
    bytes.len() == EMPTY.len() && bytes.first() == EMPTY.first()
}

/// The bits of a client: each part of its name in withdrawals says one.
fn places(provider: ProviderTag, client: &str) -> Vec<usize> {
    let name = Subject::Of(provider, Which::Client(client.to_owned())).name();
    let place = |word: u64| usize::try_from(word % (8 * CLIENT_BYTES as u64)).unwrap_or(0) + FIRST_CLIENT;
    name.words().map(place).to_vec()
}

fn has(bytes: &[u8], bit: usize) -> bool {
    bytes.get(bit / 8).is_some_and(|byte| byte & (1 << (bit % 8)) != 0)
}

fn raise(bytes: &mut [u8], bit: usize) {
    if let Some(byte) = bytes.get_mut(bit / 8) {
        *byte |= 1 << (bit % 8);
    }
}

/// The bit that says that a verdict had a session.
const SESSION: usize = 8;

/// The same of a JWT.
const SESSION_OF_JWT: usize = 9;

const FIRST_CLIENT: usize = 16;

/// With a hundred clients, one name in a million is taken for known; with a thousand, one in forty.
const CLIENT_BYTES: usize = 1024;

/// A provider of which nothing was seen.
const EMPTY: [u8; 2 + CLIENT_BYTES] = {
    let mut bytes = [0; 2 + CLIENT_BYTES];
    bytes[0] = 1;
    bytes
};

const MAX_TRIES: u32 = 16;
