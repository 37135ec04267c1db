//! Wrong secrets at the receivers' paths: who sent many of them is not listened to for the rest of the second. Others
//! are: an attacker who guesses must not keep the operator's orders out.

use std::time::Duration;

use litemap::LiteMap;

use crate::token::UnixMillis;

/// The wrong guesses of about a second.
#[derive(Default)]
pub(super) struct Guesses {
    until: Option<UnixMillis>,
    /// By the address that they came from.
    of: LiteMap<Vec<u8>, u32>,
}

impl Guesses {
    /// Whether this peer has guessed too often.
    pub(super) fn are_too_many(&mut self, peer: &[u8], now: UnixMillis) -> bool {
        // An end that lies further ahead is of a clock that was set back.
        if self.until.is_none_or(|until| until <= now || until > now.plus(WINDOW)) {
            self.of.clear();
            self.until = Some(now.plus(WINDOW));
        }
        self.of.get(peer).is_some_and(|guesses| *guesses >= MAX_GUESSES)
    }

    /// This peer has guessed wrong.
    pub(super) fn add(&mut self, peer: &[u8]) {
        if self.of.len() < MAX_PEERS || self.of.contains_key(peer) {
            *self.of.entry(peer.to_vec()).or_default() += 1;
        }
    }
}

const WINDOW: Duration = Duration::from_secs(1);

/// Wrong guesses of a peer in a window, per worker.
const MAX_GUESSES: u32 = 5;

/// Peers whose guesses are counted.
const MAX_PEERS: usize = 1024;
