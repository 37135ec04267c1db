//! Token Status List (draft-ietf-oauth-status-list): what an issuer says of the many tokens that nobody is asked
//! about, one by one.
//!
//! A token that is valid in itself names a list and a place in it ([`StatusReference`]); the list is a JWT whose
//! signature, `alg` and `crit` have been checked before ([`StatusList::read`]). Whatever cannot be read or found
//! says nothing, and the token is refused.

use std::fmt;
use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::{Map, Value};

use super::claim::{LEEWAY, text, time};
use crate::http::{HttpCall, Scheme, is_media_type};
use crate::jwt::is_type;
use crate::token::UnixMillis;

/// Where a token's status stands (§6.2): its `status.status_list`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusReference {
    /// The place in the list.
    pub idx: u64,
    /// Which list.
    pub uri: String,
}

impl StatusReference {
    /// The reference of a token with these claims; `None` if it has none.
    ///
    /// # Errors
    ///
    /// [`MalformedReference`] if there is something else in its place.
    pub fn of(claims: &Map<String, Value>) -> Result<Option<Self>, MalformedReference> {
        let Some(status) = claims.get("status") else { return Ok(None) };
        let status = status.as_object().ok_or(MalformedReference)?;
        let Some(reference) = status.get("status_list") else { return Ok(None) };
        let reference = reference.as_object().ok_or(MalformedReference)?;
        let idx = reference.get("idx").and_then(Value::as_u64).ok_or(MalformedReference)?;
        let uri = text(reference, "uri").ok_or(MalformedReference)?.to_owned();
        Ok(Some(Self { idx, uri }))
    }
}

/// A token's `status` is not what the draft says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedReference;

/// Where the lists of an issuer are fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusListSource {
    /// Envoy cluster.
    pub cluster: String,
    /// `:scheme`; that of the list's address if it is not named.
    pub scheme: Option<Scheme>,
    /// `:authority`; that of the list's address if it is not named.
    pub authority: Option<String>,
    /// What the address of a list must begin with: scheme, host and the beginning of a path.
    pub uri_prefixes: Vec<String>,
    /// How long past its time a list may serve while no newer one is to be had.
    pub max_stale: Duration,
    /// How long a fetch may take.
    pub timeout: Duration,
}

impl StatusListSource {
    /// Whether a list may be fetched from this address.
    pub fn admits(&self, uri: &str) -> bool {
        uri.len() <= MAX_URI_BYTES
            && uri.bytes().all(|byte| matches!(byte, b'!'..=b'~'))
            && self.uri_prefixes.iter().any(|prefix| uri.starts_with(prefix))
    }

    /// The request that fetches a list; `None` for an address that has no path.
    pub fn request(&self, uri: &str) -> Option<HttpCall> {
        let (_, rest) = uri.split_once("://")?;
        let (host, _) = rest.split_once('/')?;
        let path = rest.get(host.len()..)?.split('#').next()?;
        let authority = self.authority.as_deref().unwrap_or(host);
        let scheme = self.scheme.or_else(|| Scheme::of(uri));
        Some(HttpCall::get(&self.cluster, scheme, authority, path, STATUS_LIST, self.timeout))
    }
}

/// Whether this is the media type of a status list.
pub fn is_status_list(content_type: &[u8]) -> bool {
    is_media_type(content_type, STATUS_LIST)
}

/// What a list says of a token (§7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Revoked for good.
    Invalid,
    /// Whatever else it may mean: not valid.
    Other(u8),
    /// Not valid for now.
    Suspended,
    /// Good.
    Valid,
}

/// A status list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusList {
    bits: Bits,
    statuses: Vec<u8>,
    ttl: Duration,
    /// When it is to be fetched again.
    pub fresh_until: UnixMillis,
    /// When its issuer's word ends.
    pub exp: Option<UnixMillis>,
}

/// How many bits a status has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bits(u8);

/// Why a list is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusListRefused {
    /// It has ended.
    Expired,
    /// It was issued in the future.
    FromTheFuture,
    /// It begins to hold in the future.
    NotYetValid,
    /// `lst` is not zlib in base64url, or longer than 1 MiB.
    NotInflatable,
    /// A required claim is absent or of another type.
    NotUsable(&'static str),
    /// It is another list than the one that was asked for.
    OtherList,
    /// A JWT that is meant for something else.
    OtherType,
}

impl fmt::Display for StatusListRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "the status list has expired",
            Self::FromTheFuture => "iat lies in the future",
            Self::NotYetValid => "nbf lies in the future",
            Self::NotInflatable => "lst is not zlib in base64url, or longer than 1 MiB",
            Self::NotUsable(name) => return write!(f, "{name} is absent or has an unexpected value"),
            Self::OtherList => "sub is another list's",
            Self::OtherType => "typ is not statuslist+jwt",
        })
    }
}

impl StatusList {
    /// Whether a JWT of this type may be a status list.
    pub fn admits(typ: Option<&str>) -> bool {
        is_type(typ, "statuslist+jwt")
    }

