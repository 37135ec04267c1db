//! The request that is explained.

use std::borrow::Cow;
use std::cell::Cell;

use phantom_token_filter::credentials::TokenSource;
use phantom_token_filter::request::{RequestView, Unreadable};

/// A request as the filter would get it.
#[derive(Clone, Debug)]
pub(super) struct Request {
    headers: Vec<(String, Vec<u8>)>,
    /// Envoy's name of the route that it takes.
    pub(super) route: Answer,
    /// The policy that the route's metadata names.
    pub(super) route_policy: Answer,
}

/// What Envoy answers if the filter asks for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    text: Option<String>,
    was_asked: Cell<bool>,
}

impl Answer {
    pub(super) fn new(text: Option<&str>) -> Self {
        Self { text: text.map(str::to_owned), was_asked: Cell::default() }
    }

    fn bytes(&self) -> Option<Vec<u8>> {
        self.was_asked.set(true);
        self.text.as_ref().map(|text| text.as_bytes().to_vec())
    }

    fn is_unread(&self) -> bool {
        self.text.is_some() && !self.was_asked.get()
    }
}

impl Request {
    /// A request for a URL, or for a path alone; headers are written `name: value`.
    pub(super) fn new(method: &str, url: &str, headers: &[String]) -> Result<Self, String> {
        let (scheme, authority, path) = parts(url).ok_or_else(|| {
            format!("expected https://HOST/PATH or /PATH, without user information, got {url:?}")
        })?;
        let mut all = vec![
            (":method".to_owned(), method.as_bytes().to_vec()),
            (":scheme".to_owned(), scheme.into_bytes()),
            (":path".to_owned(), path.into_bytes()),
        ];
        if !authority.is_empty() {
            all.push((":authority".to_owned(), authority.as_bytes().to_vec()));
        }
        for header in headers {
            let (name, value) =
                header.split_once(':').ok_or_else(|| format!("expected \"name: value\", got {header:?}"))?;
            let name = match name.trim().to_ascii_lowercase() {
                host if host == "host" => ":authority".to_owned(),
                name => name,
            };
            all.push((name, value.trim().as_bytes().to_vec()));
        }
        Ok(Self { headers: all, route: Answer::default(), route_policy: Answer::default() })
    }

    /// Whether the filter took this policy because the route names it.
    pub(super) fn is_policy_named_by_route(&self, policy: &str) -> bool {
        self.route_policy.was_asked.get() && self.route_policy.text.as_deref() == Some(policy)
    }

    /// The options that answer what the filter has not asked when it chose a policy, and why it has not.
    pub(super) fn unread(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let options = [
            (&self.route_policy, "--route-policy", "policy_from is not route_metadata"),
            (&self.route, "--route", "the policy is known without the route's name"),
        ];
        options
            .into_iter()
            .filter(|(answer, ..)| answer.is_unread())
            .map(|(_, option, reason)| (option, reason))
    }

    /// The same with a token where a policy looks for one.
    pub(super) fn with_token(mut self, source: &TokenSource, token: &str) -> Self {
        let (name, value) = match source {
            TokenSource::AuthorizationHeader => ("authorization", format!("Bearer {token}")),
            TokenSource::Header(name) => (name.as_str(), token.to_owned()),
            TokenSource::Cookie(name) => ("cookie", format!("{name}={token}")),
        };
        self.headers.push((name.to_owned(), value.into_bytes()));
        self
    }

    /// The path as it is written, without a query.
    pub(super) fn path(&self) -> String {
        let path = String::from_utf8_lossy(&self.header(":path").unwrap_or_default()).into_owned();
        path.split_once('?').map_or_else(|| path.clone(), |(path, _)| path.to_owned())
    }
}

/// Scheme, authority and path of a request for this URL, as a client sends them: no fragment, and a path in any case.
fn parts(url: &str) -> Option<(String, &str, String)> {
    let url = url.split_once('#').map_or(url, |(url, _)| url);
    if url.starts_with('/') {
        return Some(("https".to_owned(), "", url.to_owned()));
    }
    let (scheme, rest) = url.split_once("://")?;
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let scheme = scheme.to_ascii_lowercase();
    let is_http = matches!(&*scheme, "http" | "https") && !authority.is_empty() && !authority.contains('@');
    let slash = if path.starts_with('/') { "" } else { "/" };
    is_http.then(|| (scheme, authority, [slash, path].concat()))
}

impl RequestView for Request {
    /// Envoy joins the copies of `authorization`, and gives the first of any other.
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let copies = self.copies(name);
        if name == "authorization" && copies.len() > 1 {
            return Some(copies.join(&b","[..]).into());
        }
        copies.into_iter().next().map(Cow::Owned)
    }

    fn copies(&self, name: &str) -> Vec<Vec<u8>> {
        self.headers.iter().filter(|header| header.0 == name).map(|header| header.1.clone()).collect()
    }

    fn route_policy(&self) -> Result<Option<Vec<u8>>, Unreadable> {
        Ok(self.route_policy.bytes())
    }

    fn route_name(&self) -> Result<Option<Vec<u8>>, Unreadable> {
        Ok(self.route.bytes())
    }
}
