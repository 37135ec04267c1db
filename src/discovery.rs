//! What an authorization server says of itself: RFC 8414, and OpenID Connect Discovery 1.0. It is fetched by the issuer that
//! is configured, and believed as far as it could not lead anywhere else: it names that issuer to the letter (RFC 8414 §3.3),
//! and endpoints only on hosts that may be called.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::http::{HttpCall, Reply, Scheme, Unreadable};
use crate::json::{self, BadMember, NotAnObject};
use crate::target::{Host, Target, Url};

/// Where a provider's metadata is, and what is believed of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// The provider's name in the configuration.
    pub provider: String,
    /// Whose metadata it must be.
    pub issuer: String,
    /// Where it may be, in the order of looking.
    pub documents: Vec<Target>,
    /// How long a fetch may take.
    pub timeout: Duration,
    /// After which time it is fetched again at the latest.
    pub refresh_interval: Duration,
    /// Where endpoints may be.
    pub allowed_hosts: Vec<Host>,
    /// Whether endpoints may be reached without TLS.
    pub transport: Transport,
}

/// How endpoints may be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// By TLS only (RFC 8414 §6.1).
    Tls,
    /// By TLS or without it: their cluster is plain, and is said to be.
    Any,
}

/// Which document is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WellKnown {
    /// RFC 8414 §3.1: the well-known part stands before the issuer's path.
    Oauth,
    /// OpenID Connect Discovery §4: it stands behind.
    Openid,
}

/// What must be in a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// `introspection_endpoint`.
    pub introspection: bool,
    /// `jwks_uri`.
    pub jwks: bool,
}

/// What a document says, as far as it is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// `introspection_endpoint`, if it is wanted.
    pub introspection: Option<Url>,
    /// `jwks_uri`, if it is wanted.
    pub jwks: Option<Url>,
    /// `introspection_endpoint_auth_methods_supported`.
    pub introspection_methods: Option<Vec<String>>,
    /// `token_endpoint_auth_methods_supported`.
    pub token_methods: Option<Vec<String>>,
    /// The path of `revocation_endpoint`: worth to be watched.
    pub revocation_path: Option<String>,
    /// `backchannel_logout_supported`: worth to be received.
    pub has_logout: bool,
}

impl WellKnown {
    /// The path of the document of an issuer. A slash at the issuer's end is none of its path.
    pub fn path(self, issuer: &Url) -> String {
        let path = issuer.path.strip_suffix('/').unwrap_or(&issuer.path);
        match self {
            Self::Oauth => ["/.well-known/oauth-authorization-server", path].concat(),
            Self::Openid => [path, "/.well-known/openid-configuration"].concat(),
        }
    }
}

impl Metadata {
    /// How the introspection endpoint lets us show who asks; where it does not say, as the token endpoint does: servers have
    /// the same code for both.
    pub fn methods(&self) -> Option<&[String]> {
        self.introspection_methods.as_deref().or(self.token_methods.as_deref())
    }
}

impl Discovery {
    /// The request for one of the documents; `None` if there are not so many.
    pub fn request(&self, document: usize) -> Option<HttpCall> {
        Some(self.documents.get(document)?.get("application/json", self.timeout))
    }

    /// Reads an answer.
    ///
    /// # Errors
    ///
    /// [`Refused`] with the reason, if it is not what is wanted.
    pub fn read(&self, reply: &Reply<'_>, wanted: Wanted) -> Result<Metadata, Refused> {
        if reply.status != 200 {
            return Err(Refused::Status(reply.status));
        }
        let members = json::object(reply.text().map_err(Refused::Unreadable)?).map_err(Refused::NotJson)?;
        let issuer = members.get("issuer").and_then(Value::as_str);
        if issuer != Some(&*self.issuer) {
            let got = issuer.map(|issuer| issuer.chars().take(MAX_SHOWN_CHARS).collect());
            return Err(Refused::OtherIssuer { wanted: self.issuer.clone(), got });
        }
        let endpoint = |name, is_wanted| match is_wanted {
            true => self.endpoint(&members, name).map(Some),
            false => Ok(None),
        };
        let hint = members.get("revocation_endpoint").and_then(Value::as_str).and_then(Url::parse);
        Ok(Metadata {
            introspection: endpoint("introspection_endpoint", wanted.introspection)?,
            jwks: endpoint("jwks_uri", wanted.jwks)?,
            introspection_methods: texts(&members, "introspection_endpoint_auth_methods_supported")?,
            token_methods: texts(&members, "token_endpoint_auth_methods_supported")?,
            revocation_path: hint.map(|url| url.path),
            has_logout: members.get("backchannel_logout_supported") == Some(&Value::Bool(true)),
        })
    }

