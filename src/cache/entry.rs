//! The binary form of a slot's value.
//!
//! ```text
//! version 1 · kind 1 · digest 32 · asked 8 · useful_until 8
//!   · [ checked 8 · good_until 8 · token 32 · provider 8 · jwt id 8 · jwt exp 8 · jwt len 4 · jwt · claims ]
//! ```
//! Numbers are little-endian, times in milliseconds. The version changes with the form; what another version
//! wrote is as good as nothing. The kind of an active entry says who vouches for it, that of an inactive one why it
//! is not; that entry ends after `useful_until`. An active one holds as of `checked`,
//! which is when its withdrawals were last looked at, and in any case not beyond `good_until`; `token` and
//! `provider` are what it may be withdrawn by beside its claims.

use std::ops::Range;

use super::{Asked, Checked, Moment, ProviderTag, Vouched, Withdrawable};
use crate::bytes::Reader;
use crate::claims::{Claims, ClaimsBuf};
use crate::jwt::{Minted, PhantomTokenId};
use crate::token::{TokenDigest, UnixMillis};

/// What every entry says.
pub(super) struct Entry {
    pub(super) kind: Kind,
    /// Why it is not active, if it is not.
    pub(super) refused: Refused,
    pub(super) digest: TokenDigest,
    pub(super) asked: UnixMillis,
    pub(super) useful_until: UnixMillis,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Active,
    Inactive,
}

/// Why a token passes for none, whatever the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The server says that it is active, but its end has passed.
    Expired,
    /// The server says that it is not active.
    Inactive,
    /// It is active, but no access token.
    NoAccessToken,
}

/// An active token's verdict that is to be remembered.
#[derive(Clone, Copy, Debug)]
pub struct Verdict<'a> {
    /// The token under its provider's seed.
    pub digest: &'a TokenDigest,
    /// The token by itself.
    pub token: TokenDigest,
    /// Who said so.
    pub provider: ProviderTag,
    /// Who vouches for it.
    pub vouched: Vouched,
    /// When the call was sent that said so.
    pub asked: UnixMillis,
    /// That it holds.
    pub checked: Checked,
    /// When no policy could use it any more.
    pub useful_until: UnixMillis,
    /// What the token says.
    pub claims: &'a ClaimsBuf,
    /// The phantom token that was minted for it.
    pub jwt: Option<(PhantomTokenId, &'a Minted)>,
}

impl Verdict<'_> {
    /// Whether it is too long to be remembered.
    pub fn is_oversized(&self) -> bool {
        active(self).len() > MAX_ENTRY_BYTES
    }
}

impl Entry {
    /// Whether it stays, rather than one of the other kind that was asked for at `asked`: if it is later, or, of
    /// two verdicts at once, the careful one.
    pub(super) fn outlasts(&self, asked: UnixMillis, now: UnixMillis) -> bool {
        self.is_later(asked, now) || self.kind == Kind::Inactive && self.asked == asked
    }

    /// Whether it was asked for later. What is dated ahead was not: it dates from before the clock was set back.
    pub(super) fn is_later(&self, asked: UnixMillis, now: UnixMillis) -> bool {
        self.asked > asked && !self.asked.is_from_the_future(now)
    }

    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        Self::read(&mut Reader::new(bytes))
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        if reader.u8()? != VERSION {
            return None;
        }
        let (kind, refused) = match reader.u8()? {
            ACTIVE | ACTIVE_BY_ITSELF => (Kind::Active, Refused::Inactive),
            INACTIVE => (Kind::Inactive, Refused::Inactive),
            EXPIRED => (Kind::Inactive, Refused::Expired),
            NO_ACCESS_TOKEN => (Kind::Inactive, Refused::NoAccessToken),
            _ => return None,
        };
        let digest = TokenDigest::from_bytes(reader.array()?);
        let asked = UnixMillis::from_millis(reader.u64()?);
        let useful_until = UnixMillis::from_millis(reader.u64()?);
        Some(Self { kind, refused, digest, asked, useful_until })
    }
}

