//! What the filter reads of a request. Reads are host calls, so each is made only when its answer is needed.

use std::borrow::Cow;

/// A request's headers, read one by one.
pub trait RequestView {
    /// The value of a header or pseudo-header; of a header that Envoy knows to be single (`authorization`)
    /// all copies, joined by commas.
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>>;

    /// Every copy of a header.
    fn copies(&self, name: &str) -> Vec<Vec<u8>>;

    /// The policy that the route's metadata names.
    ///
    /// # Errors
    ///
    /// [`Unreadable`] if the metadata has something there that is no text.
    fn route_policy(&self) -> Result<Option<Vec<u8>>, Unreadable>;
}

/// What was kept of the headers of a request that had to wait.
#[derive(Clone, Debug, Default)]
pub struct KeptHeaders(pub Vec<(String, String)>);

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderEdit {
    /// Remove every copy.
    Remove(String),
    /// Replace every copy by this one.
    Set(String, Vec<u8>),
}
