//! Nonces (RFC 9449 §9) that nobody has to remember: a date, and a keyed hash of it. Whoever has the key, every worker and every
//! Envoy of one configuration, knows its own nonces and those of the others.

use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};

use crate::bytes::{Reader, are_same};
use crate::jwt::hmac_sha256;
use crate::token::UnixMillis;

/// What nonces are made with.
#[derive(Clone)]
pub struct NonceKey(Vec<u8>);

impl NonceKey {
    /// A key of at least 32 secret bytes.
    pub fn new(key: Vec<u8>) -> Self {
        Self(key)
    }

    /// The nonce of this second.
    pub(super) fn issue(&self, now: UnixMillis) -> String {
        let date = now.as_secs().to_le_bytes();
        Base64UrlUnpadded::encode_string(&[&date[..], &self.mac(date)].concat())
    }

    /// Whether a nonce is one of ours, and young enough.
    pub(super) fn is_good(&self, nonce: &str, now: UnixMillis) -> bool {
        let mut bytes = [0; DATE_BYTES + MAC_BYTES];
        let Ok(bytes) = Base64UrlUnpadded::decode(nonce, &mut bytes) else { return false };
        let mut reader = Reader::new(bytes);
        let Some(date) = reader.array() else { return false };
        let issued = UnixMillis::from_secs(u64::from_le_bytes(date));
        are_same(&self.mac(date), reader.rest()) && issued <= now.plus(MOST_AHEAD) && now < issued.plus(LIFE)
    }

    fn mac(&self, date: [u8; DATE_BYTES]) -> [u8; MAC_BYTES] {
        let mac = hmac_sha256(&self.0, &date);
        mac.first_chunk().copied().unwrap_or_default()
    }
}

impl std::fmt::Debug for NonceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NonceKey([redacted])")
    }
}

const DATE_BYTES: usize = 8;

/// As many as nobody guesses.
const MAC_BYTES: usize = 16;

/// How long a nonce serves.
const LIFE: Duration = Duration::from_secs(5 * 60);

/// How far the clock of the Envoy that has issued it may be ahead of ours.
const MOST_AHEAD: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_known_to_who_has_the_key_and_for_five_minutes() {
        let now = UnixMillis::from_secs(1_795_377_648);
        let (ours, others) = (NonceKey::new(vec![1; 32]), NonceKey::new(vec![2; 32]));
        let nonce = ours.issue(now);
        assert!(nonce.len() <= 64 && nonce != ours.issue(now.plus(Duration::from_secs(1))));
        for (key, seconds, good) in
            [(&ours, 0, true), (&ours, 299, true), (&ours, 300, false), (&others, 0, false)]
        {
            assert_eq!(key.is_good(&nonce, now.plus(Duration::from_secs(seconds))), good, "{seconds}");
        }
        assert!(ours.is_good(&ours.issue(now.plus(MOST_AHEAD)), now), "clocks differ");
        assert!(!ours.is_good(&ours.issue(now.plus(MOST_AHEAD + Duration::from_secs(1))), now));
        for other in
            ["", "x", &nonce[1..], &format!("{nonce}A"), &format!("B{}", &nonce[1..]), &"A".repeat(32)]
        {
            assert!(!ours.is_good(other, now), "{other}");
        }
    }
}
