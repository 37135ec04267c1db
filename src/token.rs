//! The words everything else is said in: the access token, its digest, and points in time.

use std::fmt;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::bytes::are_same;

/// What a client presents (RFC 6749 §1.4): a non-empty `b64token` (RFC 6750 §2.1), hence ASCII without
/// spaces, commas or quotes.
///
/// Never printed: `Debug` says `[redacted]`, there is no `Display`, and the text is had by
/// [`AccessToken::secret`] alone.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken(Box<str>);

impl AccessToken {
    /// Reads a `b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`.
    /// `None` for anything else.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let body = bytes.iter().position(|&byte| byte == b'=').unwrap_or(bytes.len());
        let (body, padding) = bytes.split_at_checked(body)?;
        let well_formed =
            !body.is_empty() && body.iter().all(is_token_byte) && padding.iter().all(|&byte| byte == b'=');
        let text = std::str::from_utf8(bytes).ok()?;
        well_formed.then(|| Self(text.into()))
    }

    /// The token itself. Every use of this is a place where it could leak.
    pub fn secret(&self) -> &str {
        &self.0
    }
}

/// Whether a `b64token` may have this before its padding.
fn is_token_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/')
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken([redacted])")
    }
}

/// How a request carries its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Without a scheme: in a header of its own, or in a cookie.
    Bare,
    /// `Authorization: Bearer` (RFC 6750 §2.1).
    Bearer,
    /// `Authorization: DPoP` (RFC 9449 §7.1).
    DPoP,
}

/// A text that must not be seen: a client secret, a bearer credential, a private key as configured.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// Wraps a secret's text.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The secret itself. Every use of this is a place where it could leak.
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// Whether this is what `presented` says. How long that takes tells nothing of the secret: digests are compared,
    /// which nobody can approach byte by byte, and all of them.
    pub fn is(&self, presented: &[u8]) -> bool {
        let (ours, theirs) = (Sha256::digest(self.0.as_bytes()), Sha256::digest(presented));
        are_same(&ours, &theirs)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

/// What a token is known by inside: SHA-256 over whom it was asked of ([`DigestSeed`]) and the token.
///
/// `Display` and `Debug` print the first eight hex digits, which is what logs correlate by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// The digest of a token alone, whoever is asked about it: what it is withdrawn by. All spellings of a token that
    /// a lenient server takes for one have the same: of base64url (RFC 4648 §5) with padding, with the other
    /// alphabet, or with other bits where the last letter of a part has some to spare; and with dots at its end, which
    /// Java's `split` drops (Keycloak). So have all signatures over what a JWT says: of an ECDSA signature anybody can make
    /// another that holds as well. Should two tokens fall together
    /// that are not one, a withdrawal costs a call more. No [`DigestSeed`] gives this one, for seeds take in a whole
    /// block first.
    pub fn of(token: &AccessToken) -> Self {
        let mut hasher = Sha256::new();
        let text = token.secret().trim_end_matches('.');
        for (index, part) in signing_input(text).unwrap_or(text).split('.').enumerate() {
            if index > 0 {
                hasher.update(b".");
            }
            hasher.update(canonical(part));
        }
        Self(hasher.finalize().into())
    }

    /// A digest as it was stored.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// All 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Four independent 64-bit numbers, for choosing places in tables.
    pub fn words(&self) -> [u64; 4] {
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(self.0.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        words
    }
}

/// What is signed of a token in the form of a JWT (RFC 7515 §7.1): three parts, the first of which begins as a JSON object
/// does in base64url.
fn signing_input(text: &str) -> Option<&str> {
    let (input, _) = text.rsplit_once('.')?;
    let [b'e', second, ..] = input.as_bytes() else { return None };
    let is_object = BASE64URL.iter().skip(0b11_0000).any(|letter| letter == second);
    (is_object && input.bytes().filter(|byte| *byte == b'.').count() == 1).then_some(input)
}

/// A part of a token, as base64url is written.
pub(crate) fn canonical(part: &str) -> Vec<u8> {
    let spelled = |byte| match byte {
        b'+' => b'-',
        b'/' => b'_',
        other => other,
    };
    let mut part: Vec<u8> = part.trim_end_matches('=').bytes().map(spelled).collect();
    let spare = match part.len() % 4 {
        2 => 0b1111,
        3 => 0b11,
        _ => 0,
    };
    if let Some(last) = part.last_mut()
        && let Some(value) = BASE64URL.iter().position(|letter| letter == last)
        && let Some(letter) = BASE64URL.get(value & !spare)
    {
        *last = *letter;
    }
    part
}

const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl fmt::Display for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenDigest({self}…)")
    }
}

/// A SHA-256 that has already taken in *whom* tokens are asked of: the provider and every setting that may
/// change its answer (RFC 7662 §2.2 lets a server answer each resource server differently). Two seeds never
/// give the same digest for one token, so a verdict never serves a configuration it was not asked under.
#[derive(Clone)]
pub struct DigestSeed(Sha256);

impl DigestSeed {
    /// A seed for everything that `fingerprint` names.
    pub fn new(fingerprint: &[u8; 32]) -> Self {
        // One whole SHA-256 block, so that a token's digest costs the token's blocks only.
        let mut hasher = Sha256::new();
        hasher.update(fingerprint);
        hasher.update([0; 32]);
        Self(hasher)
    }

    /// A seed for all that these fingerprints name.
    pub fn combining(fingerprints: &[&[u8; 32]]) -> Self {
        let mut hasher = Sha256::new();
        for fingerprint in fingerprints {
            hasher.update(fingerprint);
        }
        Self::new(&hasher.finalize().into())
    }

