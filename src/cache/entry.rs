//! The binary form of a slot's value.
//!
//! ```text
//! version 1 · kind 1 · digest 32 · asked 8 · useful_until 8 · [ jwt id 8 · jwt exp 8 · jwt len 4 · jwt · claims ]
//! ```
//! Numbers are little-endian, times in milliseconds. The version changes with the form; what another version
//! wrote is as good as nothing. An inactive entry ends after `useful_until`.

use std::ops::Range;

use crate::bytes::Reader;
use crate::claims::{Claims, ClaimsBuf};
use crate::jwt::{Minted, PhantomTokenId};
use crate::token::{TokenDigest, UnixMillis};

/// What every entry says.
pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) digest: TokenDigest,
    pub(super) asked: UnixMillis,
    pub(super) useful_until: UnixMillis,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Active,
    Inactive,
}

impl Entry {
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        Self::read(&mut Reader::new(bytes))
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        if reader.u8()? != VERSION {
            return None;
        }
        let kind = match reader.u8()? {
            ACTIVE => Kind::Active,
            INACTIVE => Kind::Inactive,
            _ => return None,
        };
        let digest = TokenDigest::from_bytes(reader.array()?);
        let asked = UnixMillis::from_millis(reader.u64()?);
        let useful_until = UnixMillis::from_millis(reader.u64()?);
        Some(Self { kind, digest, asked, useful_until })
    }
}

/// An active token's entry as it lay in its slot, known to be readable.
#[derive(Clone, Debug)]
pub struct ActiveEntry {
    bytes: Vec<u8>,
    asked: UnixMillis,
    useful_until: UnixMillis,
    digest: TokenDigest,
    jwt_id: PhantomTokenId,
    jwt_exp: UnixMillis,
    jwt: Range<usize>,
}

/// A phantom token beside an entry's claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CachedJwt<'a> {
    /// The JWT in compact form.
    pub jwt: &'a [u8],
    /// Its `exp`.
    pub exp: UnixMillis,
}

impl ActiveEntry {
    /// `None` if `bytes` is anything but the entry of the active token of this digest.
    pub(super) fn parse(bytes: Vec<u8>, digest: &TokenDigest) -> Option<Self> {
        let mut reader = Reader::new(&bytes);
        let entry = Entry::read(&mut reader)?;
        if entry.kind != Kind::Active || entry.digest != *digest {
            return None;
        }
        let jwt_id = reader.array()?;
        let jwt_exp = UnixMillis::from_millis(reader.u64()?);
        let len = usize::try_from(reader.u32()?).ok()?;
        let start = bytes.len() - reader.rest().len();
        reader.take(len)?;
        Claims::parse(reader.rest())?;
        let Entry { asked, useful_until, digest, .. } = entry;
        Some(Self { asked, useful_until, digest, jwt_id, jwt_exp, jwt: start..start + len, bytes })
    }

    /// When the call was sent that said so.
    pub fn asked(&self) -> UnixMillis {
        self.asked
    }

    /// What the token says.
    pub fn claims(&self) -> Claims<'_> {
        Claims::parse(self.flat_claims()).unwrap_or_default()
    }

    /// The phantom token, if there is one of this id.
    pub fn jwt(&self, id: PhantomTokenId) -> Option<CachedJwt<'_>> {
        let jwt = self.bytes.get(self.jwt.clone()).filter(|jwt| !jwt.is_empty())?;
        (self.jwt_id == id).then_some(CachedJwt { jwt, exp: self.jwt_exp })
    }

    /// What the token says, to keep.
    pub fn to_claims(&self) -> ClaimsBuf {
        ClaimsBuf::from_flat(self.flat_claims())
    }

    /// The phantom token, if there is one of this id, to keep.
    pub fn minted(&self, id: PhantomTokenId) -> Option<Minted> {
        let CachedJwt { jwt, exp } = self.jwt(id)?;
        Some(Minted { jwt: String::from_utf8(jwt.to_vec()).ok()?, exp })
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Which token it is about.
    pub fn digest(&self) -> &TokenDigest {
        &self.digest
    }

    /// The same entry with another phantom token.
    pub(super) fn with_jwt(&self, jwt: (PhantomTokenId, &Minted)) -> Vec<u8> {
        let Self { digest, asked, useful_until, .. } = self;
        write_active(digest, *asked, *useful_until, self.flat_claims(), Some(jwt))
    }

    fn flat_claims(&self) -> &[u8] {
        self.bytes.get(self.jwt.end..).unwrap_or_default()
    }
}

/// The form of an active token's entry.
pub(super) fn active(
    digest: &TokenDigest,
    asked: UnixMillis,
    useful_until: UnixMillis,
    claims: &ClaimsBuf,
    jwt: Option<(PhantomTokenId, &Minted)>,
) -> Vec<u8> {
    write_active(digest, asked, useful_until, claims.as_bytes(), jwt)
}

/// The form of an inactive token's entry.
pub(super) fn inactive(digest: &TokenDigest, asked: UnixMillis, useful_until: UnixMillis) -> Vec<u8> {
    head(INACTIVE, digest, asked, useful_until)
}

fn write_active(
    digest: &TokenDigest,
    asked: UnixMillis,
    useful_until: UnixMillis,
    claims: &[u8],
    jwt: Option<(PhantomTokenId, &Minted)>,
) -> Vec<u8> {
    let mut bytes = head(ACTIVE, digest, asked, useful_until);
    let (id, exp, text) = match jwt {
        Some((id, Minted { jwt, exp })) => (id, *exp, jwt.as_bytes()),
        None => (PhantomTokenId::default(), UnixMillis::from_millis(0), &b""[..]),
    };
    bytes.extend_from_slice(&id);
    bytes.extend_from_slice(&exp.as_millis().to_le_bytes());
    bytes.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(text);
    bytes.extend_from_slice(claims);
    bytes
}

fn head(kind: u8, digest: &TokenDigest, asked: UnixMillis, useful_until: UnixMillis) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1024);
    bytes.extend_from_slice(&[VERSION, kind]);
    bytes.extend_from_slice(digest.as_bytes());
    bytes.extend_from_slice(&asked.as_millis().to_le_bytes());
    bytes.extend_from_slice(&useful_until.as_millis().to_le_bytes());
    bytes
}

const VERSION: u8 = 1;
const ACTIVE: u8 = 1;
const INACTIVE: u8 = 2;