/// An active token's entry as it lay in its slot, known to be readable.
#[derive(Clone, Debug)]
pub struct ActiveEntry {
    bytes: Vec<u8>,
    vouched: Vouched,
    asked: UnixMillis,
    digest: TokenDigest,
    checked: Moment,
    good_until: UnixMillis,
    token: TokenDigest,
    provider: ProviderTag,
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
        let checked = Moment::from_bytes(reader.u64()?);
        let good_until = UnixMillis::from_millis(reader.u64()?);
        let token = TokenDigest::from_bytes(reader.array()?);
        let provider = ProviderTag::from_bytes(reader.array()?);
        let jwt_id = reader.array()?;
        let jwt_exp = UnixMillis::from_millis(reader.u64()?);
        let len = usize::try_from(reader.u32()?).ok()?;
        let start = bytes.len() - reader.rest().len();
        reader.take(len)?;
        Claims::parse(reader.rest())?;
        let Entry { asked, digest, .. } = entry;
        let jwt = start..start + len;
        let vouched =
            if bytes.get(1) == Some(&ACTIVE_BY_ITSELF) { Vouched::ByItself } else { Vouched::ByServer };
        Some(Self {
            bytes,
            vouched,
            asked,
            digest,
            checked,
            good_until,
            token,
            provider,
            jwt_id,
            jwt_exp,
            jwt,
        })
    }

    /// When the call was sent that said so.
    pub fn asked(&self) -> UnixMillis {
        self.asked
    }

    /// Who vouches for it.
    pub fn vouched(&self) -> Vouched {
        self.vouched
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

    /// Which token it is about.
    pub fn digest(&self) -> &TokenDigest {
        &self.digest
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Until when it holds without a look at what was withdrawn or is about to be.
    pub fn good_until(&self) -> UnixMillis {
        self.good_until
    }

    /// When its withdrawals were last looked at.
    pub(super) fn checked(&self) -> Moment {
        self.checked
    }

    /// When the call was sent that said so, and as of when it holds.
    pub fn asked_when(&self) -> Asked {
        Asked { at: self.asked, moment: self.checked }
    }

    /// What it can be withdrawn by.
    pub fn withdrawable(&self) -> Withdrawable<'_> {
        Withdrawable { token: self.token, provider: self.provider, claims: self.claims() }
    }

    /// Remembers that it was looked at, and holds.
    pub(super) fn hold(&mut self, checked: Checked) {
        self.checked = checked.moment;
        self.good_until = self.good_until.min(checked.until);
        let form = [self.checked.to_bytes(), self.good_until.as_millis().to_le_bytes()].concat();
        if let Some(place) = self.bytes.get_mut(HEAD_BYTES..HEAD_BYTES + form.len()) {
            place.copy_from_slice(&form);
        }
    }

    /// The same entry with another phantom token.
    pub(super) fn with_jwt(&self, jwt: (PhantomTokenId, &Minted)) -> Vec<u8> {
        let mut bytes = self.bytes.get(..JWT_AT).unwrap_or_default().to_vec();
        put_jwt(&mut bytes, Some(jwt));
        bytes.extend_from_slice(self.flat_claims());
        bytes
    }

    fn flat_claims(&self) -> &[u8] {
        self.bytes.get(self.jwt.end..).unwrap_or_default()
    }
}

/// The form of an active token's entry.
pub(super) fn active(verdict: &Verdict<'_>) -> Vec<u8> {
    let kind = match verdict.vouched {
        Vouched::ByItself => ACTIVE_BY_ITSELF,
        Vouched::ByServer => ACTIVE,
    };
    let mut bytes = head(kind, verdict.digest, verdict.asked, verdict.useful_until);
    bytes.extend_from_slice(&verdict.checked.moment.to_bytes());
    bytes.extend_from_slice(&verdict.checked.until.as_millis().to_le_bytes());
    bytes.extend_from_slice(verdict.token.as_bytes());
    bytes.extend_from_slice(verdict.provider.as_bytes());
    put_jwt(&mut bytes, verdict.jwt);
    bytes.extend_from_slice(verdict.claims.as_bytes());
    bytes
}

/// The form of an inactive token's entry.
pub(super) fn inactive(
    refused: Refused,
    digest: &TokenDigest,
    asked: UnixMillis,
    useful_until: UnixMillis,
) -> Vec<u8> {
    let kind = match refused {
        Refused::Expired => EXPIRED,
        Refused::Inactive => INACTIVE,
        Refused::NoAccessToken => NO_ACCESS_TOKEN,
    };
    head(kind, digest, asked, useful_until)
}

fn put_jwt(bytes: &mut Vec<u8>, jwt: Option<(PhantomTokenId, &Minted)>) {
    let (id, exp, text) = match jwt {
        Some((id, Minted { jwt, exp })) => (id, *exp, jwt.as_bytes()),
        None => (PhantomTokenId::default(), UnixMillis::from_millis(0), &b""[..]),
    };
    bytes.extend_from_slice(&id);
    bytes.extend_from_slice(&exp.as_millis().to_le_bytes());
    bytes.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(text);
}

fn head(kind: u8, digest: &TokenDigest, asked: UnixMillis, useful_until: UnixMillis) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1024);
    bytes.extend_from_slice(&[VERSION, kind]);
    bytes.extend_from_slice(digest.as_bytes());
    bytes.extend_from_slice(&asked.as_millis().to_le_bytes());
    bytes.extend_from_slice(&useful_until.as_millis().to_le_bytes());
    bytes
}

const VERSION: u8 = 3;

/// Where `checked` begins.
const HEAD_BYTES: usize = 1 + 1 + 32 + 8 + 8;

/// Where the phantom token begins.
const JWT_AT: usize = HEAD_BYTES + 8 + 8 + 32 + 8;

const ACTIVE: u8 = 1;
const INACTIVE: u8 = 2;
const EXPIRED: u8 = 3;
const NO_ACCESS_TOKEN: u8 = 4;
const ACTIVE_BY_ITSELF: u8 = 5;

/// Longest entry that is kept.
pub const MAX_ENTRY_BYTES: usize = 16 << 10;
