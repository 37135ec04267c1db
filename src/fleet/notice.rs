//! What is put into the store: a key for each subject of a withdrawal.
//!
//! ```text
//! key:   PREFIX/1/w/ · kind, two hex digits · name, 64 hex digits
//!      [ · / · date of the JWTs that it refuses, in milliseconds, 16 hex digits ]
//! value: version 1 · Envoy 8 · settle 4, in milliseconds, little-endian
//!        version 2, of JWTs of one provider that are refused · Envoy 8 · settle 4 · provider 8
//! key:   PREFIX/1/store, whose value is the store's identity, 16 bytes
//! ```
//!
//! The date is in the key, so that no withdrawal of the same takes the place of one that refuses JWTs, or later ones. The 1 in
//! the key is the version of all this: Envoys of another one would have keys of their own.
//!
//! Whose JWTs are refused is told so that very many of one provider take no room from another. Version 1 does not say it;
//! it is read as of any provider. Envoys that know no version 2 cannot read it, and so withdraw all verdicts. What refuses no
//! JWT needs no provider, and stays as all know it.

use std::fmt::Write;
use std::time::Duration;

use super::identity::Envoy;
use crate::bytes::{Reader, hex_byte};
use crate::cache::{Name, ProviderTag};
use crate::token::{TokenDigest, UnixMillis};

/// The keys of a fleet.
#[derive(Clone, Debug)]
pub struct Keys(String);

/// A withdrawal, as an Envoy tells the others of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What is withdrawn.
    pub name: Name,
    /// For how long new verdicts on it are not remembered.
    pub settle: Duration,
    /// Up to when the JWTs were issued that are refused, if any are.
    pub jwts: Option<UnixMillis>,
    /// Who tells; what is our own is done already.
    pub by: Envoy,
}

impl Keys {
    /// The keys of a fleet with this prefix.
    pub fn new(prefix: &str) -> Self {
        Self(format!("{prefix}/1/"))
    }

    /// What all of them begin with: the first key that there could be.
    pub fn start(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The first key after all of them.
    pub fn end(&self) -> Vec<u8> {
        let mut end = self.0.clone().into_bytes();
        // From `/` to the byte that follows.
        end.pop();
        end.push(b'0');
        end
    }

    /// Where the store's identity lies. It sorts before all withdrawals.
    pub fn store(&self) -> Vec<u8> {
        [self.0.as_bytes(), b"store"].concat()
    }

    fn withdrawals(&self) -> String {
        format!("{}w/", self.0)
    }
}

impl Notice {
    /// Its key and its value.
    pub fn write(&self, keys: &Keys) -> (Vec<u8>, Vec<u8>) {
        let mut key = keys.withdrawals();
        for byte in [self.name.kind()].iter().chain(self.name.digest().as_bytes()) {
            // A text grows, whatever is written.
            _ = write!(key, "{byte:02x}");
        }
        if let Some(date) = self.jwts {
            _ = write!(key, "/{:016x}", date.as_millis());
        }
        let provider = self.name.provider().filter(|_| self.jwts.is_some());
        let mut value = vec![if provider.is_some() { OF_PROVIDER } else { VERSION }];
        value.extend_from_slice(&self.by.0);
        let settle = u32::try_from(self.settle.as_millis()).unwrap_or(u32::MAX);
        value.extend_from_slice(&settle.to_le_bytes());
        if provider.is_some() {
            value.extend_from_slice(&ProviderTag::write(provider));
        }
        (key.into_bytes(), value)
    }

    /// Reads one; `None` if it is none that this version knows.
    pub fn read(keys: &Keys, key: &[u8], value: &[u8]) -> Option<Self> {
        let mut digits = Reader::new(key.strip_prefix(keys.withdrawals().as_bytes())?);
        let [kind] = bytes(&mut digits)?;
        let digest = bytes(&mut digits)?;
        let jwts = match digits.u8() {
            None => None,
            Some(b'/') => Some(UnixMillis::from_millis(u64::from_be_bytes(bytes(&mut digits)?))),
            Some(_) => return None,
        };
        let mut value = Reader::new(value);
        let version = value.u8()?;
        let (by, settle) = (Envoy(value.array()?), Duration::from_millis(value.u32()?.into()));
        let provider = match version {
            VERSION => None,
            OF_PROVIDER if jwts.is_some() => Some(ProviderTag::read(value.array()?)?),
            _ => return None,
        };
        let is_whole = digits.rest().is_empty() && value.rest().is_empty() && settle <= LONGEST_SETTLE;
        let name = Name::new(kind, provider, TokenDigest::from_bytes(digest))?;
        is_whole.then_some(Self { name, settle, jwts, by })
    }
}

/// Bytes, each of two hex digits in lower case.
fn bytes<const N: usize>(digits: &mut Reader<'_>) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    for byte in &mut bytes {
        let pair = digits.array().filter(|pair: &[u8; 2]| !pair.iter().any(u8::is_ascii_uppercase));
        *byte = pair.and_then(hex_byte)?;
    }
    Some(bytes)
}

const VERSION: u8 = 1;

/// One that says whose JWTs are refused.
const OF_PROVIDER: u8 = 2;

/// The longest `revocation.settle` that there is.
const LONGEST_SETTLE: Duration = Duration::from_secs(5 * 60);
