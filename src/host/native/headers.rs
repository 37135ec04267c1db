//! A request as the core sees it.

use std::borrow::Cow;

use super::abi::{Attribute, HeaderType, Stream};
use crate::request::{RequestView, Unreadable};

/// The request of a stream. Nothing is kept: a look costs less here than remembering.
pub(super) struct Headers<'s>(pub(super) &'s Stream);

/// The namespace of the filter's metadata.
const NAMESPACE: &str = "phantom_token_filter";

const POLICY: &str = "policy";

impl RequestView for Headers<'_> {
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        self.0.header(HeaderType::Request, name, 0).map(Cow::Borrowed)
    }

    fn copies(&self, name: &str) -> Vec<Vec<u8>> {
        let copy = |place| self.0.header(HeaderType::Request, name, place);
        (0..).map_while(copy).map(<[u8]>::to_vec).collect()
    }

    fn route_policy(&self) -> Result<Option<Vec<u8>>, Unreadable> {
        match self.0.route_metadata(NAMESPACE, POLICY) {
            Some(policy) => Ok(Some(policy.to_vec())),
            None if self.0.has_route_metadata(NAMESPACE, POLICY) => Err(Unreadable),
            None => Ok(None),
        }
    }

    fn route_name(&self) -> Result<Option<Vec<u8>>, Unreadable> {
        let name = self.0.attribute(Attribute::XdsRouteName);
        Ok(name.filter(|name| !name.is_empty()).map(<[u8]>::to_vec))
    }

    fn route_cluster(&self) -> Option<Vec<u8>> {
        self.0.cluster_name().map(<[u8]>::to_vec)
    }

    fn peer_certificate_digest(&self) -> Option<Vec<u8>> {
        let digest = self.0.attribute(Attribute::ConnectionSha256PeerCertificateDigest);
        digest.filter(|digest| !digest.is_empty()).map(<[u8]>::to_vec)
    }

    fn peer(&self) -> Option<Vec<u8>> {
        let address = self.0.attribute(Attribute::SourceAddress)?;
        let colon = address.iter().rposition(|&byte| byte == b':');
        address.get(..colon.unwrap_or(address.len())).map(<[u8]>::to_vec)
    }
}
