//! A request to one of the receivers' paths whose body is awaited.

use crate::request::RequestView;
use crate::revocation::revocation_endpoint::RevocationRequest;
use crate::revocation::sources::Receiver;
use crate::token::UnixMillis;

/// A request whose body is awaited.
pub(super) struct Incoming {
    pub(super) receiver: Receiver,
    /// Where it comes from.
    pub(super) peer: Vec<u8>,
    pub(super) since: UnixMillis,
    pub(super) content_type: Vec<u8>,
    /// Who revokes, where that is what the request is for.
    pub(super) authorization: Option<Vec<u8>>,
    /// What it would revoke, once its body has passed.
    pub(super) revocation: Option<RevocationRequest>,
}

impl Incoming {
    pub(super) fn new(
        receiver: Receiver,
        peer: Vec<u8>,
        request: &dyn RequestView,
        since: UnixMillis,
    ) -> Self {
        let mut content_type = request.header("content-type").unwrap_or_default().into_owned();
        content_type.truncate(MAX_CONTENT_TYPE_BYTES);
        Self { receiver, peer, since, content_type, authorization: None, revocation: None }
    }
}

/// Of a media type that is looked at; the kinds of signals have short ones.
const MAX_CONTENT_TYPE_BYTES: usize = 256;
