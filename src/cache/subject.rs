//! What a withdrawal is about, and by what a verdict can be withdrawn.
//!
//! Both are brought to the same names: SHA-256 over the kind, the provider and the value. Only names lie in shared
//! data.
//!
//! A signal that names something that a verdict does not say is never lost on it: a verdict without `sid` falls
//! under what is withdrawn by the session's `sub`, or with all verdicts that have no `sid`. Withdrawal asks the
//! server anew and bans nobody, so too much of it costs calls, and too little would cost safety. Where nobody is asked,
//! only what is named counts ([`Jwts`](super::Jwts)).

use std::fmt;

use sha2::{Digest, Sha256};

use crate::claims::Claims;
use crate::token::{AccessToken, TokenDigest};

/// What is withdrawn.
#[derive(Clone, PartialEq, Eq)]
pub enum Subject {
    /// Every verdict of every provider.
    Everything,
    /// Some verdicts of one provider.
    Of(ProviderTag, Which),
    /// A JWT that is good by itself as one of this provider's, and the verdicts on it.
    Jwt(ProviderTag, TokenDigest),
    /// The verdicts on one token, whichever provider and configuration it was asked under.
    Token(TokenDigest),
}

/// What is withdrawn, by the name of its watermark and whose verdicts these are: all that other Envoys are told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name {
    pub(super) kind: Kind,
    /// Not of a token that may be anybody's, nor of everything, nor where it was not told.
    pub(super) provider: Option<ProviderTag>,
    pub(super) digest: TokenDigest,
}

impl Name {
    /// Of every verdict of a provider, or of all.
    pub fn all_of(provider: Option<ProviderTag>) -> Self {
        Self::of(&provider.map_or(Subject::Everything, |provider| Subject::Of(provider, Which::All)))
    }

    /// Of a subject.
    pub fn of(subject: &Subject) -> Self {
        let provider = match subject {
            Subject::Everything | Subject::Token(_) => None,
            Subject::Of(provider, _) | Subject::Jwt(provider, _) => Some(*provider),
        };
        Self { kind: subject.kind(), provider, digest: subject.name() }
    }

    /// Whose verdicts these are, if that is known.
    pub fn provider(&self) -> Option<ProviderTag> {
        self.provider
    }

    /// The digest.
    pub fn digest(&self) -> &TokenDigest {
        &self.digest
    }

    /// Which kind of subject it is of.
    pub fn kind(&self) -> u8 {
        self.kind as u8
    }

    /// One as it was written down; `None` if there is no such kind, or if what is of all providers is one's.
    pub fn new(kind: u8, provider: Option<ProviderTag>, digest: TokenDigest) -> Option<Self> {
        let kind = Kind::EVERY.into_iter().find(|it| *it as u8 == kind)?;
        (kind != Kind::Everything || provider.is_none()).then_some(Self { kind, provider, digest })
    }
}

/// The kind alone, as for [`Subject`].
impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({:?})", self.kind)
    }
}

impl Subject {
    /// The verdicts on `token`.
    pub fn token(token: &AccessToken) -> Self {
        Self::Token(TokenDigest::of(token))
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Everything => Kind::Everything,
            Self::Of(_, which) => which.parts().0,
            Self::Jwt(..) | Self::Token(_) => Kind::Token,
        }
    }

    /// The name of its watermark.
    pub(super) fn name(&self) -> TokenDigest {
        match self {
            Self::Everything => name(Kind::Everything, ProviderTag(NO_PROVIDER), b""),
            Self::Of(provider, which) => {
                let (kind, value) = which.parts();
                name(kind, *provider, value.as_bytes())
            }
            Self::Jwt(_, token) | Self::Token(token) => *token,
        }
    }
}

/// The kind alone: whose verdicts are withdrawn is nobody's business.
impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subject({:?})", self.kind())
    }
}

/// Which verdicts of a provider.
#[derive(Clone, PartialEq, Eq)]
pub enum Which {
    /// All.
    All,
    /// Those on tokens of this `client_id`.
    Client(String),
    /// Those with this `email`, whatever its case.
    Email(String),
    /// Those with this `jti`.
    Jti(String),
    /// Those with this `sid`, a session of OpenID Connect.
    Sid(String),
    /// Those with this `sub`.
    Sub(String),
    /// Those with this `sub` that do not say which session they belong to.
    SubWithoutSid(String),
    /// Those that have no `email`.
    WithoutEmail,
    /// Those that have no `jti`.
    WithoutJti,
    /// Those that do not say which session they belong to.
    WithoutSid,
}

impl Which {
    fn parts(&self) -> (Kind, &str) {
        match self {
            Self::All => (Kind::All, ""),
            Self::Client(client_id) => (Kind::Client, client_id),
            Self::Email(email) => (Kind::Email, email),
            Self::Jti(jti) => (Kind::Jti, jti),
            Self::Sid(sid) => (Kind::Sid, sid),
            Self::Sub(sub) => (Kind::Sub, sub),
            Self::SubWithoutSid(sub) => (Kind::SubWithoutSid, sub),
            Self::WithoutEmail => (Kind::WithoutEmail, ""),
            Self::WithoutJti => (Kind::WithoutJti, ""),
            Self::WithoutSid => (Kind::WithoutSid, ""),
        }
    }
}

/// The kind alone, as for [`Subject`].
impl fmt::Debug for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Which({:?})", self.parts().0)
    }
}

/// A provider, as names of watermarks and entries have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProviderTag([u8; 8]);

