//! Requests, and what becomes of them.

use std::borrow::Cow;

use phantom_token_filter::challenge::Answer;
use phantom_token_filter::request::{HeaderEdit, HeaderEdits, HeaderEditsBuf, RequestView, Unreadable};
use serde_json::Value;

use super::part;

/// A request by its headers.
#[derive(Clone, Default)]
pub struct Request {
    headers: Vec<(String, Vec<u8>)>,
    route_policy: Option<Result<Vec<u8>, Unreadable>>,
    route_name: Option<Result<Vec<u8>, Unreadable>>,
    cluster: Option<String>,
    peer: Option<String>,
    certificate: Option<String>,
}

impl Request {
    pub fn get(path: &str) -> Self {
        Self::default().with(":method", "GET").with(":path", path).with(":authority", "api.example")
    }

    /// `GET /` with this token.
    pub fn bearer(token: &str) -> Self {
        Self::get("/").with("authorization", format!("Bearer {token}"))
    }

    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    pub fn on_route(mut self, policy: Result<&str, Unreadable>) -> Self {
        self.route_policy = Some(policy.map(|name| name.as_bytes().to_vec()));
        self
    }

    /// On the route of this name.
    pub fn on_route_named(mut self, name: Result<&str, Unreadable>) -> Self {
        self.route_name = Some(name.map(|name| name.as_bytes().to_vec()));
        self
    }

    pub fn routed_to(mut self, cluster: &str) -> Self {
        self.cluster = Some(cluster.to_owned());
        self
    }

    /// On a connection on which the client has shown a certificate of this digest.
    pub fn with_certificate(mut self, digest: &str) -> Self {
        self.certificate = Some(digest.to_owned());
        self
    }

    pub fn of_peer(mut self, peer: &str) -> Self {
        self.peer = Some(peer.to_owned());
        self
    }
}

impl RequestView for Request {
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let copies = self.copies(name);
        if name == "authorization" && copies.len() > 1 {
            Some(copies.join(&b","[..]).into())
        } else {
            copies.into_iter().next().map(Cow::Owned)
        }
    }

    fn copies(&self, name: &str) -> Vec<Vec<u8>> {
        self.headers.iter().filter(|header| header.0 == name).map(|header| header.1.clone()).collect()
    }

    fn route_policy(&self) -> Result<Option<Vec<u8>>, Unreadable> {
        self.route_policy.clone().transpose()
    }

    fn route_name(&self) -> Result<Option<Vec<u8>>, Unreadable> {
        self.route_name.clone().transpose()
    }

    fn route_cluster(&self) -> Option<Vec<u8>> {
        self.cluster.as_ref().map(|cluster| cluster.as_bytes().to_vec())
    }

    fn peer_certificate_digest(&self) -> Option<Vec<u8>> {
        self.certificate.as_ref().map(|digest| digest.as_bytes().to_vec())
    }

    fn peer(&self) -> Option<Vec<u8>> {
        self.peer.as_ref().map(|peer| peer.as_bytes().to_vec())
    }
}

/// What became of a stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    Answered(Answer),
    Forwarded(HeaderEdits),
}

impl Fate {
    /// That of a request that passes as it came.
    pub fn unchanged() -> Self {
        Self::Forwarded(HeaderEditsBuf::default().share())
    }

    /// The value that a header of a forwarded request was given.
    pub fn header(&self, name: &str) -> Option<String> {
        let Self::Forwarded(edits) = self else { panic!("not forwarded: {self:?}") };
        edits.iter().find_map(|edit| match edit {
            HeaderEdit::Set(set, value) if set == name => Some(String::from_utf8(value.to_vec()).unwrap()),
            _ => None,
        })
    }

    pub fn removes(&self, name: &str) -> bool {
        let Self::Forwarded(edits) = self else { panic!("not forwarded: {self:?}") };
        edits.iter().any(|edit| edit == HeaderEdit::Remove(name))
    }

    /// The phantom token of a forwarded request.
    pub fn jwt(&self) -> String {
        self.header("authorization")
            .expect("no authorization")
            .strip_prefix("Bearer ")
            .expect("no bearer")
            .to_owned()
    }

    /// The claims of the phantom token of a forwarded request.
    pub fn claims(&self) -> Value {
        part(&self.jwt(), 1)
    }

    pub fn status(&self) -> u16 {
        let Self::Answered(answer) = self else { panic!("forwarded: {self:?}") };
        answer.status
    }

    /// Why a request was refused.
    pub fn reason(&self) -> &'static str {
        let Self::Answered(answer) = self else { panic!("forwarded: {self:?}") };
        answer.details
    }
}