    /// How long before its end it is fetched again, if it is in use: then nobody waits.
    pub fn lead(&self) -> Duration {
        self.ttl / 5
    }

    /// Reads a verified list that was fetched from `uri` (§8.3).
    ///
    /// # Errors
    ///
    /// [`StatusListRefused`] with the first reason.
    pub fn read(
        typ: Option<&str>,
        claims: &Map<String, Value>,
        uri: &str,
        now: UnixMillis,
    ) -> Result<Self, StatusListRefused> {
        if !Self::admits(typ) {
            return Err(StatusListRefused::OtherType);
        }
        if text(claims, "sub") != Some(uri) {
            return Err(StatusListRefused::OtherList);
        }
        let iat = time(claims, "iat").ok_or(StatusListRefused::NotUsable("iat"))?;
        if iat > now.plus(LEEWAY) {
            return Err(StatusListRefused::FromTheFuture);
        }
        match claims.get("nbf") {
            None => {}
            Some(_) => {
                let nbf = time(claims, "nbf").ok_or(StatusListRefused::NotUsable("nbf"))?;
                if nbf > now.plus(LEEWAY) {
                    return Err(StatusListRefused::NotYetValid);
                }
            }
        }
        let exp = match claims.get("exp") {
            None => None,
            Some(_) => Some(time(claims, "exp").ok_or(StatusListRefused::NotUsable("exp"))?),
        };
        if exp.is_some_and(|exp| exp <= now) {
            return Err(StatusListRefused::Expired);
        }
        let ttl = match claims.get("ttl") {
            None => DEFAULT_TTL,
            Some(ttl) => {
                let secs =
                    ttl.as_f64().filter(|secs| *secs > 0.0).ok_or(StatusListRefused::NotUsable("ttl"))?;
                Duration::from_secs_f64(secs.clamp(MIN_TTL.as_secs_f64(), MAX_TTL.as_secs_f64()))
            }
        };
        let list = claims.get("status_list").and_then(Value::as_object);
        let list = list.ok_or(StatusListRefused::NotUsable("status_list"))?;
        let bits = list.get("bits").and_then(Value::as_u64).and_then(Bits::new);
        let bits = bits.ok_or(StatusListRefused::NotUsable("status_list.bits"))?;
        let lst = text(list, "lst").ok_or(StatusListRefused::NotUsable("status_list.lst"))?;
        let statuses = inflate(lst).ok_or(StatusListRefused::NotInflatable)?;
        let fresh_until = now.plus(ttl).min(exp.unwrap_or(UnixMillis::MAX));
        Ok(Self { bits, statuses, ttl, fresh_until, exp })
    }

    /// What it says of the token at `idx`. `None`: it has no such place, and the token is to be refused.
    pub fn status(&self, idx: u64) -> Option<Status> {
        let bit = idx.checked_mul(self.bits.0.into())?;
        let byte = self.statuses.get(usize::try_from(bit / 8).ok()?)?;
        Some(match byte >> (bit % 8) & self.bits.mask() {
            0 => Status::Valid,
            1 => Status::Invalid,
            2 => Status::Suspended,
            other => Status::Other(other),
        })
    }

    /// How many bytes it takes.
    pub fn len(&self) -> usize {
        self.statuses.len()
    }

    /// Whether it says nothing of any token.
    pub fn is_empty(&self) -> bool {
        self.statuses.is_empty()
    }

    /// Whether it may serve: fresh, or no longer past its time than `max_stale`, and never past its `exp`.
    pub fn serves(&self, max_stale: Duration, now: UnixMillis) -> bool {
        now < self.fresh_until.plus(max_stale).min(self.exp.unwrap_or(UnixMillis::MAX))
    }
}

impl Bits {
    fn new(bits: u64) -> Option<Self> {
        match bits {
            1 | 2 | 4 | 8 => Some(Self(bits as u8)),
            _ => None,
        }
    }

    fn mask(self) -> u8 {
        u8::MAX >> (8 - self.0)
    }
}

/// zlib (RFC 1950) in base64url, bounded.
fn inflate(lst: &str) -> Option<Vec<u8>> {
    let compressed = Base64UrlUnpadded::decode_vec(lst).ok()?;
    miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(&compressed, MAX_BYTES).ok()
}

const STATUS_LIST: &str = "application/statuslist+jwt";

const MAX_URI_BYTES: usize = 2048;

/// 2²⁰ statuses of eight bits, the largest list of the draft's own test vectors.
const MAX_BYTES: usize = 1 << 20;

/// Of a list that does not say how long it lasts.
const DEFAULT_TTL: Duration = Duration::from_secs(5 * 60);

/// However often an issuer wants its list fetched.
const MIN_TTL: Duration = Duration::from_secs(5);

/// However seldom: so long a revoked token may pass.
const MAX_TTL: Duration = Duration::from_secs(15 * 60);
