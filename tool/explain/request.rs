//! The request that is explained.

use std::borrow::Cow;

use phantom_token_filter::credentials::TokenSource;
use phantom_token_filter::request::{RequestView, Unreadable};

/// A request as the filter would get it.
#[derive(Clone, Debug)]
pub(super) struct Request {
    headers: Vec<(String, Vec<u8>)>,
    /// Envoy's name of the route that it takes.
    pub(super) route: Option<String>,
    /// The policy that the route's metadata names.
    pub(super) route_policy: Option<String>,
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
        Ok(Self { headers: all, route: None, route_policy: None })
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
        Ok(self.route_policy.as_ref().map(|name| name.as_bytes().to_vec()))
    }

    fn route_name(&self) -> Result<Option<Vec<u8>>, Unreadable> {
        Ok(self.route.as_ref().map(|name| name.as_bytes().to_vec()))
    }
}