    /// An endpoint that may be called.
    fn endpoint(&self, members: &Map<String, Value>, name: &'static str) -> Result<Url, Refused> {
        let url = match members.get(name) {
            None | Some(Value::Null) => return Err(Refused::Missing(name)),
            Some(Value::String(text)) => Url::parse(text).ok_or(Refused::NotAUrl(name))?,
            Some(_) => return Err(Refused::BadMember(BadMember(name))),
        };
        if url.scheme == Scheme::Http && self.transport == Transport::Tls {
            return Err(Refused::Plain(name));
        }
        let is_allowed = url.host().is_some_and(|host| self.allowed_hosts.iter().any(|it| it.covers(&host)));
        if is_allowed { Ok(url) } else { Err(Refused::OtherHost { name, host: url.authority }) }
    }
}

/// The texts of a list, if it is there; what else is in it means nothing to us.
fn texts(members: &Map<String, Value>, name: &'static str) -> Result<Option<Vec<String>>, Refused> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(list)) => {
            Ok(Some(list.iter().filter_map(Value::as_str).map(str::to_owned).collect()))
        }
        Some(_) => Err(Refused::BadMember(BadMember(name))),
    }
}

/// Why a document is of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A member has another type than RFC 8414 §2 gives it.
    BadMember(BadMember),
    /// A member that is wanted is not there.
    Missing(&'static str),
    /// No answer, or one that broke off.
    NoAnswer,
    /// The server takes no credentials such as ours.
    NoMethod,
    /// A member is no URL that can be called.
    NotAUrl(&'static str),
    /// It is no JSON object.
    NotJson(NotAnObject),
    /// An endpoint is on a host that may not be called.
    OtherHost {
        /// The endpoint's member.
        name: &'static str,
        /// The host.
        host: String,
    },
    /// It is another issuer's.
    OtherIssuer {
        /// Ours, as configured.
        wanted: String,
        /// What it says, if it says any; cut off if it is long.
        got: Option<String>,
    },
    /// An endpoint without TLS.
    Plain(&'static str),
    /// The status is another than 200. A redirect is not followed: it could lead anywhere.
    Status(u16),
    /// The body cannot be read.
    Unreadable(Unreadable),
}

impl Refused {
    /// Whether what is wanted may be in another document: there is none here, or not with that in it. A document that is there
    /// and refused is not the way to another, and a server that is down has none.
    pub fn may_be_elsewhere(&self) -> bool {
        match self {
            Self::Status(status) => (300..500).contains(status) && ![408, 429].contains(status),
            Self::Missing(_) | Self::NotJson(_) => true,
            Self::BadMember(_)
            | Self::NoAnswer
            | Self::NoMethod
            | Self::NotAUrl(_)
            | Self::OtherHost { .. }
            | Self::OtherIssuer { .. }
            | Self::Plain(_)
            | Self::Unreadable(_) => false,
        }
    }

    /// Whether it heals by itself: the server is down.
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::NoAnswer | Self::Status(408 | 429 | 500..))
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadMember(member) => member.fmt(f),
            Self::Missing(name @ "introspection_endpoint") => write!(
                f,
                "it has no {name}: write `introspection.path`, and `cluster` and `authority` if it is on another host"
            ),
            Self::Missing(name) => write!(f, "it has no {name}: write `jwks.path`"),
            Self::NoAnswer => f.write_str("no answer"),
            Self::NoMethod => f.write_str(
                "of client_secret_basic and client_secret_post the server takes neither: write another `introspection.auth`",
            ),
            Self::NotAUrl(name) => write!(f, "expected a URL of http or https in {name}, got none"),
            Self::NotJson(reason) => reason.fmt(f),
            Self::OtherHost { name, host } => {
                write!(f, "{name} is on the host {host:?}, which is none of `discovery.allowed_hosts`")
            }
            Self::OtherIssuer { wanted, got: Some(got) } => {
                write!(f, "expected the issuer {wanted:?} (RFC 8414 §3.3), got {got:?}")
            }
            Self::OtherIssuer { wanted, got: None } => {
                write!(f, "expected the issuer {wanted:?} (RFC 8414 §3.3), got none")
            }
            Self::Plain(name) => write!(
                f,
                "{name} is of http: expected https, unless the cluster is plain and `discovery.scheme: http` says so"
            ),
            Self::Status(status) => write!(f, "expected status 200, got {status}"),
            Self::Unreadable(reason) => reason.fmt(f),
        }
    }
}

/// Of an issuer that is another's.
const MAX_SHOWN_CHARS: usize = 200;