impl ProviderTag {
    /// The provider of this identity.
    pub fn new(identity: &str) -> Self {
        let digest = Sha256::digest(identity.as_bytes());
        Self(digest.first_chunk().copied().unwrap_or_default())
    }

    pub(super) fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }

    /// One as it was written down, if one was.
    pub(crate) fn read(bytes: [u8; 8]) -> Option<Self> {
        (bytes != NO_PROVIDER).then_some(Self(bytes))
    }

    /// One, or that there is none.
    pub(crate) fn write(provider: Option<Self>) -> [u8; 8] {
        provider.map_or(NO_PROVIDER, |Self(bytes)| bytes)
    }
}

/// Who vouches for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vouched {
    /// It does itself: it is a JWT that nobody is asked about. What is withdrawn refuses it.
    ByItself,
    /// A server, which is asked again when it is withdrawn.
    ByServer,
}

/// A verdict, as far as it can be withdrawn.
#[derive(Clone, Copy, Debug)]
pub struct Withdrawable<'a> {
    /// The token's digest of [`TokenDigest::of`].
    pub token: TokenDigest,
    /// Who was asked.
    pub provider: ProviderTag,
    /// What the token says.
    pub claims: Claims<'a>,
}

impl Withdrawable<'_> {
    /// The names of the watermarks that it falls under, of those kinds that there are.
    pub(super) fn names(&self, kinds: Kinds) -> Vec<(Kind, TokenDigest)> {
        let Claims { client_id, sid, sub, .. } = self.claims;
        let mut values = vec![(Kind::All, Some(&b""[..])), (Kind::Client, client_id), (Kind::Sub, sub)];
        match sid {
            Some(_) => values.push((Kind::Sid, sid)),
            None => values.extend([(Kind::SubWithoutSid, sub), (Kind::WithoutSid, Some(b""))]),
        }
        // The members that no flat form has are worth parsing only where something was withdrawn by them.
        let members = if kinds.has_any(&[Kind::Email, Kind::Jti, Kind::WithoutEmail, Kind::WithoutJti]) {
            self.claims.members()
        } else {
            Default::default()
        };
        let member = |name| members.get(name).and_then(|value| value.as_str());
        match member("email") {
            Some(email) => values.push((Kind::Email, Some(email.as_bytes()))),
            None => values.push((Kind::WithoutEmail, Some(b""))),
        }
        match member("jti") {
            Some(jti) => values.push((Kind::Jti, Some(jti.as_bytes()))),
            None => values.push((Kind::WithoutJti, Some(b""))),
        }
        let name = |(kind, value): (Kind, Option<&[u8]>)| Some((kind, name(kind, self.provider, value?)));
        let mut names = Vec::with_capacity(values.len() + 1);
        if kinds.has(Kind::Token) {
            names.push((Kind::Token, self.token));
        }
        names.extend(values.into_iter().filter(|(kind, _)| kinds.has(*kind)).filter_map(name));
        names
    }
}

fn name(kind: Kind, provider: ProviderTag, value: &[u8]) -> TokenDigest {
    let hasher = Sha256::new_with_prefix([kind as u8]).chain_update(provider.0);
    let hasher = match (kind, std::str::from_utf8(value)) {
        // Mail domains know no case, and servers that tell cases of the local part apart are rarer than those
        // that write it now so, now so.
        (Kind::Email, Ok(email)) => hasher.chain_update(email.trim().to_ascii_lowercase()),
        _ => hasher.chain_update(value),
    };
    TokenDigest::from_bytes(hasher.finalize().into())
}

/// In the place of a provider where there is none.
const NO_PROVIDER: [u8; 8] = [0; 8];

/// The kinds of watermarks. The numbers are part of the form of shared data, and of what Envoys tell each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Everything = 0,
    Token = 1,
    All = 2,
    Client = 3,
    Email = 4,
    Jti = 5,
    Sid = 6,
    Sub = 7,
    SubWithoutSid = 8,
    WithoutEmail = 9,
    WithoutJti = 10,
    WithoutSid = 11,
}

impl Kind {
    const EVERY: [Self; 12] = [
        Self::Everything,
        Self::Token,
        Self::All,
        Self::Client,
        Self::Email,
        Self::Jti,
        Self::Sid,
        Self::Sub,
        Self::SubWithoutSid,
        Self::WithoutEmail,
        Self::WithoutJti,
        Self::WithoutSid,
    ];

    /// Whether it takes many tokens at once.
    pub(super) fn is_broad(self) -> bool {
        match self {
            Self::Everything | Self::All | Self::WithoutEmail | Self::WithoutJti | Self::WithoutSid => true,
            Self::Token
            | Self::Client
            | Self::Email
            | Self::Jti
            | Self::Sid
            | Self::Sub
            | Self::SubWithoutSid => false,
        }
    }

    /// Whether it is of one token, or of a session that is over: whoever logs in again gets another.
    pub(super) fn is_of_one(self) -> bool {
        matches!(self, Self::Jti | Self::Sid | Self::Token)
    }
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kinds(pub(super) u32);

impl Kinds {
    pub(super) const ALL: Self = Self(u32::MAX);

    pub(super) fn has(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u32) != 0
    }

    fn has_any(self, kinds: &[Kind]) -> bool {
        kinds.iter().any(|kind| self.has(*kind))
    }

    pub(super) fn with(self, kind: Kind) -> Self {
        Self(self.0 | 1 << kind as u32)
    }
}
