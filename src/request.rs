//! What the filter reads of a request. Reads are host calls, so each is made only when its answer is needed.

use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;

use crate::bytes::Reader;

/// A request's headers, read one by one.
pub trait RequestView {
    /// The value of `authorization`: Envoy knows it to be single, and joins all copies by commas. Who needs no other
    /// header asks for this one alone.
    fn authorization(&self) -> Option<Cow<'_, [u8]>> {
        self.header("authorization")
    }

    /// The value of a header or pseudo-header; of most that occur more than once, the first.
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>>;

    /// Every copy of a header.
    fn copies(&self, name: &str) -> Vec<Vec<u8>>;

    /// The policy that the route's metadata names.
    ///
    /// # Errors
    ///
    /// [`Unreadable`] if the metadata has something there that is no text.
    fn route_policy(&self) -> Result<Option<Vec<u8>>, Unreadable>;

    /// The name of the route that the request takes. `None` if it takes none, or one without a name.
    ///
    /// # Errors
    ///
    /// [`Unreadable`] if the host does not tell.
    fn route_name(&self) -> Result<Option<Vec<u8>>, Unreadable> {
        Ok(None)
    }

    /// The cluster that the request is routed to. `None` if it goes to none, or the host does not say.
    fn route_cluster(&self) -> Option<Vec<u8>> {
        None
    }

    /// SHA-256 of the certificate that the client has shown on this connection, in hex digits. `None` if it has shown none, or
    /// the host does not say.
    fn peer_certificate_digest(&self) -> Option<Vec<u8>> {
        None
    }

    /// The address that the connection came from, without port. `None` if the host does not say.
    fn peer(&self) -> Option<Vec<u8>> {
        None
    }
}

/// Whether it is a CORS preflight, as browsers send it: without a body, and without a word of another method than its
/// own, which some services obey.
pub fn is_preflight(request: &dyn RequestView) -> bool {
    let is_there = |name| request.header(name).is_some_and(|value| !value.is_empty());
    request.header(":method").as_deref() == Some(b"OPTIONS")
        && is_there("origin")
        && is_there("access-control-request-method")
        && request.header("content-length").is_none_or(|length| &*length == b"0")
        && !["transfer-encoding", "x-http-method-override", "x-http-method", "x-method-override"]
            .into_iter()
            .any(is_there)
}

/// What was kept of the headers of a request that had to wait.
#[derive(Clone, Debug, Default)]
pub struct KeptHeaders(pub Vec<(String, String)>);

impl KeptHeaders {
    /// How many bytes they take.
    pub fn size(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.len()).sum()
    }
}

impl RequestView for KeptHeaders {
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        self.0.iter().find(|(kept, _)| kept == name).map(|(_, value)| value.as_bytes().into())
    }

    fn copies(&self, name: &str) -> Vec<Vec<u8>> {
        self.header(name).into_iter().map(Cow::into_owned).collect()
    }

    fn route_policy(&self) -> Result<Option<Vec<u8>>, Unreadable> {
        Ok(None)
    }
}

/// There is something, but it cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

/// A change to a request's headers on its way to the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderEdit<'a> {
    /// Remove every copy.
    Remove(&'a str),
    /// Replace every copy by this one.
    Set(&'a str, &'a [u8]),
}

/// Changes to a request's headers, in their order. All lie in one piece of memory: a worker keeps them by the hundred
/// thousand, and what is far apart takes long to read.
#[derive(Clone, PartialEq, Eq)]
pub struct HeaderEdits(Rc<[u8]>);

