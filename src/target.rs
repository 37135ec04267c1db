//! Where calls go: what is configured of it, and what discovery finds.

use std::fmt;
use std::time::Duration;

use crate::http::{ACCEPT_ENCODING, HttpCall, Scheme, USER_AGENT, called};
use crate::request::host_of;

/// Where a call goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Envoy cluster.
    pub cluster: String,
    /// `:scheme`, where it is known.
    pub scheme: Option<Scheme>,
    /// `:authority`.
    pub authority: String,
    /// `:path`.
    pub path: String,
}

/// Where an endpoint is, as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// All of it is written.
    Written(Target),
    /// Discovery says the rest.
    Sought(Sought),
}

/// What is written of an endpoint whose URL discovery finds. What is written stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sought {
    /// Envoy cluster.
    pub cluster: String,
    /// `:scheme`; that of the URL if it is not written.
    pub scheme: Option<Scheme>,
    /// `:authority`; that of the URL if it is not written.
    pub authority: Option<String>,
}

/// A URL of `http` or `https` without user and fragment, as far as it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Its scheme.
    pub scheme: Scheme,
    /// Host, and port if it names one, in lower case and without zeros before it.
    pub authority: String,
    /// Path and query; begins with a slash.
    pub path: String,
}

/// A host, with a port or on any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    name: String,
    port: Option<u16>,
}

impl Target {
    /// What is called, in words for the log.
    pub fn called(&self, method: &str) -> String {
        called(method, &self.path, &self.cluster, &self.authority)
    }

    /// A `GET` that accepts `media_types`.
    pub fn get(&self, media_types: &str, timeout: Duration) -> HttpCall {
        HttpCall::get(&self.cluster, self.scheme, &self.authority, &self.path, media_types, timeout)
    }

    /// A call that asks for JSON, with JSON for its body if it has one, and this for `authorization`.
    pub fn json(
        &self,
        method: &str,
        body: Option<Vec<u8>>,
        authorization: Option<String>,
        timeout: Duration,
    ) -> HttpCall {
        let first = [(":method", method), (":path", &self.path), (":authority", &self.authority)];
        let content_type = body.as_ref().map(|_| ("content-type", "application/json"));
        let rest = [("accept", "application/json"), ACCEPT_ENCODING, ("user-agent", USER_AGENT)];
        let fixed = first.into_iter().chain(content_type).chain(rest);
        let fixed = fixed.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let authorization = authorization.map(|value| ("authorization".to_owned(), value));
        HttpCall {
            cluster: self.cluster.clone(),
            headers: Scheme::header(self.scheme).into_iter().chain(fixed).chain(authorization).collect(),
            body: body.unwrap_or_default(),
            timeout,
        }
    }

    /// All of it, in texts.
    pub(crate) fn texts(&self) -> [&str; 4] {
        [&self.cluster, self.scheme.map_or("", Scheme::as_str), &self.authority, &self.path]
    }
}

impl Whereabouts {
    /// The Envoy cluster.
    pub fn cluster(&self) -> &str {
        match self {
            Self::Written(target) => &target.cluster,
            Self::Sought(sought) => &sought.cluster,
        }
    }

    /// Where calls go, if nothing has to be found first.
    pub fn written(&self) -> Option<&Target> {
        match self {
            Self::Written(target) => Some(target),
            Self::Sought(_) => None,
        }
    }

    /// What is to be found, if anything is.
    pub fn sought(&self) -> Option<&Sought> {
        match self {
            Self::Written(_) => None,
            Self::Sought(sought) => Some(sought),
        }
    }
}

impl Sought {
    /// The endpoint, once its URL is known.
    pub fn at(&self, url: &Url) -> Target {
        Target {
            cluster: self.cluster.clone(),
            scheme: self.scheme.or(Some(url.scheme)),
            authority: self.authority.clone().unwrap_or_else(|| url.authority.clone()),
            path: url.path.clone(),
        }
    }
}

