//! `htu` (RFC 9449 §4.2): the URI that a proof is for, against the one that was asked for. What a client has asked for may
//! have had another scheme, host or path before proxies in front changed it, so the outside of our URIs is configured.

use std::fmt;

use crate::bytes::hex_byte;
use crate::request::RequestView;

/// Where clients see us: a scheme, a host, and what of the path a proxy in front takes away. In normal form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Scheme and authority.
    root: String,
    /// The authority.
    authority: String,
    /// Empty, or with a slash at its beginning and none at its end.
    prefix: String,
}

impl Origin {
    /// Reads an http or https URL without user, query and fragment.
    pub fn parse(text: &str) -> Option<Self> {
        if text.contains(['?', '#']) {
            return None;
        }
        let Uri { scheme, authority, path } = Uri::parse(text.as_bytes())?;
        let prefix = path.trim_end_matches('/').to_owned();
        Some(Self { root: format!("{scheme}://{authority}"), authority, prefix })
    }
}

impl Origin {
    /// Whether anybody on the way to it can read what is sent there.
    pub fn is_in_the_clear(&self) -> bool {
        let host = crate::request::host_of(self.authority.as_bytes());
        let is_loopback = [&b"localhost"[..], b"[::1]"].contains(&host) || host.starts_with(b"127.");
        self.root.starts_with("http:") && !is_loopback
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.root, self.prefix)
    }
}

/// What a request is for, as far as it takes part in `htu`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sender_constrained) struct Target {
    authority: Vec<u8>,
    /// Without query; it cannot have a fragment.
    path: Vec<u8>,
}

impl Target {
    pub(in crate::sender_constrained) fn of(request: &dyn RequestView) -> Self {
        let get = |name| request.header(name).unwrap_or_default();
        let path = get(":path");
        let path = path.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
        Self { authority: get(":authority").into_owned(), path: path.to_vec() }
    }

    pub(in crate::sender_constrained) fn size(&self) -> usize {
        self.authority.len() + self.path.len()
    }
}

/// Whether `htu` is the URI of a request for `target`, seen from outside at one of the origins: at one of those that the request
/// names, if it names any. Both sides are brought to their normal form (RFC 3986 §6.2.2, §6.2.3), and query and fragment count
/// for nothing (RFC 9449 §4.3).
pub(super) fn is_same(htu: &str, target: &Target, origins: &[Origin]) -> bool {
    let Some(htu) = Uri::parse(htu.as_bytes()) else { return false };
    let authority = normal_authority(&target.authority);
    let named = |origin: &Origin| origin.named_by(authority.as_deref());
    let best = origins.iter().map(named).max();
    let root = format!("{}://{}", htu.scheme, htu.authority);
    let is_it = |origin: &Origin| {
        origin.root == root
            && normal_path(&[origin.prefix.as_bytes(), &target.path].concat()).as_deref() == Some(&*htu.path)
    };
    target.path.starts_with(b"/") && origins.iter().filter(|origin| Some(named(origin)) == best).any(is_it)
}

/// How much of an origin a request names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Named {
    Nothing,
    /// The host, but another port: a proxy in front may have another.
    Host,
    HostAndPort,
}

impl Origin {
    /// How much of it a request for this authority names.
    fn named_by(&self, authority: Option<&str>) -> Named {
        let Some(authority) = authority else { return Named::Nothing };
        let host = |authority| crate::request::host_of(str::as_bytes(authority));
        // Without a scheme, nobody can tell which port goes without saying.
        if [authority, default_port(authority)].contains(&&*self.authority) {
            Named::HostAndPort
        } else if host(authority) == host(&self.authority) {
            Named::Host
        } else {
            Named::Nothing
        }
    }
}

/// An http or https URI in its normal form, without query and fragment.
struct Uri {
    scheme: &'static str,
    authority: String,
    path: String,
}

impl Uri {
    fn parse(text: &[u8]) -> Option<Self> {
        let end = text.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(text.len());
        let (text, rest) = text.split_at_checked(end)?;
        if !rest.iter().all(u8::is_ascii_graphic) {
            return None;
        }
        let colon = text.iter().position(|byte| *byte == b':')?;
        let (scheme, rest) = text.split_at_checked(colon)?;
        let scheme = ["http", "https"].into_iter().find(|it| scheme.eq_ignore_ascii_case(it.as_bytes()))?;
        let rest = rest.strip_prefix(b"://")?;
        let slash = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(slash)?;
        let authority = normal_authority(authority)?;
        let port = if scheme == "https" { ":443" } else { ":80" };
        let authority = authority.strip_suffix(port).map(str::to_owned).unwrap_or(authority);
        Some(Self { scheme, authority, path: normal_path(path)? })
    }
}

/// An authority in lower case, without an empty port. `None` if it has a user, or is none.
fn normal_authority(authority: &[u8]) -> Option<String> {
    if !authority.iter().all(|byte| byte.is_ascii_alphanumeric() || b"%-._~!$&'()*+,;=:[]".contains(byte)) {
        return None;
    }
    let authority = normal(authority)?.to_ascii_lowercase();
    let authority = authority.strip_suffix(':').unwrap_or(&authority);
    let host = crate::request::host_of(authority.as_bytes());
    let port = authority.as_bytes().get(host.len()..)?;
    let is_port = port.is_empty() || port.iter().skip(1).all(u8::is_ascii_digit);
    (!host.is_empty() && is_port).then(|| authority.to_owned())
}

/// An authority without the port that goes without saying under either scheme.
fn default_port(authority: &str) -> &str {
    authority.strip_suffix(":443").or_else(|| authority.strip_suffix(":80")).unwrap_or(authority)
}

/// A path that begins with a slash, or is empty, which is the same as a slash: escapes in capitals and only where they are
/// needed, without dot segments.
fn normal_path(path: &[u8]) -> Option<String> {
    let path = normal(path)?;
    let mut segments: Vec<&str> = Vec::new();
    let mut rest = path.strip_prefix('/').unwrap_or(&path).split('/').peekable();
    while let Some(segment) = rest.next() {
        let is_last = rest.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    segments.pop();
                }
                if is_last {
                    segments.push("");
                }
            }
            segment => segments.push(segment),
        }
    }
    Some(format!("/{}", segments.join("/")))
}

/// The text with unreserved characters unescaped and all other escapes in capitals (RFC 3986 §6.2.2.1, §6.2.2.2). What browsers
/// leave in URLs though it stands in no URI is left as it is. `None` if it is no text of visible ASCII.
fn normal(text: &[u8]) -> Option<String> {
    let mut normal = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        rest = match escape(rest) {
            Some((escaped, after)) if escaped.is_ascii_alphanumeric() || b"-._~".contains(&escaped) => {
                normal.push(char::from(escaped));
                after
            }
            Some((escaped, after)) => {
                normal.push_str(&format!("%{escaped:02X}"));
                after
            }
            None if byte.is_ascii_graphic() => {
                normal.push(char::from(*byte));
                after
            }
            None => return None,
        };
    }
    Some(normal)
}

/// The byte that a text begins with an escape of, and what follows.
fn escape(text: &[u8]) -> Option<(u8, &[u8])> {
    let [b'%', high, low, after @ ..] = text else { return None };
    Some((hex_byte([*high, *low])?, after))
}