impl HeaderEdits {
    /// The changes.
    pub fn iter(&self) -> impl Iterator<Item = HeaderEdit<'_>> {
        let mut reader = Reader::new(&self.0);
        std::iter::from_fn(move || {
            let (name_len, value_len) = (reader.u32()?, reader.u32()?);
            let name = std::str::from_utf8(reader.take(usize::try_from(name_len).ok()?)?).ok()?;
            Some(match value_len {
                ABSENT => HeaderEdit::Remove(name),
                len => HeaderEdit::Set(name, reader.take(usize::try_from(len).ok()?)?),
            })
        })
    }

    /// How many bytes they take.
    pub fn size(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Debug for HeaderEdits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Changes to a request's headers that are still being collected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderEditsBuf(Vec<u8>);

impl HeaderEditsBuf {
    /// Adds [`HeaderEdit::Remove`].
    pub fn remove(&mut self, name: &str) {
        self.put(name, ABSENT, &[]);
    }

    /// Adds [`HeaderEdit::Set`], of a value in parts.
    pub fn set(&mut self, name: &str, value: &[&[u8]]) {
        let len = value.iter().map(|part| part.len()).sum::<usize>();
        match u32::try_from(len) {
            Ok(len) if len != ABSENT => self.put(name, len, value),
            // What is too long for a length is too long for a header.
            _ => self.remove(name),
        }
    }

    /// Adds what others do, after all that is there.
    pub fn append(&mut self, others: Self) {
        if self.0.is_empty() {
            *self = others;
        } else {
            self.0.extend(others.0);
        }
    }

    /// How many bytes they take.
    pub fn size(&self) -> usize {
        self.0.len()
    }

    /// All of them, to keep.
    pub fn share(self) -> HeaderEdits {
        HeaderEdits(self.0.into())
    }

    fn put(&mut self, name: &str, value_len: u32, value: &[&[u8]]) {
        let Ok(name_len) = u32::try_from(name.len()) else { return };
        self.0.reserve(8 + name.len() + value.iter().map(|part| part.len()).sum::<usize>());
        self.0.extend_from_slice(&name_len.to_le_bytes());
        self.0.extend_from_slice(&value_len.to_le_bytes());
        self.0.extend_from_slice(name.as_bytes());
        value.iter().for_each(|part| self.0.extend_from_slice(part));
    }
}

/// A length that stands for "no value".
const ABSENT: u32 = u32::MAX;

/// Whether `path` is the path of a request target, which may go on with a query or a fragment.
pub(crate) fn has_path(target: &[u8], path: &str) -> bool {
    target.strip_prefix(path.as_bytes()).is_some_and(|rest| matches!(rest.first(), None | Some(b'?' | b'#')))
}

/// Whether a request is to one of these hosts; none are all.
pub(crate) fn has_host(request: &dyn RequestView, hosts: &[String]) -> bool {
    if hosts.is_empty() {
        return true;
    }
    let Some(authority) = request.header(":authority") else { return false };
    let host = host_of(&authority);
    hosts.iter().any(|wanted| host.eq_ignore_ascii_case(wanted.as_bytes()))
}

/// The host of an authority, without port; an IPv6 address keeps its brackets. What a port is, no matter what stands
/// there, is as Envoy has it where it ignores ports.
pub(crate) fn host_of(authority: &[u8]) -> &[u8] {
    let port = match authority.iter().rposition(|&byte| byte == b':') {
        Some(colon) if authority.iter().skip(colon).all(|&byte| byte != b']') => colon,
        _ => authority.len(),
    };
    authority.get(..port).unwrap_or(authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_read_as_they_were_written() {
        let mut edits = HeaderEditsBuf::default();
        assert_eq!(edits.clone().share().iter().count(), 0);
        edits.set("authorization", &[b"Bearer ", b"a.b.c"]);
        edits.remove("cookie");
        edits.set("x-empty", &[]);
        let edits = edits.share();
        assert_eq!(
            edits.iter().collect::<Vec<_>>(),
            [
                HeaderEdit::Set("authorization", b"Bearer a.b.c"),
                HeaderEdit::Remove("cookie"),
                HeaderEdit::Set("x-empty", b""),
            ]
        );
    }

    #[test]
    fn paths_end_before_query_and_fragment() {
        for (target, is_it) in
            [("/a?b", true), ("/a#b", true), ("/a", true), ("/ab", false), ("/a/", false), ("?", false)]
        {
            assert_eq!(has_path(target.as_bytes(), "/a"), is_it, "{target}");
        }
    }

    #[test]
    fn hosts_end_before_the_port() {
        for (authority, host) in [
            ("a.example", "a.example"),
            ("a.example:8080", "a.example"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("::1", ":"),
            ("a.example:", "a.example"),
            ("a.example::80", "a.example:"),
            ("a.example:80@b.example", "a.example"),
            ("a]:80", "a]"),
            (":80", ""),
            ("", ""),
        ] {
            assert_eq!(host_of(authority.as_bytes()), host.as_bytes(), "{authority}");
        }
    }
}