    /// The digest of `token` under this seed.
    pub fn digest(&self, token: &AccessToken) -> TokenDigest {
        TokenDigest(self.0.clone().chain_update(token.secret()).finalize().into())
    }
}

impl fmt::Debug for DigestSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestSeed")
    }
}

/// A point in time: milliseconds since the Unix epoch. All arithmetic saturates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixMillis(u64);

impl UnixMillis {
    /// Later than anything that happens.
    pub const MAX: Self = Self(u64::MAX);

    /// A point by its milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// A point by its whole seconds, as JWTs have them (NumericDate, RFC 7519 §2).
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// This point, `length` later.
    pub fn plus(self, length: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(length.as_millis()).unwrap_or(u64::MAX)))
    }

    /// This point, `length` earlier.
    #[must_use]
    pub fn minus(self, length: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(length.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Whether this lies further ahead than the clocks of two workers may differ. What is dated so dates from before the
    /// clock was set back, and nothing can be said of its age.
    pub const fn is_from_the_future(self, now: Self) -> bool {
        self.0 > now.0.saturating_add(MAX_CLOCK_DIFFERENCE.as_millis() as u64)
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// How far the clocks of two workers may differ.
pub(crate) const MAX_CLOCK_DIFFERENCE: Duration = Duration::from_secs(1);

/// From when, and until before when, something holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first moment.
    pub from: UnixMillis,
    /// The first moment after the last.
    pub until: UnixMillis,
}

impl Window {
    /// Whether `now` lies in it.
    pub fn contains(&self, now: UnixMillis) -> bool {
        self.from <= now && now < self.until
    }

    /// What it has in common with another.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { from: self.from.max(other.from), until: self.until.min(other.until) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_b64token_is_what_rfc_6750_says() {
        for good in ["a", "mF_9.B5f-4.1JqM", "a~b+c/d==", "0="] {
            assert_eq!(AccessToken::parse(good.as_bytes()).unwrap().secret(), good);
        }
        for bad in ["", "=", "==", "a=b", "a b", "a,b", "a\"b", "a\u{e9}", "a\tb", "a\0"] {
            assert_eq!(AccessToken::parse(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(AccessToken::parse(b"a\xff"), None);
    }

    #[test]
    fn secrets_do_not_print() {
        let token = AccessToken::parse(b"mF_9.B5f-4.1JqM").unwrap();
        assert_eq!(format!("{token:?}"), "AccessToken([redacted])");
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret([redacted])");
    }

    #[test]
    fn a_secret_is_itself_and_nothing_else() {
        let secret = Secret::new("hunter2");
        assert!(secret.is(b"hunter2"));
        for other in [&b""[..], b"hunter", b"hunter22", b"Hunter2"] {
            assert!(!secret.is(other));
        }
    }

    #[test]
    fn digests_differ_by_seed_and_by_token() {
        let (one, two) = (DigestSeed::new(&[1; 32]), DigestSeed::new(&[2; 32]));
        let (a, b) = (AccessToken::parse(b"a").unwrap(), AccessToken::parse(b"b").unwrap());
        assert_eq!(one.digest(&a), one.digest(&a));
        assert_ne!(one.digest(&a), one.digest(&b));
        assert_ne!(one.digest(&a), two.digest(&a));
        assert_eq!(one.digest(&a).to_string().len(), 8);
    }

    #[test]
    fn spellings_of_one_token_are_withdrawn_by_one_digest() {
        let of = |token: &str| TokenDigest::of(&AccessToken::parse(token.as_bytes()).unwrap());
        // `eyJhIjoxfQ` and `c2ln` are canonical; the last letter of the first has four bits to spare.
        let written = of("eyJhIjoxfQ.eyJhIjoxfQ.c2k");
        for other in [
            "eyJhIjoxfR.eyJhIjoxfQ.c2k",
            "eyJhIjoxfQ.eyJhIjoxff.c2k",
            // With another signature, which need not be a worse one.
            "eyJhIjoxfQ.eyJhIjoxfQ.c2o",
            "eyJhIjoxfQ.eyJhIjoxfQ.",
            "eyJhIjoxfQ.eyJhIjoxfQ.c2k=",
            "eyJhIjoxfQ.eyJhIjoxfQ.c2k..",
        ] {
            assert_eq!(of(other), written, "{other}");
        }
        for other in ["eyJhIjoxfg.eyJhIjoxfQ.c2k", "eyJhIjoxfQ.eyJhIjoxfg.c2k", "eyJhIjoxfQ.c2k"] {
            assert_ne!(of(other), written, "{other}");
        }
        // What is no JWT says something in all its parts.
        for (one, other) in
            [("abc.def.ghij", "abc.def.ghik"), ("eyJh.b.c.d", "eyJh.b.c.e"), ("eyJh.b", "eyJh.c")]
        {
            assert_ne!(of(one), of(other), "{one}");
        }
        assert_eq!(of("abc.def.c2k"), of("abc.def.c2l"));
        assert_eq!(of("a-_b"), of("a+/b"));
        assert_ne!(of("abcd"), of("abcc"), "no bit is to spare");
    }

    #[test]
    fn time_saturates() {
        assert_eq!(UnixMillis::MAX.plus(Duration::MAX), UnixMillis::MAX);
        assert_eq!(UnixMillis::from_secs(u64::MAX), UnixMillis::MAX);
        assert_eq!(UnixMillis::from_secs(1).since(UnixMillis::from_secs(2)), Duration::ZERO);
    }
}
