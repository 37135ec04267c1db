//! What a request shows of its sender beside the token, read while its headers are at hand: it may have to wait, and then
//! they are not.

use super::certificate::ClientCertificate;
use super::confirmation::Thumbprint;
use crate::request::RequestView;

/// What a request shows of its sender.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// Of the certificate that its client has shown.
    pub(super) certificate: Option<Thumbprint>,
}

impl Shown {
    /// What this request shows.
    pub fn by(request: &dyn RequestView, certificate: ClientCertificate) -> Self {
        Self { certificate: certificate.thumbprint(request) }
    }
}