impl Url {
    /// Reads a URL; nothing in it ends a line of a request or of a log.
    pub fn parse(text: &str) -> Option<Self> {
        let scheme = Scheme::of(text)?;
        let after = text.split_once("://")?.1;
        let rest = after.find(['/', '?']).unwrap_or(after.len());
        let (authority, target) = after.split_at_checked(rest)?;
        let host = Host::parse(authority)?;
        let is_target = target.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'#' | b'\\'));
        let slash = if target.starts_with('/') { "" } else { "/" };
        (is_target && text.len() <= MAX_BYTES).then(|| Self {
            scheme,
            authority: host.to_string(),
            path: [slash, target].concat(),
        })
    }

    /// Where it is: with its port, whether it names it or not.
    pub fn host(&self) -> Option<Host> {
        let Host { name, port } = Host::parse(&self.authority)?;
        Some(Host { name, port: port.or_else(|| Some(self.scheme.default_port())) })
    }
}

impl Host {
    /// Reads `HOST` or `HOST:PORT`; without a port it stands for all.
    pub fn parse(authority: &str) -> Option<Self> {
        let name = host_of(authority.as_bytes());
        let port = authority.get(name.len()..)?;
        let is_ipv6 = name.len() > 2 && name.starts_with(b"[") && name.ends_with(b"]");
        let inner = if is_ipv6 { name.get(1..name.len() - 1)? } else { name };
        let is_name = !inner.is_empty()
            && inner.iter().all(|&byte| {
                byte.is_ascii_alphanumeric() || b"-._".contains(&byte) || is_ipv6 && byte == b':'
            });
        let port = match port.strip_prefix(':') {
            None => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(digits.parse().ok()?),
            Some(_) => return None,
        };
        let name = str::from_utf8(name).ok().filter(|_| is_name)?.to_ascii_lowercase();
        Some(Self { name, port })
    }

    /// Whether it stands for that one, too.
    pub fn covers(&self, other: &Self) -> bool {
        self.name == other.name && (self.port.is_none() || self.port == other.port)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// Longer than any endpoint's.
const MAX_BYTES: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_as_it_is_called() {
        for (text, scheme, authority, path) in [
            ("https://as.example", Scheme::Https, "as.example", "/"),
            ("HTTPS://AS.example:8443/Token?x=1", Scheme::Https, "as.example:8443", "/Token?x=1"),
            ("https://as.example:08443/", Scheme::Https, "as.example:8443", "/"),
            ("http://[::1]:8080//a", Scheme::Http, "[::1]:8080", "//a"),
            ("https://as.example?a", Scheme::Https, "as.example", "/?a"),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!((url.scheme, &*url.authority, &*url.path), (scheme, authority, path), "{text}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_no_url() {
        for text in [
            "",
            "https://",
            "https:///a",
            "https:/as.example",
            "ftp://as.example/",
            "//as.example/",
            "https://user@as.example/",
            "https://as.example@evil.example/",
            "https://as.example\\@evil.example/",
            "https://as.example/\\evil.example",
            "https://as.example/a#b",
            "https://as.example/a b",
            "https://as.example/a\r\nHost: evil.example",
            "https://as.example/\u{e9}",
            "https://\u{e9}.example/",
            "https://as.example:/",
            "https://as.example:0x50/",
            "https://as.example:65536/",
            "https://as.example:+80/",
            "https://[::1/",
            "https://[]/",
        ] {
            assert_eq!(Url::parse(text), None, "{text}");
        }
        assert_eq!(Url::parse(&format!("https://as.example/{}", "a".repeat(2048))), None);
    }

    #[test]
    fn a_host_without_port_stands_for_all() {
        let covers = |host: &str, url: &str| {
            Host::parse(host).unwrap().covers(&Url::parse(url).unwrap().host().unwrap())
        };
        for (host, url) in [
            ("AS.example", "https://as.EXAMPLE:8443/"),
            ("as.example:443", "https://as.example/"),
            ("as.example:80", "http://as.example/"),
            ("[::1]", "http://[::1]:8080/"),
        ] {
            assert!(covers(host, url), "{host} {url}");
        }
        for (host, url) in [
            ("as.example:443", "http://as.example/"),
            ("as.example", "https://as.example.evil.example/"),
            ("as.example", "https://xas.example/"),
            ("example", "https://as.example/"),
        ] {
            assert!(!covers(host, url), "{host} {url}");
        }
    }
}
